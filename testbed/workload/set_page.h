/* SPDX-License-Identifier: MIT */
/*
 * What the pages of a working set hold, see working_set.c.
 *
 * A page's content follows from its kind, the seed, its number and its version;
 * for kinds that a domU has for itself, also from the domU's number.  So it can
 * be verified without being kept, and another domU holds the same where promised.
 */
#ifndef SET_PAGE_H
#define SET_PAGE_H

#include <stdint.h>

#include "contents.h"

#define MOST_SIMILAR_WORDS	64u

enum set_kind {
	SET_ZERO,	/* nothing but zeros, in every version */
	SET_EQUAL,	/* text; the same in every domU */
	SET_SIMILAR,	/* as SET_EQUAL, but for a few words: see similar_word() */
	SET_TEXT,	/* text of one domU alone */
	SET_RANDOM,	/* incompressible, of one domU alone */
	NR_SET_KINDS
};

extern const char *const set_kind_names[NR_SET_KINDS];

/* What all pages of a set have in common. */
struct set_contents {
	uint64_t seed;		/* the same in every domU */
	uint64_t domain;	/* its number */
	uint32_t similar_words;	/* of a SET_SIMILAR page that are a domU's own */
};

/* A number that follows from two, and tells each pair from others. */
uint64_t mixed(uint64_t one, uint64_t other);

/*
 * Which word of a SET_SIMILAR page is the domU's own, for @i from 0 to
 * @contents->similar_words: the same ones in every domU, no word twice.
 * They hold pointers: of the same object in each domU, but moved as a whole, as
 * address randomisation does; no two domUs have an equal one.
 */
uint32_t similar_word(const struct set_contents *contents, uint64_t number, uint32_t version,
		      uint32_t i);

/* Fills @page (PAGE bytes) with version @version of page @number. */
void make_set_page(void *page, const struct set_contents *contents, enum set_kind kind,
		   uint64_t number, uint32_t version);

/*
 * Says for each of @pages pages of which kind it is: exactly in the proportion
 * of @parts (to one page), in an order that follows from @seed.
 */
void choose_kinds(uint8_t *kinds, uint32_t pages, const uint32_t parts[NR_SET_KINDS],
		  uint64_t seed);

/* Where @page first differs from @expected; PAGE if it does not. */
uint32_t first_difference(const void *page, const void *expected);

/* 64 bits that follow from every byte of a page.  Not proof against intent. */
uint64_t page_hash(const void *page);

/* Parses "KIND:PART,..." into @parts; exits with status 2 if it cannot. */
void parse_shares(const char *text, uint32_t parts[NR_SET_KINDS]);

#endif
