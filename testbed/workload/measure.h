/* SPDX-License-Identifier: MIT */
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "contents.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* The page that is read now, for the message if it comes back as an error. */
extern volatile uint64_t current_page;

/* Seconds of a clock that only goes forward. */
double now(void);

/* Zeroed memory; exits with status 2 if there is none. */
void *allocate(size_t number, size_t size);

/* Anonymous memory in small pages; exits with status 2 if there is none. */
void *map(uint64_t pages);

/*
 * Pages @pages pages out and in, twice a round: in chunks for the rate, one by
 * one for the latency.  Prints a JSON object.  Returns 0 if every page came
 * back with its bytes, 1 if not.
 */
int measure(uint64_t pages, const struct mix *mix, uint64_t seed, unsigned int rounds);

#endif
