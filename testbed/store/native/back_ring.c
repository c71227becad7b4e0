// SPDX-License-Identifier: MIT
/*
 * The store's end of a pageshare ring.
 *
 * One call for each batch: answer the last one, take the next.  Everything that
 * has to touch memory shared with a domU, or needs a barrier, happens here (but
 * for a page that requests.c fills for a LOAD); what the bytes mean is decided
 * elsewhere, on private copies.
 */
#include <stdlib.h>
#include <string.h>

#include "back_ring.h"

/*
 * Attaches to a ring of 2^order pages, mapped one behind the other, that the
 * frontend has just initialised.  NULL without memory, or with an order that
 * the protocol does not know.
 */
struct pageshare_back *pageshare_back_open(void *ring, uint32_t order,
					   void *data, uint32_t nr_data_pages,
					   const struct pageshare_batch *batch)
{
	struct pageshare_back *back;

	if (order > XEN_PAGESHARE_MAX_RING_ORDER)
		return NULL;
	back = calloc(1, sizeof(*back));
	if (!back)
		return NULL;
	back->ring = ring;
	back->nr_entries = ring_entries(order);
	back->data = data;
	back->nr_data_pages = nr_data_pages;
	back->batch = *batch;
	return back;
}

void pageshare_back_close(struct pageshare_back *back)
{
	free(back);
}

static int carries_payload(const struct xen_pageshare_request *request,
			   uint32_t nr_data_pages)
{
	switch (request->op) {
	case XEN_PAGESHARE_OP_STORE:
	case XEN_PAGESHARE_OP_INVALIDATE:
	case XEN_PAGESHARE_OP_MARK:
		return request->data_page < nr_data_pages &&
		       request->length <= PAGE_BYTES;
	default:
		return 0;
	}
}

/* Fills the page that a LOAD named, while it still belongs to the store. */
static void copy_load(struct pageshare_back *back, uint32_t i)
{
	const struct xen_pageshare_request *request = &back->batch.requests[i];
	const struct xen_pageshare_response *response = &back->batch.responses[i];

	if (back->loaded & 1u << i ||
	    response->op != XEN_PAGESHARE_OP_LOAD ||
	    response->status != XEN_PAGESHARE_OKAY ||
	    response->length > PAGE_BYTES ||
	    request->data_page >= back->nr_data_pages)
		return;
	memcpy(back->data + (size_t)request->data_page * PAGE_BYTES,
	       back->batch.loads + (size_t)i * PAGE_BYTES, response->length);
}

/*
 * LOAD payloads first, then the responses, then the producer index.
 * Returns whether the frontend asked to be notified.
 */
static int publish(struct pageshare_back *back, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		copy_load(back, i);
		copy_entry(&back->ring->ring[(back->rsp_prod + i) % back->nr_entries],
			   &back->batch.responses[i]);
	}
	barrier_write();
	back->rsp_prod += count;
	write_word(&back->ring->rsp_prod, back->rsp_prod);
	barrier_full();
	return back->rsp_prod - read_word(&back->ring->rsp_event) < count;
}

/*
 * Takes up to max requests and their payloads into private memory.  A payload
 * whose bounds are wrong is not copied; Python finds the same fault in its
 * copy of the request.
 */
static int drain(struct pageshare_back *back, uint32_t max)
{
	uint32_t waiting = read_word(&back->ring->req_prod) - back->req_cons;
	uint32_t i;

	if (waiting > back->nr_entries)
		return IMPOSSIBLE_INDEX;
	if (waiting > max)
		waiting = max;
	if (waiting > PAGESHARE_BATCH)
		waiting = PAGESHARE_BATCH;
	barrier_read();
	for (i = 0; i < waiting; i++) {
		struct xen_pageshare_request *request = &back->batch.requests[i];

		copy_entry(request,
			   &back->ring->ring[(back->req_cons + i) % back->nr_entries]);
		if (carries_payload(request, back->nr_data_pages))
			memcpy(back->batch.payloads + (size_t)i * PAGE_BYTES,
			       back->data +
			       (size_t)request->data_page * PAGE_BYTES,
			       request->length);
	}
	back->req_cons += waiting;
	back->loaded = 0;
	return (int)waiting;
}

/*
 * Publishes the responses to the batch of count requests that the last call
 * took, and takes up to max new ones.  When there are none, it asks for a
 * notification at the next and looks once more, so that 0 means: wait.  With
 * max 0 it only publishes.
 *
 * Returns the number taken, plus NOTIFY when the frontend wants an event for
 * the responses; IMPOSSIBLE_INDEX when the frontend's index cannot be;
 * WRONG_USE when count is not the size of the last batch.
 */
int pageshare_back_exchange(struct pageshare_back *back, uint32_t count,
			    uint32_t max)
{
	int notify = 0;
	int taken;

	if (back->rsp_prod + count != back->req_cons)
		return WRONG_USE;
	if (count && publish(back, count))
		notify = NOTIFY;
	if (!max)
		return notify;
	taken = drain(back, max);
	if (!taken) {
		write_word(&back->ring->req_event, back->req_cons + 1);
		barrier_full();
		taken = drain(back, max);
	}
	return taken < 0 ? taken : taken | notify;
}

/* Copies count words (the directory of grants) out of a shared page. */
void pageshare_copy_words(uint32_t *to, const uint32_t *shared, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		to[i] = read_word(&shared[i]);
}
