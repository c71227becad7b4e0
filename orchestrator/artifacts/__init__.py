"""Everything the machine is made of, built once and kept in a content-addressed cache."""

from orchestrator.artifacts.build import Artifacts, build_all
from orchestrator.artifacts.cache import Artifact, Cache
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.keys import KeyPair

__all__ = ["Artifact", "Artifacts", "BuildContext", "Cache", "KeyPair", "build_all"]
