"""Builders of the domU root disk, behind one interface."""

from orchestrator.artifacts.domu_image.debian import DebianDomuImage
from orchestrator.artifacts.domu_image.interface import DomuImageBuilder

__all__ = ["DebianDomuImage", "DomuImageBuilder"]
