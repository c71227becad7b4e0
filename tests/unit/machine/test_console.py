from __future__ import annotations

import pytest

from orchestrator.machine.console import ConsoleLog


@pytest.fixture
def log(tmp_path):
    return ConsoleLog("domU1", tmp_path / "domU1.log")


def test_a_console_that_is_not_there_yet_is_empty(log):
    assert log.panic() is None
    assert log.tail() == ""
    assert not log.contains("ready")


@pytest.mark.parametrize(
    "line",
    [
        "[    1.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
        "[   22.1] Unable to handle kernel NULL pointer dereference at virtual address 000010",
        "[   22.1] Internal error: Oops: 0000000096000004 [#1] SMP",
        "[    3.1] BUG: scheduling while atomic: swapper/0/1/0x00000002",
        "[    3.1] kernel BUG at mm/frontswap.c:246!",
        "(XEN) Xen BUG at common/page_alloc.c:1425",
        "(XEN) Panic on CPU 0:",
    ],
)
def test_a_kernel_or_xen_that_gives_up_is_seen(log, line):
    log.path.write_text(f"fine so far\n{line}\nregisters\n")
    assert log.panic() == line


@pytest.mark.parametrize(
    "line", ["DEBUG: nothing", "make: *** Error 2", "mount: debugfs", "oops=panic on the line"]
)
def test_harmless_lines_are_no_panic(log, line):
    log.path.write_text(line + "\n")
    assert log.panic() is None


def test_a_line_that_comes_in_two_pieces_is_seen(log):
    log.path.write_text("x" * 5000 + "\n[ 1.0] Kernel pa")
    assert log.panic() is None
    with log.path.open("a") as file:
        file.write("nic - not syncing: here\n")
    assert "Kernel panic" in log.panic()


def test_a_marker_that_comes_in_two_pieces_is_seen_once_and_for_all(log):
    log.path.write_text("testbed: domU1 rea")
    assert not log.contains("testbed: domU1 ready")
    with log.path.open("a") as file:
        file.write("dy\n" + "y" * 10_000)
    assert log.contains("testbed: domU1 ready")
    assert log.contains("testbed: domU1 ready")


def test_the_tail_is_readable_text(log):
    log.path.write_bytes(b"one\r\ntwo\r\n\x1b[31mthree\x1b[0m\r\n\xff\n")
    assert log.tail(2).splitlines() == ["three", "\ufffd"]


def test_a_marker_of_an_earlier_boot_does_not_count(log):
    log.path.write_text("testbed: domU1 ready\n")
    assert log.contains("testbed: domU1 ready")
    log.begin_again()
    assert not log.contains("testbed: domU1 ready")
    with log.path.open("a") as file:
        file.write("testbed: domU1 ready\n")
    assert log.contains("testbed: domU1 ready")
