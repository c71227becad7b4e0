// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "set_page.h"

const char *const set_kind_names[NR_SET_KINDS] = {
	"zero", "equal", "similar", "text", "random"
};

#define NOBODYS		(~0ull)	/* in place of a domU's number: contents that all have */
#define POINTERS	0xffff800000000000ull
#define OBJECTS		(1ull << 26)	/* bytes in which the objects lie that are pointed to */
#define MOVED		(1ull << 30)	/* how far apart they lie in two domUs */

uint64_t mixed(uint64_t one, uint64_t other)
{
	uint64_t state = one;

	/* the first step spreads @one over all bits, so that no sum of two meets another */
	state = next_random(&state) + other;
	return next_random(&state);
}

static uint64_t state_of(const struct set_contents *contents, enum set_kind kind,
			 uint64_t number, uint32_t version)
{
	int own = kind == SET_TEXT || kind == SET_RANDOM;
	uint64_t state = mixed(contents->seed, own ? contents->domain : NOBODYS);

	return mixed(mixed(mixed(state, kind), number), version);
}

uint32_t similar_word(const struct set_contents *contents, uint64_t number, uint32_t version,
		      uint32_t i)
{
	uint64_t state = mixed(state_of(contents, SET_SIMILAR, number, version), i);
	uint32_t first = i * WORDS / contents->similar_words;
	uint32_t end = (i + 1) * WORDS / contents->similar_words;

	/* one in each part of the page: so they are spread, and no word is taken twice */
	return first + (uint32_t)(next_random(&state) % (end - first));
}

static void put_pointers(uint64_t *word, const struct set_contents *contents, uint64_t number,
			 uint32_t version)
{
	uint64_t common = mixed(state_of(contents, SET_SIMILAR, number, version), NOBODYS);
	uint32_t i;

	for (i = 0; i < contents->similar_words; i++)
		word[similar_word(contents, number, version, i)] =
			POINTERS + contents->domain * MOVED + next_random(&common) % OBJECTS / 8 * 8;
}

void make_set_page(void *page, const struct set_contents *contents, enum set_kind kind,
		   uint64_t number, uint32_t version)
{
	uint64_t state = state_of(contents, kind, number, version);
	uint64_t *word = page;
	size_t i;

	switch (kind) {
	case SET_EQUAL:
	case SET_TEXT:
		make_text(page, &state);
		break;
	case SET_SIMILAR:
		make_text(page, &state);
		put_pointers(word, contents, number, version);
		break;
	case SET_RANDOM:
		for (i = 0; i < WORDS; i++)
			word[i] = next_random(&state);
		break;
	default:
		memset(page, 0, PAGE);
		break;
	}
}

void choose_kinds(uint8_t *kinds, uint32_t pages, const uint32_t parts[NR_SET_KINDS],
		  uint64_t seed)
{
	uint64_t state = mixed(seed, 0x6b696e64), total = 0, sum = 0;
	uint32_t page = 0, other, kind;
	uint8_t kept;

	for (kind = 0; kind < NR_SET_KINDS; kind++)
		total += parts[kind];
	for (kind = 0; kind < NR_SET_KINDS; kind++) {
		sum += parts[kind];
		for (; page < pages * sum / total; page++)
			kinds[page] = (uint8_t)kind;
	}
	for (page = pages - 1; page > 0; page--) {
		other = (uint32_t)(next_random(&state) % (page + 1));
		kept = kinds[page];
		kinds[page] = kinds[other];
		kinds[other] = kept;
	}
}

uint32_t first_difference(const void *page, const void *expected)
{
	const uint8_t *one = page, *other = expected;
	uint32_t at = 0;

	if (!memcmp(page, expected, PAGE))
		return PAGE;
	while (at < PAGE && one[at] == other[at])
		at++;
	return at;
}

uint64_t page_hash(const void *page)
{
	const uint64_t *word = page;
	uint64_t hash = 0x9e3779b97f4a7c15ull;
	size_t i;

	/* each step is a bijection of the hash: one word that differs always shows */
	for (i = 0; i < WORDS; i++) {
		hash = (hash ^ word[i]) * 0x9fb21c651e98df25ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static int set_kind_of(const char *name)
{
	int kind;

	for (kind = 0; kind < NR_SET_KINDS; kind++)
		if (!strcmp(name, set_kind_names[kind]))
			return kind;
	return -1;
}

void parse_shares(const char *text, uint32_t parts[NR_SET_KINDS])
{
	uint32_t total = 0, part;
	int kind, length;
	char name[16];

	memset(parts, 0, NR_SET_KINDS * sizeof(*parts));
	while (*text) {
		if (sscanf(text, "%15[a-z]:%u%n", name, &part, &length) != 2 || part > 1000)
			break;
		kind = set_kind_of(name);
		if (kind < 0)
			break;
		parts[kind] += part;
		total += part;
		text += length;
		if (*text == ',' && text[1])
			text++;
		else if (*text)
			break;
	}
	if (*text || !total) {
		fprintf(stderr, "pagegen: --shares: KIND:PART,..., parts from 0 to 1000; "
			"kinds: zero, equal, similar, text, random\n");
		exit(2);
	}
}
