"""The files that an experiment file names: lists of objects, and scripts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.experiment.model import Experiment

__all__ = ["FROM_FILES", "LONGEST_SCRIPT", "with_files"]

FROM_FILES = {
    "objects": "workload.objects_file",
    "other_objects": "domain.objects_file",
    "script": "workload.script_file",
}
"""Fields of an experiment that no experiment file has, and the key that names their file."""

LONGEST_SCRIPT = 64 * 1024
"""Bytes; it is one word of a command line, and Linux takes 128 KiB."""
_A_LIST = "a file of make targets, one a line, its path relative to the checkout"
_A_SCRIPT = "a file for sh, its path relative to the checkout"


@dataclass(frozen=True)
class _Named:
    """One such file, and where it is named."""

    experiment: Path
    key: str
    file: str
    checkout: Path

    def error(self, what: str) -> UserError:
        return UserError(f"{self.experiment}: {self.key} = {self.file!r}: {what}")

    def read(self, allowed: str) -> str:
        try:
            return (self.checkout / self.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise self.error(f"cannot be read ({reason}); allowed: {allowed}") from None

    def objects(self) -> tuple[str, ...]:
        lines = (line.split("#", 1)[0].strip() for line in self.read(_A_LIST).splitlines())
        objects = tuple(line for line in lines if line)
        bad = [name for name in objects if not name.endswith(".o") or ".." in name or " " in name]
        if bad or not objects:
            what = f"line {bad[0]!r}" if bad else "an empty list"
            raise self.error(f"{what}; allowed: kernel objects such as lib/vsprintf.o")
        return objects

    def script(self) -> str:
        text = self.read(_A_SCRIPT)
        if not text.strip() or "\0" in text or len(text.encode()) > LONGEST_SCRIPT:
            raise self.error(f"allowed: lines for sh, {LONGEST_SCRIPT // 1024} KiB at most")
        return text


def with_files(experiment: Experiment, path: Path, checkout: Path) -> Experiment:
    """The experiment with what the files that it names say.

    Args:
        path: of the experiment file, for messages.

    Raises:
        UserError: one of them cannot be read, or is not what it should be.
    """

    def named(key: str, file: str) -> _Named:
        return _Named(path, key, file, checkout)

    workload = experiment.workload
    found: dict[str, object] = {}
    if workload.target is not None:
        found["objects"] = (workload.target,)
    if workload.objects_file is not None:
        found["objects"] = named("workload.objects_file", workload.objects_file).objects()
        found["other_objects"] = {
            one.name: named(f"domain[{number} {one.name}].objects_file", one.objects_file).objects()
            for number, one in enumerate(experiment.domain, start=1)
            if one.objects_file is not None
        }
    if workload.script_file is not None:
        found["script"] = named("workload.script_file", workload.script_file).script()
    return experiment.model_copy(update=found)
