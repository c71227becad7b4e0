"""A content-addressed cache: an artifact's name is the SHA-256 of all that made it.

::

    <root>/<kind>/<key>/            the artifact, read-only by convention
                        artifact.json   its inputs, main file, digest, build time
    <root>/building/<kind>-<key>-*  where it is built; renamed when it is whole
    <root>/locks/<kind>-<key>.lock  one builder at a time for one key
    <root>/digests/                 digests of big input files

A build that is interrupted leaves only a folder under ``building/``, which the
next builder of the same key sweeps away. Two builders of one key: the second
waits and finds the first one's work.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.artifacts.digests import FileDigests, file_digest, text_digest, tree_digest
from orchestrator.commands import Log, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError

__all__ = ["Artifact", "Cache"]

_LAYOUT = "1"
"""Part of every key: raised when the meaning of the cache changes."""

_RECORD = "artifact.json"


@dataclass(frozen=True)
class Artifact:
    """One finished artifact of the cache."""

    kind: str
    key: str
    """SHA-256 (hex) of all inputs."""
    path: Path
    """The main file (or the folder itself, where the artifact is a tree)."""
    digest: str
    """SHA-256 (hex) of ``path``'s contents."""
    inputs: Mapping[str, str]
    """What the key was made of."""
    folder: Path
    """The artifact's folder, with the files that accompany the main one."""
    build_seconds: float
    """Wall time that the build took, whenever it was."""


class Cache:
    """The cache under ``root`` (see the module's docstring for its layout)."""

    def __init__(self, root: Path, *, log: Log = silent) -> None:
        self.root = root
        self._log = log
        self._digests = FileDigests(root / "digests")

    @classmethod
    def of_user(cls, *, log: Log = silent) -> Cache:
        """``$TESTBED_CACHE``, else ``pageshare-testbed`` in the user's cache folder."""
        own = os.environ.get("TESTBED_CACHE")
        if own:
            return cls(Path(own).absolute(), log=log)
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(base) / "pageshare-testbed", log=log)

    def digest_of(self, path: Path) -> str:
        """SHA-256 (hex) of an input file or folder; big files are remembered."""
        return self._digests.of(path)

    def remembered_digest(self, identity: object, make: Callable[[], str]) -> str:
        """What ``make`` says of what has this identity, in words of JSON; asked once."""
        return self._digests.remembered(identity, make)

    def key(self, kind: str, inputs: Mapping[str, str | Path]) -> tuple[str, dict[str, str]]:
        """The key of ``inputs`` and the inputs with every path replaced by its digest."""
        plain = {
            name: self.digest_of(value) if isinstance(value, Path) else value
            for name, value in sorted(inputs.items())
        }
        text = json.dumps({"layout": _LAYOUT, "kind": kind, "inputs": plain}, sort_keys=True)
        return text_digest(text), plain

    def get(
        self,
        kind: str,
        inputs: Mapping[str, str | Path],
        build: Callable[[Path], None],
        *,
        main: str = "",
        deadline: Deadline | None = None,
    ) -> Artifact:
        """The artifact of ``inputs``; ``build(folder)`` is called only if it is missing.

        A ``Path`` among the inputs counts with its contents. ``main`` names the
        file that ``Artifact.path`` points at. What ``build`` raises goes through,
        and leaves nothing behind. Raises ``InfrastructureError`` when another
        builder holds the same key beyond the deadline (default: one hour).
        """
        key, plain = self.key(kind, inputs)
        final = self.root / kind / key
        found = self._load(kind, key, final)
        if found is not None:
            return found
        deadline = deadline or Deadline.after(3600)
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(locks / f"{kind}-{key}.lock", timeout=deadline.remaining):
                found = self._load(kind, key, final)
                return found or self._build(kind, key, plain, final, main, build)
        except Timeout as error:
            raise InfrastructureError(
                f"another build of {kind} {key[:12]} did not end in time; "
                f"see what still runs, then try again"
            ) from error

    def _load(self, kind: str, key: str, final: Path) -> Artifact | None:
        try:
            record = json.loads((final / _RECORD).read_text())
        except FileNotFoundError:
            return None
        return Artifact(
            kind=kind,
            key=key,
            path=final / record["main"] if record["main"] else final,
            digest=record["digest"],
            inputs=record["inputs"],
            folder=final,
            build_seconds=record["build_seconds"],
        )

    def _build(
        self,
        kind: str,
        key: str,
        inputs: dict[str, str],
        final: Path,
        main: str,
        build: Callable[[Path], None],
    ) -> Artifact:
        building = self.root / "building"
        building.mkdir(parents=True, exist_ok=True)
        for stale in building.glob(f"{kind}-{key[:16]}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-{key[:16]}-", dir=building))
        folder.chmod(0o755)
        started = time.monotonic()
        self._log(f"{kind}: building {key[:12]}")
        try:
            build(folder)
            seconds = round(time.monotonic() - started, 3)
            path = folder / main if main else folder
            digest = file_digest(path) if path.is_file() else tree_digest(path)
            record = {
                "kind": kind,
                "key": key,
                "main": main,
                "digest": digest,
                "inputs": inputs,
                "build_seconds": seconds,
            }
            (folder / _RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.exists():  # a folder without its record: not ours to trust
                shutil.rmtree(final)
            folder.rename(final)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._log(f"{kind}: built {key[:12]} in {seconds:.1f} s")
        artifact = self._load(kind, key, final)
        assert artifact is not None
        return artifact
