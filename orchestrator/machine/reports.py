"""What a kernel reports of itself on its console, though it goes on."""

from __future__ import annotations

import re

__all__ = ["kernel_reports"]

_REPORT = re.compile(
    r"^.*(?:\bBUG: |\bBUG at |\bWARNING: |Internal error|Oops|Kernel panic"
    r"|UBSAN: |KASAN: |kernel BUG|general protection|Unable to handle kernel"
    r"|INFO: (?:possible|inconsistent|suspicious|trying to register|task .* blocked)"
    r"|rcu.*(?:self-detected stall|detected (?:expedited )?stalls)|soft lockup"
    r"|ODEBUG: |pagealloc: |list_(?:add|del) corruption"
    r"|unreferenced object|Bad page|bad_page|Call trace:).*$",
    re.MULTILINE,
)
"""First words of each (Linux 6.1): KASAN, lockdep, UBSAN, debug objects and lists,
poisoned pages, hung tasks, and everything that prints a stack."""


def kernel_reports(text: str) -> list[str]:
    """The lines of a console on which a kernel says that something is wrong with it."""
    return [match.group().strip() for match in _REPORT.finditer(text)]
