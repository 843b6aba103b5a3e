// SPDX-License-Identifier: GPL-2.0
/*
 * Each way to look for connections: accept(), poll(), select(), epoll in each of
 * its modes, io_uring. A look brings one, and who sleeps is woken.
 */

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "look.h"

/* One connection, and one look, of each kind that there is. */
enum way {
	ACCEPT, SLEEP, POLL, SELECT, LEVEL, EDGE, EXCLUSIVE, ONESHOT, URING, MULTISHOT,
};

FIXTURE(way) {
	int fds[2];
	struct address home;
	int epoll;
	struct io_uring ring;
};

FIXTURE_VARIANT(way) { enum way way; };
FIXTURE_VARIANT_ADD(way, accept) { .way = ACCEPT };
FIXTURE_VARIANT_ADD(way, sleeping_accept) { .way = SLEEP };
FIXTURE_VARIANT_ADD(way, poll) { .way = POLL };
FIXTURE_VARIANT_ADD(way, select) { .way = SELECT };
FIXTURE_VARIANT_ADD(way, epoll_level) { .way = LEVEL };
FIXTURE_VARIANT_ADD(way, epoll_edge) { .way = EDGE };
FIXTURE_VARIANT_ADD(way, epoll_exclusive) { .way = EXCLUSIVE };
FIXTURE_VARIANT_ADD(way, epoll_oneshot) { .way = ONESHOT };
FIXTURE_VARIANT_ADD(way, io_uring) { .way = URING };
FIXTURE_VARIANT_ADD(way, io_uring_multishot) { .way = MULTISHOT };

FIXTURE_SETUP(way)
{
	enter_namespace();
	self->home = client_address(IPV4, 1, PORT);
	group_on_hosts(IPV4, self->fds, 2, PORT, BACKLOG);
	self->epoll = epoll_create1(0);
	if (io_uring_queue_init(8, &self->ring, 0))
		die("making a ring");
}

FIXTURE_TEARDOWN(way)
{
	io_uring_queue_exit(&self->ring);
}

static int look_with_epoll(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = EPOLLIN | events };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("adding a listener");
	if (epoll_wait(epoll, &event, 1, 0) != 1)
		return -1;
	return accept(fd, NULL, NULL);
}

static int look_with_ring(struct io_uring *ring, int fd, bool multishot)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE_SECONDS };
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	if (multishot)
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, 0);
	else
		io_uring_prep_accept(sqe, fd, NULL, NULL, 0);
	io_uring_submit(ring);
	return io_uring_wait_cqe_timeout(ring, &cqe, &patience) ? -1 : cqe->res;
}

/* One look, in this way; a connection, or -1. */
static int look(enum way way, int fd, int epoll, struct io_uring *ring)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	struct timeval none = { };
	fd_set set;

	switch (way) {
	case ACCEPT:
		make_nonblocking(fd);
		return accept(fd, NULL, NULL);
	case SLEEP:
		return accept(fd, NULL, NULL);
	case POLL:
		return poll(&entry, 1, 0) == 1 ? accept(fd, NULL, NULL) : -1;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		return select(fd + 1, &set, NULL, NULL, &none) == 1 ? accept(fd, NULL, NULL) : -1;
	case LEVEL:
		return look_with_epoll(epoll, fd, 0);
	case EDGE:
		return look_with_epoll(epoll, fd, EPOLLET);
	case EXCLUSIVE:
		return look_with_epoll(epoll, fd, EPOLLEXCLUSIVE);
	case ONESHOT:
		return look_with_epoll(epoll, fd, EPOLLONESHOT);
	default:
		return look_with_ring(ring, fd, way == MULTISHOT);
	}
}

static void stall_home(int fd, const struct address *home)
{
	fill(home, 1);
	if (!wait_for(queue_length(fd) == 1) || set_one(fd, SERVICE_GROUP_SET_STALL, STALL) ||
	    !wait_for(is_stalled(fd)))
		die("stalling a member");
}

TEST_F(way, home_is_served_at_its_look)
{
	stall_home(self->fds[0], &self->home);
	EXPECT_LE(0, look(variant->way, self->fds[0], self->epoll, &self->ring));
}

TEST_F(way, a_sibling_is_served_at_its_look)
{
	stall_home(self->fds[0], &self->home);
	EXPECT_LE(0, look(variant->way, self->fds[1], self->epoll, &self->ring));
}

TEST_F(way, what_a_sibling_was_given_is_given_back)
{
	stall_home(self->fds[0], &self->home);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 1));
	ASSERT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_LE(0, look(variant->way, self->fds[0], self->epoll, &self->ring));
	EXPECT_EQ(0, queue_length(self->fds[1]));
}

/* A program that accepts one connection for each event, and sleeps, is woken for a hung sibling. */
TEST_F(look, who_sleeps_after_one_event_is_woken)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct address own = client_address(variant->family, 2, PORT);
	int epoll = epoll_create1(0);

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fds[1], &event));
	fill(&own, 1);
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, 1000 * PATIENCE_SECONDS));
	ASSERT_LE(0, accept(self->fds[1], NULL, NULL));
	fill(&self->home, 1);
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, 1000 * PATIENCE_SECONDS));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
}

TEST_F(look, so_is_a_ring_that_accepts_many)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE_SECONDS };
	struct address own = client_address(variant->family, 2, PORT);
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	/* Nothing is to interrupt a connect(). */
	ASSERT_EQ(0, io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER |
					     IORING_SETUP_DEFER_TASKRUN));
	io_uring_prep_multishot_accept(io_uring_get_sqe(&ring), self->fds[1], NULL, NULL, 0);
	io_uring_submit(&ring);
	fill(&own, 1);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, io_uring_wait_cqe_timeout(&ring, &cqe, &patience));
		EXPECT_LE(0, cqe->res);
		io_uring_cqe_seen(&ring, cqe);
		if (!i)
			fill(&self->home, 1);
	}
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
