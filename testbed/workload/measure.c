// SPDX-License-Identifier: MIT
/*
 * How fast pages go out and come back, as a process sees it.
 *
 * A page-out is MADV_PAGEOUT: the path that reclaim takes.  A page-in is the
 * first touch of a page that is out.  Pages are touched in a shuffled order, so
 * that nothing can be read ahead, and verified after the touch was timed.
 *
 * A page is out if its page table entry says so and the swap cache lacks it: a
 * page whose write to a disk has begun lies there until its memory is needed.
 * So memory is taken until they are gone.  A page that is in all the same
 * counts as neither.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define CHUNK		64u
#define SWAPPED		(1ull << 62)	/* of an entry, see admin-guide/mm/pagemap.rst */
#define PRESSURE	64u		/* pages taken between two looks */
#define DRAIN_SECONDS	10.0
#define DRAINED		8	/* pages: the kernel's count lags behind by a few */

/* Seconds of single operations, in the order in which they were done. */
struct times {
	double *seconds;
	uint64_t number;
};

struct stream {
	const struct mix *mix;
	uint64_t pages;
	char *memory;
	uint64_t *order;	/* in which pages are touched */
	unsigned char *cached;	/* of mincore() */
	int pagemap;
	struct times out, in;
	double out_seconds, in_seconds;
	uint64_t out_pages, still_in, mismatches;
};

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void *allocate(size_t number, size_t size)
{
	void *memory = calloc(number, size);

	if (!memory) {
		perror("pagegen: calloc");
		exit(2);
	}
	return memory;
}

/* ---- where pages are ---- */

static uint64_t chunk_at(const struct stream *s, uint64_t first)
{
	return s->pages - first < CHUNK ? s->pages - first : CHUNK;
}

/* Reads the page table entries of @number pages (a CHUNK at most) from @first on. */
static void read_entries(const struct stream *s, uint64_t first, uint64_t number,
			 uint64_t *entries)
{
	uint64_t start = ((uintptr_t)s->memory / PAGE + first) * sizeof(*entries);
	ssize_t length = (ssize_t)(number * sizeof(*entries));

	if (pread(s->pagemap, entries, (size_t)length, (off_t)start) != length) {
		perror("pagegen: /proc/self/pagemap");
		exit(2);
	}
}

/* How many of the @number pages (a CHUNK at most) from @first on are swapped. */
static uint64_t swapped(const struct stream *s, uint64_t first, uint64_t number)
{
	uint64_t entries[CHUNK], found = 0, i;

	read_entries(s, first, number, entries);
	for (i = 0; i < number; i++)
		found += !!(entries[i] & SWAPPED);
	return found;
}

/* Fills s->cached for @number pages from @first on: bit 0 if in memory, swap cache included. */
static void look(const struct stream *s, uint64_t first, uint64_t number)
{
	if (mincore(s->memory + first * PAGE, number * PAGE, s->cached + first)) {
		perror("pagegen: mincore");
		exit(2);
	}
}

static int is_out(const struct stream *s, uint64_t page)
{
	look(s, page, 1);
	return !(s->cached[page] & 1) && swapped(s, page, 1);
}

/* Pages that are swapped, but lie in the swap cache. */
static uint64_t lingering(const struct stream *s)
{
	uint64_t entries[CHUNK], first, number, found = 0, i;

	look(s, 0, s->pages);
	for (first = 0; first < s->pages; first += CHUNK) {
		number = chunk_at(s, first);
		read_entries(s, first, number, entries);
		for (i = 0; i < number; i++)
			found += (s->cached[first + i] & 1) && (entries[i] & SWAPPED);
	}
	return found;
}

/* The number after @name in a file of /proc; -1 if it is not there. */
static long long read_number(const char *path, const char *name)
{
	size_t length = strlen(name);
	long long value = -1;
	char line[128];
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && sscanf(line + length, " %lld", &value) == 1)
			break;
	fclose(file);
	return value;
}

/* Waits until what is on its way to a disk has arrived. */
static void drain(void)
{
	struct timespec tick = { .tv_nsec = 500 * 1000 };
	double end = now() + DRAIN_SECONDS;

	while (read_number("/proc/vmstat", "nr_writeback ") > DRAINED && now() < end)
		nanosleep(&tick, NULL);
}

/*
 * Takes memory until the swap cache holds none of the pages; no more than there
 * is in all, so that the pages that are taken can be swapped in their turn.
 */
static void evict(const struct stream *s)
{
	long long total = read_number("/proc/meminfo", "MemTotal:");
	uint64_t limit = total > 0 ? (uint64_t)total * 1024 / PAGE : 0;
	uint64_t left = lingering(s), taken = 0, i;
	char *more;

	if (!left || !limit)
		return;
	more = map(limit);
	while (left && taken + PRESSURE <= limit) {
		for (i = 0; i < PRESSURE; i++)
			more[(taken + i) * PAGE] = 1;
		taken += PRESSURE;
		left = lingering(s);
	}
	munmap(more, limit * PAGE);
}

/* ---- out and in ---- */

static void fill(const struct stream *s, uint64_t seed)
{
	uint64_t page;

	for (page = 0; page < s->pages; page++) {
		current_page = page;
		make_page(s->memory + page * PAGE, s->mix, seed, page);
	}
}

/* A refusal is no error: the pages are in still, and do not count. */
static double page_out(const struct stream *s, uint64_t first, uint64_t number)
{
	double start = now();

	(void)!madvise(s->memory + first * PAGE, number * PAGE, MADV_PAGEOUT);
	return now() - start;
}

static void page_out_chunks(struct stream *s)
{
	uint64_t first, number;
	double start;

	for (first = 0; first < s->pages; first += CHUNK) {
		number = chunk_at(s, first);
		s->out_seconds += page_out(s, first, number);
		s->out_pages += swapped(s, first, number);
	}
	start = now();
	drain();
	s->out_seconds += now() - start;
}

static void page_out_singly(struct stream *s)
{
	uint64_t page;
	double seconds;

	for (page = 0; page < s->pages; page++) {
		seconds = page_out(s, page, 1);
		if (swapped(s, page, 1))
			s->out.seconds[s->out.number++] = seconds;
	}
	drain();
}

static void shuffle(const struct stream *s, uint64_t seed)
{
	uint64_t i, other, kept, state = seed;

	for (i = 0; i < s->pages; i++)
		s->order[i] = i;
	for (i = s->pages - 1; i > 0; i--) {
		other = next_random(&state) % (i + 1);
		kept = s->order[i];
		s->order[i] = s->order[other];
		s->order[other] = kept;
	}
}

static void page_in(struct stream *s, uint64_t seed)
{
	static char expected[PAGE];
	uint64_t i, page;
	double start, seconds;
	int out;

	shuffle(s, seed);
	for (i = 0; i < s->pages; i++) {
		page = s->order[i];
		current_page = page;
		out = is_out(s, page);
		start = now();
		(void)*(volatile char *)(s->memory + page * PAGE);
		seconds = now() - start;
		if (out) {
			s->in.seconds[s->in.number++] = seconds;
			s->in_seconds += seconds;
		} else {
			s->still_in++;
		}
		make_page(expected, s->mix, seed, page);
		if (memcmp(expected, s->memory + page * PAGE, PAGE))
			s->mismatches++;
	}
}

/* ---- figures ---- */

static int by_size(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static void say(const char *name, double value, int known)
{
	if (known)
		printf(",\"%s\":%.9g", name, value);
	else
		printf(",\"%s\":null", name);
}

/* Nearest rank: the smallest one that at least this share is not above. */
static double quantile(const struct times *times, double share)
{
	uint64_t rank = (uint64_t)((double)times->number * share);

	if ((double)rank < (double)times->number * share)
		rank++;
	return times->number ? times->seconds[rank ? rank - 1 : 0] : 0;
}

static void say_direction(const char *way, uint64_t pages, double seconds, struct times *times)
{
	char name[40];

	qsort(times->seconds, times->number, sizeof(double), by_size);
	printf(",\"%s_pages\":%llu", way, (unsigned long long)pages);
	snprintf(name, sizeof(name), "%s_seconds", way);
	say(name, seconds, 1);
	snprintf(name, sizeof(name), "%s_per_second", way);
	say(name, pages && seconds > 0 ? (double)pages / seconds : 0, pages && seconds > 0);
	snprintf(name, sizeof(name), "%s_median_microseconds", way);
	say(name, quantile(times, 0.5) * 1e6, times->number > 0);
	snprintf(name, sizeof(name), "%s_p99_microseconds", way);
	say(name, quantile(times, 0.99) * 1e6, times->number > 0);
}

int measure(uint64_t pages, const struct mix *mix, uint64_t seed, unsigned int rounds)
{
	struct stream s = { .mix = mix, .pages = pages };
	unsigned int round;

	s.order = allocate(pages, sizeof(*s.order));
	s.cached = allocate(pages, 1);
	s.out.seconds = allocate(pages * rounds, sizeof(double));
	s.in.seconds = allocate(pages * rounds * 2, sizeof(double));
	s.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	/* what measures must not be swapped; the stream is mapped later, and may be */
	if (mlockall(MCL_CURRENT))
		perror("pagegen: mlockall");
	s.memory = map(pages);

	for (round = 0; round < rounds; round++) {
		/* other contents each time: a page that did not change needs no page-out */
		fill(&s, seed + 2 * round);
		page_out_chunks(&s);
		evict(&s);
		page_in(&s, seed + 2 * round);
		fill(&s, seed + 2 * round + 1);
		page_out_singly(&s);
		evict(&s);
		page_in(&s, seed + 2 * round + 1);
	}
	printf("{\"phase\":\"measured\",\"pages\":%llu,\"rounds\":%u",
	       (unsigned long long)pages, rounds);
	say_direction("out", s.out_pages, s.out_seconds, &s.out);
	say_direction("in", s.in.number, s.in_seconds, &s.in);
	printf(",\"still_in_pages\":%llu,\"mismatches\":%llu}\n",
	       (unsigned long long)s.still_in, (unsigned long long)s.mismatches);
	return s.mismatches ? 1 : 0;
}
