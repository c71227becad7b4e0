"""A fingerprint that hardly tells payloads apart, in both engines: the comparison must decide.

Real fingerprints never collide in a test, so that nothing else would show
whether the native piece compares group, encoding, length and bytes, or finds
its way through a row of equal hashes.
"""

from __future__ import annotations

from pathlib import Path

from testbed.store.table import SharingTable
from tests.fuzz.native import Change, build_changed, use, use_what_the_environment_names

__all__ = ["WEAK", "use_weak_fingerprints", "weak_fingerprint"]

WEAK = Change(
    "table.h",
    "return XXH3_64bits_withSeed(payload, length, seed);",
    "const uint8_t *bytes = payload;\n"
    "\t(void)length;\n"
    "\treturn ((bytes[0] ^ bytes[15] ^ seed) % 7) << 58;",
)


def weak_fingerprint(payload: bytes, seed: int) -> int:
    """What ``WEAK`` makes of the native one."""
    return (payload[0] ^ payload[15] ^ seed) % 7 << 58


def use_weak_fingerprints(folder: Path) -> None:
    """Every store of this process collides from now on.

    The native piece is built into ``folder``, unless the environment names one
    that was built with ``WEAK`` already.
    """
    if not use_what_the_environment_names():
        build_changed(folder, [WEAK])
        use(folder)
    SharingTable.__init__.__defaults__ = (weak_fingerprint,)
