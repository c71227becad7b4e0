"""What a frontend offers in xenstore before it enters Initialised."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.store.errors import ProtocolViolation
from testbed.store.protocol import VERSION, Encoding
from testbed.store.xen.xenstore import Transaction

__all__ = ["ENCODINGS", "Offer", "read_offer"]

ENCODINGS = tuple(encoding.name.lower() for encoding in Encoding)
_MAX_WORD = (1 << 32) - 1
_MAX_PORT = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Offer:
    """The frontend's half of the handshake, bounded."""

    ring_reference: int
    directory_reference: int
    event_channel: int
    nr_data_pages: int
    encoding: str


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
    return Offer(
        ring_reference=number("ring-ref", 0, _MAX_WORD),
        directory_reference=number("directory-ref", 0, _MAX_WORD),
        event_channel=number("event-channel", 1, _MAX_PORT),
        nr_data_pages=number("nr-data-pages", 1, max_data_pages),
        encoding=encoding,
    )
