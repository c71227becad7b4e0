/* SPDX-License-Identifier: MIT */
#ifndef PAGESHARE_REQUESTS_H
#define PAGESHARE_REQUESTS_H

#include "back_ring.h"
#include "state.h"

/* Answers request @at of the batch, or returns 0: it is for Python. */
int pageshare_answer(struct connection_state *connection, uint32_t at);

#endif /* PAGESHARE_REQUESTS_H */
