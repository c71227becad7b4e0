/* SPDX-License-Identifier: MIT */
/*
 * pageshare.h
 *
 * Shared page store: a domU keeps compressed swap pages in another domain.
 *
 * Frontend: domU, device/pageshare/<n>.  Backend: the store's domain,
 * backend/pageshare/<domid>/<n>.
 *
 * XenStore nodes
 * --------------
 *
 * Backend, written before it enters InitWait:
 *   protocol-version   highest version spoken (XEN_PAGESHARE_VERSION)
 *   max-data-pages     most data pages that it maps
 *   max-ring-page-order  the ring has at most 2^this pages
 *   encodings          names of the encodings it takes, comma separated
 *   instance           random 64-bit number (hexadecimal), new at each start
 *   mark-interval-ms   how often it wants a MARK; 0 for never
 * and before it enters Connected:
 *   store-limit        first store limit, see below
 *   kept-pages         keys that it holds for this epoch, see "Reconnection"
 *
 * Frontend, written before it enters Initialised:
 *   protocol-version   version used
 *   instance           the backend's, as the frontend found it
 *   epoch              random 64-bit number (hexadecimal), chosen at boot
 *   ring-page-order    the ring has 2^this pages
 *   ring-ref<i>        grant of the ring's page i
 *   directory-ref      grant of the directory page
 *   event-channel      port for notifications both ways
 *   nr-data-pages      entries used in the directory
 *   encoding           encoding of compressed payloads, one of encodings
 *
 * States: both Initialising; backend InitWait; frontend Initialised; backend
 * maps the grants, Connected; frontend Connected.  Either side leaves through
 * Closing and Closed.  A backend in Closing takes no new pages, but serves
 * everything else until the frontend, which holds nothing then, is Closed.
 *
 * Reconnection: a backend that was started anew enters InitWait with another
 * instance, whatever the frontend's state is.  The frontend then goes through
 * Initialising and Initialised again, with the same grants, an empty ring and
 * a new event channel; a backend acts on no Initialised that does not name its
 * own instance.  Then the frontend sends again, in their order, the requests
 * that were not answered.  Its STOREs among them carry XEN_PAGESHARE_AGAIN,
 * count as STORE requests of the new connection, and may exceed the store
 * limit.  Whatever was answered is kept under the frontend's epoch, and the
 * backend tells by kept-pages how much that is.  If it is 0, everything that
 * was answered is lost.
 * A frontend with another epoch is another one, and starts empty.
 *
 * Directory: an array of nr-data-pages grant references (u32).  The data
 * pages are granted once, and their contents belong to the frontend except
 * between a LOAD request that names one and its response.
 *
 * Store limit: every response carries the number of STORE requests, counted
 * from connection, that the backend takes in all.  A frontend that has sent
 * that many must not send another one.  The limit never falls, so a STORE
 * inside it is never refused for lack of room.  It depends on the domain's
 * own quota and charge alone.  STORE requests that answer an error count too.
 *
 * Order: requests of a ring are handled in order.
 */
#ifndef __XEN_PUBLIC_IO_PAGESHARE_H__
#define __XEN_PUBLIC_IO_PAGESHARE_H__

#include <xen/interface/io/ring.h>

#define XEN_PAGESHARE_VERSION		1
#define XEN_PAGESHARE_PAGE_SIZE		4096
#define XEN_PAGESHARE_MAX_DATA_PAGES	1024
#define XEN_PAGESHARE_MAX_RING_ORDER	3

/* Operations */
#define XEN_PAGESHARE_OP_STORE		1 /* keep data_page[0..length) under key */
#define XEN_PAGESHARE_OP_LOAD		2 /* put the page kept under key there */
#define XEN_PAGESHARE_OP_INVALIDATE	3 /* drop the keys listed in data_page */
#define XEN_PAGESHARE_OP_INVALIDATE_AREA 4 /* drop every key of swap_type */
#define XEN_PAGESHARE_OP_MARK		5 /* counters are in data_page */

/* Encodings of a payload.  Every backend and frontend takes RAW. */
#define XEN_PAGESHARE_ENC_RAW		0 /* length is 4096 */
#define XEN_PAGESHARE_ENC_LZ4		1
#define XEN_PAGESHARE_ENC_LZO		2
#define XEN_PAGESHARE_ENC_ZSTD		3

/* Flags of a request */
#define XEN_PAGESHARE_AGAIN		1 /* may have been handled before */

/* Status of a response */
#define XEN_PAGESHARE_OKAY		0
#define XEN_PAGESHARE_ENOENT		(-1) /* LOAD: nothing kept under key */
#define XEN_PAGESHARE_EINVAL		(-2) /* malformed request */
#define XEN_PAGESHARE_ENOSPC		(-3) /* STORE beyond the store limit */
#define XEN_PAGESHARE_EIO		(-4) /* LOAD: the page was damaged */

/*
 * STORE to a key that is in use replaces its page.  An INVALIDATE whose
 * generation differs from that of the key's last STORE is ignored.
 * LOAD names the page id that the STORE returned; it must be the key's.
 */
struct xen_pageshare_request {
	u16 id;		/* chosen by the frontend, echoed */
	u8 op;		/* XEN_PAGESHARE_OP_* */
	u8 encoding;	/* STORE: XEN_PAGESHARE_ENC_* */
	u32 data_page;	/* index into the directory */
	u32 length;	/* STORE, INVALIDATE, MARK: bytes in data_page */
	u16 swap_type;
	u16 flags;	/* STORE: XEN_PAGESHARE_AGAIN or 0 */
	u64 offset;	/* key: (swap_type, offset) */
	u32 generation;	/* STORE, LOAD */
	u32 page_id;	/* LOAD */
};

struct xen_pageshare_response {
	u16 id;
	u8 op;
	u8 encoding;	/* LOAD */
	s32 status;		/* XEN_PAGESHARE_OKAY or an error */
	u32 length;	/* LOAD: bytes in data_page */
	u32 page_id;	/* STORE */
	u64 store_limit;	/* STORE requests taken in all */
	u64 reserved;	/* 0 */
};

/* INVALIDATE: length / 16 of these in data_page */
struct xen_pageshare_key {
	u32 swap_type;
	u32 generation;
	u64 offset;
};

/* MARK: the frontend's counters at this place in the ring's order */
enum xen_pageshare_counter {
	XEN_PAGESHARE_GUEST_NANOSECONDS,	/* since boot */
	XEN_PAGESHARE_HELD_PAGES,		/* in the store, by the requests sent so far */
	XEN_PAGESHARE_SAME_FILLED_PAGES,	/* kept as values in the domU */
	XEN_PAGESHARE_SWAP_SLOTS_USED,		/* wherever their pages are */
	XEN_PAGESHARE_SWAP_SLOTS_TOTAL,
	XEN_PAGESHARE_FRONTEND_BYTES,		/* memory that the frontend takes */
	XEN_PAGESHARE_MEMORY_TOTAL_BYTES,
	XEN_PAGESHARE_MEMORY_FREE_BYTES,
	XEN_PAGESHARE_STORES,			/* STORE requests sent */
	XEN_PAGESHARE_STORES_SAME_FILLED,
	XEN_PAGESHARE_LOADS,			/* LOADs that gave the page */
	XEN_PAGESHARE_LOADS_SAME_FILLED,
	XEN_PAGESHARE_INVALIDATES,		/* keys sent */
	XEN_PAGESHARE_REJECT_NOT_CONNECTED,
	XEN_PAGESHARE_REJECT_NO_CREDIT,		/* the store limit is reached */
	XEN_PAGESHARE_REJECT_NO_BUFFER,		/* no data page free in time */
	XEN_PAGESHARE_REJECT_POOR_COMPRESSION,
	XEN_PAGESHARE_REJECT_NO_MAP,		/* swap slot not tracked */
	XEN_PAGESHARE_REJECT_HUGE_PAGE,
	XEN_PAGESHARE_REJECT_TIMEOUT,		/* the store did not answer in time */
	XEN_PAGESHARE_REJECT_ERROR,		/* the store answered an error */
	XEN_PAGESHARE_LOAD_ERROR_LOST,		/* the connection that held it is gone */
	XEN_PAGESHARE_LOAD_ERROR_TIMEOUT,
	XEN_PAGESHARE_LOAD_ERROR_STATUS,	/* the store answered an error */
	XEN_PAGESHARE_LOAD_ERROR_CORRUPT,	/* undecodable, or wrong checksum */
	XEN_PAGESHARE_PROTOCOL_ERRORS,		/* responses that broke the protocol */
	XEN_PAGESHARE_LOADS_IN_FLIGHT,		/* loads served before the STORE was answered */
	XEN_PAGESHARE_RECONNECTS,
	XEN_PAGESHARE_RESENT,			/* requests sent again after one */
	XEN_PAGESHARE_NR_COUNTERS
};

struct xen_pageshare_mark {
	u32 version;	/* XEN_PAGESHARE_VERSION */
	u32 nr_counters;
	u64 counters[];	/* indexed by xen_pageshare_counter */
};

DEFINE_RING_TYPES(xen_pageshare, struct xen_pageshare_request,
		  struct xen_pageshare_response);

#endif /* __XEN_PUBLIC_IO_PAGESHARE_H__ */
