// SPDX-License-Identifier: GPL-2.0
/* A storm's programs look for connections, each in another way. */

#include <poll.h>
#include <sys/epoll.h>

#include "storm_thread.h"

/* Of a ring's accepts that wait, before all are cancelled. */
#define WAITING 6

static void serve(struct thread *me, int fd)
{
	int *place = &me->servers[me->next_server++ % 8];

	atomic_fetch_add(&me->storm->shared->served, 1);
	send(fd, "x", 1, MSG_NOSIGNAL);
	if (!random_below(&me->state, 4))
		setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3);
	if (*place > 0)
		close(*place);
	*place = fd;
}

static int accept_from(struct thread *me, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	serve(me, fd);
	return 0;
}

int storm_accept(struct thread *me)
{
	return accept_from(me, pick(me));
}

int storm_poll(struct thread *me)
{
	struct pollfd entry = { .fd = pick(me), .events = POLLIN };

	return poll(&entry, 1, 0) == 1 ? accept_from(me, entry.fd) : -EAGAIN;
}

int storm_epoll(struct thread *me)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = pick(me) };

	if (epoll_ctl(me->epoll, EPOLL_CTL_ADD, event.data.fd, &event) &&
	    epoll_ctl(me->epoll, EPOLL_CTL_MOD, event.data.fd, &event))
		return -errno;
	if (epoll_wait(me->epoll, &event, 1, 0) != 1)
		return -EAGAIN;
	return accept_from(me, event.data.fd);
}

/* What a ring's accepts have brought, without waiting. */
static int reap(struct thread *me)
{
	struct io_uring_cqe *cqe;
	int result = -EAGAIN;

	while (!io_uring_peek_cqe(&me->ring, &cqe)) {
		if (cqe->res >= 0) {
			serve(me, cqe->res);
			result = 0;
		}
		io_uring_cqe_seen(&me->ring, cqe);
		me->waiting--;
	}
	return result;
}

/* The listener is the ring's, too, until the accept ends or is cancelled. */
int storm_uring(struct thread *me)
{
	struct io_uring_sync_cancel_reg all = {
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = -1, .tv_nsec = -1 },
	};
	struct io_uring_sqe *sqe;

	if (me->waiting >= WAITING)
		io_uring_register_sync_cancel(&me->ring, &all);
	reap(me);
	sqe = me->waiting < WAITING ? io_uring_get_sqe(&me->ring) : NULL;
	if (!sqe)
		return -EAGAIN;
	io_uring_prep_accept(sqe, pick(me), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (random_below(&me->state, 2))
		sqe->ioprio |= IORING_ACCEPT_POLL_FIRST;
	if (io_uring_submit(&me->ring) == 1)
		me->waiting++;
	return reap(me);
}

void begin_looks(struct thread *me)
{
	me->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (me->epoll < 0 || io_uring_queue_init(2 * WAITING, &me->ring, 0))
		die("making a ring");
}

void end_looks(struct thread *me)
{
	io_uring_queue_exit(&me->ring);
	close(me->epoll);
}
