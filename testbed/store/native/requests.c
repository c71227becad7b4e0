// SPDX-License-Identifier: MIT
/*
 * What domUs ask for all the time: STORE, LOAD and INVALIDATE that are in
 * order.  dispatcher.py answers everything, and is what this is compared with;
 * a request that is not answered here is left to it, untouched.
 */
#include "requests.h"
#include "table.h"

#define MAX_SWAP_TYPES	32
#define OFFSET_BITS	58
#define MIN_PAYLOAD	16

static int is_key(uint32_t swap_type, uint64_t offset)
{
	return swap_type < MAX_SWAP_TYPES && !(offset >> OFFSET_BITS);
}

static uint64_t mixed_key(const struct domain_state *domain, uint32_t swap_type,
			  uint64_t offset)
{
	return ((uint64_t)swap_type << OFFSET_BITS | offset) * domain->mixer;
}

static uint64_t *key_word(const struct domain_state *domain, uint32_t row)
{
	return &domain->rows->records[2 * (size_t)row];
}

static uint64_t *commit_word(const struct domain_state *domain, uint32_t row)
{
	return &domain->rows->records[2 * (size_t)row + 1];
}

static uint64_t store_limit(const struct domain_state *domain)
{
	uint64_t left = 0;

	if (domain->frozen_limit != NO_LIMIT)
		return domain->frozen_limit;
	if (domain->quota_bytes > domain->charged_bytes)
		left = domain->quota_bytes - domain->charged_bytes;
	return domain->stores_processed + left / PAGE_BYTES;
}

static void respond(struct connection_state *connection, uint32_t at,
		    struct xen_pageshare_response response)
{
	const struct xen_pageshare_request *request = &connection->ring->batch.requests[at];

	response.id = request->id;
	response.op = request->op;
	response.store_limit = store_limit(connection->domain);
	connection->ring->batch.responses[at] = response;
	connection->counters.requests++;
}

/* ---- STORE ---- */

static int store_is_in_order(const struct connection_state *connection,
			     const struct xen_pageshare_request *request)
{
	const struct domain_state *domain = connection->domain;

	return is_key(request->swap_type, request->offset) &&
	       request->length >= MIN_PAYLOAD && request->length <= PAGE_BYTES &&
	       request->data_page < connection->ring->nr_data_pages &&
	       request->encoding <= XEN_PAGESHARE_ENC_ZSTD &&
	       (request->encoding != XEN_PAGESHARE_ENC_RAW || request->length == PAGE_BYTES) &&
	       !request->flags && store_limit(domain) > domain->stores_processed;
}

/* Gives a key that has no row one; its commit word is the last to be written. */
static void commit_new(struct domain_state *domain, uint32_t row, uint32_t slot,
		       uint64_t key, uint64_t commit)
{
	put64(key_word(domain, row), key);
	put64(commit_word(domain, row), commit);
	index_fill(domain->index, slot, row);
}

static int store(struct connection_state *connection, uint32_t at)
{
	const struct xen_pageshare_request *request = &connection->ring->batch.requests[at];
	const uint8_t *payload = connection->ring->batch.payloads + (size_t)at * PAGE_BYTES;
	struct domain_state *domain = connection->domain;
	struct table_state *table = domain->table;
	struct member_state *member = domain->member;
	uint64_t key = mixed_key(domain, request->swap_type, request->offset);
	uint32_t row, slot, page, old = 0;
	struct lookup found;

	if (!store_is_in_order(connection, request))
		return 0;
	slot = index_locate(domain->index, domain->rows->records, key);
	row = domain->index->slots[slot];
	if (row)
		old = (uint32_t)(*commit_word(domain, row) >> 32);
	if (row ? !table_may_drop(table, member, old) :
		  !ids_next(domain->rows) || !index_has_room(domain->index))
		return 0;
	found = table_find(table, member->group, request->encoding, payload,
			   request->length, domain->seeds[request->encoding]);
	if (!table_may_take(table, member, &found, request->length))
		return 0;

	domain->stores_processed++;
	connection->counters.stores++;
	page = table_take(table, member, &found, request->encoding, payload, request->length);
	domain->charged_bytes += request->length;
	if (row) {
		put64(commit_word(domain, row), (uint64_t)page << 32 | request->generation);
		domain->charged_bytes -= table_drop(table, member, old);
	} else {
		row = ids_take(domain->rows);
		commit_new(domain, row, slot, key, (uint64_t)page << 32 | request->generation);
	}
	respond(connection, at, (struct xen_pageshare_response){ .page_id = row });
	return 1;
}

/* ---- LOAD ---- */

/* The table's id of the page that a LOAD may have, or 0. */
static uint32_t page_to_load(const struct connection_state *connection,
			     const struct xen_pageshare_request *request)
{
	const struct domain_state *domain = connection->domain;
	uint32_t row = request->page_id;
	uint64_t commit;

	if (!is_key(request->swap_type, request->offset) || request->flags ||
	    request->data_page >= connection->ring->nr_data_pages ||
	    !row || row >= domain->rows->end ||
	    *key_word(domain, row) !=
		    mixed_key(domain, request->swap_type, request->offset))
		return 0;
	commit = *commit_word(domain, row);
	return (uint32_t)commit == request->generation ? (uint32_t)(commit >> 32) : 0;
}

static int load(struct connection_state *connection, uint32_t at)
{
	const struct xen_pageshare_request *request = &connection->ring->batch.requests[at];
	struct domain_state *domain = connection->domain;
	uint32_t page = page_to_load(connection, request);
	const struct entry *entry;
	const uint8_t *payload;

	if (!page || page >= domain->table->entries->end)
		return 0;
	entry = entry_of(domain->table, page);
	if (entry->kind > XEN_PAGESHARE_ENC_ZSTD ||
	    entry->group != domain->member->group ||
	    !block_is_inside(domain->table->arena, entry->offset, entry->length))
		return 0;
	payload = payload_of(domain->table, page);
	if (fingerprint(payload, entry->length, domain->seeds[entry->kind]) !=
	    entry->fingerprint)
		return 0;
	connection->counters.loads++;
	table_use(domain->table, page);
	/* The data page is the store's until the response is out. */
	memcpy(connection->ring->data + (size_t)request->data_page * PAGE_BYTES, payload,
	       entry->length);
	connection->ring->loaded |= 1u << at;
	respond(connection, at, (struct xen_pageshare_response){
		.encoding = entry->kind, .length = entry->length });
	return 1;
}

/* ---- INVALIDATE ---- */

/* Returns whether the key was dropped, or -1: it is for Python. */
static int invalidate_key(struct domain_state *domain, const struct xen_pageshare_key *key)
{
	uint32_t slot, row, page;
	uint64_t commit;

	if (!is_key(key->swap_type, key->offset))
		return -1;
	slot = index_locate(domain->index, domain->rows->records,
			    mixed_key(domain, key->swap_type, key->offset));
	row = domain->index->slots[slot];
	if (!row)
		return 0;
	commit = *commit_word(domain, row);
	if ((uint32_t)commit != key->generation)
		return 0;
	page = (uint32_t)(commit >> 32);
	if (!index_may_lose(domain->index) ||
	    !table_may_drop(domain->table, domain->member, page) ||
	    domain->charged_bytes <= entry_of(domain->table, page)->length)
		return -1;
	put64(commit_word(domain, row), 0);
	index_clear(domain->index, domain->rows->records, slot);
	domain->charged_bytes -= table_drop(domain->table, domain->member, page);
	ids_free(domain->rows, row);
	return 1;
}

static int invalidate(struct connection_state *connection, uint32_t at)
{
	const struct xen_pageshare_request *request = &connection->ring->batch.requests[at];
	const struct xen_pageshare_key *keys =
		(const void *)(connection->ring->batch.payloads + (size_t)at * PAGE_BYTES);
	uint32_t i, dropped = connection->dropped, count = request->length / sizeof(*keys);

	if (request->flags || request->data_page >= connection->ring->nr_data_pages ||
	    request->length > PAGE_BYTES || request->length % sizeof(*keys))
		return 0;
	/* From where it was left: Python may ask again before it answers. */
	for (i = connection->key; i < count; i++) {
		int outcome = invalidate_key(connection->domain, &keys[i]);

		if (outcome < 0) {
			connection->key = i;
			connection->dropped = dropped;
			return 0;
		}
		dropped += (uint32_t)outcome;
	}
	connection->key = connection->dropped = 0;
	connection->counters.invalidates += dropped;
	connection->counters.invalidates_stale += count - dropped;
	respond(connection, at, (struct xen_pageshare_response){ .status = XEN_PAGESHARE_OKAY });
	return 1;
}

int pageshare_answer(struct connection_state *connection, uint32_t at)
{
	switch (connection->ring->batch.requests[at].op) {
	case XEN_PAGESHARE_OP_STORE:
		return store(connection, at);
	case XEN_PAGESHARE_OP_LOAD:
		return load(connection, at);
	case XEN_PAGESHARE_OP_INVALIDATE:
		return invalidate(connection, at);
	default:
		return 0;
	}
}
