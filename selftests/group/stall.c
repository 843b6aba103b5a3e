// SPDX-License-Identifier: GPL-2.0
/*
 * A hung worker: its waiting connections go to siblings that accept, new ones
 * do not come to it, and it is back as soon as it looks for connections,
 * however it does so.
 */

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080
/* Milliseconds; a slow machine's worker that runs does not take as long to accept. */
#define STALL 250

/* How a worker looks for connections. */
enum way {
	ACCEPT, NONBLOCKING, POLL, SELECT, LEVEL, EDGE, EXCLUSIVE, ONESHOT, URING, MULTISHOT,
};

FIXTURE(stall) {
	int fds[2];
	struct address home;
};

FIXTURE_VARIANT(stall) { enum family family; };
FIXTURE_VARIANT_ADD(stall, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(stall, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(stall, mapped) { .family = MAPPED };

FIXTURE_SETUP(stall)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, 8);
}

FIXTURE_TEARDOWN(stall) { }

static int state(int fd)
{
	return info_of(fd).state;
}

/* A worker that accepts everything at once. */
static void *accept_all(void *arg)
{
	const int *fd = arg;
	int connection;

	while ((connection = accept(*fd, NULL, NULL)) >= 0) {
		/* They stay open until the test ends. */
	}
	return NULL;
}

static void start_worker(int *fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, accept_all, fd))
		die("starting a worker");
}

TEST_F(stall, waiting_connections_are_rescued)
{
	start_worker(&self->fds[1]);
	fill(&self->home, 3);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 3));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	ASSERT_TRUE(wait_for(info_of(self->fds[1]).accepted == 3));
	EXPECT_EQ(0, queue_length(self->fds[0]));
	EXPECT_TRUE(is_stalled(self->fds[0]));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, state(self->fds[1]));
	EXPECT_EQ(3, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_RESCUED_STALLED));
	EXPECT_EQ(1, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_STALLS));
	EXPECT_EQ(3, info_of(self->fds[1]).rescued_in);

	/* New ones go to the sibling at once, which is not to be found stalled meanwhile. */
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(info_of(self->fds[1]).accepted == 5));
	EXPECT_EQ(2, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_REDIRECTED_STALLED));
	EXPECT_EQ(3, info_of(self->fds[0]).home);
}

/* What was sent meanwhile is there, and the address is the one that was asked for. */
TEST_F(stall, nothing_is_lost)
{
	struct address asked = listener_address(variant->family, 1, PORT);
	struct address name;
	char seen[5] = "";
	int client, server;

	client = connect_to(&self->home);
	ASSERT_LE(0, client);
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(seen, "hello", 5));
	name = name_of(server);
	EXPECT_TRUE(same_address(&asked, &name));
	ASSERT_EQ(5, send(server, "world", 5, 0));
	EXPECT_EQ(5, recv(client, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, retransmissions_of(client));
}

/* The stock behaviour: without siblings, or when all are hung, everything stays. */
TEST_F(stall, all_hung)
{
	fill(&self->home, 9);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 9));
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 2));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[1])));
	EXPECT_EQ(11, queue_length(self->fds[0]) + queue_length(self->fds[1]));
	/* A member with room takes it all the same. */
	fill(&self->home, 7);
	EXPECT_TRUE(wait_for(queue_length(self->fds[0]) + queue_length(self->fds[1]) == 18));
	/* The first that comes back gets what the other has. */
	start_worker(&self->fds[1]);
	EXPECT_TRUE(wait_for(info_of(self->fds[1]).accepted == 18));
	EXPECT_EQ(0, queue_length(self->fds[0]));
}

TEST_F(stall, off)
{
	start_worker(&self->fds[1]);
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 2));
	/* A member that is stalled shows that time passed for the other group. */
	{
		int other[2] = { listener(variant->family, 3, PORT, 8),
				 listener(variant->family, 4, PORT, 8) };
		struct address there = client_address(variant->family, 3, PORT);

		ASSERT_EQ(0, form(other, 2));
		ASSERT_EQ(0, set_one(other[0], SERVICE_GROUP_SET_STALL, STALL));
		fill(&there, 1);
		ASSERT_TRUE(wait_for(is_stalled(other[0])));
	}
	EXPECT_EQ(2, queue_length(self->fds[0]));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, state(self->fds[0]));
}

/* With the stall time 0 nobody is stalled any more. */
TEST_F(stall, switched_off)
{
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 2));
	close(self->fds[1]);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, 0));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, state(self->fds[0]));
}

/*
 * A worker that sleeps in accept() and is woken too late, finds nothing, and
 * sleeps again without another call. It is stopped while it sleeps.
 */
TEST_F(stall, woken_too_late)
{
	pid_t child = fork();

	if (!child) {
		for (;;)
			accept(self->fds[0], NULL, NULL);
	}
	/* It sleeps in accept() before it is stopped. */
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(info_of(self->fds[0]).accepted == 1));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	for (int i = 0; i < 3; i++) {
		unsigned long before = info_of(self->fds[1]).accepted;

		kill(child, SIGSTOP);
		waitpid(child, NULL, WUNTRACED);
		fill(&self->home, 1);
		ASSERT_LE(0, accept(self->fds[1], NULL, NULL));
		EXPECT_EQ(before + 1, info_of(self->fds[1]).accepted);
		kill(child, SIGCONT);
		EXPECT_TRUE(wait_for(state(self->fds[0]) == SERVICE_GROUP_MEMBER_STATE_LISTENING));
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* One hung worker behind an own kind of call, which comes back after it was stalled. */
FIXTURE(back) {
	int fds[2];
	struct address home;
};

FIXTURE_VARIANT(back) { enum way way; };
FIXTURE_VARIANT_ADD(back, accept) { .way = ACCEPT };
FIXTURE_VARIANT_ADD(back, nonblocking) { .way = NONBLOCKING };
FIXTURE_VARIANT_ADD(back, poll) { .way = POLL };
FIXTURE_VARIANT_ADD(back, select) { .way = SELECT };
FIXTURE_VARIANT_ADD(back, epoll_level) { .way = LEVEL };
FIXTURE_VARIANT_ADD(back, epoll_edge) { .way = EDGE };
FIXTURE_VARIANT_ADD(back, epoll_exclusive) { .way = EXCLUSIVE };
FIXTURE_VARIANT_ADD(back, epoll_oneshot) { .way = ONESHOT };
FIXTURE_VARIANT_ADD(back, io_uring) { .way = URING };
FIXTURE_VARIANT_ADD(back, io_uring_multishot) { .way = MULTISHOT };

FIXTURE_SETUP(back)
{
	enter_namespace();
	self->home = client_address(IPV4, 1, PORT);
	group_on_hosts(IPV4, self->fds, 2, PORT, 8);
}

FIXTURE_TEARDOWN(back) { }

struct worker {
	enum way way;
	int fd;
	int epoll;
	struct io_uring ring;
};

/* What a worker does before it is hung: registers its listener. */
static void prepare(struct worker *worker)
{
	static const uint32_t events[] = {
		[LEVEL] = EPOLLIN, [EDGE] = EPOLLIN | EPOLLET,
		[EXCLUSIVE] = EPOLLIN | EPOLLEXCLUSIVE, [ONESHOT] = EPOLLIN | EPOLLONESHOT,
	};

	if (worker->way >= LEVEL && worker->way <= ONESHOT) {
		struct epoll_event event = { .events = events[worker->way] };

		worker->epoll = epoll_create1(0);
		if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->fd, &event))
			die("adding a listener");
	}
	if ((worker->way == NONBLOCKING || worker->way == EDGE) &&
	    fcntl(worker->fd, F_SETFL, O_NONBLOCK))
		die("making a listener non-blocking");
	if (worker->way >= URING && io_uring_queue_init(8, &worker->ring, 0))
		die("making a ring");
}

/* As programs do: an edge is one for all that wait, a oneshot is armed again. */
static int wait_with_epoll(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int fd;

	if (worker->way == EDGE) {
		fd = accept(worker->fd, NULL, NULL);
		if (fd >= 0)
			return fd;
	}
	if (worker->way == ONESHOT)
		epoll_ctl(worker->epoll, EPOLL_CTL_MOD, worker->fd, &event);
	epoll_wait(worker->epoll, &event, 1, -1);
	return accept(worker->fd, NULL, NULL);
}

/* And when it is back: waits for a connection. */
static int wait_for_one(struct worker *worker)
{
	struct pollfd pollfd = { .fd = worker->fd, .events = POLLIN };
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	fd_set set;

	switch (worker->way) {
	case ACCEPT:
		break;
	case NONBLOCKING:
		for (;;) {
			int fd = accept(worker->fd, NULL, NULL);

			if (fd >= 0 || errno != EAGAIN)
				return fd;
			usleep(1000);
		}
	case POLL:
		poll(&pollfd, 1, -1);
		break;
	case SELECT:
		FD_ZERO(&set);
		FD_SET(worker->fd, &set);
		select(worker->fd + 1, &set, NULL, NULL, NULL);
		break;
	case URING:
	case MULTISHOT:
		sqe = io_uring_get_sqe(&worker->ring);
		if (worker->way == URING)
			io_uring_prep_accept(sqe, worker->fd, NULL, NULL, 0);
		else
			io_uring_prep_multishot_accept(sqe, worker->fd, NULL, NULL, 0);
		io_uring_submit(&worker->ring);
		return io_uring_wait_cqe(&worker->ring, &cqe) ? -1 : cqe->res;
	default:
		return wait_with_epoll(worker);
	}
	return accept(worker->fd, NULL, NULL);
}

static void *come_back(void *arg)
{
	struct worker *worker = arg;

	while (wait_for_one(worker) >= 0)
		;
	return NULL;
}

TEST_F(back, is_used_again)
{
	static struct worker worker;
	unsigned long before;
	pthread_t thread;

	worker.way = variant->way;
	worker.fd = self->fds[0];
	prepare(&worker);
	start_worker(&self->fds[1]);
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 2));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	ASSERT_TRUE(wait_for(info_of(self->fds[1]).accepted == 2));
	ASSERT_TRUE(is_stalled(self->fds[0]));

	if (pthread_create(&thread, NULL, come_back, &worker))
		die("starting a thread");
	ASSERT_TRUE(wait_for(state(self->fds[0]) == SERVICE_GROUP_MEMBER_STATE_LISTENING));
	/* On a slow machine it may take its time. */
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	before = info_of(self->fds[0]).accepted;
	fill(&self->home, 1);
	EXPECT_TRUE(wait_for(info_of(self->fds[0]).accepted == before + 1));
}

/* A connection that is moved wakes its new owner, whatever it waits with. */
TEST_F(back, is_woken)
{
	static struct worker worker;
	pthread_t thread;

	worker.way = variant->way;
	worker.fd = self->fds[1];
	prepare(&worker);
	if (pthread_create(&thread, NULL, come_back, &worker))
		die("starting a thread");
	fill(&self->home, 3);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 3));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, STALL));
	EXPECT_TRUE(wait_for(info_of(self->fds[1]).accepted == 3));
}

TEST_HARNESS_MAIN
