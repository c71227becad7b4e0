"""Images whose every byte follows from their contents."""

from __future__ import annotations

import os
import subprocess

import pytest

from orchestrator.artifacts.ext4_exact import make_exact_ext4
from orchestrator.commands import search_path
from orchestrator.errors import InfrastructureError

FILES = {
    "bin/busybox": (b"program" * 2000, 0o755),
    "etc/shadow": (b"root:*", 0o600),
    "etc/a name with spaces": (b"", 0o644),
    "usr/bin/[[": (b"x", 0o755),
}


def fill(root, names, seconds):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content, mode = FILES[name]
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, (seconds, seconds))
    (root / "bin/sh").symlink_to("busybox")
    (root / "empty").mkdir(mode=0o1777)
    (root / "empty").chmod(0o1777)
    root.chmod(0o755)


def made(tmp_path, name, names, seconds):
    root = tmp_path / name
    fill(root, names, seconds)
    image = tmp_path / f"{name}.ext4"
    make_exact_ext4(image, root, label="test")
    return image


def program(*words):
    environment = {**os.environ, "PATH": search_path()}
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


def test_the_same_contents_give_the_same_bytes(tmp_path):
    first = made(tmp_path, "first", list(FILES), 1)
    second = made(tmp_path, "second", list(reversed(FILES)), 1_000_000)
    assert first.read_bytes() == second.read_bytes()


def test_it_is_a_sound_file_system_with_all_of_the_tree(tmp_path):
    image = made(tmp_path, "tree", list(FILES), 1)
    program("e2fsck", "-fn", image)
    program("debugfs", "-R", f"rdump / {tmp_path}", image)
    for name, (content, mode) in FILES.items():
        path = tmp_path / name
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o7777 == mode, name
    assert str((tmp_path / "bin/sh").readlink()) == "busybox"
    assert "Mode:  01777" in program("debugfs", "-R", "stat /empty", image)
    assert "User:     0   Group:     0" in program("debugfs", "-R", "stat /etc/shadow", image)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    os.mkfifo(tmp_path / "root/pipe")
    with pytest.raises(InfrastructureError, match=r"pipe: neither a file"):
        make_exact_ext4(tmp_path / "x.ext4", tmp_path / "root", label="test")


def test_what_does_not_fit_is_an_error(tmp_path, monkeypatch):
    fill(tmp_path / "root", list(FILES), 1)
    (tmp_path / "root/big").write_bytes(b"x" * (4 << 20))
    monkeypatch.setattr("orchestrator.artifacts.ext4_exact.image_bytes", lambda *_: (1 << 20, 64))
    with pytest.raises(InfrastructureError, match=r"debugfs, making x\.ext4"):
        make_exact_ext4(tmp_path / "x.ext4", tmp_path / "root", label="test")
