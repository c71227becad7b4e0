"""What can go wrong, split by who is at fault.

::

    TestbedError
     ├── UserError            exit code 2: the user asked for something impossible
     ├── InfrastructureError  exit code 3: the host, QEMU, Xen or dom0 let us down
     └── GuestError           exit code 4: a domU let us down
          ├── WorkloadFailed      the workload ended with an error
          ├── GuestPanic          a kernel stopped
          └── GuestHung           no answer before the deadline

Every class carries the ``verdict`` that a run which it ends is given.
"""

from __future__ import annotations

__all__ = [
    "GuestError",
    "GuestHung",
    "GuestPanic",
    "InfrastructureError",
    "TestbedError",
    "UserError",
    "WorkloadFailed",
]


class TestbedError(Exception):
    """Base of every error that this project raises on purpose.

    The message is complete in itself: what is wrong, where, and what to do.
    """

    __test__ = False  # not a pytest class, whatever its name says
    exit_code = 1
    verdict = "INFRA_FAILED"


class UserError(TestbedError):
    """The input cannot work: one line that names it and says what is allowed."""

    exit_code = 2


class InfrastructureError(TestbedError):
    """The host, QEMU, Xen or dom0 failed; the experiment says nothing."""

    exit_code = 3


class GuestError(TestbedError):
    """A domU failed; the console's last lines belong in the message."""

    exit_code = 4
    verdict = "WORKLOAD_FAILED"


class WorkloadFailed(GuestError):
    """The workload itself ended with an error."""


class GuestPanic(GuestError):
    """A kernel panicked or oopsed."""

    verdict = "GUEST_PANIC"


class GuestHung(GuestError):
    """A domU gave no answer before its deadline."""

    verdict = "GUEST_HUNG"
