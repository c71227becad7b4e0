"""What a frontend offers in xenstore before it enters Initialised."""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.store.errors import ProtocolViolation
from testbed.store.protocol import MAX_RING_ORDER, VERSION, Encoding
from testbed.store.xen.xenstore import Transaction

__all__ = ["ENCODINGS", "Offer", "hexadecimal", "read_offer"]

ENCODINGS = tuple(encoding.name.lower() for encoding in Encoding)
_MAX_WORD = (1 << 32) - 1
_MAX_PORT = (1 << 31) - 1
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{1,16}")


@dataclass(frozen=True, slots=True)
class Offer:
    """The frontend's half of the handshake, bounded."""

    ring_references: tuple[int, ...]
    """Grants of the ring's pages, in order: 1, 2, 4 or 8."""
    directory_reference: int
    event_channel: int
    nr_data_pages: int
    encoding: str
    epoch: int
    """Which boot of the domain this is."""


def read_offer(xenstore: Transaction, frontend: str, max_data_pages: int) -> Offer:
    """Reads and checks the nodes below ``frontend``.

    Raises ``ProtocolViolation`` naming the node, what it holds and what is allowed.
    """

    def number(node: str, low: int, high: int) -> int:
        text = xenstore.read(f"{frontend}/{node}")
        if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise ProtocolViolation(f"{node} is {text!r:.40}; a decimal number is needed")
        value = int(text)
        if not low <= value <= high:
            raise ProtocolViolation(f"{node} is {value}; allowed: {low} to {high}")
        return value

    number("protocol-version", VERSION, VERSION)
    encoding = xenstore.read(f"{frontend}/encoding")
    if encoding not in ENCODINGS:
        raise ProtocolViolation(f"encoding is {encoding!r:.40}; allowed: {', '.join(ENCODINGS)}")
    order = number("ring-page-order", 0, MAX_RING_ORDER)
    return Offer(
        ring_references=tuple(number(f"ring-ref{n}", 0, _MAX_WORD) for n in range(1 << order)),
        directory_reference=number("directory-ref", 0, _MAX_WORD),
        event_channel=number("event-channel", 1, _MAX_PORT),
        nr_data_pages=number("nr-data-pages", 1, max_data_pages),
        encoding=encoding,
        epoch=_epoch(xenstore.read(f"{frontend}/epoch")),
    )


def hexadecimal(text: str | None) -> int | None:
    """The number, however it is spelled: with zeros in front or without; None if it is none."""
    return int(text, 16) if text and _HEXADECIMAL.fullmatch(text) else None


def _epoch(text: str | None) -> int:
    epoch = hexadecimal(text)
    if epoch is None:
        raise ProtocolViolation(f"epoch is {text!r:.40}; 1 to 16 hexadecimal digits are needed")
    return epoch
