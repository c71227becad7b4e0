// SPDX-License-Identifier: MIT
/*
 * The frontend's end of a pageshare ring, for tests on the host only: the
 * real one is the kernel driver.
 */
#include <stdlib.h>
#include <string.h>

#include "shared.h"

struct pageshare_front {
	struct xen_pageshare_sring *ring;	/* shared */
	uint32_t nr_entries;
	uint32_t req_prod;
	uint32_t rsp_cons;
};

struct pageshare_front *pageshare_front_open(void *ring, uint32_t order);
void pageshare_front_close(struct pageshare_front *front);
int pageshare_front_send(struct pageshare_front *front,
			 const struct xen_pageshare_request *requests,
			 uint32_t count);
int pageshare_front_receive(struct pageshare_front *front,
			    struct xen_pageshare_response *responses,
			    uint32_t max);
int pageshare_front_final_check(struct pageshare_front *front);

/* Initialises the ring of 2^order pages, as the frontend does before it connects. */
struct pageshare_front *pageshare_front_open(void *ring, uint32_t order)
{
	struct pageshare_front *front = calloc(1, sizeof(*front));

	if (!front)
		return NULL;
	memset(ring, 0, PAGE_BYTES << order);
	front->nr_entries = ring_entries(order);
	front->ring = ring;
	write_word(&front->ring->req_event, 1);
	write_word(&front->ring->rsp_event, 1);
	return front;
}

void pageshare_front_close(struct pageshare_front *front)
{
	free(front);
}

/* Returns 1 when the store asked to be notified, 0 when not, -1 when full. */
int pageshare_front_send(struct pageshare_front *front,
			 const struct xen_pageshare_request *requests,
			 uint32_t count)
{
	uint32_t i;

	if (front->req_prod + count - front->rsp_cons > front->nr_entries)
		return -1;
	for (i = 0; i < count; i++)
		copy_entry(&front->ring->ring[(front->req_prod + i) % front->nr_entries],
			   &requests[i]);
	barrier_write();
	front->req_prod += count;
	write_word(&front->ring->req_prod, front->req_prod);
	barrier_full();
	return front->req_prod - read_word(&front->ring->req_event) < count;
}

/* Returns how many responses were taken, -1 when the index is impossible. */
int pageshare_front_receive(struct pageshare_front *front,
			    struct xen_pageshare_response *responses,
			    uint32_t max)
{
	uint32_t prod = read_word(&front->ring->rsp_prod);
	uint32_t waiting = prod - front->rsp_cons;
	uint32_t i;

	if (waiting > front->req_prod - front->rsp_cons)
		return -1;
	if (waiting > max)
		waiting = max;
	barrier_read();
	for (i = 0; i < waiting; i++)
		copy_entry(&responses[i],
			   &front->ring->ring[(front->rsp_cons + i) % front->nr_entries]);
	front->rsp_cons += waiting;
	return (int)waiting;
}

/* Asks for a notification at the next response; 1 when one is there. */
int pageshare_front_final_check(struct pageshare_front *front)
{
	if (read_word(&front->ring->rsp_prod) != front->rsp_cons)
		return 1;
	write_word(&front->ring->rsp_event, front->rsp_cons + 1);
	barrier_full();
	return read_word(&front->ring->rsp_prod) != front->rsp_cons;
}
