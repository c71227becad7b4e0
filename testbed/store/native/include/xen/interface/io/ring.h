/* SPDX-License-Identifier: MIT */
/*
 * What pageshare.h needs, for user space: the kernel's names of the integer
 * types, and from Xen's ring.h the layout of the shared page.  The indices are free running; entry i lies in slot
 * i % size, with size the largest power of two that fits the page.
 */
#ifndef PAGESHARE_USER_RING_H
#define PAGESHARE_USER_RING_H

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;

#define DEFINE_RING_TYPES(name, request, response)	\
	union name##_sring_entry {			\
		request req;				\
		response rsp;				\
	};						\
	struct name##_sring {				\
		uint32_t req_prod;			\
		uint32_t req_event;			\
		uint32_t rsp_prod;			\
		uint32_t rsp_event;			\
		uint8_t pad[48];			\
		union name##_sring_entry ring[];	\
	}

#endif /* PAGESHARE_USER_RING_H */
