/* SPDX-License-Identifier: MIT */
/*
 * What pages hold: it follows from mix, seed and page number alone, so that it
 * can be verified without being kept, and two domUs can hold equal pages.
 */
#ifndef CONTENTS_H
#define CONTENTS_H

#include <stdint.h>

#define PAGE	4096u
#define WORDS	(PAGE / sizeof(uint64_t))

enum kind { ZERO, SAME, TEXT, RANDOM, MIXED };

#define NR_KINDS	MIXED	/* MIXED is one page of each in turn */

extern const char *const kind_names[];

/* Which pages there are: one kind, or parts of several, chosen page by page. */
struct mix {
	enum kind kind;
	uint32_t parts[NR_KINDS];
	uint32_t total;		/* 0: all pages are of @kind */
};

/* splitmix64: a full-period generator that any seed starts well (Steele et al., 2014) */
uint64_t next_random(uint64_t *state);

/* Fills @page (PAGE bytes) with words of a program's text: compressible as real pages are. */
void make_text(char *page, uint64_t *state);

/* Fills @page (PAGE bytes) with what page @number holds. */
void make_page(void *page, const struct mix *mix, uint64_t seed, uint64_t number);

/* The kind called @name; exits with status 2 if there is none. */
enum kind kind_of(const char *name);

/* Parses "KIND:PART,KIND:PART,..."; exits with status 2 if it cannot. */
void parse_mix(const char *text, struct mix *mix);

#endif
