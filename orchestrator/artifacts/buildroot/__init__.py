"""Buildroot: where it is, what it is given, and what it makes for domUs."""

from orchestrator.artifacts.buildroot.legal import write_legal_info
from orchestrator.artifacts.buildroot.rootfs import build_rootfs
from orchestrator.artifacts.buildroot.setup import Toolchain
from orchestrator.artifacts.buildroot.tree import BuildrootTree, fetch_tree, find_tree

__all__ = [
    "BuildrootTree",
    "Toolchain",
    "build_rootfs",
    "fetch_tree",
    "find_tree",
    "write_legal_info",
]
