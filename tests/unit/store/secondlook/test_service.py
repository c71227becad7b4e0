"""The second look in a running service: when nothing else is to do, and not before."""

from __future__ import annotations

import dataclasses
import time

import lz4.block
import pytest

from testbed.store import service as service_module
from testbed.store.protocol import Encoding, Status
from testbed.store.secondlook.settings import Settings
from testbed.store.service import Service
from testbed.store.transport.inprocess import InProcessEdge
from tests.unit.store.secondlook.pages import process_page
from tests.unit.store.support import Frontend, make_config, ring_library

PAGES = 20


@pytest.fixture(params=["native", "python"])
def service(request, tmp_path):
    look = Settings(
        near_twins=False, recompress=False, cold_seconds=0.05, cpu_share=1.0, pages_per_second=1e6
    )
    config = make_config(tmp_path, engine=request.param)
    config = dataclasses.replace(config, second_look=look)
    edges = []

    def make_edge(_, batch):
        edges.append(InProcessEdge(ring_library(), batch))
        return edges[0]

    with Service(config, make_edge) as service:
        service.edge = edges[0]
        yield service


def connected(service: Service, name: str) -> Frontend:
    frontend = Frontend()
    service.edge.attach(name, frontend.shared)
    frontend.turn = lambda: service.turn(1.0)
    return frontend


def page_of(number: int, domain: int) -> bytes:
    return process_page(number, {"heap": 9 * domain, "mappings": 40 * domain})


def test_domains_get_the_same_pages_back_from_less_memory(service):
    frontends = [connected(service, name) for name in ("domU1", "domU2")]
    rows = {}
    for number in range(PAGES):
        for domain, frontend in enumerate(frontends):
            payload = lz4.block.compress(page_of(number, domain), store_size=False)
            rows[number, domain] = frontend.store(number, payload).page_id
    before = service.store.table.payload_bytes
    deadline = time.monotonic() + 30
    while len(look_outcomes(service)) < 2 or sum(look_outcomes(service).values()) < 2 * PAGES:
        assert time.monotonic() < deadline
        service.turn(0.02)
    assert look_outcomes(service) == {"alone": PAGES, "twin": PAGES}
    assert service.store.table.payload_bytes < before * 0.52
    for (number, domain), row in rows.items():
        response, kept = frontends[domain].load(number, row)
        assert response.status == Status.OKAY
        if response.encoding == Encoding.LZ4:
            kept = lz4.block.decompress(kept, uncompressed_size=4096)
        assert kept == page_of(number, domain)
    again = lz4.block.compress(page_of(0, 1), store_size=False)
    assert frontends[0].store(PAGES, again).status == Status.OKAY
    assert len(service.store.table) == 2 * PAGES + 1
    assert frontends[0].load(PAGES, rows[0, 0])[0].status == Status.ENOENT
    stats = service.store.stats()
    assert stats["second_look"]["seconds"] > 0
    # every MARK has them, so that a run can tell what a page took
    assert stats["service"]["looked_pages"] >= sum(stats["second_look"]["outcomes"].values()) > 0
    assert stats["service"]["look_seconds"] == pytest.approx(
        stats["second_look"]["seconds"], abs=1e-6
    )
    assert stats["memory"]["second_look"] > 0
    for frontend in frontends:
        frontend.invalidate(*((0, number, 1) for number in range(PAGES + 1)))
    assert service.store.table.payload_bytes == service.store.table.arena.payload_bytes == 0
    for name, frontend in zip(("domU1", "domU2"), frontends, strict=True):
        service.edge.disconnect(name, "end of the test")
        frontend.close()


def test_it_waits_while_there_is_work(service, monkeypatch):
    monkeypatch.setattr(service_module, "_TURNS_TO_TIDY", 1)
    frontend = connected(service, "domU1")
    payload = lz4.block.compress(page_of(1, 0), store_size=False)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        frontend.store(1, payload)
    assert not look_outcomes(service)
    service.edge.disconnect("domU1", "end of the test")
    frontend.close()


def test_both_engines_note_which_pages_are_used(service):
    frontend = connected(service, "domU1")
    row = frontend.store(1, lz4.block.compress(page_of(1, 0), store_size=False)).page_id
    recent = service.store.table.recent
    for _ in range(2):
        recent.age()
    assert recent.next_cold(1, 2) == 1
    assert frontend.load(1, row)[0].status == Status.OKAY
    assert not recent.next_cold(1, 2)
    for _ in range(2):
        recent.age()
    assert recent.next_cold(1, 2) == 1
    service.edge.disconnect("domU1", "end of the test")
    frontend.close()


def look_outcomes(service: Service) -> dict[str, int]:
    return service.store.stats()["second_look"]["outcomes"]
