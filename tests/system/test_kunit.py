"""The series' KUnit tests, in a kernel that is built for them."""

from __future__ import annotations

import re
import subprocess

from orchestrator.artifacts.context import checkout
from orchestrator.artifacts.kernel import build_kernel
from orchestrator.deadline import slowness
from orchestrator.parts import Parts

COMMAND = [
    "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "256", "-accel", "tcg",
    "-nographic", "-nodefaults", "-serial", "stdio", "-no-reboot",
]  # fmt: skip
# no root file system: the kernel panics once the tests are done, and that ends QEMU
ARGUMENTS = "console=ttyAMA0 panic=-1"


def test_kunit_tests_pass(parts: Parts) -> None:
    image = build_kernel(parts.context, "kunit").path
    done = subprocess.run(
        [*COMMAND, "-kernel", str(image), "-append", ARGUMENTS],
        capture_output=True, text=True, timeout=120 * slowness(), check=False,
    )  # fmt: skip
    log = re.sub(r"^\[ *\d+\.\d+\] ", "", done.stdout, flags=re.MULTILINE)
    suites = re.findall(r"^(not )?ok \d+ (xen-pageshare-\S+)", log, flags=re.MULTILINE)
    assert suites == [("", "xen-pageshare-map"), ("", "xen-pageshare-page")], log[-4000:]
    cases = re.findall(r"^ +ok \d+ (test_\S+)", log, flags=re.MULTILINE)
    assert cases == _written(), log[-4000:]


def _written() -> list[str]:
    """Every case of the series, in order."""
    series = checkout() / "guest-kernel-patches/linux-6.1"
    (patch,) = series.glob("*-test-the-parts-*.patch")
    return re.findall(r"^\+\tKUNIT_CASE\((test_\w+)\)", patch.read_text(), flags=re.MULTILINE)
