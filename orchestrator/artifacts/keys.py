"""The SSH client key of this checkout: made once, never shipped, never cached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.digests import text_digest
from orchestrator.commands import run

__all__ = ["KeyPair", "client_key"]


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key pair."""

    path: Path
    """The private key's file (mode 0600)."""
    public: str
    """The public key, one line as in ``authorized_keys``."""
    digest: str
    """SHA-256 (hex) of ``public``."""


def client_key(context: BuildContext) -> KeyPair:
    """The checkout's key pair in ``.testbed/keys``, made at the first call."""
    folder = context.root / ".testbed" / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = folder / "id_ed25519"
    with FileLock(folder / "lock"):
        if not private.exists():
            _generate(context, private)
    public = private.with_suffix(".pub").read_text().strip()
    return KeyPair(private, public, text_digest(public))


def _generate(context: BuildContext, private: Path) -> None:
    partial = private.with_name("making")
    for stale in (partial, partial.with_suffix(".pub")):
        stale.unlink(missing_ok=True)
    argv: list[str | Path] = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed"]
    run([*argv, "-f", partial], log=context.log, deadline=context.deadline.within(60))
    partial.with_suffix(".pub").rename(private.with_suffix(".pub"))
    partial.chmod(0o600)
    partial.rename(private)
