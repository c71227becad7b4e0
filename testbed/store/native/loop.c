// SPDX-License-Identifier: MIT
/*
 * The request loop: waits for domUs' events and serves them, in turns, until
 * something is for Python.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "requests.h"

#define TURN_ROUNDS	4	/* batches of one domain before the others get theirs */
#define TURN_NS		100000000ull
#define LONGEST_NS	200000000ull	/* until Python may do what it does now and then */
#define PORTS		64

/* What serve and wait return. */
#define SERVED		0	/* nothing is left */
#define MORE		1	/* the turn is over */
#define ASIDE		2	/* Python is to answer request `handled` of the batch */
#define OTHER		3	/* wait only: another file descriptor is ready */
#define VIOLATION	(-1)

int pageshare_serve(struct connection_state *connection, uint64_t end);
int pageshare_wait(struct loop_state *loop, int timeout_ms);
int pageshare_notify_eventfd(void *fd, uint32_t unused);
uint64_t pageshare_now(void);

#ifdef PAGESHARE_TAPE
void (*pageshare_tape)(void);
#endif

/* The clock of Python's time.monotonic_ns(). */
uint64_t pageshare_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A `notify` for tests, where an eventfd stands for the event channel. */
int pageshare_notify_eventfd(void *fd, uint32_t unused)
{
	(void)unused;
	return eventfd_write((int)(intptr_t)fd, 1);
}

static int exchange(struct connection_state *connection, uint32_t max)
{
	int outcome = pageshare_back_exchange(connection->ring, connection->taken, max);

	connection->taken = connection->handled = 0;
	if (outcome < 0)
		return outcome;
	if (outcome & NOTIFY)
		connection->notify(connection->notify_handle, connection->port);
	connection->taken = outcome & ~NOTIFY;
	return (int)connection->taken;
}

/*
 * Serves a connection until its ring is empty or its turn is over: after
 * `rounds` batches, or at the time `end`.  A batch in which something was left
 * to Python is gone on with, at `handled`.
 */
int pageshare_serve(struct connection_state *connection, uint64_t end)
{
	for (;;) {
		while (connection->handled < connection->taken) {
			if (!pageshare_answer(connection, connection->handled))
				return ASIDE;
			connection->handled++;
		}
		if (!connection->rounds || pageshare_now() > end) {
			exchange(connection, 0);
			return MORE;
		}
		connection->rounds--;
		switch (exchange(connection, PAGESHARE_BATCH)) {
		case 0:
			return SERVED;
		case IMPOSSIBLE_INDEX:
		case WRONG_USE:
			return VIOLATION;
		}
	}
}

/* Gives everyone who is ready a turn.  Returns SERVED, MORE, ASIDE or VIOLATION. */
static int serve_ready(struct loop_state *loop)
{
	int outcome, all = SERVED;
	uint32_t i;

	for (i = 0; i < loop->nr_connections; i++) {
		struct connection_state *connection = loop->connections[i];

		if (!connection->ready)
			continue;
		connection->ready = 0;
		connection->rounds = TURN_ROUNDS;
		outcome = pageshare_serve(connection, pageshare_now() + TURN_NS);
		if (outcome == MORE) {
			connection->ready = 1;
			all = MORE;
		} else if (outcome != SERVED) {
			loop->current = i;
			return outcome;
		}
	}
	return all;
}

/* Marks whose ports have fired.  Returns how many ports lie in @ports, or -1. */
static int take_events(struct loop_state *loop, uint32_t ports[PORTS])
{
	ssize_t size = read(loop->events_fd, ports, PORTS * sizeof(*ports));
	uint32_t i, p;

	if (size < 0)
		return -1;
	for (p = 0; p < size / sizeof(*ports); p++)
		for (i = 0; i < loop->nr_connections; i++)
			if (loop->connections[i]->port == ports[p])
				loop->connections[i]->ready = 1;
	return (int)(size / sizeof(*ports));
}

static int anyone_ready(const struct loop_state *loop)
{
	uint32_t i;

	for (i = 0; i < loop->nr_connections; i++)
		if (loop->connections[i]->ready)
			return 1;
	return 0;
}

/*
 * Waits up to timeout_ms for the next event and serves whoever sent it, for
 * as long as events come and nothing is for Python.
 *
 * Returns SERVED when nothing came, MORE when Python should look round,
 * ASIDE or VIOLATION about connection `current`, OTHER when another file
 * descriptor than `events_fd` is ready, or that one cannot be read.
 */
int pageshare_wait(struct loop_state *loop, int timeout_ms)
{
	uint64_t begin = pageshare_now(), start;
	struct epoll_event events[8];
	uint32_t ports[PORTS];
	int i, count, outcome = SERVED, nr_ports, other;

	for (;;) {
		count = epoll_wait(loop->wait_fd, events, 8,
				   anyone_ready(loop) ? 0 : timeout_ms);
		start = pageshare_now();
		nr_ports = other = 0;
		for (i = 0; i < count; i++) {
			if (events[i].data.fd == loop->events_fd)
				nr_ports = take_events(loop, ports);
			else
				other = 1;
		}
		if (count <= 0 && !anyone_ready(loop))
			return count < 0 ? OTHER : outcome;
		outcome = serve_ready(loop);
		/* Unmasks them: what came meanwhile fires now. */
		if (nr_ports > 0 &&
		    write(loop->events_fd, ports, (size_t)nr_ports * sizeof(*ports)) < 0)
			other = 1;
		loop->busy_nanoseconds += pageshare_now() - start;
		if (outcome == ASIDE || outcome == VIOLATION)
			return outcome;
		if (other || nr_ports < 0)
			return OTHER;
		outcome = MORE;
		if (pageshare_now() - begin > LONGEST_NS)
			return MORE;
	}
}
