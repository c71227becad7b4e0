// SPDX-License-Identifier: MIT
/*
 * A working set that is larger than the memory: its pages are touched over and
 * over, read or rewritten, and the kernel swaps as it must.
 *
 * All pages are filled.  Then, in each round, every page is touched once, in an
 * order of this domU's own.  Which touches rewrite their page follows from seed,
 * page and round, so that after a round every domU has the same versions; the
 * other touches read the page and compare every byte.  A last round reads all.
 *
 * The digest of a round follows from every byte that it read, in its order.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "measure.h"
#include "working_set.h"

#define REWRITES	0x72657772ull	/* what numbers are drawn for */
#define ORDER		0x6f726465ull

struct run {
	const struct working_set *set;
	char *memory;		/* NULL: only the digests are wanted */
	uint8_t *kinds;
	uint32_t *versions;
	uint32_t *order;
	uint64_t *digests;	/* one a round, and the last */
	uint64_t rewrites, verified;
};

static void shuffle(const struct run *run, uint32_t round)
{
	const struct set_contents *contents = &run->set->contents;
	uint64_t state = mixed(mixed(mixed(contents->seed, contents->domain), ORDER), round);
	uint32_t i, other, kept;

	for (i = 0; i < run->set->pages; i++)
		run->order[i] = i;
	for (i = run->set->pages - 1; i > 0; i--) {
		other = (uint32_t)(next_random(&state) % (i + 1));
		kept = run->order[i];
		run->order[i] = run->order[other];
		run->order[other] = kept;
	}
}

/* The last round, after run->set->rounds, rewrites nothing. */
static int rewrites(const struct run *run, uint32_t page, uint32_t round)
{
	const struct working_set *set = run->set;

	return round < set->rounds &&
	       mixed(mixed(mixed(set->contents.seed, REWRITES), page), round) % 1000 < set->rewrite;
}

static void make(const struct run *run, void *page, uint32_t number)
{
	make_set_page(page, &run->set->contents, (enum set_kind)run->kinds[number], number,
		      run->versions[number]);
}

static void fill(const struct run *run)
{
	uint32_t page;

	for (page = 0; run->memory && page < run->set->pages; page++) {
		current_page = page;
		make(run, run->memory + (size_t)page * PAGE, page);
	}
}

/* Compares a page and adds it to the round's digest; 0 if a byte is wrong. */
static int verify(struct run *run, uint32_t number, uint32_t round)
{
	static uint64_t expected[WORDS];
	const void *page = run->memory ? run->memory + (size_t)number * PAGE : (void *)expected;
	uint32_t at;

	make(run, expected, number);
	at = first_difference(page, expected);
	if (at < PAGE) {
		printf("{\"phase\":\"different\",\"page\":%u,\"offset\":%u,\"kind\":\"%s\","
		       "\"version\":%u,\"round\":%u}\n", number, at,
		       set_kind_names[run->kinds[number]], run->versions[number], round + 1);
		return 0;
	}
	run->digests[round] = mixed(mixed(run->digests[round], number), page_hash(page));
	run->verified++;
	return 1;
}

/* Returns 0 if a byte was wrong. */
static int touch_all(struct run *run, uint32_t round)
{
	uint32_t i, page;

	shuffle(run, round);
	for (i = 0; i < run->set->pages; i++) {
		page = run->order[i];
		current_page = page;
		if (!rewrites(run, page, round)) {
			if (!verify(run, page, round))
				return 0;
			continue;
		}
		run->versions[page]++;
		run->rewrites++;
		if (run->memory)
			make(run, run->memory + (size_t)page * PAGE, page);
	}
	return 1;
}

static void say(const struct run *run, double filled, double seconds)
{
	uint32_t round;

	printf("{\"phase\":\"worked\",\"pages\":%u,\"rounds\":%u,\"rewrites\":%llu,"
	       "\"verified\":%llu,\"fill_seconds\":%.6f,\"seconds\":%.6f,\"digests\":[",
	       run->set->pages, run->set->rounds, (unsigned long long)run->rewrites,
	       (unsigned long long)run->verified, filled, seconds);
	for (round = 0; round <= run->set->rounds; round++)
		printf("%s\"%016llx\"", round ? "," : "", (unsigned long long)run->digests[round]);
	printf("]}\n");
}

int work(const struct working_set *set, int expect)
{
	struct run run = { .set = set };
	double start = now(), filled;
	uint32_t round;

	run.kinds = allocate(set->pages, sizeof(*run.kinds));
	run.versions = allocate(set->pages, sizeof(*run.versions));
	run.order = allocate(set->pages, sizeof(*run.order));
	run.digests = allocate(set->rounds + 1, sizeof(*run.digests));
	choose_kinds(run.kinds, set->pages, set->parts, set->contents.seed);
	if (!expect) {
		/* what is kept of the set must not be swapped; the set is mapped later */
		if (mlockall(MCL_CURRENT))
			perror("pagegen: mlockall");
		run.memory = map(set->pages);
	}
	fill(&run);
	filled = now() - start;
	for (round = 0; round <= set->rounds; round++)
		if (!touch_all(&run, round))
			return 1;
	say(&run, filled, now() - start);
	return 0;
}
