// SPDX-License-Identifier: MIT
/*
 * memwatch: copies small files of /proc and /sys, a few times a second.
 *
 *	memwatch --interval-ms 500 --until FILE NAME=PATH...
 *
 * Prints a JSON object a line: seconds since it began, on its own clock, and the
 * text of each file by its name.  Ends once the file given by --until exists,
 * after a last look.
 *
 * It runs in a domain that is short of memory: its own is locked, and it starts
 * no process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MOST_FILES	16
#define MOST_BYTES	4096	/* of a file: the rest is left out */

struct file {
	const char *name;
	const char *path;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void print_text(const char *text, size_t length)
{
	putchar('"');
	for (size_t at = 0; at < length; at++) {
		unsigned char byte = (unsigned char)text[at];

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < ' ' || byte > '~')
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

/* A file that is not there, or cannot be read now, is null. */
static void print_file(const struct file *file)
{
	static char text[MOST_BYTES];
	size_t length = 0;
	ssize_t got = -1;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);

	printf(", ");
	print_text(file->name, strlen(file->name));
	printf(": ");
	if (fd >= 0) {
		while (length < sizeof(text)) {
			got = read(fd, text + length, sizeof(text) - length);
			if (got <= 0)
				break;
			length += (size_t)got;
		}
		close(fd);
	}
	if (got < 0)
		printf("null");
	else
		print_text(text, length);
}

static void usage(void)
{
	fprintf(stderr, "usage: memwatch --interval-ms N --until FILE NAME=PATH...\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct file files[MOST_FILES];
	const char *until = NULL;
	struct timespec due;
	int number = 0, last = 0;
	long interval = 0;
	double began;

	for (int at = 1; at < argc; at++) {
		char *path = strchr(argv[at], '=');

		if (!strcmp(argv[at], "--interval-ms") && at + 1 < argc) {
			interval = atol(argv[++at]);
		} else if (!strcmp(argv[at], "--until") && at + 1 < argc) {
			until = argv[++at];
		} else if (path && path != argv[at] && number < MOST_FILES) {
			*path = '\0';
			files[number++] = (struct file){ argv[at], path + 1 };
		} else {
			usage();
		}
	}
	if (interval < 1 || !until || !number)
		usage();
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		fprintf(stderr, "memwatch: mlockall: %s\n", strerror(errno));
		return 1;
	}
	began = now();
	clock_gettime(CLOCK_MONOTONIC, &due);
	while (!last) {
		last = !access(until, F_OK);
		printf("{\"seconds\": %.3f", now() - began);
		for (int at = 0; at < number; at++)
			print_file(&files[at]);
		printf("}\n");
		if (fflush(stdout))
			return 1;
		due.tv_nsec += interval % 1000 * 1000000;
		due.tv_sec += interval / 1000 + due.tv_nsec / 1000000000;
		due.tv_nsec %= 1000000000;
		if (!last)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
	return 0;
}
