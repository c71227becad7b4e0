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
int pageshare_likely_runs(const uint8_t *base, const uint8_t *page, uint8_t *runs);
int pageshare_shifted(const uint8_t *base, const uint8_t *runs, uint32_t length,
		      uint8_t *page);
uint64_t pageshare_feature(const uint8_t *page, uint64_t seed);

/* Two thirds of a user space of so many bits, in whole pages. */
#define ANYWHERE(bits)	((2 * (1ull << (bits)) / 3) & ~OFFSET_MASK)

/* In which part of a user space a word points, counted from 1 upwards; 0: in none. */
static int part_of(uint64_t word)
{
	if (word >> 48 || word < 4ull << 20)
		return 0;
	if (word < 2 * GIB)
		return 1;
	if (word - ANYWHERE(39) < 4 * GIB)
		return 2;
	if (word - ((1ull << 39) - 8 * GIB) < 8 * GIB)
		return 3;
	if (word - ANYWHERE(48) < 4 * GIB)
		return 4;
	if (word - ((1ull << 48) - 8 * GIB) < 8 * GIB)
		return 5;
	return 0;
}

static int is_pointer(uint64_t word)
{
	return part_of(word) != 0;
}

/*
 * Masks @words. Sets a bit in @places, which has one for each word, where a
 * pointer was; returns how many there are.
 */
static int mask_words(uint64_t words[WORDS], uint64_t places[WORDS / 64])
{
	int at, count = 0;

	memset(places, 0, WORDS / 8);
	for (at = 0; at < WORDS; at++) {
		if (!is_pointer(words[at]))
			continue;
		words[at] &= OFFSET_MASK;
		places[at / 64] |= 1ull << (at % 64);
		count++;
	}
	return count;
}

/* A block with fewer other bytes is too common to tell anything. */
#define BLOCK_BYTES	64
#define TELLING_BYTES	8

/*
 * The smallest of the digests of the masked page's blocks: the more blocks pages
 * have in common, the likelier they have this in common. 0 where no block tells
 * anything.
 */
uint64_t pageshare_feature(const uint8_t *page, uint64_t seed)
{
	uint64_t masked[WORDS], places[WORDS / 64], digest, least = 0;
	const uint8_t *block;
	uint32_t start, i, telling;

	memcpy(masked, page, PAGE_BYTES);
	mask_words(masked, places);
	for (start = 0; start < PAGE_BYTES; start += BLOCK_BYTES) {
		block = (const uint8_t *)masked + start;
		for (i = telling = 0; i < BLOCK_BYTES; i++)
			telling += block[i] != 0;
		if (telling < TELLING_BYTES)
			continue;
		digest = XXH3_64bits_withSeed(block, BLOCK_BYTES, seed);
		if (!least || digest < least)
			least = digest;
	}
	return least;
}

/* A digest of the masked page and of the places; returns how many pointers there are. */
int pageshare_mask(const uint8_t *page, uint64_t seed, uint64_t *digest)
{
	uint64_t masked[WORDS + WORDS / 64];
	int count;

	memcpy(masked, page, PAGE_BYTES);
	count = mask_words(masked, masked + WORDS);
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

/* By how many pages a pointer has moved. */
static int64_t shift_of(uint64_t before, uint64_t after)
{
	return (int64_t)(after >> OFFSET_BITS) - (int64_t)(before >> OFFSET_BITS);
}

/* At most 20 bytes; returns how many. */
static uint32_t put_run(uint8_t *out, int count, int64_t shift)
{
	uint32_t length = put_number(out, (uint64_t)count);

	return length + put_number(out + length, zigzag(shift));
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
		uint32_t place = places[first].at;
		int64_t shift = shift_of(old[place], new[place]);

		for (at = first + 1; at < count; at++) {
			place = places[at].at;
			if (shift_of(old[place], new[place]) != shift)
				break;
		}
		if (length + 20 > room)
			return -1;
		length += put_run(runs + length, at - first, shift);
	}
	return (int)length;
}

/*
 * By how many pages the pointers of one part have moved, most likely: what more
 * than half of those say whose place holds a pointer with the same last bits
 * (Boyer and Moore).
 */
static int64_t likely_shift(const uint64_t old[WORDS], const uint64_t new[WORDS],
			    const struct place *places, int count)
{
	int64_t shift = 0;
	int i, votes = 0;

	for (i = 0; i < count; i++) {
		uint64_t before = old[places[i].at], after = new[places[i].at];
		int64_t this;

		if (((before ^ after) & OFFSET_MASK) || !is_pointer(after))
			continue;
		this = shift_of(before, after);
		if (!votes)
			shift = this;
		votes += this == shift ? 1 : -1;
	}
	return shift;
}

/*
 * Runs that make of @base what resembles @page: one for each part of a user
 * space. @runs has room for 100 bytes. Returns their length.
 */
int pageshare_likely_runs(const uint8_t *base, const uint8_t *page, uint8_t *runs)
{
	uint64_t old[WORDS], new[WORDS];
	struct place places[WORDS];
	int first, at, count;
	uint32_t length = 0;

	memcpy(old, base, PAGE_BYTES);
	memcpy(new, page, PAGE_BYTES);
	count = in_order(old, places);
	for (first = 0; first < count; first = at) {
		int part = part_of(places[first].pointer);

		for (at = first; at < count; at++)
			if (part_of(places[at].pointer) != part)
				break;
		length += put_run(runs + length, at - first,
				  likely_shift(old, new, places + first, at - first));
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
