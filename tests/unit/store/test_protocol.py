"""The Python numbers against the C header, compiled."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from testbed.store import protocol
from testbed.store.protocol import COUNTERS, Encoding, Flag, Op, Status
from tests.unit.store.support import NATIVE

HEADER = NATIVE / "include/xen/interface/io/pageshare.h"
SERIES = Path(__file__).resolve().parents[3] / "guest-kernel-patches" / "linux-6.1"

FIELDS = {
    "request": "id op encoding data_page length swap_type flags offset generation page_id",
    "response": "id op encoding status length page_id store_limit reserved",
    "key": "swap_type generation offset",
    "mark": "version nr_counters",
}
PREFIXES = {Op: "OP_", Encoding: "ENC_", Flag: "", Status: ""}


def program() -> str:
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <xen/interface/io/pageshare.h>"]
    lines.append("int main(void) {")

    def show(name: str, value: str) -> None:
        lines.append(f'printf("{name} %lld\\n", (long long)({value}));')

    for enumeration, prefix in PREFIXES.items():
        for member in enumeration:
            show(f"{enumeration.__name__}.{member.name}", f"XEN_PAGESHARE_{prefix}{member.name}")
    for name in ("VERSION", "PAGE_SIZE", "MAX_DATA_PAGES", "MAX_RING_ORDER"):
        show(name, f"XEN_PAGESHARE_{name}")
    for name, fields in FIELDS.items():
        kind = f"struct xen_pageshare_{name}"
        show(f"sizeof.{name}", f"sizeof({kind})")
        for field in fields.split():
            show(f"offset.{name}.{field}", f"offsetof({kind}, {field})")
    show("ring", "offsetof(struct xen_pageshare_sring, ring)")
    show("counters", "offsetof(struct xen_pageshare_mark, counters)")
    for counter in COUNTERS:
        show(counter, f"XEN_PAGESHARE_{counter.upper()}")
    show("nr_counters", "XEN_PAGESHARE_NR_COUNTERS")
    lines.append("return 0; }")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def header(tmp_path_factory) -> dict[str, int]:
    folder = tmp_path_factory.mktemp("header")
    (folder / "show.c").write_text(program())
    compile_ = ["gcc", "-Wall", "-Werror", "-I", NATIVE / "include", "-o", folder / "show"]
    subprocess.run([*compile_, folder / "show.c"], check=True)
    shown = subprocess.run([folder / "show"], check=True, capture_output=True, text=True).stdout
    pairs = [line.split() for line in shown.splitlines()]
    return {name: int(value) for name, value in pairs}


def test_every_constant_is_the_headers(header):
    numbers = header
    for enumeration in PREFIXES:
        for member in enumeration:
            assert numbers[f"{enumeration.__name__}.{member.name}"] == member
    for name in ("VERSION", "PAGE_SIZE", "MAX_DATA_PAGES", "MAX_RING_ORDER"):
        assert numbers[name] == getattr(protocol, name)
    assert numbers["ring"] == protocol.RING_HEADER_BYTES
    assert numbers["counters"] == protocol.MARK_HEADER.size
    assert [numbers[counter] for counter in COUNTERS] == list(range(numbers["nr_counters"]))


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("request", protocol.REQUEST),
        ("response", protocol.RESPONSE),
        ("key", protocol.KEY),
        ("mark", protocol.MARK_HEADER),
    ],
)
def test_every_field_lies_where_the_header_says(header, name, packed):
    numbers = header
    assert packed.size == numbers[f"sizeof.{name}"]
    codes = re.findall("[A-Za-z]", packed.format)
    for position, field in enumerate(FIELDS[name].split()):
        before = struct.calcsize("<" + "".join(codes[:position]))
        assert before == numbers[f"offset.{name}.{field}"]


def test_no_operation_encoding_or_status_is_missing():
    text = HEADER.read_text()
    defined = set(re.findall(r"#define XEN_PAGESHARE_(OP_\w+|ENC_\w+|AGAIN|OKAY|E[A-Z]+)\s", text))
    known = {
        f"{prefix}{member.name}"
        for enumeration, prefix in PREFIXES.items()
        for member in enumeration
    }
    assert defined == known


def test_the_header_is_the_kernel_series_own():
    """The store's copy and the file that the patches add must not part."""
    patches = sorted(SERIES.glob("*.patch"))
    marker = "+++ b/include/xen/interface/io/pageshare.h\n"
    added = [text for patch in patches if marker in (text := patch.read_text())]
    assert added, f"no patch in {SERIES} adds the header"
    hunk = added[0].split(marker, 1)[1].split("\ndiff --git", 1)[0]
    lines = [line[1:] for line in hunk.splitlines()[1:] if line.startswith("+")]
    assert "\n".join(lines) + "\n" == HEADER.read_text()
