"""One answer on its way to the frontend."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.store.protocol import REQUEST, RESPONSE, Op, Status

__all__ = ["Answer"]


@dataclass(slots=True)
class Answer:
    """A response, field by field, and the payload that comes with it."""

    id: int
    op: int
    encoding: int
    status: int
    length: int
    page_id: int
    store_limit: int
    reserved: int
    data_page: int
    """Where the payload of a LOAD goes."""
    payload: bytes

    @classmethod
    def of(cls, request: bytes, response: bytes, payload: bytes) -> Answer:
        """The true one; ``payload`` begins with what a LOAD brings."""
        id_, op, encoding, status, length, page_id, limit, reserved = RESPONSE.unpack(response)
        data_page = REQUEST.unpack(request)[3]
        answer = cls(id_, op, encoding, status, length, page_id, limit, reserved, data_page, b"")
        if answer.op == Op.LOAD and answer.status == Status.OKAY:
            answer.payload = payload[: answer.length]
        return answer

    def packed(self) -> bytes:
        """As it lies in the ring."""
        return RESPONSE.pack(
            self.id,
            self.op,
            self.encoding,
            self.status,
            self.length,
            self.page_id,
            self.store_limit,
            self.reserved,
        )
