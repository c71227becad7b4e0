"""All that a store keeps, to compare two of them."""

from __future__ import annotations

__all__ = ["everything"]


def everything(store) -> dict:
    """The bytes of every file, and what is derived from them."""
    table = store.table
    found = {
        "arena": table.state.arena.read(0, table.arena.state.top * 8),
        "entries": table.state.entries.read(0, table.state.entries.size),
        "index": (table._index.slots.tobytes(), len(table._index)),
        "arena state": numbers(table.arena.state, but={"memory"}),
        "ids": numbers(table.records.ids.state, but={"records"}),
        "sharers": table.columns()[0].tobytes(),
        "table": (table.payload_bytes, table.shared_hits, table.arena.moves),
    }
    for name, connection in store.connections.items():
        domain = connection.domain
        found[name] = (
            domain.rows._region.read(0, domain.rows._region.size),
            domain._index.slots.tobytes(),
            numbers(domain.rows.ids.state, but={"records"}),
            numbers(domain.state, but={"table", "member", "rows", "index"}),
            numbers(domain.member.state, but={"counts", "nr_counts"}),
            bytes(domain.member.counts._bytes),
            connection.counters.as_dict(),
        )
    return found


def numbers(state, but: set[str]) -> dict:
    values = {name: getattr(state, name) for name, _ in state._fields_ if name not in but}
    return {name: v if isinstance(v, int) else list(v) for name, v in values.items()}
