/* SPDX-License-Identifier: MIT */
/*
 * The index from hashes to ids, as in hashindex.py.  A record's first word is
 * its hash.  What would make the index grow or shrink is left to Python.
 */
#ifndef PAGESHARE_INDEX_H
#define PAGESHARE_INDEX_H

#include "state.h"

static inline int index_has_room(const struct index_state *index)
{
	return index->used < index->room;
}

/* Whether it stays as large as it is when one id goes. */
static inline int index_may_lose(const struct index_state *index)
{
	return (uint64_t)(index->used - 1) * 8 >= index->mask ||
	       !(index->mask >> MIN_INDEX_BITS);
}

/* The slot of the first id from @at on that has @hash, or an empty one. */
static inline uint32_t index_from(const struct index_state *index,
				  const uint64_t *records, uint64_t hash,
				  uint32_t at)
{
	uint32_t id;

	while ((id = index->slots[at]) && records[2 * (size_t)id] != hash)
		at = (at + 1) & index->mask;
	return at;
}

static inline uint32_t index_locate(const struct index_state *index,
				    const uint64_t *records, uint64_t hash)
{
	return index_from(index, records, hash, (uint32_t)(hash >> index->shift));
}

static inline void index_fill(struct index_state *index, uint32_t slot, uint32_t id)
{
	index->slots[slot] = id;
	index->used++;
}

static inline void index_clear(struct index_state *index,
			       const uint64_t *records, uint32_t slot)
{
	uint32_t *slots = index->slots;
	uint32_t mask = index->mask;
	uint32_t at = slot;
	uint32_t id;

	while ((id = slots[at = (at + 1) & mask])) {
		uint32_t home = (uint32_t)(records[2 * (size_t)id] >> index->shift);

		/* An id may fill the hole unless its home lies behind it. */
		if (((at - home) & mask) >= ((at - slot) & mask)) {
			slots[slot] = id;
			slot = at;
		}
	}
	slots[slot] = 0;
	index->used--;
}

static inline void index_remove(struct index_state *index,
				const uint64_t *records, uint32_t id)
{
	uint32_t at = (uint32_t)(records[2 * (size_t)id] >> index->shift);

	while (index->slots[at] != id)
		at = (at + 1) & index->mask;
	index_clear(index, records, at);
}

#endif /* PAGESHARE_INDEX_H */
