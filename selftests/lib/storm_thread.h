/* SPDX-License-Identifier: GPL-2.0 */
/* A thread of a storm, see storm.c; for what is in files of its own. */
#ifndef SELFTESTS_LIB_STORM_THREAD_H
#define SELFTESTS_LIB_STORM_THREAD_H

#include <liburing.h>

#include "storm.h"

#define CLIENTS 48

struct thread {
	struct storm *storm;
	pthread_t id;
	unsigned int state;
	int netlink;
	int netlink_id;
	int diag;
	int epoll;
	struct io_uring ring;
	unsigned int waiting;
	int clients[CLIENTS];
	int next_client;
	int next_server;
	int servers[8];
};

int pick(struct thread *me);

/* storm_look.c */
void begin_looks(struct thread *me);
void end_looks(struct thread *me);
int storm_accept(struct thread *me);
int storm_poll(struct thread *me);
int storm_epoll(struct thread *me);
int storm_uring(struct thread *me);

#endif
