// SPDX-License-Identifier: MIT
/*
 * pagegen: fill pages with known contents, have them reclaimed, verify every byte.
 *
 *   pagegen --pages N --kind zero|same|text|random|mixed --seed S
 *           [--pageout] [--pressure N] [--hold SECONDS] [--until FILE]
 *           [--tolerate] [--again FILE]
 *   pagegen --measure --pages N --mix KIND:PART,... --seed S --rounds N
 *   pagegen --work|--expect --pages N --shares KIND:PART,... [--similar-words N]
 *           --seed S --domain D --rounds N --rewrite THOUSANDTHS
 *
 * Contents follow from kind, seed and page number alone: two domUs with the
 * same arguments hold equal pages, and no two pages of one kind are equal but
 * for "zero" (all) and "same" (one word repeated, another one on each page).
 * --mix chooses a kind for each page, with these parts.
 *
 * --pageout asks the kernel to reclaim the pages now (MADV_PAGEOUT: the same
 * path as under pressure); --pressure N touches N further pages instead.
 *
 * --tolerate goes on after a page that came back as an error, and counts them;
 * --again verifies once more when FILE is there.
 *
 * --measure pages out and in, times both, and verifies; see measure.c.
 *
 * --work reads and rewrites a working set; see working_set.c.  --expect says which
 * digests that gives, without holding the set.
 *
 * Prints one JSON object a phase: filled, held, verified; or measured; or worked.
 * Exit status 0: all equal; 1: some differ; 2: bad arguments; 3: a page came back
 * as an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "contents.h"
#include "measure.h"
#include "working_set.h"

struct options {
	uint64_t pages;
	struct mix mix;
	uint64_t seed;
	uint64_t rounds;
	uint64_t pressure;
	double hold;
	const char *until;
	const char *again;
	int pageout;
	int measure;
	int tolerate;
	int work;
	int expect;
	struct working_set set;
};

volatile uint64_t current_page;

/* Where a page that is an error leads to, while that is tolerated. */
static sigjmp_buf next_page;
static volatile sig_atomic_t tolerating;

static long swapped_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *status = fopen("/proc/self/status", "r");

	if (!status)
		return -1;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmSwap: %ld kB", &kb) == 1)
			break;
	fclose(status);
	return kb;
}

static const char *mix_name(const struct options *o)
{
	return o->mix.total ? "mix" : kind_names[o->mix.kind];
}

static void say_held(const struct options *o)
{
	printf("{\"phase\":\"held\",\"kind\":\"%s\",\"pages\":%llu,\"swapped_kib\":%ld}\n",
	       mix_name(o), (unsigned long long)o->pages, swapped_kb());
	fflush(stdout);
}

void *map(uint64_t pages)
{
	void *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("pagegen: mmap");
		exit(2);
	}
	/* huge pages are refused by frontswap; the contents are per page */
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	return memory;
}

/* Until there is the file, or without one for so many seconds. */
static void wait_until(const char *file, double seconds)
{
	struct timespec tick = { .tv_nsec = 200 * 1000 * 1000 };
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)seconds;
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (file ? access(file, F_OK) == 0 : now.tv_sec >= end.tv_sec)
			return;
		nanosleep(&tick, NULL);
	}
}

static void on_bus_error(int signal)
{
	char text[96];
	int length;

	if (tolerating)
		siglongjmp(next_page, 1);
	length = snprintf(text, sizeof(text),
			  "{\"phase\":\"error\",\"error\":\"SIGBUS\",\"page\":%llu}\n",
			  (unsigned long long)current_page);

	(void)signal;
	if (write(STDOUT_FILENO, text, (size_t)length) < 0)
		_exit(4);
	_exit(3);
}

static int verify(const char *memory, const struct options *o)
{
	static char expected[PAGE];
	/* not in registers: they outlive a jump out of the signal's handler */
	volatile uint64_t page, differ = 0, errors = 0;
	volatile long long first = -1;

	for (page = 0; page < o->pages; page++) {
		current_page = page;
		make_page(expected, &o->mix, o->seed, page);
		if (o->tolerate && sigsetjmp(next_page, 1)) {
			errors++;
			continue;
		}
		tolerating = o->tolerate;
		if (memcmp(expected, memory + page * PAGE, PAGE) == 0)
			continue;
		if (!differ++)
			first = (long long)page;
	}
	printf("{\"phase\":\"verified\",\"kind\":\"%s\",\"pages\":%llu,\"mismatches\":%llu,"
	       "\"first_mismatch\":%lld,\"errors\":%llu}\n", mix_name(o),
	       (unsigned long long)o->pages, (unsigned long long)differ, first,
	       (unsigned long long)errors);
	fflush(stdout);
	return differ ? 1 : 0;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end) {
		fprintf(stderr, "pagegen: %s is no number\n", text);
		exit(2);
	}
	return value;
}

/* A number from @least to @most. */
static uint32_t number_between(const char *name, const char *text, uint32_t least, uint32_t most)
{
	uint64_t value = number(text);

	if (value < least || value > most) {
		fprintf(stderr, "pagegen: %s must be %u to %u\n", name, least, most);
		exit(2);
	}
	return (uint32_t)value;
}

/* An option of --work alone; 0 if it is none. */
static int parse_set(const char *name, const char *value, struct working_set *set)
{
	if (!strcmp(name, "--shares"))
		parse_shares(value, set->parts);
	else if (!strcmp(name, "--similar-words"))
		set->contents.similar_words = number_between(name, value, 1, MOST_SIMILAR_WORDS);
	else if (!strcmp(name, "--domain"))
		set->contents.domain = number_between(name, value, 0, 65535);
	else if (!strcmp(name, "--rewrite"))
		set->rewrite = number_between(name, value, 0, 1000);
	else
		return 0;
	return 1;
}

static void parse(int argc, char **argv, struct options *o)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *name = argv[i];

		if (!strcmp(name, "--pageout")) {
			o->pageout = 1;
			continue;
		}
		if (!strcmp(name, "--measure")) {
			o->measure = 1;
			continue;
		}
		if (!strcmp(name, "--work") || !strcmp(name, "--expect")) {
			o->work = 1;
			o->expect = !strcmp(name, "--expect");
			continue;
		}
		if (!strcmp(name, "--tolerate")) {
			o->tolerate = 1;
			continue;
		}
		if (++i == argc) {
			fprintf(stderr, "pagegen: %s wants a value or is unknown\n", name);
			exit(2);
		}
		if (!strcmp(name, "--pages"))
			o->pages = number(argv[i]);
		else if (!strcmp(name, "--kind"))
			o->mix = (struct mix) { .kind = kind_of(argv[i]) };
		else if (!strcmp(name, "--mix"))
			parse_mix(argv[i], &o->mix);
		else if (!strcmp(name, "--rounds"))
			o->rounds = number(argv[i]);
		else if (!strcmp(name, "--seed"))
			o->seed = number(argv[i]);
		else if (!strcmp(name, "--pressure"))
			o->pressure = number(argv[i]);
		else if (!strcmp(name, "--hold"))
			o->hold = (double)number(argv[i]);
		else if (!strcmp(name, "--until"))
			o->until = argv[i];
		else if (!strcmp(name, "--again"))
			o->again = argv[i];
		else if (!parse_set(name, argv[i], &o->set)) {
			fprintf(stderr, "pagegen: %s is unknown\n", name);
			exit(2);
		}
	}
	if (!o->pages || o->pages > (1u << 24)) {
		fprintf(stderr, "pagegen: --pages must be 1 to %u\n", 1u << 24);
		exit(2);
	}
	if (!o->rounds || o->rounds > 100) {
		fprintf(stderr, "pagegen: --rounds must be 1 to 100\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const struct mix unlike = { .kind = RANDOM };
	struct options o = {
		.mix = { .kind = TEXT },
		.rounds = 1,
		.set = { .parts = { [SET_TEXT] = 1 }, .contents = { .similar_words = 8 } },
	};
	uint64_t page;
	char *memory;
	int status;

	parse(argc, argv, &o);
	signal(SIGBUS, on_bus_error);
	if (o.measure)
		return measure(o.pages, &o.mix, o.seed, (unsigned int)o.rounds);
	if (o.work) {
		o.set.contents.seed = o.seed;
		o.set.pages = (uint32_t)o.pages;
		o.set.rounds = (uint32_t)o.rounds;
		return work(&o.set, o.expect);
	}
	memory = map(o.pages);
	for (page = 0; page < o.pages; page++)
		make_page(memory + page * PAGE, &o.mix, o.seed, page);
	printf("{\"phase\":\"filled\",\"kind\":\"%s\",\"pages\":%llu}\n", mix_name(&o),
	       (unsigned long long)o.pages);
	fflush(stdout);

	if (o.pageout && madvise(memory, o.pages * PAGE, MADV_PAGEOUT))
		perror("pagegen: MADV_PAGEOUT");
	if (o.pressure) {
		char *more = map(o.pressure);

		for (page = 0; page < o.pressure; page++)
			make_page(more + page * PAGE, &unlike, ~o.seed, page);
		munmap(more, o.pressure * PAGE);
	}
	say_held(&o);
	wait_until(o.until, o.hold);
	status = verify(memory, &o);
	if (o.again) {
		wait_until(o.again, 0);
		status = verify(memory, &o);
	}
	return status;
}
