from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestHung, InfrastructureError, WorkloadFailed
from orchestrator.machine import DetachedJob, Ssh, SshEndpoint
from orchestrator.machine.jobs import LOST
from tests.unit.machine.support import soon


def test_a_command_gives_both_streams_and_its_status(ssh):
    result = ssh.run("echo out; echo err >&2; exit 3", deadline=soon(), check=False)
    assert (result.stdout, result.stderr, result.status) == ("out\n", "err\n", 3)


def test_a_failing_command_raises_with_what_it_said(ssh):
    with pytest.raises(WorkloadFailed, match=r"domU1: `false.*status 1: no luck"):
        ssh.run("false || { echo no luck >&2; exit 1; }", deadline=soon())


def test_much_output_on_both_streams_does_not_deadlock(ssh):
    line = "head -c 3000000 /dev/zero | tr '\\0' a; head -c 3000000 /dev/zero | tr '\\0' b >&2"
    result = ssh.run(line, deadline=soon())
    assert (len(result.stdout), len(result.stderr)) == (3_000_000, 3_000_000)


def test_a_connection_that_ended_is_made_again(ssh, caplog):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ssh.run, "sleep 2", deadline=soon())
        time.sleep(0.2)
        ssh._transport.sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(GuestHung, match="connection failed during `sleep"):
            running.result()
    assert ssh.run("echo still here", deadline=soon()).stdout == "still here\n"
    assert "domU1: the SSH connection ended" in caplog.text


def test_a_connection_that_ends_as_a_command_comes_is_made_again(ssh, monkeypatch):
    first = ssh._transport
    open_session = first.open_session

    def ended(timeout):
        first.close()
        return open_session(timeout=timeout)

    monkeypatch.setattr(first, "open_session", ended)
    assert ssh.run("echo still here", deadline=soon()).stdout == "still here\n"


def test_a_connection_that_was_closed_stays_so(ssh):
    ssh.close()
    with pytest.raises(GuestHung, match="SSH session not active"):
        ssh.run("echo hi", deadline=soon())


def test_an_argv_list_is_quoted(ssh):
    assert ssh.run(["echo", "a b", "$HOME"], deadline=soon()).stdout == "a b $HOME\n"


def test_a_command_beyond_its_deadline_raises(ssh):
    started = time.monotonic()
    with pytest.raises(GuestHung, match="did not end before its deadline"):
        ssh.run("sleep 30", deadline=Deadline.after(0.3))
    with pytest.raises(GuestHung, match=r"deadline; so far it said: on my way$"):
        ssh.run("echo on my way; sleep 30", deadline=Deadline.after(1))
    assert time.monotonic() - started < 5
    assert ssh.run("echo still here", deadline=soon()).stdout == "still here\n"


def test_files_are_written_whole_and_read_back(ssh, tmp_path):
    data = bytes(range(128)) * 4000
    ssh.write_file(str(tmp_path / "f"), data, deadline=soon(), mode=0o755)
    assert (tmp_path / "f").read_bytes() == data
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o755
    assert ssh.read_file(str(tmp_path / "f"), deadline=soon()).encode() == data


def test_connecting_waits_for_the_hint_and_tries_again(endpoint):
    calls = iter([False, False, True])
    with Ssh.connect(endpoint, soon(), ready=lambda: next(calls, True)) as connection:
        assert connection.run("echo hi", deadline=soon()).stdout == "hi\n"


def test_connecting_gives_up_at_the_deadline(keys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = SshEndpoint("dom0", silent.getsockname()[1], keys / "client")
        with pytest.raises(InfrastructureError, match="dom0: no SSH before the deadline"):
            Ssh.connect(nobody, Deadline.after(0.5))


def test_connecting_stops_when_waiting_is_pointless(endpoint):
    def check() -> None:
        raise InfrastructureError("QEMU is gone")

    with pytest.raises(InfrastructureError, match="QEMU is gone"):
        Ssh.connect(endpoint, soon(), check=check)


def test_a_detached_job_starts_at_go_only_and_leaves_its_status(ssh, tmp_path):
    job = DetachedJob.prepare(ssh, str(tmp_path / "job"), "echo hello; exit 4", deadline=soon())
    time.sleep(0.2)
    assert job.poll() is None
    assert not (tmp_path / "job/log").exists()
    job.go(deadline=soon())
    assert job.wait(deadline=soon(), interval=0.05) == 4
    assert job.log() == "hello\n"


def test_a_detached_job_outlives_its_connection(endpoint, tmp_path):
    folder = str(tmp_path / "job")
    with Ssh.connect(endpoint, soon()) as first:
        DetachedJob.start(first, folder, "sleep 0.3; echo done", deadline=soon())
    with Ssh.connect(endpoint, soon()) as second:
        assert DetachedJob(second, folder).wait(deadline=soon(), interval=0.05) == 0


def test_a_stopped_job_still_tells_its_status(ssh, tmp_path):
    job = DetachedJob.start(ssh, str(tmp_path / "job"), "sleep 30", deadline=soon())
    time.sleep(0.2)
    job.stop()
    assert job.wait(deadline=soon(), interval=0.05) == 143


def test_a_job_beyond_its_deadline_raises_with_its_last_lines(ssh, tmp_path):
    job = DetachedJob.start(
        ssh, str(tmp_path / "job"), "echo so far so good; sleep 30", deadline=soon()
    )
    while "so far so good" not in job.log():  # a busy host is slow to start it
        time.sleep(0.05)
    with pytest.raises(GuestHung, match="so far so good"):
        job.wait(deadline=Deadline.after(3), interval=0.2)
    job.stop()


def test_a_job_whose_shell_was_killed_too_is_lost_and_not_waited_for(ssh, tmp_path):
    job = DetachedJob.start(ssh, str(tmp_path / "job"), "sleep 30", deadline=soon())
    time.sleep(0.2)
    assert job.poll() is None
    job.stop("KILL")
    assert job.wait(deadline=soon(), interval=0.05) == LOST


def test_bytes_come_as_they_are(ssh, tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(data)
    assert ssh.read_bytes(str(tmp_path / "file"), deadline=Deadline.after(20)) == data
    with pytest.raises(WorkloadFailed, match="No such file"):
        ssh.read_bytes(str(tmp_path / "none"), deadline=Deadline.after(20))
