/* SPDX-License-Identifier: MIT */
/*
 * The page sharing table, as in table.py: the good path only.  Whatever makes
 * something grow, shrink or move, and whatever is wrong, is left to Python; the
 * functions that ask whether that is so come before those that change anything.
 */
#ifndef PAGESHARE_TABLE_H
#define PAGESHARE_TABLE_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "arena.h"
#include "ids.h"
#include "index.h"

/* A sharing page entry: the two words of a record. */
struct entry {
	uint64_t fingerprint;
	uint32_t offset;
	uint16_t length;
	uint8_t kind;		/* the payload's encoding; in the high half, its form */
	uint8_t group;
};

_Static_assert(sizeof(struct entry) == 16, "entry size");

static inline const struct entry *entry_of(const struct table_state *table, uint32_t page)
{
	return (const struct entry *)&table->entries->records[2 * (size_t)page];
}

static inline void table_use(struct table_state *table, uint32_t page)
{
	if (page < table->nr_recent)
		table->recent[page] = USED;
}

static inline const uint8_t *payload_of(const struct table_state *table, uint32_t page)
{
	return block_payload(table->arena, entry_of(table, page)->offset);
}

static inline uint64_t fingerprint(const void *payload, uint32_t length, uint64_t seed)
{
	return XXH3_64bits_withSeed(payload, length, seed);
}

#define FORM_OF(kind)		((kind) >> 4)	/* 0: as the domU sent it */

/* What a payload is to the table, and the index's slot for it if it is new. */
struct lookup {
	uint64_t fingerprint;
	uint32_t page;		/* that has the same bytes, or 0 */
	uint32_t slot;
};

static inline struct lookup table_find(const struct table_state *table, uint32_t group,
				       uint8_t encoding, const uint8_t *payload,
				       uint32_t length, uint64_t seed)
{
	const struct index_state *index = table->index;
	const uint64_t *records = table->entries->records;
	struct lookup found = { .fingerprint = fingerprint(payload, length, seed) };
	uint32_t page;

	found.slot = index_locate(index, records, found.fingerprint);
	while ((page = index->slots[found.slot])) {
		const struct entry *entry = entry_of(table, page);

		if (entry->length == length && entry->group == group &&
		    entry->kind == encoding &&
		    block_is_inside(table->arena, entry->offset, length) &&
		    !memcmp(payload_of(table, page), payload, length)) {
			found.page = page;
			break;
		}
		found.slot = index_from(index, records, found.fingerprint,
					(found.slot + 1) & index->mask);
	}
	return found;
}

/* Whether member may be given another reference, to the found or to a new page. */
static inline int table_may_take(const struct table_state *table,
				 const struct member_state *member,
				 const struct lookup *found, uint32_t length)
{
	uint32_t page = found->page;

	if (!page) {
		page = ids_next(table->entries);
		if (!page || page >= table->nr_sharers || !index_has_room(table->index) ||
		    !arena_takes(table->arena, length))
			return 0;
	}
	return page < member->nr_counts && member->counts[page] < MANY - 1;
}

static inline uint32_t table_insert(struct table_state *table, const struct lookup *found,
				    uint32_t group, uint8_t encoding,
				    const uint8_t *payload, uint32_t length)
{
	uint32_t page = ids_take(table->entries);
	uint32_t offset = arena_put(table->arena, page, payload, length);
	uint64_t *record = &table->entries->records[2 * (size_t)page];

	put64(&record[0], found->fingerprint);
	put64(&record[1], offset | (uint64_t)length << 32 | (uint64_t)encoding << 48 |
			  (uint64_t)group << 56);
	table->payload_bytes += length;
	index_fill(table->index, found->slot, page);
	return page;
}

static inline uint32_t table_take(struct table_state *table, struct member_state *member,
				  const struct lookup *found, uint8_t encoding,
				  const uint8_t *payload, uint32_t length)
{
	uint32_t page = found->page;

	if (page)
		table->shared_hits++;
	else
		page = table_insert(table, found, member->group, encoding, payload, length);
	table_use(table, page);
	if (!member->counts[page]++) {
		table->sharers[page]++;
		member->distinct_bytes += length;
	}
	member->references++;
	return page;
}

/* Whether a reference may go. */
static inline int table_may_drop(const struct table_state *table,
				 const struct member_state *member, uint32_t page)
{
	if (page == DAMAGED || page >= member->nr_counts || member->counts[page] == MANY)
		return 0;
	if (member->counts[page] > 1 || table->sharers[page] > 1)
		return 1;
	return !FORM_OF(entry_of(table, page)->kind) &&
	       table->payload_bytes > entry_of(table, page)->length &&
	       index_may_lose(table->index);
}

static inline uint32_t table_drop(struct table_state *table, struct member_state *member,
				  uint32_t page)
{
	const struct entry *entry = entry_of(table, page);
	uint32_t length = entry->length;

	member->references--;
	if (--member->counts[page])
		return length;
	member->distinct_bytes -= length;
	if (--table->sharers[page])
		return length;
	index_remove(table->index, table->entries->records, page);
	arena_release(table->arena, entry->offset);
	table->payload_bytes -= length;
	ids_free(table->entries, page);
	return length;
}

#endif /* PAGESHARE_TABLE_H */
