"""What Python and C share lies where both think it does, for both machines."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pytest

from testbed.store import layout
from testbed.store.engine import ROUNDS, TURN_SECONDS
from testbed.store.protocol import MAX_SWAP_TYPES, MIN_PAYLOAD, OFFSET_BITS
from testbed.store.transport.interface import BATCH
from testbed.store.transport.native import Outcome
from tests.unit.store.support import NATIVE

STRUCTURES = {
    "index_state": layout.IndexState,
    "ids_state": layout.IdsState,
    "arena_state": layout.ArenaState,
    "table_state": layout.TableState,
    "member_state": layout.MemberState,
    "domain_state": layout.DomainState,
    "request_counters": layout.RequestCounters,
    "connection_state": layout.ConnectionState,
    "loop_state": layout.LoopState,
}
NUMBERS = {
    "HOLE_KINDS": layout.HOLE_KINDS,
    "NO_LIMIT": f"{layout.NO_LIMIT}u",
    "PAGESHARE_BATCH": BATCH,
    "TURN_ROUNDS": ROUNDS,
    "TURN_NS": int(TURN_SECONDS * 1e9),
    "MAX_SWAP_TYPES": MAX_SWAP_TYPES,
    "OFFSET_BITS": OFFSET_BITS,
    "MIN_PAYLOAD": MIN_PAYLOAD,
    **{outcome.name: int(outcome) for outcome in Outcome},
}


def claims() -> list[str]:
    found = [f"{name} == {number}" for name, number in NUMBERS.items()]
    for name, structure in STRUCTURES.items():
        found.append(f"sizeof(struct {name}) == {ctypes.sizeof(structure)}")
        for field, _ in structure._fields_:
            place = getattr(structure, field)
            found.append(f"offsetof(struct {name}, {field}) == {place.offset}")
            found.append(f"sizeof(((struct {name} *)0)->{field}) == {place.size}")
    return found


@pytest.mark.parametrize("compiler", ["gcc", "aarch64-linux-gnu-gcc"])
def test_every_field_lies_where_python_says(compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = [f'#include "{NATIVE / name}"' for name in ("requests.c", "loop.c")]
    asserts = [f'_Static_assert({claim}, "{claim}");' for claim in claims()]
    (tmp_path / "claims.c").write_text("\n".join(sources + asserts))
    command = [compiler, "-std=gnu11", "-fsyntax-only", "-I", NATIVE / "include"]
    subprocess.run([*command, tmp_path / "claims.c"], check=True)
    assert len(asserts) > 100
