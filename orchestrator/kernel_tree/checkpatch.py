"""What the kernel's own ``scripts/checkpatch.pl --strict`` says of a patch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands import CommandFailed, Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError

__all__ = ["Remark", "check_patch"]

_REMARK = re.compile(r"^.*?:(\d+): (ERROR|WARNING|CHECK):(\w+): (.*)$")
_OPTIONS = (
    "--strict",
    "--terse",
    "--show-types",
    "--no-summary",
    # the tree's history begins with one commit: every "Fixes:" names one it does not know
    "--ignore=UNKNOWN_COMMIT_ID",
)


@dataclass(frozen=True)
class Remark:
    """One thing that checkpatch has to say."""

    patch: str
    line: int
    """In the patch's file, from 1."""
    level: str
    """``ERROR``, ``WARNING`` or ``CHECK``."""
    kind: str
    text: str

    @property
    def grave(self) -> bool:
        """Whether a maintainer would send the patch back for it."""
        return self.level != "CHECK"

    def __str__(self) -> str:
        return f"{self.patch}:{self.line}: {self.level}:{self.kind}: {self.text}"


def check_patch(
    tree: Path, patch: Path, *, log: Log = silent, deadline: Deadline | None = None
) -> list[Remark]:
    """The remarks of the checkpatch in ``tree`` on ``patch``.

    Raises ``InfrastructureError`` when it does not run.
    """
    argv: list[str | Path] = ["scripts/checkpatch.pl", *_OPTIONS, patch.resolve()]
    try:
        output = run(argv, cwd=tree, log=log, deadline=deadline).stdout
    except CommandFailed as error:
        # 1 is its status for a patch with remarks, and perl's for a script that broke
        output = error.output
        if error.returncode != 1 or not _REMARK.search(output.splitlines()[0] if output else ""):
            raise InfrastructureError(f"{patch.name}: checkpatch did not run: {error}") from error
    found = (_REMARK.match(line) for line in output.splitlines())
    remarks = [
        Remark(patch.name, int(match[1]), match[2], match[3], match[4]) for match in found if match
    ]
    # the names of xenbus' states are Xen's own, in every driver of the kernel
    return [
        remark
        for remark in remarks
        if not (remark.kind == "CAMELCASE" and re.search(r"<XenbusState\w+>", remark.text))
    ]
