// SPDX-License-Identifier: MIT
/*
 * reseed: what comes on standard input becomes the kernel's randomness, at once.
 *
 * A machine that starts where another one stood would draw the same numbers: the
 * kernel looks for fresh ones once a minute at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MOST_BYTES	256

static int fail(const char *what)
{
	fprintf(stderr, "reseed: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(void)
{
	static struct {
		struct rand_pool_info info;
		unsigned char data[MOST_BYTES];
	} seed;
	ssize_t got = 0, more;
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return fail("/dev/urandom");
	do {
		more = read(STDIN_FILENO, seed.data + got, sizeof(seed.data) - (size_t)got);
		if (more < 0)
			return fail("standard input");
		got += more;
	} while (more > 0);
	seed.info.buf_size = (int)got;
	seed.info.entropy_count = (int)got * 8;
	if (ioctl(fd, RNDADDENTROPY, &seed.info))
		return fail("RNDADDENTROPY");
	if (ioctl(fd, RNDRESEEDCRNG))
		return fail("RNDRESEEDCRNG");
	return 0;
}
