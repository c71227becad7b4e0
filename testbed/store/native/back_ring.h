/* SPDX-License-Identifier: MIT */
#ifndef PAGESHARE_BACK_RING_H
#define PAGESHARE_BACK_RING_H

#include "shared.h"

#define PAGESHARE_BATCH		16	/* requests taken at once */
#define IMPOSSIBLE_INDEX	(-1)
#define WRONG_USE		(-2)
#define NOTIFY			(1 << 16)

/* Private memory for one batch; payload i lies at i * 4096. */
struct pageshare_batch {
	struct xen_pageshare_request *requests;
	uint8_t *payloads;
	struct xen_pageshare_response *responses;
	uint8_t *loads;
};

struct pageshare_back {
	struct xen_pageshare_sring *ring;	/* shared */
	uint8_t *data;				/* shared: the data pages */
	uint32_t nr_entries;			/* of the ring, a power of two */
	uint32_t nr_data_pages;
	uint32_t req_cons;			/* requests taken so far */
	uint32_t rsp_prod;			/* responses published so far */
	uint32_t loaded;	/* bit i: the page of LOAD i is filled already */
	struct pageshare_batch batch;
};

struct pageshare_back *pageshare_back_open(void *ring, uint32_t order,
					   void *data, uint32_t nr_data_pages,
					   const struct pageshare_batch *batch);
void pageshare_back_close(struct pageshare_back *back);
int pageshare_back_exchange(struct pageshare_back *back, uint32_t count,
			    uint32_t max);
void pageshare_copy_words(uint32_t *to, const uint32_t *shared, uint32_t count);

#endif /* PAGESHARE_BACK_RING_H */
