"""``python -m tests.unit.store.speed``: microseconds a request, by operation, on this host.

The whole path of the store through the in-process edge: ring, dispatcher,
table. Only the store's time counts; what the frontend does is left out.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from testbed.store.protocol import KEY, Encoding, Op
from tests.unit.store.support import Bench, kernel_compile_lengths, request, tmpfs_folder

TURN = 64
TURNS = 150


class Rounds:
    """Turns of 64 requests of one domain, timed one by one."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.frontend = bench, bench.connect(name, 64)

    def turn(self, requests: list[bytes]) -> tuple[float, list]:
        """Microseconds a request, and the responses."""
        self.frontend.send(*requests)
        start = time.perf_counter()
        self.bench.turn()
        spent = time.perf_counter() - start
        responses = self.frontend.receive()
        assert len(responses) == len(requests)
        return spent * 1e6 / len(requests), responses

    def store(self, payloads: list[bytes], first: int) -> tuple[float, list]:
        requests = []
        for at, payload in enumerate(payloads):
            self.frontend.write_page(at, payload)
            requests.append(
                request(
                    Op.STORE,
                    encoding=Encoding.LZ4,
                    data_page=at,
                    length=len(payload),
                    offset=first + at,
                    generation=1,
                )
            )
        return self.turn(requests)

    def load(self, pages: list[tuple[int, int]]) -> tuple[float, list]:
        return self.turn(
            [
                request(Op.LOAD, data_page=at, offset=offset, generation=1, page_id=page)
                for at, (offset, page) in enumerate(pages)
            ]
        )

    def invalidate(self, keys: list[int], each: int = 16) -> tuple[float, list]:
        requests = []
        for at in range(0, len(keys), each):
            packed = b"".join(KEY.pack(0, 1, key) for key in keys[at : at + each])
            self.frontend.write_page(at // each, packed)
            requests.append(request(Op.INVALIDATE, data_page=at // each, length=len(packed)))
        return self.turn(requests)


def show(name: str, spent: list[float]) -> None:
    """The distribution over the turns of one operation."""
    cuts = statistics.quantiles(spent, n=20)
    print(
        f"{name:28} median {statistics.median(spent):7.2f}   5 % {cuts[0]:7.2f}"
        f"   95 % {cuts[18]:7.2f}   us a request"
    )


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder, tmpfs_folder(Path(folder)) as state:
        quotas = {"domU1": 64 << 20, "domU2": 64 << 20}
        bench = Bench(Path(folder), quotas=quotas, state_path=state)
        one, two = Rounds(bench, "domU1"), Rounds(bench, "domU2")
        source = random.Random(2)
        payloads = [source.randbytes(length) for length in kernel_compile_lengths(TURN * TURNS)]
        spent: dict[str, list[float]] = {}
        pages: dict[int, int] = {}

        def add(name: str, result: tuple[float, list]) -> list:
            spent.setdefault(name, []).append(result[0])
            return result[1]

        for first in range(0, len(payloads), TURN):
            chunk = payloads[first : first + TURN]
            for at, answer in enumerate(add("STORE, new page", one.store(chunk, first))):
                pages[first + at] = answer.page_id
        for first in range(0, len(payloads), TURN):
            add("STORE, shared page", two.store(payloads[first : first + TURN], first))
        keys = list(pages)
        source.shuffle(keys)
        for first in range(0, len(keys), TURN):
            add("LOAD", one.load([(key, pages[key]) for key in keys[first : first + TURN]]))
        for first in range(0, len(keys), TURN):
            chunk = [source.randbytes(length) for length in kernel_compile_lengths(TURN, first)]
            add("STORE, replaces", two.store(chunk, first))
        for first in range(0, len(keys) // 2, TURN * 4):
            add("INVALIDATE of 16, a key", one.invalidate(keys[first : first + TURN * 4]))
        spent["INVALIDATE of 16, a key"] = [v / 16 for v in spent["INVALIDATE of 16, a key"]]
        for name, values in spent.items():
            show(name, values)
        bench.close()


if __name__ == "__main__":
    main()
