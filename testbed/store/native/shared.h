/* SPDX-License-Identifier: MIT */
/*
 * Access to the ring page, which the other side may change at any moment.
 *
 * Words are read and written once, through volatile; barriers order them as
 * the ring protocol asks.  The fences compile to "dmb ish" forms on arm64,
 * which is what Linux's virt_mb() family uses between domains.
 */
#ifndef PAGESHARE_SHARED_H
#define PAGESHARE_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include <xen/interface/io/pageshare.h>

#define PAGE_BYTES ((uint32_t)XEN_PAGESHARE_PAGE_SIZE)

_Static_assert(sizeof(struct xen_pageshare_request) == 32, "request size");
_Static_assert(sizeof(struct xen_pageshare_response) == 32, "response size");
_Static_assert(offsetof(struct xen_pageshare_sring, ring) == 64, "ring header");

/* Entries of a ring of 2^order pages: the largest power of two that fits. */
static inline uint32_t ring_entries(uint32_t order)
{
	uint32_t entries = 1;

	while (64 + 2 * entries * 32 <= PAGE_BYTES << order)
		entries *= 2;
	return entries;
}

static inline void barrier_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void barrier_read(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void barrier_write(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline uint32_t read_word(const uint32_t *shared)
{
	return *(const volatile uint32_t *)shared;
}

static inline void write_word(uint32_t *shared, uint32_t value)
{
	*(volatile uint32_t *)shared = value;
}

/* Copies one 32-byte ring entry, touching each shared word once. */
static inline void copy_entry(void *to, const void *from)
{
	const volatile uint64_t *source = from;
	volatile uint64_t *target = to;
	unsigned int word;

	for (word = 0; word < 4; word++)
		target[word] = source[word];
}

#endif /* PAGESHARE_SHARED_H */
