"""The fuzzers' corpora are played at both engines, and the fuzzers find what is planted."""

from __future__ import annotations

import importlib

import pytest

from testbed.store.domain import Domain
from testbed.store.table import SharingTable
from tests.fuzz.program import content
from tests.fuzz.replay import FUZZERS, inputs
from tests.fuzz.session import Op, Session, entry, load, private
from tests.fuzz.subject import subjects


@pytest.mark.parametrize("name", FUZZERS)
def test_every_input_of_the_corpus_is_played_without_a_fault(name):
    target = importlib.import_module(f"tests.fuzz.{name}").make(["python", "native"])
    for program in inputs(name).values():
        target(program)
    assert target.requests > 500
    target.close()


def another_page(read):
    return lambda table, page: read(table, next(e.page_id for e in table.entries()))


def any_generation(find):
    return lambda domain, key, _, row: find(domain, key, domain.rows.commits[row] & 0xFFFF, row)


def limit_that_tells(limit):
    return property(lambda domain: limit.fget(domain) + domain.table.shared_hits)


FAULTS = {
    "a page of another domain": (SharingTable, "read", another_page),
    "an old generation": (Domain, "find", any_generation),
    "a limit that tells of sharing": (Domain, "store_limit", limit_that_tells),
}


def history() -> None:
    """Three domains store, and two of them load; one asks for a generation that it has not."""
    (store,) = subjects("python")
    session = Session([store])
    try:
        for name in ("other", "domU1", "domU2"):
            for offset, owner in enumerate((private(name), bytes(8))):
                session.write_page(name, offset, content(owner, 1)[:600])
                fields = {"offset": offset, "data_page": offset, "length": 600, "encoding": 1}
                session.queue(name, entry(Op.STORE, generation=3, **fields))
            session.kick(name)
        session.run()
        for name in ("domU1", "domU2"):
            for key, held in session.held(name).items():
                session.queue(name, load(key, held, 4), load(key, held, 5, generation=2))
            session.kick(name)
        session.run()
        session.check_thoroughly()
    finally:
        session.close()
        store.close()


def test_a_history_without_a_fault():
    history()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_planted_is_found(monkeypatch, fault):
    owner, name, plant = FAULTS[fault]
    monkeypatch.setattr(owner, name, plant(getattr(owner, name)))
    with pytest.raises(AssertionError, match=r"byte \d+ differs"):
        history()
