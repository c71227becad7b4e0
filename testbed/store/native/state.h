/* SPDX-License-Identifier: MIT */
/*
 * What Python and C both change.  The structures are Python's (layout.py): it
 * makes them, keeps alive what they point to, and replaces that when it grows.
 *
 * The store's files are mapped memory that outlives the process.  A process
 * that is killed leaves in them what its last instruction left, so what counts
 * is the order of the stores in the program: every write to a file goes through
 * put16() to put64() and copy_in(), which the compiler neither reorders nor
 * splits.
 */
#ifndef PAGESHARE_STATE_H
#define PAGESHARE_STATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DAMAGED		0xffffffffu	/* the page id of a row whose page was lost */
#define NO_LIMIT	UINT64_MAX
#define HOLE_KINDS	515
#define MANY		255		/* a count that lies elsewhere, in Python */
#define MIN_INDEX_BITS	8
#define USED		2	/* in `recent`: a page that was stored, shared or read */

struct index_state {
	uint32_t *slots;
	uint32_t mask;
	uint32_t shift;
	uint32_t used;
	uint32_t room;
};

/* 16-byte records: two words each. */
struct ids_state {
	uint64_t *records;
	uint32_t end;
	uint32_t free;
	uint32_t capacity;
};

struct arena_state {
	uint64_t *memory;
	uint64_t capacity_bytes;
	uint64_t payload_bytes;
	uint64_t blocks;
	uint64_t touched_bytes;
	uint64_t hole_granules;
	uint64_t hole_bits[HOLE_KINDS / 64 + 1];
	uint32_t top;
	uint32_t last;
	uint32_t scratch;
	uint32_t hole_heads[HOLE_KINDS];
};

struct table_state {
	struct arena_state *arena;
	struct ids_state *entries;
	struct index_state *index;
	uint16_t *sharers;
	uint8_t *recent;	/* by page id, see secondlook/recent.py */
	uint32_t nr_sharers;
	uint32_t nr_recent;
	uint64_t payload_bytes;
	uint64_t shared_hits;
};

struct member_state {
	uint8_t *counts;
	uint32_t nr_counts;
	uint32_t group;
	uint64_t references;
	uint64_t distinct_bytes;
};

struct domain_state {
	struct table_state *table;
	struct member_state *member;
	struct ids_state *rows;
	struct index_state *index;
	uint64_t mixer;
	uint64_t seeds[4];
	uint64_t quota_bytes;
	uint64_t charged_bytes;
	uint64_t stores_processed;
	uint64_t frozen_limit;
};

struct request_counters {
	uint64_t requests;
	uint64_t stores;
	uint64_t loads;
	uint64_t invalidates;
	uint64_t area_invalidates;
	uint64_t marks;
	uint64_t invalidates_stale;
	uint64_t refused_store_limit;
	uint64_t refused_quota;
	uint64_t refused_malformed;
	uint64_t refused_not_held;
	uint64_t refused_damaged;
};

struct pageshare_back;

struct connection_state {
	struct domain_state *domain;
	struct pageshare_back *ring;
	int (*notify)(void *handle, uint32_t port);
	void *notify_handle;
	uint32_t port;
	uint32_t ready;		/* it has requests, or may have */
	uint32_t rounds;	/* batches left of its turn */
	uint32_t taken;		/* requests in the batch */
	uint32_t handled;	/* of these */
	uint32_t key;		/* keys handled of an INVALIDATE that is left to Python */
	uint32_t dropped;	/* of these */
	uint32_t unused;
	struct request_counters counters;
};

struct loop_state {
	struct connection_state **connections;
	uint32_t nr_connections;
	uint32_t current;	/* whom the last outcome is about */
	int32_t wait_fd;
	int32_t events_fd;
	uint64_t busy_nanoseconds;
};

#ifdef PAGESHARE_TAPE
/* Tests look at the files after every write, and at copies cut in two. */
extern void (*pageshare_tape)(void);
#define TAPE() do { if (pageshare_tape) pageshare_tape(); } while (0)
#else
#define TAPE() do { } while (0)
#endif

#define PUT(bits)							\
static inline void put##bits(uint##bits##_t *at, uint##bits##_t value)	\
{									\
	__asm__ volatile("" ::: "memory");				\
	*(volatile uint##bits##_t *)at = value;				\
	__asm__ volatile("" ::: "memory");				\
	TAPE();								\
}

PUT(16)
PUT(32)
PUT(64)

/* A kill may tear it anywhere. */
static inline void copy_in(uint8_t *to, const uint8_t *from, size_t length)
{
	__asm__ volatile("" ::: "memory");
#ifdef PAGESHARE_TAPE
	memcpy(to, from, length / 2);
	TAPE();
#endif
	memcpy(to, from, length);
	__asm__ volatile("" ::: "memory");
	TAPE();
}

#endif /* PAGESHARE_STATE_H */
