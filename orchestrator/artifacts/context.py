"""What every builder is given: the cache, the checkout, a log and a deadline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts.cache import Cache
from orchestrator.commands import Log, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError

__all__ = ["BuildContext", "checkout", "read_list"]


def checkout() -> Path:
    """The root of the project's checkout, where ``testbed/`` and the patches lie."""
    return Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class BuildContext:
    """Passed to every builder."""

    cache: Cache
    log: Log = silent
    deadline: Deadline = field(default_factory=lambda: Deadline.after(3600))
    root: Path = field(default_factory=checkout)
    """The checkout whose sources are built."""

    @property
    def images(self) -> Path:
        """The folder of package lists and overlays."""
        return self.root / "testbed" / "images"

    @property
    def patches(self) -> Path:
        """The folder of the kernel line that the testbed uses."""
        return self.root / "guest-kernel-patches" / "linux-6.1"


def read_list(path: Path) -> list[str]:
    """The lines of a data file without comments (``#``) and blank lines.

    Raises ``UserError`` when the file is missing.
    """
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; the checkout is not complete") from error
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
