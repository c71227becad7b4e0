"""Draws the lies and tells them.

The liar starts over and over. Each start is a new instance with a plan of its
own: for so many answers it tells the truth, then it lies in a share of them; a
node of xenstore may be wrong from the beginning or change on the way. A start
ends when the frontend has left, after so many answers, or when the frontend asks
for no page any more: how long all that takes is the machine's affair. What was
stored is kept.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from testbed.hostile.answers import Answer
from testbed.hostile.lies import LIES, Lie, Telling
from testbed.hostile.nodes import LyingXenStore, draw_node
from testbed.hostile.ring import Ring, WatchedGrants
from testbed.store.protocol import PAGE_SIZE, REQUEST, Op
from testbed.store.state import Life
from testbed.store.store import Store
from testbed.store.transport.interface import BATCH, Batch, Channel, Listener, Welcome

__all__ = ["Liar", "Place", "Plan", "draw_plan"]

_FORMER = 64
"""Payloads remembered, to be told in place of others."""
_ENDED = "the domain"
"""How the edge's reasons begin where a domain, and not a connection, has ended."""
_ANOTHER_EDGE = "not served"
"""How they end for a domain of the other edge."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one start is to be like."""

    answers: int
    """It ends after so many."""
    quiet: float = 2.0
    """It ends if so many seconds pass without an answer about a page, after the first."""
    seconds: float = 20.0
    """It ends so long after the victim has connected, at the latest."""
    patience: float = 30.0
    """It ends if the victim has not connected by then."""
    truths: int = 0
    """Answers that are true, before the first lie."""
    share: float = 0.0
    """Of the answers after those that are lies."""
    node: tuple[str, str] | None = None
    """A node of xenstore that is wrong from the beginning."""
    change: tuple[str, str] | None = None
    """One that changes on the way; without a name: the backend vanishes."""
    change_after: int = 0
    """Answers before that."""


def draw_plan(random: Random, number: int) -> Plan:
    """The plan of start ``number``. The first lies in no node: the window is granted once."""
    plan = Plan(
        answers=random.randint(20, 600),
        quiet=random.uniform(0.2, 1.0) if random.random() < 0.8 else random.uniform(1.5, 4.0),
        truths=int(random.expovariate(1 / 30)),
        share=random.choice([0.0, 0.03, 0.1, 0.2, 0.5, 1.0]),
    )
    if number == 0 or random.random() < 0.7:
        return plan
    node = draw_node(random)
    if random.random() < 0.6:
        return replace(plan, patience=random.uniform(2.0, 5.0), node=node)
    change = ("", "") if random.random() < 0.2 else node
    return replace(plan, change=change, change_after=random.randrange(plan.answers))


@dataclass(slots=True)
class Place:
    """One connection: its ring, and what was not told yet."""

    channel: Channel
    ring: Ring
    notify: Callable[[int], None]
    in_flight: dict[int, None] = field(default_factory=dict)
    held: list[tuple[float, int, Answer]] = field(default_factory=list)
    """A heap, by when they are told."""


class Liar:
    """The real store's answers, and for one domain others; ``at`` is who an edge tells."""

    def __init__(
        self,
        store: Store,
        batch: Batch,
        victim: str,
        random: Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``victim``: the name of the domain that is lied to."""
        self._store = store
        self._batch = batch
        self._victim = victim
        self._random = random
        self._clock = clock
        self._places: dict[str, Place] = {}
        self._former: deque[bytes] = deque(maxlen=_FORMER)
        self._order = itertools.count()
        self._pending: dict[str, None] = {}
        self.told: Counter[str] = Counter()
        """Lies by their name."""
        self.answers = 0
        """To the victim, true or not."""
        self.starts = 0
        self.left = 0
        """Starts that ended because the victim left."""
        self.connections = 0
        """Of the victim."""

    def begin(self, plan: Plan, xenstore: LyingXenStore) -> None:
        """A start: what it is like, and where its nodes are."""
        self._plan = plan
        self._xenstore = xenstore
        self._truths = plan.truths
        self._change = plan.change
        self._began = self._clock()
        self._connected_at: float | None = None
        self._page_at: float | None = None
        self._answered = 0
        self._gone = False
        self.starts += 1

    @property
    def busy(self) -> bool:
        """Whether somebody waits for another turn."""
        return bool(self._pending)

    @property
    def over(self) -> bool:
        """Whether the start has ended."""
        if self._connected_at is None:
            return self._clock() - self._began >= self._plan.patience
        quiet = 0.0 if self._page_at is None else self._clock() - self._page_at
        return (
            self._gone
            or self._answered >= self._plan.answers
            or quiet >= self._plan.quiet
            or self._clock() - self._connected_at >= self._plan.seconds
        )

    def step(self) -> None:
        """Serves who waits for another turn, and does what is due now."""
        for name in list(self._pending):
            self._turn(name)
        reached = self._connected_at is not None and self._answered >= self._plan.change_after
        if self._change is not None and reached:
            (node, value), self._change = self._change, None
            if node:
                self._xenstore.change(node, value)
            else:
                self._xenstore.remove_backend()
        for place in self._places.values():
            due = False
            while place.held and place.held[0][0] <= self._clock():
                answer = heapq.heappop(place.held)[2]
                self._put(place, answer)
                due = True
            if due:
                place.ring.publish()
                self._tell(place)

    def report(self) -> dict[str, object]:
        """What was done so far."""
        return {
            "starts": self.starts,
            "connections": self.connections,
            "left": self.left,
            "answers": self.answers,
            "lies": dict(sorted(self.told.items())),
        }

    def at(self, grants: WatchedGrants, notify: Callable[[int], None]) -> Listener:
        """Listens to an edge that has these grants and event channels."""
        return _AtEdge(self, grants, notify)

    # What edges tell

    def connected(self, name: str, life: Life, place: Place) -> Welcome:
        """See ``Listener.connected``."""
        welcome = self._store.connected(name, life, place.channel)
        self._places[name] = place
        if name == self._victim:
            self.connections += 1
            self._connected_at = self._clock()
        return welcome

    def ready(self, name: str) -> None:
        """See ``Listener.ready``."""
        if name not in self._pending:
            self._turn(name)

    def _turn(self, name: str) -> None:
        """One batch, and then the others': a domU may ask faster than it is answered."""
        self._pending.pop(name, None)
        place, connection = self._places.get(name), self._store.connections.get(name)
        if place is None or connection is None:
            return
        requests = place.ring.take(BATCH)
        if requests:
            self._pending[name] = None
            self._fill(place.ring, requests)
            connection.dispatcher.handle(self._batch, len(requests))
            answers = [
                Answer.of(
                    request,
                    self._batch.responses[at * REQUEST.size : (at + 1) * REQUEST.size],
                    self._batch.loads[at * PAGE_SIZE : (at + 1) * PAGE_SIZE],
                )
                for at, request in enumerate(requests)
            ]
            place.in_flight.update(dict.fromkeys(answer.id for answer in answers))
            self._answer(name, place, answers)

    def disconnected(self, name: str, reason: str, *, keep: bool) -> None:
        """See ``Listener.disconnected``; a victim that leaves finds its pages again."""
        self._places.pop(name, None)
        if name == self._victim and not keep and not reason.startswith(_ENDED):
            keep = self._gone = True
            self.left += 1
        self._store.disconnected(name, reason, keep=keep)

    def waiting(self) -> list[int]:
        """See ``Listener.waiting``."""
        return self._store.waiting()

    def forget(self, domid: int, reason: str) -> None:
        """See ``Listener.forget``: only what a domain that has ended held."""
        if reason.startswith(_ENDED) and not reason.endswith(_ANOTHER_EDGE):
            self._store.forget(domid, reason)

    def event(self, name: str | None, event: str, detail: str) -> None:
        """See ``Listener.event``."""
        self._store.event(name, event, detail)

    # Inside

    def _fill(self, ring: Ring, requests: list[bytes]) -> None:
        """Copies requests and payloads to where the dispatcher looks for them."""
        for at, request in enumerate(requests):
            _, op, _, page, length, *_ = REQUEST.unpack(request)
            self._batch.requests[at * REQUEST.size : (at + 1) * REQUEST.size] = request
            carries = op in (Op.STORE, Op.INVALIDATE, Op.MARK)
            if carries and page < ring.nr_data_pages and length <= PAGE_SIZE:
                start = at * PAGE_SIZE
                self._batch.payloads[start : start + length] = ring.read_page(page, length)
                if op == Op.STORE:
                    self._former.append(bytes(self._batch.payloads[start : start + length]))

    def _answer(self, name: str, place: Place, answers: list[Answer]) -> None:
        last: list[Telling] = []
        ahead = events = 0
        scribbles: list[tuple[int, int, bytes]] = []
        for answer in answers:
            if name != self._victim:
                self._put(place, answer)
                continue
            self.answers += 1
            self._answered += 1
            if answer.op != Op.MARK:
                self._page_at = self._clock()
            telling = self._telling(place, answer)
            scribbles += telling.scribbles
            ahead, events = ahead or telling.ahead, events + telling.events
            if telling.last:
                last.append(telling)
            else:
                self._say(place, telling)
        for telling in reversed(last):
            self._say(place, telling)
        place.ring.publish(ahead)
        self._tell(place, 1 + events)
        for page, at, content in scribbles:
            place.ring.write_page(page, content, at)

    def _telling(self, place: Place, answer: Answer) -> Telling:
        others = [one for one in place.in_flight if one != answer.id]
        telling = Telling(self._random, place.ring, answer, others, self._former)
        place.in_flight.pop(answer.id, None)
        if self._truths > 0:
            self._truths -= 1
        elif self._random.random() < self._plan.share:
            lie = self._choose(answer)
            if lie is not None:
                lie.tell(telling)
                self.told[lie.name] += 1
        return telling

    def _choose(self, answer: Answer) -> Lie | None:
        """None where nothing fits: what was scribbled on can come back as any request."""
        fitting = [lie for lie in LIES if answer.op in lie.ops]
        return self._random.choice(fitting) if fitting else None

    def _say(self, place: Place, telling: Telling) -> None:
        for answer in telling.now:
            self._put(place, answer)
        if telling.held_seconds is None:
            self._put(place, telling.answer)
        else:
            due = self._clock() + telling.held_seconds
            heapq.heappush(place.held, (due, next(self._order), telling.answer))

    def _put(self, place: Place, answer: Answer) -> None:
        if answer.payload and answer.data_page < place.ring.nr_data_pages:
            place.ring.write_page(answer.data_page, answer.payload)
        place.ring.put(answer.packed())

    def _tell(self, place: Place, times: int = 1) -> None:
        port: int = getattr(place.channel, "port")  # noqa: B009 - the real edge's channels have one
        for _ in range(times):
            place.notify(port)


class _AtEdge:
    """Implements ``Listener`` for one edge: the liar has to know where a ring is mapped."""

    def __init__(self, liar: Liar, grants: WatchedGrants, notify: Callable[[int], None]) -> None:
        self._liar, self._grants, self._notify = liar, grants, notify
        self.ready, self.disconnected = liar.ready, liar.disconnected
        self.waiting, self.forget, self.event = liar.waiting, liar.forget, liar.event

    def connected(self, name: str, life: Life, channel: Channel) -> Welcome:
        place = Place(channel, self._grants.ring_of(life.domid), self._notify)
        return self._liar.connected(name, life, place)
