/* SPDX-License-Identifier: MIT */
/*
 * Blocks and holes, as in arena.py and holes.py.  Moving blocks is left to
 * Python.
 */
#ifndef PAGESHARE_ARENA_H
#define PAGESHARE_ARENA_H

#include "state.h"

#define GRANULE		8
#define SMALLEST	3	/* granules of a block of 16 bytes */
#define LARGEST_PAYLOAD	4096

static inline uint32_t granules(uint32_t length)
{
	return (length + 2 * GRANULE - 1) / GRANULE;
}

static inline uint8_t *block_payload(const struct arena_state *arena, uint32_t offset)
{
	return (uint8_t *)&arena->memory[(size_t)offset + 1];
}

/* Whether a block can lie there.  What an entry says may have been damaged. */
static inline int block_is_inside(const struct arena_state *arena, uint32_t offset,
				  uint32_t length)
{
	return length <= LARGEST_PAYLOAD &&
	       (uint64_t)offset + granules(length) <=
		       (uint64_t)arena->scratch + granules(LARGEST_PAYLOAD);
}

/* ---- holes ---- */

static inline uint32_t hole_kind(uint32_t size)
{
	return size < HOLE_KINDS ? size : HOLE_KINDS - 1;
}

static inline uint32_t *link_word(struct arena_state *arena, uint32_t start, int previous)
{
	return (uint32_t *)&arena->memory[(size_t)start + 1] + previous;
}

static inline void hole_add(struct arena_state *arena, uint32_t start,
			    uint32_t size, uint32_t before)
{
	uint32_t kind = hole_kind(size);
	uint32_t head;

	put64(&arena->memory[start], (uint64_t)before << 16 | (uint64_t)size << 32);
	arena->hole_granules += size;
	if (size > 1)
		put64(&arena->memory[(size_t)start + size - 1], (uint64_t)size << 32);
	if (size < SMALLEST)
		return;
	head = arena->hole_heads[kind];
	put64(&arena->memory[(size_t)start + 1], head);
	if (head)
		put32(link_word(arena, head, 1), start);
	arena->hole_heads[kind] = start;
	arena->hole_bits[kind / 64] |= 1ull << kind % 64;
}

static inline void hole_remove(struct arena_state *arena, uint32_t start, uint32_t size)
{
	uint32_t kind = hole_kind(size);
	uint32_t next, previous;

	arena->hole_granules -= size;
	if (size < SMALLEST)
		return;
	next = *link_word(arena, start, 0);
	previous = *link_word(arena, start, 1);
	if (next)
		put32(link_word(arena, next, 1), previous);
	if (previous) {
		put32(link_word(arena, previous, 0), next);
		return;
	}
	arena->hole_heads[kind] = next;
	if (!next)
		arena->hole_bits[kind / 64] &= ~(1ull << kind % 64);
}

/* The smallest hole that takes so many granules, or 0. */
static inline uint32_t hole_fitting(const struct arena_state *arena, uint32_t size)
{
	uint32_t word = size / 64;
	uint64_t bits = arena->hole_bits[word] & ~0ull << size % 64;

	while (!bits) {
		if (++word > HOLE_KINDS / 64)
			return 0;
		bits = arena->hole_bits[word];
	}
	return arena->hole_heads[word * 64 + (uint32_t)__builtin_ctzll(bits)];
}

/* ---- blocks ---- */

/* Where ".before" of a header lies: how large the block in front is. */
static inline uint16_t *before_of(struct arena_state *arena, uint32_t offset)
{
	return (uint16_t *)&arena->memory[offset] + 1;
}

/* Whether a payload fits without moving a block. */
static inline int arena_takes(const struct arena_state *arena, uint32_t length)
{
	uint32_t need = granules(length);

	return arena->payload_bytes + length <= arena->capacity_bytes + LARGEST_PAYLOAD &&
	       (hole_fitting(arena, need) ||
		(uint64_t)arena->top + need <= arena->scratch);
}

static inline uint32_t arena_put(struct arena_state *arena, uint32_t owner,
				 const uint8_t *payload, uint32_t length)
{
	uint32_t need = granules(length);
	uint32_t offset = hole_fitting(arena, need);
	uint64_t before;

	if (offset) {
		uint64_t hole = arena->memory[offset];
		uint32_t size = (uint32_t)(hole >> 32);

		before = hole >> 16 & 0xffff;
		hole_remove(arena, offset, size);
		if (size > need)
			hole_add(arena, offset + need, size - need, need);
		else
			put16(before_of(arena, offset + need), (uint16_t)need);
	} else {
		offset = arena->top;
		before = arena->last;
		arena->top = offset + need;
		arena->last = need;
	}
	copy_in(block_payload(arena, offset), payload, length);
	put64(&arena->memory[offset], length | before << 16 | (uint64_t)owner << 32);
	arena->payload_bytes += length;
	arena->blocks++;
	return offset;
}

static inline void arena_release(struct arena_state *arena, uint32_t start)
{
	uint64_t header = arena->memory[start];
	uint32_t length = header & 0xffff;
	uint32_t before = header >> 16 & 0xffff;
	uint32_t end = start + granules(length);
	uint32_t size;

	arena->payload_bytes -= length;
	arena->blocks--;
	if (!before) {
		size = (uint32_t)(arena->memory[(size_t)start - 1] >> 32);
		start -= size;
		hole_remove(arena, start, size);
		before = arena->memory[start] >> 16 & 0xffff;
	}
	if (end == arena->top) {
		if ((uint64_t)end * GRANULE > arena->touched_bytes)
			arena->touched_bytes = (uint64_t)end * GRANULE;
		arena->top = start;
		arena->last = before;
		return;
	}
	if (!(arena->memory[end] & 0xffff)) {
		size = (uint32_t)(arena->memory[end] >> 32);
		hole_remove(arena, end, size);
		end += size;
	}
	hole_add(arena, start, end - start, before);
	put16(before_of(arena, end), 0);
}

#endif /* PAGESHARE_ARENA_H */
