"""domUs: created, asked and destroyed by ``xl`` in dom0."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestPanic, InfrastructureError
from orchestrator.machine.console import ConsoleLog
from orchestrator.machine.description import DomainDescription
from orchestrator.machine.ssh import Ssh, SshEndpoint

__all__ = ["DomainHandle"]


@dataclass
class DomainHandle:
    """One domU that was created; it may have ended since."""

    description: DomainDescription
    domid: int
    """Xen's number for it, new at every creation."""
    console: ConsoleLog
    endpoint: SshEndpoint
    check_machine: Callable[[], None]
    """Raises when QEMU, Xen or dom0 is lost."""
    dom0: Ssh = field(init=False)
    """The connection on which ``xl`` is asked."""
    _ssh: Ssh | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls,
        description: DomainDescription,
        *,
        console: ConsoleLog,
        endpoint: SshEndpoint,
        dom0: Ssh,
        check_machine: Callable[[], None],
        deadline: Deadline,
    ) -> DomainHandle:
        """``xl create`` with the configuration on the payload disk.

        Raises:
            InfrastructureError: xl refuses, or does not answer.
        """
        name = description.name
        console.begin_again()
        dom0.run(["xl", "create", f"/payload/domains/{name}.cfg"], deadline=deadline)
        said = dom0.run(["xl", "domid", name], deadline=deadline)
        domid = int(said.stdout)
        handle = cls(description, domid, console, endpoint, check_machine)
        handle.dom0 = dom0
        return handle

    @property
    def name(self) -> str:
        """The domU's name."""
        return self.description.name

    @property
    def ssh(self) -> Ssh:
        """The connection to it; :meth:`connect` first."""
        if self._ssh is None:
            raise InfrastructureError(f"{self.name}: SSH was not connected")
        return self._ssh

    def connect(self, deadline: Deadline, *, up: bool = False) -> Ssh:
        """Wait until it answers SSH, and keep that connection.

        Args:
            up: it has booted long ago, so its console says nothing more.

        Raises:
            GuestPanic: its kernel gave up.
            GuestHung: the deadline passed.
        """
        self._ssh = Ssh.connect(
            self.endpoint,
            deadline,
            check=self.check,
            ready=lambda: up or self.console.contains(f"testbed: {self.name} ready"),
        )
        return self._ssh

    def check(self) -> None:
        """Raise if it panicked, or if the machine under it is lost."""
        self.check_machine()
        if line := self.console.panic():
            raise GuestPanic(f"{self.name}: {line}")

    def exists(self, deadline: Deadline) -> bool:
        """Whether Xen still has this very domain (a zombie counts)."""
        listed = self.dom0.run(["xl", "list", str(self.domid)], deadline=deadline, check=False)
        return listed.status == 0

    def destroy(self, deadline: Deadline) -> None:
        """``xl destroy``: at once, without a word to its kernel."""
        self.close()
        # -vvv: where it was, should it not end
        self.dom0.run(["xl", "-vvv", "destroy", str(self.domid)], deadline=deadline)

    def shutdown(self, deadline: Deadline) -> None:
        """Have it power off, and wait until Xen has it no more.

        Raises:
            InfrastructureError: it is still there at the deadline.
        """
        self.ssh.run("(sleep 1; poweroff) >/dev/null 2>&1 </dev/null &", deadline=deadline)
        self.close()
        self.wait_gone(deadline)

    def wait_gone(self, deadline: Deadline) -> None:
        """Wait until Xen has it no more: its memory is free, nobody maps a page of it.

        Raises:
            InfrastructureError: it is still there at the deadline.
        """
        while self.exists(deadline):
            self.check_machine()
            if deadline.expired:
                raise InfrastructureError(
                    f"{self.name}: Xen still has domain {self.domid} at the deadline: it did "
                    "not power off, or somebody maps its pages"
                )
            time.sleep(0.3)

    def close(self) -> None:
        """Close the SSH connection; the domU goes on."""
        if self._ssh is not None:
            self._ssh.close()
            self._ssh = None
