"""Faults, page streams and kernel arguments: read whole, or refused in one line."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.runner import describe_machine

FAULTS = """
name = "small"
title = "a small one"
seed = 7
[workload]
kind = "kernel-compile"
objects_file = "objects.txt"
[[variant]]
name = "calm"
randomize_va_space = 2
[[variant]]
name = "rough"
randomize_va_space = 2
expect = "WORKLOAD_FAILED"
kernel_arguments = ["xen-pageshare.load_timeout_ms=5000"]
[[variant.fault]]
kind = "freeze-store"
count = 3
seconds = [1, 2.5]
[[variant.fault]]
kind = "destroy-domain"
count = 2
domain = "victim"
[[domain]]
name = "domU1"
memory_mib = 64
quota_mib = 16
swap_mib = 64
kernel_arguments = ["loglevel=4"]
[[domain]]
name = "victim"
variants = ["rough"]
workload = "pages"
memory_mib = 64
quota_mib = 16
swap_mib = 64
"""
STREAM = """
name = "stream"
title = "a stream"
[workload]
kind = "page-stream"
pages = 100
mix = { text = 3, random = 1 }
[[variant]]
name = "zram"
randomize_va_space = 2
swap = "zram"
[[domain]]
name = "domU1"
memory_mib = 64
quota_mib = 16
swap_mib = 64
"""


CHURN = """
name = "churn"
title = "pages all the time"

[workload]
kind = "churn"
pages = 100
loops = 2
seconds = 30

[[variant]]
name = "lies"
randomize_va_space = 2
lies_to = "domU1"
kernel = "debug"

[[domain]]
name = "domU1"
memory_mib = 64
vcpus = 2
quota_mib = 16
swap_mib = 64
"""


def test_faults_are_read_whole(load):
    experiment = load(FAULTS)
    calm, rough = experiment.variants
    assert (experiment.seed, calm.faults, calm.expect) == (7, (), "OK")
    freeze, destroy = rough.faults
    assert (freeze.kind, freeze.count, freeze.seconds) == ("freeze-store", 3, (1.0, 2.5))
    assert (destroy.kind, destroy.domain) == ("destroy-domain", "victim")
    assert [one.name for one in experiment.domains_of(calm)] == ["domU1"]
    assert [one.name for one in experiment.domains_of(rough)] == ["domU1", "victim"]


def test_kernel_arguments_of_domain_and_variant_reach_the_machine(load):
    experiment = load(FAULTS)
    first, victim = describe_machine(experiment, experiment.variants[1]).domains
    assert first.kernel_arguments == ("loglevel=4", "xen-pageshare.load_timeout_ms=5000")
    assert victim.kernel_arguments == ("xen-pageshare.load_timeout_ms=5000",)
    assert victim.address == "10.0.2.102"


def test_a_stream_is_read_whole(load):
    experiment = load(STREAM)
    workload = experiment.workload
    assert (workload.pages, workload.rounds) == (100, 1)
    assert workload.mix.parts == {"zero": 0, "same": 0, "text": 3, "random": 1}
    assert experiment.objects == ()
    (domain,) = describe_machine(experiment, experiment.variants[0]).domains
    assert domain.kernel_arguments == ("xen-pageshare.enabled=0",)


def test_a_churn_is_read_whole(load):
    experiment = load(CHURN)
    workload = experiment.workload
    assert (workload.pages, workload.loops, workload.seconds) == (100, 2, 30)
    (domain,) = describe_machine(experiment, experiment.variants[0]).domains
    assert (domain.kernel, domain.vcpus) == ("debug", 2)


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (FAULTS, '"freeze-store"', '"make-tea"', ["kind = 'make-tea'", "'kill-store'"]),
        (FAULTS, "seconds = [1, 2.5]", "", ["variant[2 rough].fault[1]", "seconds", "needs it"]),
        (FAULTS, "seconds = [1, 2.5]", "seconds = [3, 2]", ["shortest and the longest"]),
        (FAULTS, "count = 2\n", "count = 2\nseconds = [1, 2]\n", ["seconds: only a fault"]),
        (FAULTS, 'domain = "victim"', 'domain = "domU1"', ["'domU1' is no domain", "'pages'"]),
        (FAULTS, 'domain = "victim"', "", ["domain", "needs it"]),
        (FAULTS, "count = 3", "count = 0", ["fault[1].count = 0", "from 1 to 1000"]),
        (FAULTS, '["rough"]', '["wild"]', ["there is no 'wild'", "calm, rough"]),
        (FAULTS, 'WORKLOAD_FAILED"', 'GUEST_PANIC"', ["expect = 'GUEST_PANIC'", "'OK'"]),
        (FAULTS, "loglevel=4", "loglevel=4 quiet", ["without spaces or quotes"]),
        (FAULTS, "loglevel=4", "a'b", ["without spaces or quotes"]),
        (FAULTS, '["loglevel=4"]', '"loglevel=4"', ["allowed: a list of words such as"]),
        (FAULTS, "[1, 2.5]", "[1]", ["fault[1].seconds", "missing"]),
        (FAULTS, "[1, 2.5]", "2", ["a list: a number, a number"]),
        (FAULTS, 'objects_file = "objects.txt"', 'target = "vmlinux"', ["faults need"]),
        (FAULTS, "expect", 'swap = "disk"\nexpect', ["fault: only with swap = 'pageshare'"]),
        (CHURN, 'lies_to = "domU1"', 'swap = "disk"', ["'disk' is not for the workload 'churn'"]),
        (STREAM, "pages = 100", "", ["pages and mix must be given"]),
        (STREAM, "pages = 100", "pages = 1", ["workload.pages = 1", "from 64"]),
        (STREAM, "text = 3, random = 1", "text = 0", ["part above 0"]),
        (STREAM, "text = 3", "tex = 3", ["workload.mix.tex", "did you mean 'text'"]),
        (CHURN, "seconds = 30", "", ["pages and seconds must be given"]),
        (CHURN, "pages = 100", "pages = 100\nrounds = 2", ["rounds: only", "'page-stream'"]),
        (CHURN, '= "domU1"\nkernel', '= "domU7"\nkernel', ["lies_to", "no domain 'domU7'"]),
        (CHURN, 'kernel = "debug"', 'kernel = "fast"', ["kernel = 'fast'", "'debug'"]),
        (STREAM, '"zram"\n[[', '"zram"\nlies_to = "domU1"\n[[', ["lies_to: only with swap"]),
        (STREAM, "pages = 100", "pages = 100\nseconds = 9", ["seconds: only", "'churn'"]),
        (STREAM, "pages = 100", 'pages = 100\ntarget = "vmlinux"', ["target: only a workload"]),
        (STREAM, 'name = "domU1"', 'name = "domU1"\nworkload = "pages"', ["no domain has"]),
        (STREAM, '"zram"\n[[', '"zram"\ncompressor = "gzip"\n[[', ["'lz4'", "'zstd'"]),
    ],
)
def test_a_bad_file_is_refused_in_one_line(load, text, old, new, said):
    assert old in text
    with pytest.raises(UserError) as caught:
        load(text.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    for part in ["some.toml", *said]:
        assert part in message
