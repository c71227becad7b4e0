// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contents.h"

const char *const kind_names[] = { "zero", "same", "text", "random", "mixed" };

/* Copied with its padding, which the next word covers: no call, and no loop, for each. */
#define ROOM	16u
#define WORD(text)	{ text, sizeof(text) - 1 }

static const struct {
	char text[ROOM];
	uint8_t length;
} words[] = {
	WORD("static "), WORD("struct "), WORD("page"), WORD("swap"),
	WORD("int "), WORD("return "), WORD("if ("), WORD(") {\n\t"),
	WORD("->"), WORD("frontswap"), WORD("domain"), WORD("grant"),
	WORD(" = "), WORD(";\n\t"), WORD("unsigned long "), WORD("/* kept */ "),
};

uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void make_text(char *page, uint64_t *state)
{
	size_t at = 0;

	while (at < PAGE) {
		size_t word = next_random(state) % (sizeof(words) / sizeof(words[0]));

		if (PAGE - at >= ROOM)
			memcpy(page + at, words[word].text, ROOM);
		else
			memcpy(page + at, words[word].text, PAGE - at);
		at += words[word].length;
	}
}

static void make_page_of(void *page, enum kind kind, uint64_t seed, uint64_t number)
{
	uint64_t state = seed ^ (number * 0xd1342543de82ef95ull) ^ 0x70616765;
	uint64_t *word = page;
	uint64_t same;
	size_t i;

	switch (kind) {
	case ZERO:
		memset(page, 0, PAGE);
		break;
	case SAME:
		same = next_random(&state) | 1;
		for (i = 0; i < WORDS; i++)
			word[i] = same;
		break;
	case TEXT:
		make_text(page, &state);
		break;
	case RANDOM:
		for (i = 0; i < WORDS; i++)
			word[i] = next_random(&state);
		break;
	case MIXED:
		make_page_of(page, (enum kind)(number % NR_KINDS), seed, number);
		break;
	}
}

static enum kind chosen(const struct mix *mix, uint64_t seed, uint64_t number)
{
	uint64_t state = (seed * 0x2545f4914f6cdd1dull) ^ number;
	uint32_t at;
	int kind;

	if (!mix->total)
		return mix->kind;
	at = (uint32_t)(next_random(&state) % mix->total);
	for (kind = 0; at >= mix->parts[kind]; kind++)
		at -= mix->parts[kind];
	return (enum kind)kind;
}

void make_page(void *page, const struct mix *mix, uint64_t seed, uint64_t number)
{
	make_page_of(page, chosen(mix, seed, number), seed, number);
}

enum kind kind_of(const char *name)
{
	int i;

	for (i = 0; i <= MIXED; i++)
		if (!strcmp(name, kind_names[i]))
			return (enum kind)i;
	fprintf(stderr, "pagegen: kind %s: zero, same, text, random or mixed\n", name);
	exit(2);
}

void parse_mix(const char *text, struct mix *mix)
{
	unsigned int part;
	char name[16];
	int length;

	memset(mix, 0, sizeof(*mix));
	while (*text) {
		if (sscanf(text, "%15[a-z]:%u%n", name, &part, &length) != 2 || part > 1000 ||
		    kind_of(name) == MIXED)
			break;
		mix->parts[kind_of(name)] += part;
		mix->total += part;
		text += length;
		if (*text == ',' && text[1])
			text++;
		else if (*text)
			break;
	}
	if (*text || !mix->total) {
		fprintf(stderr, "pagegen: --mix: KIND:PART,..., parts from 0 to 1000\n");
		exit(2);
	}
}
