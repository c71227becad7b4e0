"""Mistakes in the store: each is one place in it, and is planted alone."""

from __future__ import annotations

from tests.fuzz.changed import Change

__all__ = ["COLLISIONS", "HANDSHAKE", "NATIVE", "PYTHON"]

_REQUESTS, _ARENA, _TABLE = "native/requests.c", "native/arena.h", "native/table.h"
_RING, _INDEX, _IDS = "native/back_ring.c", "native/index.h", "native/ids.h"
_LOOP = "native/loop.c"

NATIVE = {
    # What a domain may ask for
    "swap type 32": Change(_REQUESTS, "swap_type < MAX_SWAP_TYPES &&", "swap_type <= 32 &&"),
    "any offset": Change(_REQUESTS, "&& !(offset >> OFFSET_BITS)", ""),
    "short payload": Change(_REQUESTS, "request->length >= MIN_PAYLOAD &&", ""),
    "long payload": Change(_REQUESTS, "&& request->length <= PAGE_BYTES &&", "&&"),
    "page to store": Change(
        _REQUESTS,
        "request->data_page < connection->ring->nr_data_pages &&\n\t       request->encoding",
        "request->encoding",
    ),
    "unknown encoding": Change(
        _REQUESTS, "request->encoding <= XEN_PAGESHARE_ENC_ZSTD", "request->encoding <= 4"
    ),
    "short raw page": Change(
        _REQUESTS,
        "(request->encoding != XEN_PAGESHARE_ENC_RAW || request->length == PAGE_BYTES) &&",
        "",
    ),
    "flags of a store": Change(_REQUESTS, "!request->flags && store_limit", "store_limit"),
    "beyond the limit": Change(
        _REQUESTS, ") > domain->stores_processed", ") + 1 > domain->stores_processed"
    ),
    "limit is rounded up": Change(_REQUESTS, "left / PAGE_BYTES", "(left + 4095) / PAGE_BYTES"),
    "flags of a load": Change(
        _REQUESTS, "request->offset) || request->flags ||\n", "request->offset) ||\n"
    ),
    "page to load into": Change(
        _REQUESTS,
        "request->data_page >= connection->ring->nr_data_pages ||\n\t    !row",
        "request->data_page > connection->ring->nr_data_pages ||\n\t    !row",
    ),
    "any row": Change(_REQUESTS, "!row || row >= domain->rows->end ||", "!row ||"),
    "row of another key": Change(
        _REQUESTS,
        " ||\n\t    *key_word(domain, row) !=\n"
        "\t\t    mixed_key(domain, request->swap_type, request->offset))",
        ")",
    ),
    "old generation": Change(
        _REQUESTS, "(uint32_t)commit == request->generation ?", "(uint32_t)commit ?"
    ),
    "loads the wrong page": Change(
        _REQUESTS, "(uint32_t)(commit >> 32) : 0;", "(uint32_t)(commit >> 32) ^ 1 : 0;"
    ),
    "loads too much": Change(
        _REQUESTS, "payload,\n\t       entry->length);", "payload,\n\t       entry->length + 1);"
    ),
    "generation of an invalidate": Change(
        _REQUESTS, "if ((uint32_t)commit != key->generation)\n\t\treturn 0;", ""
    ),
    "half a key": Change(_REQUESTS, " || request->length % sizeof(*keys))", ")"),
    "keys beyond the page": Change(_REQUESTS, "request->length > PAGE_BYTES || ", ""),
    "flags of an invalidate": Change(_REQUESTS, "if (request->flags || request", "if (request"),
    "dropped keys are not counted": Change(
        _REQUESTS, "counters.invalidates += dropped", "counters.invalidates += 0"
    ),
    # Accounts
    "stores are not counted": Change(_REQUESTS, "\tdomain->stores_processed++;\n", ""),
    "an overwritten page stays charged": Change(
        _REQUESTS,
        "domain->charged_bytes -= table_drop(table, member, old);",
        "table_drop(table, member, old);",
    ),
    "a shared page is free": Change(
        _REQUESTS,
        "domain->charged_bytes += request->length;",
        "if (!found.page) domain->charged_bytes += request->length;",
    ),
    "references are not counted": Change(_TABLE, "\tmember->references++;\n", ""),
    "distinct bytes": Change(_TABLE, "\tmember->distinct_bytes -= length;\n", ""),
    "hits are not counted": Change(_TABLE, "\t\ttable->shared_hits++;\n", "\t\t;\n"),
    "payload bytes": Change(_TABLE, "\ttable->payload_bytes += length;\n", ""),
    "sharers are not counted": Change(_TABLE, "\t\ttable->sharers[page]++;\n", ""),
    "counts wrap": Change(_TABLE, "counts[page] < MANY - 1", "counts[page] <= MANY"),
    "large counts are dropped": Change(_TABLE, " || member->counts[page] == MANY)", ")"),
    "a page goes while another has it": Change(
        _TABLE, "if (--table->sharers[page])\n\t\treturn length;", "--table->sharers[page];"
    ),
    "the old page stays": Change(
        _REQUESTS, "\tif (row) {\n\t\tput64", "\tif (row && !old) {\n\t\tput64"
    ),
    # Arena, index, ids
    "blocks overlap": Change(_ARENA, "(length + 2 * GRANULE - 1)", "(length + GRANULE - 1)"),
    "holes do not meet": Change(_ARENA, "\t\tend += size;\n", ""),
    "the hole in front": Change(_ARENA, "\tput16(before_of(arena, end), 0);\n", ""),
    "rest of a hole": Change(_ARENA, "if (size > need)\n", "if (size > need + 1)\n"),
    "memory that was touched": Change(
        _ARENA, "arena->touched_bytes = (uint64_t)end * GRANULE;", ";"
    ),
    "last of the arena": Change(_ARENA, "\t\tarena->last = before;\n", ""),
    "hole list": Change(
        _ARENA, "\tif (next)\n\t\tput32(link_word(arena, next, 1), previous);\n", ""
    ),
    "index hole": Change(_INDEX, ">= ((at - slot) & mask)", "> ((at - slot) & mask)"),
    "index does not shrink": Change(
        _INDEX, "(uint64_t)(index->used - 1) * 8 >= index->mask ||", "1 ||"
    ),
    "a free id is lost": Change(_IDS, "\tids->free = id;\n", ""),
    "a free id is used twice": Change(
        _IDS, "\tids->free = (uint32_t)ids->records[2 * (size_t)id];\n", ""
    ),
    # The ring
    "one request too many": Change(
        _RING, "waiting > back->nr_entries)", "waiting > back->nr_entries + 1)"
    ),
    "page beyond the last": Change(
        _RING,
        "return request->data_page < nr_data_pages &&",
        "return request->data_page <= nr_data_pages &&",
    ),
    "payload beyond its page": Change(_RING, " &&\n\t\t       request->length <= PAGE_BYTES;", ";"),
    "events too often": Change(
        _RING,
        "read_word(&back->ring->rsp_event) < count",
        "read_word(&back->ring->rsp_event) <= count",
    ),
    "no event is asked for": Change(_RING, "back->req_cons + 1);\n", "back->req_cons);\n"),
    "responses of one": Change(
        _RING, "(back->rsp_prod + i) % back->nr_entries", "back->rsp_prod % back->nr_entries"
    ),
    "an impossible index is borne": Change(
        _LOOP,
        "\t\tcase WRONG_USE:\n\t\t\treturn VIOLATION;",
        "\t\tcase WRONG_USE:\n\t\t\treturn SERVED;",
    ),
}
"""By what is wrong then. The Python engine is right."""

COLLISIONS = {
    "index wraps": Change(_INDEX, "((at - home) & mask)", "(at - home)"),
    "only the first is compared": Change(
        _TABLE,
        "found.slot = index_from(index, records, found.fingerprint,\n"
        "\t\t\t\t\t(found.slot + 1) & index->mask);",
        "break;",
    ),
    "only the bytes' begin is compared": Change(_TABLE, "payload, length)) {", "payload, 8)) {"),
    "pages of another group": Change(_TABLE, " && entry->group == group &&", " &&"),
    "pages of another encoding": Change(_TABLE, "\n\t\t    entry->kind == encoding &&", ""),
    "pages of another length": Change(_TABLE, "entry->length == length && ", ""),
    "bytes are not compared": Change(
        _TABLE, "!memcmp(payload_of(table, page), payload, length)", "1"
    ),
}
"""The same, but only fingerprints that collide can show these: they are tried with ``WEAK``."""

PYTHON = {
    "a refused store keeps the old page": Change(
        "dispatcher.py",
        "elif not within_limit:\n            domain.discard(key)\n",
        "elif not within_limit:\n",
    ),
    "a malformed store keeps the old page": Change(
        "dispatcher.py", "domain.discard(key)  # whatever was there is out of date now", "pass"
    ),
    "a mark is shorter than it says": Change(
        "dispatcher.py", "_MARK_BYTES <= length <= PAGE_SIZE", "0 <= length <= PAGE_SIZE"
    ),
    "a mark says less": Change("dispatcher.py", " or number < len(COUNTERS)", ""),
    "an area of all types": Change(
        "domain.py", " if self.key(row) >> OFFSET_BITS == swap_type]", "]"
    ),
    "beyond the quota": Change(
        "domain.py",
        "self.charged_bytes - old + length <= self.quota_bytes",
        "self.charged_bytes - old + length <= self.quota_bytes + 64",
    ),
    "a limit rises while draining": Change(
        "domain.py",
        "frozen_limit = self.store_limit if limit is None else limit",
        "frozen_limit = NO_LIMIT",
    ),
    "credits of the last connection": Change(
        "domain.py", "self.state.stores_processed = 0", "pass"
    ),
    "pages of one that was destroyed": Change(
        "store.py", "len(domain) if keep else self._leave(domain)", "len(domain)"
    ),
    "pages of an earlier life": Change(
        "store.py",
        "(other != life or domain.member.group != group)",
        "domain.member.group != group",
    ),
    "a violation is borne": Change(
        "store.py", 'self._edge.disconnect(connection.name, f"violation: {error}")', "pass"
    ),
    "a block moves alone": Change("arena.py", "        moved(owner, target)\n", ""),
    "a page goes with its first holder": Change(
        "table.py",
        "if not sharers:\n                self._delete",
        "if True:\n                self._delete",
    ),
}
"""In what both engines leave to Python: only the model, or the books, can tell."""

HANDSHAKE = {
    "digits of any script": Change(
        "xen/offer.py", "(text.isascii() and text.isdigit() and len", "(text.isdigit() and len"
    ),
    "more data pages than allowed": Change(
        "xen/offer.py", '"nr-data-pages", 1, max_data_pages', '"nr-data-pages", 1, 1024'
    ),
    "any version": Change("xen/offer.py", 'number("protocol-version", VERSION, VERSION)', "pass"),
    "any encoding": Change("xen/offer.py", "if encoding not in ENCODINGS:", "if encoding is None:"),
    "an epoch with a tail": Change("xen/offer.py", "_HEXADECIMAL.fullmatch", "_HEXADECIMAL.match"),
    "one that was refused comes back": Change(
        "xen/backend.py", "if not (self._refused or self._draining):", "if not self._draining:"
    ),
    "one that connects late has credits": Change(
        "store.py",
        "if self.draining:\n            found.freeze(0)",
        "if False:\n            found.freeze(0)",
    ),
    "a channel is not closed": Change(
        "xen/backend.py", "            channel.close()\n        elif", "        elif"
    ),
    "any state will do": Change(
        "xen/backend.py", "if self.state != XenbusState.INIT_WAIT:", "if False:"
    ),
    "any instance": Change("xen/backend.py", "if sight[1] == self._instance:", "if True:"),
    "one domain's trouble is the others'": Change(
        "xen/edge.py",
        'except StoreError as error:\n            log.error("%s (domain',
        'except ZeroDivisionError as error:\n            log.error("%s (domain',
    ),
    "a scan's trouble is the store's": Change(
        "xen/edge.py",
        'except StoreError as error:\n                log.error("looking',
        'except ZeroDivisionError as error:\n                log.error("looking',
    ),
    "two domains of one name": Change(
        "xen/edge.py",
        "if any(backend.name == name for backend in self._backends.values()):",
        "if False:",
    ),
    "the ring stays mapped": Change(
        "xen/channel.py",
        "            stack.callback(grants.unmap, ring, len(offer.ring_references))\n",
        "",
    ),
    "the directory stays mapped": Change(
        "xen/channel.py", "            grants.unmap(address, 1)", "            pass"
    ),
    "a port stays bound": Change(
        "xen/channel.py", "            stack.callback(events.unbind, self.port)\n", ""
    ),
    "one that ended stays": Change("xen/edge.py", "                backend.release(reason)\n", ""),
}
"""In the Xen edge: these are tried with the fuzzer of xenstore."""
