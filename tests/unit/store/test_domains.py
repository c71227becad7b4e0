"""Which domains live, as Xen's binding tells it."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

from testbed.store.errors import TransportError
from testbed.store.xen import domains


class Error(Exception):
    """What the binding raises: a number and its text."""


def info(**changes):
    return {"domid": 7, "dying": 0, "shutdown": 0, "shutdown_reason": 0} | changes


@pytest.fixture
def listed(monkeypatch):
    """The domain list over a binding that answers with what is put in."""
    answers = []

    def domain_getinfo(first, most):
        assert (first, most) == (7, 1)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    xc = SimpleNamespace(domain_getinfo=domain_getinfo)
    monkeypatch.setattr(
        domains, "load_python", lambda _: SimpleNamespace(Error=Error, xc=lambda: xc)
    )
    return domains.XcDomainList(), answers


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        ([info()], None),
        ([info(shutdown=1, shutdown_reason=2)], None),
        ([info(shutdown=1, shutdown_reason=3)], "the domain has shut down (reason 3)"),
        ([info(dying=1)], "the domain is being destroyed"),
        ([info(domid=8)], "the domain is gone"),
        ([], "the domain is gone"),
        (Error(errno.ESRCH, "No such process"), "the domain is gone"),
    ],
)
def test_the_end_of_a_domain(listed, answer, end):
    found, answers = listed
    answers.append(answer)
    assert found.end_of(7) == end


def test_any_other_error_is_xens(listed):
    found, answers = listed
    answers.append(Error(errno.EPERM, "Operation not permitted"))
    with pytest.raises(TransportError, match="domain 7"):
        found.end_of(7)
