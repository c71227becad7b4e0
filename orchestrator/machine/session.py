"""One run of the emulated machine: booted, in use, torn down.

::

    host                                QEMU (virt, TCG)
    ----                                ----------------------------------------------
    Machine ---- QMP socket ----------- monitor: balloon, ring buffer, memory size
    testbed gdb  gdb socket ----------- gdb stub: idle until somebody attaches
            ---- 127.0.0.1:a -- slirp - 10.0.2.15   dom0   eth0 --+-- xenbr0
            ---- 127.0.0.1:b -- slirp - 10.0.2.101  domU1  vif ---+
            ---- 127.0.0.1:c -- slirp - 10.0.2.102  domU2  vif ---+
    console/xen-dom0.log -------------- pl011: Xen, dom0 (hvc0)
    console/store.log ----------------- virtio-serial store.log
    console/domU1.log, … -------------- virtio-serial console.domU1, … <- xenconsoled
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from orchestrator.commands import Log, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import GuestError, GuestHung, InfrastructureError, WorkloadFailed
from orchestrator.machine.console import ConsoleLog
from orchestrator.machine.description import (
    DEFAULT_KERNEL,
    DomainDescription,
    MachineDescription,
)
from orchestrator.machine.disks import Disk, MachineFiles, make_disks, overlay_disks
from orchestrator.machine.domains import DomainHandle
from orchestrator.machine.endpoints import ENDPOINTS_FILE, Endpoints
from orchestrator.machine.process import QemuProcess
from orchestrator.machine.qemu import QemuMemory, QemuPaths, console_file, qemu_argv
from orchestrator.machine.qmp import QmpClient
from orchestrator.machine.snapshot import KeptMachine, Snapshot
from orchestrator.machine.ssh import Ssh, SshEndpoint
from orchestrator.machine.store import Store
from orchestrator.machine.swap_device import make_swap_device

__all__ = ["Dom0", "Machine"]

_RESEED = "/run/reseed"
_SEED_BYTES = 64
_CREATED_AT_ONCE = 2
"""domUs that dom0 sets up at a time: it has one CPU, and libxl gives each of a domU's
hotplug scripts 40 s (LIBXL_HOTPLUG_TIMEOUT), which eight domUs at once do not keep."""

T = TypeVar("T")


class Dom0:
    """The first domain: its console (Xen's too) and its SSH connection."""

    def __init__(self, console: ConsoleLog, endpoint: SshEndpoint, ssh: Ssh) -> None:
        self.console = console
        self.endpoint = endpoint
        self.ssh = ssh


class Machine:
    """A machine that is up. Made by :meth:`boot` only."""

    description: MachineDescription
    qmp: QmpClient
    dom0: Dom0
    store: Store
    domains: dict[str, DomainHandle]
    """The domUs created so far, by name."""
    timings: dict[str, float]
    """Wall seconds from the start of :meth:`boot` until each step was done."""

    def __init__(
        self,
        description: MachineDescription,
        files: MachineFiles,
        run_dir: Path,
        consoles: Path | None = None,
    ) -> None:
        self.description = description
        self.domains = {}
        self.timings = {}
        self._files = files
        self._run_dir = run_dir
        self._consoles = consoles or run_dir / "console"
        self._started = time.monotonic()
        self._abandoned = threading.Event()
        self._endpoints_lock = threading.Lock()
        self._creating = threading.Semaphore(_CREATED_AT_ONCE)
        self._console_logs: dict[str, ConsoleLog] = {}
        self._log: Log = silent
        self._disks: list[Disk] = []
        self._snapshot: Snapshot | None = None

    @classmethod
    @contextlib.contextmanager
    def boot(
        cls,
        description: MachineDescription,
        files: MachineFiles,
        run_dir: Path,
        deadline: Deadline,
        *,
        consoles: Path | None = None,
        state: Path | None = None,
        start_store: bool = True,
        start_domains: bool = True,
        keep_in: Path | None = None,
        log: Log = silent,
    ) -> Iterator[Self]:
        """Boot, hand over the machine, and tear it down whatever happens.

        Call it in a thread that lives as long as the machine (see
        :class:`QemuProcess`).

        Args:
            run_dir: gets ``console/*.log`` and, while the machine is up,
                ``machine.json``.
            consoles: another folder for the console files and ``qemu.log``,
                where a run has several machines.
            deadline: by which dom0, the store and every domU answer.
            state: folder in which the domUs' scratch disks live on, for a
                workload that resumes; by default they are new.
            start_store: start the sharing store and wait until it is ready.
            start_domains: create all described domUs and connect to them.
            keep_in: folder in which the machine lives, so that :meth:`keep` can
                leave it there for others to start from.
            log: gets one line a step, and each command as it can be pasted.

        Raises:
            InfrastructureError, GuestPanic, GuestHung: here or from the body;
                the last lines of every console are added to the message.
        """
        machine = cls(description, files, run_dir, consoles)
        machine._log = log
        with machine._told(), ExitStack() as stack:
            # mkdtemp: 0700, so nobody else reaches the QMP socket
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="testbed-")))
            memory, where = None, folder
            if keep_in is not None:
                machine._snapshot = snapshot = Snapshot(keep_in)
                snapshot.disks.mkdir(parents=True)
                shutil.copyfile(files.payload, snapshot.payload)
                machine._files = files = replace(files, payload=snapshot.payload)
                memory, where = QemuMemory(snapshot.memory, shared=True), snapshot.disks
            machine._disks = make_disks(description, files, where, state, log)
            machine._start_qemu(stack, deadline, folder, memory)
            machine._start_guests(stack, deadline, start_store, start_domains)
            yield machine

    @classmethod
    @contextlib.contextmanager
    def resume(
        cls,
        description: MachineDescription,
        files: MachineFiles,
        run_dir: Path,
        deadline: Deadline,
        *,
        snapshot: Path,
        consoles: Path | None = None,
        log: Log = silent,
    ) -> Iterator[Self]:
        """Like :meth:`boot`, but go on from where :meth:`keep` left a machine.

        Args:
            description: of that machine, to the letter.
            files: its key is used; the disks are the snapshot's.
            snapshot: the folder that was given to it; it stays as it is.
        """
        machine = cls(description, files, run_dir, consoles)
        machine._log = log
        with machine._told(), ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="testbed-")))
            source = Snapshot(snapshot)
            kept, disks = source.read()
            machine._disks = overlay_disks(disks, folder, log)
            memory = QemuMemory(source.memory, shared=False)
            machine._start_qemu(stack, deadline, folder, memory, source.state)
            machine._find_guests(stack, deadline, kept)
            yield machine

    def keep(self, deadline: Deadline) -> None:
        """End the machine and leave it where :meth:`resume` finds it.

        Nothing but leaving the context of :meth:`boot` may follow.

        Raises:
            InfrastructureError: QEMU cannot save it, or it was not booted to be kept.
        """
        if self._snapshot is None:
            raise InfrastructureError("this machine was not booted to be kept")
        domids = {name: domain.domid for name, domain in self.domains.items()}
        running = self.store.running()
        self._abandon()  # no session outlives the network's end
        self.qmp.save_state(self._snapshot.state, deadline)
        self._snapshot.write(self._disks, domids, store=running)
        self.qmp.quit()
        self._process.wait(deadline)

    def reseed(self, seeds: Mapping[str, bytes] | None, deadline: Deadline) -> None:
        """Give every guest other random numbers from now on.

        Args:
            seeds: at most 256 bytes for each domain's kernel, by its name (``dom0``);
                None: the host's own randomness.

        Raises:
            InfrastructureError: a guest does not take them.
        """
        program = self._files.reseed
        if program is None:
            raise InfrastructureError("this machine has no program to reseed with")

        def one(name: str, ssh: Ssh) -> None:
            seed = os.urandom(_SEED_BYTES) if seeds is None else seeds[name]
            ssh.write_file(_RESEED, program.read_bytes(), deadline=deadline, mode=0o700)
            ssh.run(f"{_RESEED} && rm {_RESEED}", data=seed, deadline=deadline)

        guests = {"dom0": self.dom0.ssh, **{name: d.ssh for name, d in self.domains.items()}}
        self.in_parallel([partial(one, name, ssh) for name, ssh in guests.items()])
        self._step("every guest has other random numbers")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What fails inside says what the consoles said last."""
        try:
            yield
        except (InfrastructureError, GuestError) as error:
            error.args = (f"{error}\n{self.last_words()}".rstrip(),)
            raise

    @property
    def qemu_argv(self) -> list[str]:
        """The QEMU command that runs."""
        return list(self._process.argv)

    @property
    def qemu_pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def disk(self, serial: str) -> Disk:
        """The disk of this serial, as QEMU has it open (KeyError if there is none)."""
        for disk in self._disks:
            if disk.serial == serial:
                return disk
        raise KeyError(serial)

    def check(self) -> None:
        """Raise InfrastructureError if QEMU ended, or if Xen or dom0 panicked."""
        if self._abandoned.is_set():
            raise InfrastructureError("the machine is being torn down")
        self._process.check()
        if line := self.console("xen-dom0").panic():
            raise InfrastructureError(f"Xen or dom0 gave up: {line}")

    def check_all(self) -> None:
        """Like :meth:`check`, and GuestPanic if a domU panicked."""
        self.check()
        for domain in list(self.domains.values()):  # another thread may create one
            domain.check()

    def console(self, name: str) -> ConsoleLog:
        """The console of a domU, or ``xen-dom0``, or ``store`` (its log)."""
        if name not in self._console_logs:
            self._console_logs[name] = ConsoleLog(name, console_file(self._consoles, name))
        return self._console_logs[name]

    def last_words(self, lines: int = 12) -> str:
        """The last lines of every console, for an error message."""
        names = ["xen-dom0", "store", *(domain.name for domain in self.description.domains)]
        tails = {name: self.console(name).tail(lines) for name in names}
        return "\n".join(
            f"--- {self.console(name).path}:\n{tail}" for name, tail in tails.items() if tail
        )

    def create_domain(self, name: str, deadline: Deadline) -> DomainHandle:
        """Create a described domU and connect to it; anew if it was destroyed.

        Raises:
            KeyError: the machine's description has no such domU.
            InfrastructureError, GuestPanic, GuestHung: it did not come up.
        """
        if name in self.domains:
            self.domains.pop(name).close()
        with self._its_turn(name, deadline):
            make_swap_device(self.dom0.ssh, self.description.domain(name), deadline)
            domain = DomainHandle.create(
                self.description.domain(name),
                console=self.console(name),
                endpoint=self._endpoint(name, failed=WorkloadFailed, hung=GuestHung),
                dom0=self.dom0.ssh,
                check_machine=self.check,
                deadline=deadline,
            )
        self.domains[name] = domain
        self._write_endpoints()
        self._step(f"{name} created")
        domain.connect(deadline)
        self._step(f"{name} answers SSH")
        return domain

    @contextlib.contextmanager
    def _its_turn(self, name: str, deadline: Deadline) -> Iterator[None]:
        """Held while dom0 sets a domU up; others that it sets up already come first."""
        if not self._creating.acquire(timeout=deadline.remaining):
            raise InfrastructureError(f"{name}: dom0 was still busy with other domUs' creation")
        try:
            self.check()  # the one before it may have failed
            yield
        finally:
            self._creating.release()

    def destroy_domain(self, name: str, deadline: Deadline) -> None:
        """``xl destroy`` a domU that was created (KeyError if it was not)."""
        self.domains.pop(name).destroy(deadline)

    def in_parallel(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run the calls in threads and return what they return, in order.

        If one raises, or Ctrl-C comes, the connections are closed, so that
        the others end too: the machine cannot be used after that.
        """
        with ThreadPoolExecutor(max(len(calls), 1)) as pool:
            futures = [pool.submit(call) for call in calls]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                return [future.result() for future in futures]
            except BaseException:
                self._abandon()
                raise

    def _start_qemu(
        self,
        stack: ExitStack,
        deadline: Deadline,
        folder: Path,
        memory: QemuMemory | None,
        state: Path | None = None,
    ) -> None:
        self._consoles.mkdir(parents=True, exist_ok=True)
        paths = QemuPaths(folder / "qmp", folder / "gdb", self._consoles)
        argv = qemu_argv(
            self.description,
            self._files,
            self._disks,
            paths,
            memory,
            resumes=state is not None,
        )
        self._process = stack.enter_context(
            QemuProcess(argv, self._consoles / "qemu.log", self._log)
        )
        self.qmp = stack.enter_context(
            QmpClient(paths.qmp_socket, deadline.within(20), self._process.check)
        )
        stack.callback(self.qmp.quit)
        stack.callback(self._abandon)
        if state is not None:
            self.qmp.load_state(state, deadline)
        self._ports = self.qmp.forwarded_ports()
        self._gdb_socket = paths.gdb_socket
        self._write_endpoints()
        stack.callback((self._run_dir / ENDPOINTS_FILE).unlink, missing_ok=True)
        self._step("QEMU runs")

    def _find_guests(self, stack: ExitStack, deadline: Deadline, kept: KeptMachine) -> None:
        """Connect to guests that are up already."""
        endpoint = self._endpoint("dom0")
        for name, domid in kept.domids.items():
            self.domains[name] = DomainHandle(
                self.description.domain(name),
                domid,
                self.console(name),
                self._endpoint(name, failed=WorkloadFailed, hung=GuestHung),
                check_machine=self.check,
            )
        self._write_endpoints()
        calls: list[Callable[[], Ssh]] = [lambda: Ssh.connect(endpoint, deadline, check=self.check)]
        for domain in self.domains.values():
            calls.append(lambda domain=domain: domain.connect(deadline, up=True))  # type: ignore[misc]
        ssh, *_ = self.in_parallel(calls)
        stack.callback(ssh.close)
        self.dom0 = Dom0(self.console("xen-dom0"), endpoint, ssh)
        for domain in self.domains.values():
            domain.dom0 = ssh
        self.qmp.poll_balloon()
        self.store = Store(ssh, self.description.store, self.console("store"), self.check)
        if kept.store:
            self.store.adopt()
        self._step("every guest answers SSH")

    def _start_guests(
        self, stack: ExitStack, deadline: Deadline, start_store: bool, start_domains: bool
    ) -> None:
        console = self.console("xen-dom0")
        endpoint = self._endpoint("dom0")
        ssh = Ssh.connect(
            endpoint,
            deadline,
            check=self.check,
            ready=lambda: console.contains("testbed: dom0 ready"),
        )
        stack.callback(ssh.close)
        self.dom0 = Dom0(console, endpoint, ssh)
        self._step("dom0 answers SSH")
        self.qmp.poll_balloon()
        self.store = Store(ssh, self.description.store, self.console("store"), self.check)
        calls: list[Callable[[], object]] = []
        if start_store:
            calls.append(lambda: self._start_store(deadline))
        if start_domains:
            for domain in self.description.domains:
                calls.append(lambda name=domain.name: self.create_domain(name, deadline))  # type: ignore[misc]
        self.in_parallel(calls)

    def _start_store(self, deadline: Deadline) -> None:
        self.store.start(deadline)
        self.store.wait_ready(deadline)
        self._step("the store is ready")

    def _endpoint(
        self,
        name: str,
        *,
        failed: type[InfrastructureError | GuestError] = InfrastructureError,
        hung: type[InfrastructureError | GuestError] = InfrastructureError,
    ) -> SshEndpoint:
        address = (
            self.description.dom0.address
            if name == "dom0"
            else self.description.domain(name).address
        )
        return SshEndpoint(
            name, self._ports[address], self._files.ssh_key, failed=failed, hung=hung
        )

    def _write_endpoints(self) -> None:
        names = ["dom0", *(domain.name for domain in self.description.domains)]
        kernels = {domain.name: self._kernel(domain) for domain in self.description.domains}
        with self._endpoints_lock:  # domUs are created in threads of their own
            known = {name: domain.domid for name, domain in list(self.domains.items())}
            endpoints = Endpoints(
                qemu_pid=self._process.pid,
                ssh={name: self._endpoint(name).argv for name in names},
                gdb=self._gdb_socket,
                images={"xen": self._files.xen, "dom0": self._files.kernel, **kernels},
                domids={"dom0": 0, **known},
            )
            endpoints.write(self._run_dir / ENDPOINTS_FILE)

    def _kernel(self, domain: DomainDescription) -> Path:
        own = domain.kernel != DEFAULT_KERNEL
        return self._files.kernels[domain.kernel] if own else self._files.kernel

    def _abandon(self) -> None:
        """Make every wait of every thread end."""
        self._abandoned.set()
        for domain in list(self.domains.values()):
            domain.close()
        if hasattr(self, "dom0"):
            self.dom0.ssh.close()

    def _step(self, what: str) -> None:
        seconds = time.monotonic() - self._started
        self.timings[what] = round(seconds, 2)
        self._log(f"{what} ({seconds:.1f} s)")
