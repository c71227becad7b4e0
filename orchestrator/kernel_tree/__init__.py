"""The kernel as a git tree that a researcher edits: opened, checked, saved as patches."""

from orchestrator.kernel_tree.open import open_tree
from orchestrator.kernel_tree.save import Saved, save_patches, save_series
from orchestrator.kernel_tree.sources import patches_of

__all__ = ["Saved", "open_tree", "patches_of", "save_patches", "save_series"]
