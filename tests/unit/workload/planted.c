// SPDX-License-Identifier: MIT
/* Linked around first_difference(): one byte of the set is flipped before it is compared. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t __real_first_difference(const void *page, const void *expected);
uint32_t __wrap_first_difference(void *page, const void *expected);

uint32_t __wrap_first_difference(void *page, const void *expected)
{
	static unsigned long compared;
	const char *when = getenv("FLIP_COMPARED"), *at = getenv("FLIP_OFFSET");

	if (when && at && page != expected && compared++ == strtoul(when, NULL, 10))
		((uint8_t *)page)[strtoul(at, NULL, 10)] ^= 1;
	return __real_first_difference(page, expected);
}
