/* SPDX-License-Identifier: MIT */
#ifndef WORKING_SET_H
#define WORKING_SET_H

#include <stdint.h>

#include "set_page.h"

struct working_set {
	struct set_contents contents;
	uint32_t parts[NR_SET_KINDS];	/* how many pages are of each kind */
	uint32_t pages;
	uint32_t rounds;
	uint32_t rewrite;	/* of a thousand touches */
};

/*
 * Works on the set, or only says which digests that gives, without holding it.
 * Prints a JSON object.  Returns 0; 1 if a page held another byte.
 */
int work(const struct working_set *set, int expect);

#endif
