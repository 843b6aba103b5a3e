/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A service of several worker processes, and clients that load it: what the
 * parts of load.c share.
 */
#ifndef LOAD_H
#define LOAD_H

#define _GNU_SOURCE

#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define WORKERS		8
#define BACKLOG		4096
#define PORT		80

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- steer.c: a BPF program that picks a socket. */

/* Two descriptors that workers inherit. */
struct steering {
	int sockets;	/* the map of sockets */
	int program;	/* SK_REUSEPORT: each connection to the next one */
};

struct steering steering_load(void);
void steering_add(const struct steering *steering, uint32_t index, int listener);

/* --- workers.c: who accepts. */

/* Memory that children share with their parent. */
void *shared_memory(size_t size);

/* How the workers' listeners are tied together. */
enum variant {
	REUSEPORT,	/* SO_REUSEPORT, and nothing else */
	MIGRATE,	/* the same, with net.ipv4.tcp_migrate_req */
	SHARED,		/* one listener for all workers */
	BPF,		/* SO_REUSEPORT, and a program that takes turns */
	OVERFLOW,	/* SO_REUSEPORT, and a service group of this policy */
	BALANCE,	/* the same, of that policy */
	VARIANTS,
};

void workers_prepare(enum variant variant);

/*
 * Start a worker that serves one connection at a time and takes so long for it;
 * returns when it listens. At SIGTERM it closes its listener at once, ends what
 * it serves, and exits. It does not outlive its parent.
 */
pid_t worker_start(uint32_t index, uint64_t service_ns);
void worker_hang(pid_t pid);
void worker_wait(pid_t pid);

/* --- clients.c: who connects. */

/* How a connection ended. */
enum end {
	SERVED,		/* its first byte came */
	RESET,
	REFUSED,
	CLOSED,		/* ended without a byte */
	GIVEN_UP,	/* the client's patience was over */
	ENDS,
};

struct connection {
	uint64_t ns;		/* from connect() to the end */
	uint8_t end;
	uint8_t sent_again;	/* SYNs; 255 for more */
};

/* In shared memory, because the clients are a process of their own. */
struct record {
	volatile bool stop;	/* begin no more connections */
	bool too_many;		/* there were more than fit */
	uint32_t count;
	struct connection connections[16384];
};

struct demand {
	unsigned int clients;
	uint64_t think_ns;	/* between two connections of a client, on average */
	uint64_t patience_ns;
	uint32_t seed;
};

/* Start the clients; they end when told to stop and nobody waits any more. */
pid_t clients_start(const struct demand *demand, struct record *record);

#endif /* LOAD_H */
