"""A guest for tests: an SSH server in this process whose commands run on this machine."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestHung, WorkloadFailed
from orchestrator.machine import Ssh, SshEndpoint


class _Server(paramiko.ServerInterface):
    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_execute, args=(channel, command.decode()), daemon=True).start()
        return True


def _execute(channel: paramiko.Channel, command: str) -> None:
    # paramiko accepts the request when its thread goes on, which must be before the
    # command ends: a client whose channel closes first takes it for refused
    time.sleep(0.01)
    process = subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def feed() -> None:
        assert process.stdin is not None
        try:
            while data := channel.recv(65536):
                process.stdin.write(data)
            process.stdin.close()
        except (BrokenPipeError, OSError):
            pass

    def drain(stream, send) -> None:
        while data := stream.read1(65536):
            send(data)

    threads = [
        threading.Thread(target=feed, daemon=True),
        threading.Thread(target=drain, args=(process.stdout, channel.sendall), daemon=True),
        threading.Thread(target=drain, args=(process.stderr, channel.sendall_stderr), daemon=True),
    ]
    for thread in threads:
        thread.start()
    status = process.wait()
    for thread in threads[1:]:
        thread.join()
    # the client may have hung up already
    with contextlib.suppress(EOFError, OSError):
        channel.send_exit_status(status if status >= 0 else 128 - status)
        channel.shutdown_write()
        channel.close()


def _key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    _key(folder / "host")
    _key(folder / "client")
    return folder


@pytest.fixture
def endpoint(keys: Path) -> Iterator[SshEndpoint]:
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(link)
            transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(keys / "host")))
            transport.start_server(server=_Server())
            transports.append(transport)

    threading.Thread(target=serve, daemon=True).start()
    yield SshEndpoint(
        "domU1",
        listener.getsockname()[1],
        keys / "client",
        failed=WorkloadFailed,
        hung=GuestHung,
    )
    listener.close()
    for transport in transports:
        transport.close()


@pytest.fixture
def ssh(endpoint: SshEndpoint) -> Iterator[Ssh]:
    with Ssh.connect(endpoint, Deadline.after(10)) as connection:
        yield connection


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pagegen, for this machine."""
    sources = sorted((Path(__file__).resolve().parents[3] / "testbed/workload").glob("*.c"))
    program = tmp_path_factory.mktemp("pagegen") / "pagegen"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, *sources], check=True
    )
    return program
