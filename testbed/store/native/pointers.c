// SPDX-License-Identifier: MIT
/*
 * Pages without where their pointers point to, and what tells twins apart.
 * secondlook/pointers.py and secondlook/shifts.py say what is done and why,
 * and are what this is compared with.
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shared.h"

#define WORDS		((int)(PAGE_BYTES / 8))
#define OFFSET_MASK	0xfffull
#define OFFSET_BITS	12
#define GIB		(1ull << 30)

int pageshare_mask(const uint8_t *page, uint64_t seed, uint64_t *digest);
int pageshare_runs(const uint8_t *base, const uint8_t *page, uint8_t *runs, uint32_t room);
int pageshare_shifted(const uint8_t *base, const uint8_t *runs, uint32_t length,
		      uint8_t *page);

/* Two thirds of a user space of so many bits, in whole pages. */
#define ANYWHERE(bits)	((2 * (1ull << (bits)) / 3) & ~OFFSET_MASK)

static int is_pointer(uint64_t word)
{
	if (word >> 48 || word < 4ull << 20)
		return 0;
	return word < 2 * GIB ||
	       word - ANYWHERE(39) < 4 * GIB ||
	       word - ((1ull << 39) - 8 * GIB) < 8 * GIB ||
	       word - ANYWHERE(48) < 4 * GIB ||
	       word - ((1ull << 48) - 8 * GIB) < 8 * GIB;
}

/* A digest of the masked page and of the places; returns how many pointers there are. */
int pageshare_mask(const uint8_t *page, uint64_t seed, uint64_t *digest)
{
	uint64_t masked[WORDS + WORDS / 64] = { 0 };
	int at, count = 0;

	memcpy(masked, page, PAGE_BYTES);
	for (at = 0; at < WORDS; at++) {
		if (!is_pointer(masked[at]))
			continue;
		masked[at] &= OFFSET_MASK;
		masked[WORDS + at / 64] |= 1ull << (at % 64);
		count++;
	}
	*digest = XXH3_64bits_withSeed(masked, sizeof(masked), seed);
	return count;
}

struct place {
	uint64_t pointer;
	uint32_t at;
};

static int by_pointer(const void *one, const void *other)
{
	const struct place *a = one, *b = other;

	if (a->pointer != b->pointer)
		return a->pointer < b->pointer ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static int in_order(const uint64_t base[WORDS], struct place places[WORDS])
{
	int at, count = 0;

	for (at = 0; at < WORDS; at++)
		if (is_pointer(base[at]))
			places[count++] = (struct place){ base[at], (uint32_t)at };
	qsort(places, (size_t)count, sizeof(*places), by_pointer);
	return count;
}

/* Room for two numbers of 10 bytes is the caller's to see to. */
static uint32_t put_number(uint8_t *out, uint64_t number)
{
	uint32_t length = 0;

	while (number > 0x7f) {
		out[length++] = (uint8_t)(number & 0x7f) | 0x80;
		number >>= 7;
	}
	out[length++] = (uint8_t)number;
	return length;
}

/* Returns bytes read, or 0. */
static uint32_t get_number(const uint8_t *data, uint32_t length, uint64_t *number)
{
	uint32_t at;

	*number = 0;
	for (at = 0; at < length && at < 9; at++) {
		*number |= (uint64_t)(data[at] & 0x7f) << (7 * at);
		if (!(data[at] & 0x80))
			return at + 1;
	}
	return 0;
}

static uint64_t zigzag(int64_t number)
{
	return (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
}

static int64_t unzigzag(uint64_t number)
{
	return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}

/* Whether they differ in whole pages of what looks like a pointer in both, and no more. */
static int are_twins(const uint64_t base[WORDS], const uint64_t page[WORDS])
{
	int at;

	for (at = 0; at < WORDS; at++)
		if (base[at] != page[at] &&
		    (((base[at] ^ page[at]) & OFFSET_MASK) || !is_pointer(base[at]) ||
		     !is_pointer(page[at])))
			return 0;
	return 1;
}

/* Returns the length of the runs that make @page of @base, -1 if there are none that fit. */
int pageshare_runs(const uint8_t *base, const uint8_t *page, uint8_t *runs, uint32_t room)
{
	uint64_t old[WORDS], new[WORDS];
	struct place places[WORDS];
	uint32_t length = 0;
	int at, first, count;

	memcpy(old, base, PAGE_BYTES);
	memcpy(new, page, PAGE_BYTES);
	if (!are_twins(old, new))
		return -1;
	count = in_order(old, places);
	for (first = 0; first < count; first = at) {
		int64_t shift = 0;

		for (at = first; at < count; at++) {
			int64_t this = (int64_t)(new[places[at].at] >> OFFSET_BITS) -
				       (int64_t)(old[places[at].at] >> OFFSET_BITS);

			if (at == first)
				shift = this;
			else if (this != shift)
				break;
		}
		if (length + 20 > room)
			return -1;
		length += put_number(runs + length, (uint64_t)(at - first));
		length += put_number(runs + length, zigzag(shift));
	}
	return (int)length;
}

/* Makes @page of @base; returns 0, or -1 when the runs are not for this base. */
int pageshare_shifted(const uint8_t *base, const uint8_t *runs, uint32_t length,
		      uint8_t *page)
{
	struct place places[WORDS];
	uint64_t words[WORDS], many, shift;
	uint32_t at = 0, used;
	int next = 0, count;

	memcpy(words, base, PAGE_BYTES);
	count = in_order(words, places);
	while (at < length) {
		used = get_number(runs + at, length - at, &many);
		if (!used)
			return -1;
		at += used;
		used = get_number(runs + at, length - at, &shift);
		if (!used || many > (uint64_t)(count - next))
			return -1;
		at += used;
		while (many--)
			words[places[next++].at] +=
				(uint64_t)unzigzag(shift) << OFFSET_BITS;
	}
	if (next != count)
		return -1;
	memcpy(page, words, PAGE_BYTES);
	return 0;
}
