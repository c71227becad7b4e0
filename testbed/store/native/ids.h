/* SPDX-License-Identifier: MIT */
/* Which records are free, as in ids.py. */
#ifndef PAGESHARE_IDS_H
#define PAGESHARE_IDS_H

#include "state.h"

/* The id that ids_take() will give, or 0 when there is none. */
static inline uint32_t ids_next(const struct ids_state *ids)
{
	if (ids->free)
		return ids->free;
	return ids->end < ids->capacity ? ids->end : 0;
}

static inline uint32_t ids_take(struct ids_state *ids)
{
	uint32_t id = ids->free;

	if (!id)
		return ids->end++;
	ids->free = (uint32_t)ids->records[2 * (size_t)id];
	return id;
}

static inline void ids_free(struct ids_state *ids, uint32_t id)
{
	put64(&ids->records[2 * (size_t)id], ids->free);
	ids->free = id;
}

#endif /* PAGESHARE_IDS_H */
