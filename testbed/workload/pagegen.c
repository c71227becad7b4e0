// SPDX-License-Identifier: MIT
/*
 * pagegen: fill pages with known contents, have them reclaimed, verify every byte.
 *
 *   pagegen --pages N --kind zero|same|text|random|mixed --seed S
 *           [--pageout] [--pressure N] [--hold SECONDS] [--until FILE]
 *
 * Contents follow from kind, seed and page number alone: two domUs with the
 * same arguments hold equal pages, and no two pages of one kind are equal but
 * for "zero" (all) and "same" (one word repeated, another one on each page).
 *
 * --pageout asks the kernel to reclaim the pages now (MADV_PAGEOUT: the same
 * path as under pressure); --pressure N touches N further pages instead.
 *
 * Prints one JSON object a phase: filled, held, verified.  Exit status 0: all
 * equal; 1: some differ; 2: bad arguments; 3: a page came back as an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096u
#define WORDS	(PAGE / sizeof(uint64_t))

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum kind { ZERO, SAME, TEXT, RANDOM, MIXED };

static const char *const kind_names[] = { "zero", "same", "text", "random", "mixed" };

static const char *const words[] = {
	"static ", "struct ", "page", "swap", "int ", "return ", "if (", ") {\n\t",
	"->", "frontswap", "domain", "grant", " = ", ";\n\t", "unsigned long ", "/* kept */ ",
};

struct options {
	uint64_t pages;
	enum kind kind;
	uint64_t seed;
	uint64_t pressure;
	double hold;
	const char *until;
	int pageout;
};

static volatile uint64_t current_page;

/* splitmix64: a full-period generator that any seed starts well (Steele et al., 2014) */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void make_text(char *page, uint64_t *state)
{
	size_t at = 0;

	while (at < PAGE) {
		const char *word = words[next(state) % (sizeof(words) / sizeof(words[0]))];
		size_t length = strlen(word);

		if (length > PAGE - at)
			length = PAGE - at;
		memcpy(page + at, word, length);
		at += length;
	}
}

static void make_page(void *page, enum kind kind, uint64_t seed, uint64_t number)
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
		same = next(&state) | 1;
		for (i = 0; i < WORDS; i++)
			word[i] = same;
		break;
	case TEXT:
		make_text(page, &state);
		break;
	case RANDOM:
		for (i = 0; i < WORDS; i++)
			word[i] = next(&state);
		break;
	case MIXED:
		make_page(page, (enum kind)(number % MIXED), seed, number);
		break;
	}
}

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

static void say_held(const struct options *o)
{
	printf("{\"phase\":\"held\",\"kind\":\"%s\",\"pages\":%llu,\"swapped_kib\":%ld}\n",
	       kind_names[o->kind], (unsigned long long)o->pages, swapped_kb());
	fflush(stdout);
}

static void *map(uint64_t pages)
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

static void wait_until(const struct options *o)
{
	struct timespec tick = { .tv_nsec = 200 * 1000 * 1000 };
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)o->hold;
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (o->until ? access(o->until, F_OK) == 0 : now.tv_sec >= end.tv_sec)
			return;
		nanosleep(&tick, NULL);
	}
}

static void on_bus_error(int signal)
{
	char text[96];
	int length = snprintf(text, sizeof(text),
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
	uint64_t page, differ = 0;
	long long first = -1;

	for (page = 0; page < o->pages; page++) {
		current_page = page;
		make_page(expected, o->kind, o->seed, page);
		if (memcmp(expected, memory + page * PAGE, PAGE) == 0)
			continue;
		if (!differ++)
			first = (long long)page;
	}
	printf("{\"phase\":\"verified\",\"kind\":\"%s\",\"pages\":%llu,\"mismatches\":%llu,"
	       "\"first_mismatch\":%lld}\n", kind_names[o->kind], (unsigned long long)o->pages,
	       (unsigned long long)differ, first);
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

static enum kind kind_of(const char *name)
{
	unsigned int i;

	for (i = 0; i <= MIXED; i++)
		if (!strcmp(name, kind_names[i]))
			return (enum kind)i;
	fprintf(stderr, "pagegen: --kind %s: zero, same, text, random or mixed\n", name);
	exit(2);
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
		if (++i == argc) {
			fprintf(stderr, "pagegen: %s wants a value or is unknown\n", name);
			exit(2);
		}
		if (!strcmp(name, "--pages"))
			o->pages = number(argv[i]);
		else if (!strcmp(name, "--kind"))
			o->kind = kind_of(argv[i]);
		else if (!strcmp(name, "--seed"))
			o->seed = number(argv[i]);
		else if (!strcmp(name, "--pressure"))
			o->pressure = number(argv[i]);
		else if (!strcmp(name, "--hold"))
			o->hold = (double)number(argv[i]);
		else if (!strcmp(name, "--until"))
			o->until = argv[i];
		else {
			fprintf(stderr, "pagegen: %s is unknown\n", name);
			exit(2);
		}
	}
	if (!o->pages || o->pages > (1u << 24)) {
		fprintf(stderr, "pagegen: --pages must be 1 to %u\n", 1u << 24);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = { .kind = TEXT };
	uint64_t page;
	char *memory;

	parse(argc, argv, &o);
	signal(SIGBUS, on_bus_error);
	memory = map(o.pages);
	for (page = 0; page < o.pages; page++)
		make_page(memory + page * PAGE, o.kind, o.seed, page);
	printf("{\"phase\":\"filled\",\"kind\":\"%s\",\"pages\":%llu}\n", kind_names[o.kind],
	       (unsigned long long)o.pages);
	fflush(stdout);

	if (o.pageout && madvise(memory, o.pages * PAGE, MADV_PAGEOUT))
		perror("pagegen: MADV_PAGEOUT");
	if (o.pressure) {
		char *more = map(o.pressure);

		for (page = 0; page < o.pressure; page++)
			make_page(more + page * PAGE, RANDOM, ~o.seed, page);
		munmap(more, o.pressure * PAGE);
	}
	say_held(&o);
	wait_until(&o);
	return verify(memory, &o);
}
