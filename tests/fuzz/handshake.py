"""Bytes as the life of domUs that write what they like into xenstore, beside an honest one.

Instructions are those of ``mutation.py``; what an instruction says in its own
words (a node's name, a value) are the bytes behind it.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from testbed.store.protocol import Op, Status
from testbed.store.verification import problems
from tests.fuzz.dom0 import GUEST_PAGES, Dom0, Guest
from tests.fuzz.mutation import INSTRUCTION
from tests.fuzz.program import content
from tests.fuzz.session import entry, private
from tests.fuzz.subject import MAX_DATA_PAGES

__all__ = ["XenstoreTarget"]

_HONEST = 9
_NAMES = {3: "domU1", 4: "domU2"}
_ELSEWHERE = 20
"""What a domain's id goes up by when it is created again as another."""
_PAGES = 6
_NODES = (
    "state", "instance", "epoch", "ring-page-order", "ring-ref0", "ring-ref1", "ring-ref7",
    "directory-ref", "event-channel", "nr-data-pages", "encoding", "protocol-version",
)  # fmt: skip
_VALUES = (
    "", "0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "17", "23", "24", "64", "666", "-1",
    "1024", "1025", "2147483647", "2147483648", "4294967295", "4294967296", "00000000001",
    "18446744073709551615", "9" * 400, "x" * 4096, "0x10", "1_0", " 1", "1 ", "1\n", "+1", "1.0",
    "\u0663", "\u00b2", "\ufffd", "\0", "raw", "lz4", "zstd", "LZ4", "gzip", "abc", "ABC",
    "ffffffffffffffff", "10000000000000000", "None",
)  # fmt: skip


class Step(NamedTuple):
    """One instruction."""

    domid: int
    small: int
    word: int
    wide: int
    text: str


class Siege:
    """One honest domain among others, and what must stay true of it."""

    def __init__(self, engine: str) -> None:
        self.dom0 = Dom0(engine)
        self.counts: Counter[str] = Counter()
        self.ids = {domid: domid for domid in _NAMES}
        """Present id of each domain of ill will."""
        self.refused: set[int] = set()
        """Who offered what is not allowed, and has not been created again since."""
        self.draining: dict[int, int] | None = None
        """Store limits of who was connected when the store began to drain."""
        self.honest = self.dom0.create(_HONEST, "other")
        self.honest.connect()
        self._rows = [self._store(at) for at in range(_PAGES)]
        for domid, name in _NAMES.items():
            self.dom0.create(domid, name)

    def guest(self, step: Step) -> Guest:
        """The domain that an instruction is about."""
        return self.dom0.guests[self.ids[step.domid]]

    def _store(self, at: int) -> int:
        self.honest.write_page(0, content(private("other"), at)[:900])
        answer = self.honest.ask(entry(Op.STORE, encoding=1, length=900, offset=at, generation=1))
        assert answer[3] == Status.OKAY
        return answer[5]

    def limits(self) -> dict[int, int]:
        """The store limit of every domain that is served, by its id."""
        domains = [connection.domain for connection in self.dom0.store.connections.values()]
        return {domain.life.domid: domain.store_limit for domain in domains}

    def check(self) -> None:
        """Cheap, after every instruction."""
        store, dom0 = self.dom0.store, self.dom0
        assert "other" in store.connections, "the honest domain was disconnected"
        assert len(dom0.events.bound) == len(store.connections)
        assert len(dom0.grants.mapped) == 2 * len(store.connections)
        limits = self.limits()
        assert not limits.keys() & self.refused, "one that was refused is served"
        if self.draining is not None:
            for domid, limit in limits.items():
                assert limit <= self.draining.get(domid, 0), "a limit rises while draining"
            self.draining = {domid: self.draining.get(domid, 0) for domid in limits}

    def check_thoroughly(self) -> None:
        """At the end, when nothing is disturbed any more."""
        self.calm()
        self.dom0.turn()
        self.check()
        self.check_pages()
        table, domains = self.dom0.store.table, self.dom0.store.domains.values()
        assert problems(table, domains) == []
        for guest in self.dom0.guests.values():
            for name in ("domU1", "domU2", "other"):
                assert guest.name == name or private(name) not in guest.memory[:]

    def check_pages(self) -> None:
        """Everything that the honest domain stored comes back."""
        for at, row in enumerate(self._rows):
            answer = self.honest.ask(
                entry(Op.LOAD, data_page=1, offset=at, generation=1, page_id=row)
            )
            assert answer[3] == Status.OKAY
            assert self.honest.page(1, answer[4]) == content(private("other"), at)[:900]

    def calm(self) -> None:
        """No faults from here on."""
        xenstore = self.dom0.xenstore
        xenstore.fails = xenstore.disturb = 0
        xenstore.between.clear()

    def outcome(self) -> dict[str, Any]:
        """What every engine must make of the same history."""
        nodes = self.dom0.xenstore.nodes
        guests = self.dom0.guests.values()
        return {
            "nodes": {path: text for path, text in nodes.items() if "instance" not in path},
            "memory": {guest.domid: zlib.crc32(guest.memory[:]) for guest in guests},
            "counts": self.counts,
        }

    def close(self) -> None:
        self.calm()
        self.dom0.close()


def is_allowed(said: Mapping[str, str | None], instance: str) -> bool:
    """Whether ``pageshare.h`` lets a frontend say that and be connected to this store."""

    def hexadecimal(node: str) -> bool:
        return re.fullmatch("[0-9a-fA-F]{1,16}", said.get(node) or "") is not None

    def number(node: str, low: int, high: int) -> bool:
        text = said.get(node) or ""
        return re.fullmatch("[0-9]{1,10}", text) is not None and low <= int(text) <= high

    order = said.get("ring-page-order")
    return (
        number("protocol-version", 1, 1)
        and said.get("encoding") in ("raw", "lz4", "lzo", "zstd")
        and number("ring-page-order", 0, 3)
        and all(number(f"ring-ref{at}", 0, 2**32 - 1) for at in range(1 << int(order or 0)))
        and number("directory-ref", 0, 2**32 - 1)
        and number("event-channel", 1, 2**31 - 1)
        and number("nr-data-pages", 1, MAX_DATA_PAGES)
        and hexadecimal("epoch")
        and hexadecimal("instance")
        and int(said.get("instance") or "", 16) == int(instance, 16)
    )


# Instructions


def say(siege: Siege, step: Step) -> None:
    """One node, any value."""
    _write(siege, step, _NODES[step.small % len(_NODES)])
    siege.dom0.turn()


def say_anything(siege: Siege, step: Step) -> None:
    """A node that nobody knows, or one below a known one."""
    name = "".join(c for c in step.text if c.isascii() and c.isalnum()) or "x"
    _write(siege, step, f"{_NODES[step.small % len(_NODES)]}/{name}" if step.word & 1 else name)


def remove(siege: Siege, step: Step) -> None:
    guest = siege.guest(step)
    paths = [f"{guest.path}/{node}" for node in _NODES]
    paths += [guest.path, guest.path.removesuffix("/0")]
    siege.counts["xenstore"] += 1
    siege.dom0.xenstore.remove(paths[step.small % len(paths)])
    siege.dom0.turn()


def switch(siege: Siege, step: Step) -> None:
    guest = siege.guest(step)
    siege.counts["xenstore"] += 1
    guest.write("state", str(step.small % 8))
    siege.dom0.turn()


def offer(siege: Siege, step: Step) -> None:
    """An honest handshake but for a node or two; few of them are wrong."""
    guest = siege.guest(step)
    if step.word & 1:
        guest.new_ring()
        guest.write("state", "6" if step.word & 6 == 6 else "1")
        siege.dom0.turn()
        guest.write("state", "1")
        siege.dom0.turn()
    nodes = guest.nodes()
    order = step.word >> 3 & 3 if step.word >> 5 & 1 else 0
    nodes["ring-page-order"] = str(order)
    nodes |= {f"ring-ref{at}": str(at) for at in range(1 << order)}
    for shift in range(8, 8 + 8 * (step.word >> 6 & 1), 8):
        nodes[_NODES[1 + (step.word >> shift) % (len(_NODES) - 1)]] = _value(step)
    for node, text in nodes.items():
        guest.write(node, text)
    if step.word >> 26 & 7 == 7:  # pages twice, ring pages as data pages, pages that are not there
        references = [byte % (GUEST_PAGES + 1) for byte in step.wide.to_bytes(8, "little")]
        guest.write_directory(references)
        siege.counts["aliased"] += 1
    siege.counts["xenstore"] += len(nodes) + 1
    siege.counts["offers"] += 1
    xenstore = siege.dom0.xenstore
    undisturbed = guest.state() == "2" and not (xenstore.fails or xenstore.between)
    guest.write("state", "3")
    siege.dom0.turn()
    accepted = guest.state() == "4"
    siege.counts["offers accepted"] += accepted
    if undisturbed:
        nodes = [*_NODES, *(f"ring-ref{at}" for at in range(8))]
        said = {node: xenstore.nodes.get(f"{guest.path}/{node}") for node in nodes}
        instance = xenstore.nodes[f"{guest.backend}/instance"]
        assert not accepted or is_allowed(said, instance), f"accepted: {said}"
        if guest.state() == "5" and siege.draining is None:
            siege.refused.add(guest.domid)


def ask(siege: Siege, step: Step) -> None:
    """A few requests, of whatever kind, if there is a ring."""
    guest = siege.guest(step)
    guest.write_page(step.word & 7, content(private(guest.name), step.word >> 3 & 7)[:500])
    for at in range(1 + step.small % 8):
        guest.send(
            entry(
                1 + (step.word >> 4 + 2 * at) % 5,
                encoding=1,
                data_page=step.word & 7,
                length=480,
                offset=step.small % 16 + at,
                generation=1,
                page_id=1 + step.small % 8,
            )
        )
    siege.counts["ring"] += 1 + step.small % 8
    siege.dom0.fire(guest.domid)


def scribble(siege: Siege, step: Step) -> None:
    """Anything anywhere in the domain's memory: ring, directory, data."""
    guest = siege.guest(step)
    pattern = step.wide.to_bytes(8, "little") * (1 + step.small % 64)
    at = step.word % (GUEST_PAGES * 4096 - len(pattern))
    at = at % 96 if step.word >> 28 == 15 else at
    guest.memory[at : at + len(pattern)] = pattern
    siege.dom0.fire(guest.domid)


def fire(siege: Siege, step: Step) -> None:
    """Watches for nothing, events for nothing."""
    guest, dom0 = siege.guest(step), siege.dom0
    what = ("@introduceDomain", "@releaseDomain", f"{guest.path}/state", "/local")[step.small % 4]
    dom0.xenstore.fire(what)
    dom0.events.overflow = bool(step.word & 1)
    dom0.fire(guest.domid)


def fail(siege: Siege, step: Step) -> None:
    """xenstore fails, or transactions are disturbed, for a while."""
    xenstore = siege.dom0.xenstore
    if step.word & 1:
        xenstore.fails = step.small % 8
    else:
        xenstore.disturb = step.small % 25


def interfere(siege: Siege, step: Step) -> None:
    """Something changes between two operations of the store."""
    guest, xenstore = siege.guest(step), siege.dom0.xenstore
    node = f"{guest.path}/{_NODES[step.word % len(_NODES)]}"
    ways = (
        lambda: xenstore.remove(node),
        lambda: xenstore.remove(guest.path),
        lambda: xenstore.write(node, _value(step)),
        lambda: xenstore.remove(f"/local/domain/{guest.domid}"),
    )
    idle = step.word >> 8 & 7
    xenstore.between += [lambda: None] * idle + [ways[step.small % len(ways)]]


def revoke(siege: Siege, step: Step) -> None:
    """A grant is taken away, or all of them are there again."""
    revoked = siege.dom0.grants.revoked
    if step.word & 1:
        revoked.add((siege.guest(step).domid, step.small % GUEST_PAGES))
    else:
        revoked.clear()


def boot_again(siege: Siege, step: Step) -> None:
    """Destroyed, and created under the same id or another."""
    dom0, domid = siege.dom0, siege.ids[step.domid]
    dom0.destroy(domid)
    siege.refused.discard(domid)
    siege.ids[step.domid] = domid if step.word & 1 else domid + _ELSEWHERE
    dom0.create(siege.ids[step.domid], _NAMES[step.domid])


def twin(siege: Siege, step: Step) -> None:
    """Another domain takes the name of one that is alive, and wants to be served as that."""
    dom0, original = siege.dom0, siege.guest(step)
    domid = original.domid + 2 * _ELSEWHERE
    guest = dom0.create(domid, original.name)
    for node, text in {**guest.nodes(), "state": "3"}.items():
        guest.write(node, text)
    dom0.turn()
    if dom0.xenstore.nodes.get(f"/local/domain/{original.domid}/name") == original.name:
        siege.check()
    dom0.destroy(domid)


def die(siege: Siege, step: Step) -> None:
    """Without a word."""
    dom0, guest = siege.dom0, siege.guest(step)
    dom0.domains.ended[guest.domid] = "the domain is being destroyed"
    dom0.xenstore.fire("@releaseDomain")
    dom0.turn()


def rename(siege: Siege, step: Step) -> None:
    guest = siege.guest(step)
    name = ("stranger", "domU1", "domU2", "")[step.small % 4]
    siege.dom0.xenstore.write(f"/local/domain/{guest.domid}/name", name)


def restart(siege: Siege, step: Step) -> None:
    """The store is killed; the honest domain finds its pages again in the next one."""
    siege.calm()
    siege.refused.clear()
    siege.draining = None
    siege.dom0.kill()
    siege.dom0.start()
    siege.honest.connect()
    kept = siege.dom0.xenstore.nodes[f"{siege.honest.backend}/kept-pages"]
    assert kept == str(_PAGES)
    siege.check_pages()


def drain(siege: Siege, step: Step) -> None:
    if siege.draining is None:
        siege.draining = siege.limits()
    siege.dom0.store.drain()
    siege.dom0.turn()


_COMMON = (offer, offer, offer, offer, say, say, switch, switch, ask, ask, ask, scribble, interfere)
_RARE = (say_anything, remove, fire, fail, revoke, boot_again, die, rename, restart, twin)
_OPERATIONS = _COMMON * 3 + _RARE * 2 + (drain,)
_WITH_TEXT = {say, say_anything, offer, interfere}


def _value(step: Step) -> str:
    return step.text if step.wide & 3 == 3 else _VALUES[(step.wide >> 2) % len(_VALUES)]


def _write(siege: Siege, step: Step, node: str) -> None:
    siege.counts["xenstore"] += 1
    siege.guest(step).write(node, _value(step))


def play(siege: Siege, program: bytes) -> None:
    """Plays ``program`` and checks after every instruction."""
    at = 0
    while at + INSTRUCTION.size <= len(program):
        kind, who, small, word, wide = INSTRUCTION.unpack_from(program, at)
        operation = _OPERATIONS[kind % len(_OPERATIONS)]
        at += INSTRUCTION.size
        text = ""
        if operation in _WITH_TEXT and wide & 3 == 3:
            # As Xen's binding reads what is not ASCII.
            text = program[at : at + 16].rstrip(b"\0").decode("ascii", "replace")
            at += 16
        operation(siege, Step(sorted(_NAMES)[who % 2], small, word, wide, text))
        siege.check()


class XenstoreTarget:
    """Plays each program with every engine, and compares what came of it."""

    def __init__(self, engines: list[str]) -> None:
        self._engines = engines
        self._counts: Counter[str] = Counter()

    @property
    def requests(self) -> int:
        """What domains wrote into xenstore, and requests they sent."""
        return self._counts["xenstore"] + self._counts["ring"]

    def report(self) -> dict[str, Any]:
        """See ``Target.report``."""
        share = self._counts["offers accepted"] / max(1, self._counts["offers"])
        return {"requests": self.requests, **self._counts, "accepted_share": round(share, 4)}

    def __call__(self, program: bytes) -> None:
        outcomes = []
        for engine in self._engines:
            siege = Siege(engine)
            try:
                play(siege, program)
                siege.check_thoroughly()
                outcomes.append(siege.outcome())
            finally:
                siege.close()
        first, *others = outcomes
        if first["counts"]["aliased"]:
            # A frontend whose ring is among its data pages overwrites its own
            # answers, in an order that no engine promises.
            others = []
        for other in others:
            for part, value in first.items():
                assert other[part] == value, f"{part} differs"
        self._counts += first["counts"]

    def close(self) -> None:
        """See ``Target.close``."""
