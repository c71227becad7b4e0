"""Builders of the domU root disk, behind one interface."""

from orchestrator.artifacts.domu_image.buildroot import BuildrootDomuImage
from orchestrator.artifacts.domu_image.choice import (
    BuilderName,
    ImageChoice,
    choose_builder,
)
from orchestrator.artifacts.domu_image.debian import DebianDomuImage
from orchestrator.artifacts.domu_image.interface import DomuImageBuilder

__all__ = [
    "BuilderName",
    "BuildrootDomuImage",
    "DebianDomuImage",
    "DomuImageBuilder",
    "ImageChoice",
    "choose_builder",
]
