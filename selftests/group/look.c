// SPDX-License-Identifier: GPL-2.0
/*
 * A program that looks for connections gets one at that look: its own first, or
 * else one that waits for a hung program. Nothing is taken from where the next
 * look comes first.
 *
 * Looks are counted, and come in the worst order: just after whoever had the
 * connection was found stalled.
 */

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/select.h>

#include "test.h"

#define PORT 8080
#define BACKLOG 16
/* Milliseconds. */
#define STALL 20
#define LOOKS 40

static int state(int fd)
{
	return info_of(fd).state;
}

static bool is_stalled(int fd)
{
	return state(fd) == SERVICE_GROUP_MEMBER_STATE_STALLED;
}

static void make_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die("making a listener non-blocking");
}

static void set_policy(int fd, int policy)
{
	if (set_one(fd, SERVICE_GROUP_SET_POLICY, policy))
		die("setting the policy");
}

static void set_stall(int fd, int milliseconds)
{
	if (set_one(fd, SERVICE_GROUP_SET_STALL, milliseconds))
		die("setting the stall time");
}

/* So many connections wait at home, whatever the policy would have. */
static void fill_home(const int fds[2], const struct address *home, int policy, unsigned int count)
{
	set_policy(fds[0], SERVICE_GROUP_POLICY_OVERFLOW);
	set_stall(fds[0], 0);
	fill(home, count);
	if (!wait_for(queue_length(fds[0]) == count))
		die("filling a queue");
	set_policy(fds[0], policy);
	set_stall(fds[0], STALL);
}

/* Two listeners of one group, under each policy. */
FIXTURE(look) {
	int fds[2];
	struct address home;
};

FIXTURE_VARIANT(look) { enum family family; int policy; };
FIXTURE_VARIANT_ADD(look, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(look, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(look, mapped) { .family = MAPPED };
FIXTURE_VARIANT_ADD(look, ipv4_balance) {
	.family = IPV4, .policy = SERVICE_GROUP_POLICY_BALANCE
};
FIXTURE_VARIANT_ADD(look, ipv6_balance) {
	.family = IPV6, .policy = SERVICE_GROUP_POLICY_BALANCE
};
FIXTURE_VARIANT_ADD(look, mapped_balance) {
	.family = MAPPED, .policy = SERVICE_GROUP_POLICY_BALANCE
};

FIXTURE_SETUP(look)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, BACKLOG);
	for (int i = 0; i < 2; i++)
		make_nonblocking(self->fds[i]);
	set_policy(self->fds[0], variant->policy);
	set_stall(self->fds[0], STALL);
}

FIXTURE_TEARDOWN(look) { }

/* Whoever has connections waiting is found stalled: all have had their time. */
static bool time_passes(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (queue_length(fds[i]) && !is_stalled(fds[i]))
			return false;
	return true;
}

/* The number of looks that one connection takes, the home's being the first or not. */
static int looks_needed(const int fds[2], const struct address *home, int first)
{
	int look;

	fill(home, 1);
	if (!wait_for(queue_length(fds[0]) == 1))
		die("connecting");
	for (look = 1; look <= LOOKS; look++) {
		int fd;

		if (!wait_for(time_passes(fds)))
			die("waiting for a stall");
		fd = accept(fds[(first + look + 1) % 2], NULL, NULL);
		if (fd >= 0) {
			close(fd);
			return look;
		}
	}
	return look;
}

TEST_F(look, the_first_look_of_its_home_serves_a_connection)
{
	EXPECT_EQ(1, looks_needed(self->fds, &self->home, 0));
	EXPECT_EQ(0, info_of(self->fds[0]).rescued_out);
}

TEST_F(look, or_that_of_a_sibling_if_its_home_is_stalled)
{
	EXPECT_EQ(1, looks_needed(self->fds, &self->home, 1));
	EXPECT_EQ(1, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_RESCUED_STALLED));
}

/* Nobody has looked, so nothing has moved, however long it takes. */
TEST_F(look, nothing_moves_ahead_of_a_look)
{
	fill_home(self->fds, &self->home, variant->policy, 3);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	for (int i = 0; i < 2; i++) {
		struct address other = client_address(variant->family, 3 + i, PORT);
		int pair[2] = { listener(variant->family, 3 + i, PORT, BACKLOG),
				listener(variant->family, 5 + i, PORT, BACKLOG) };

		/* Another group's stall shows that time has passed for this one. */
		ASSERT_EQ(0, form(pair, 2));
		ASSERT_EQ(0, set_one(pair[0], SERVICE_GROUP_SET_STALL, STALL));
		fill(&other, 1);
		ASSERT_TRUE(wait_for(is_stalled(pair[0])));
	}
	EXPECT_EQ(3, queue_length(self->fds[0]));
	EXPECT_EQ(0, queue_length(self->fds[1]));
}

/* A poll tells of it, and moves nothing; who looks first has it. */
TEST_F(look, a_poll_moves_nothing)
{
	struct pollfd entry = { .fd = self->fds[1], .events = POLLIN };

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	EXPECT_EQ(1, poll(&entry, 1, 0));
	EXPECT_EQ(POLLIN, entry.revents);
	EXPECT_EQ(1, queue_length(self->fds[0]));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(0, poll(&entry, 1, 0));
	EXPECT_EQ(-1, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(EAGAIN, errno);
}

/* A SYN that came while the home was stalled went to a sibling: who is home gets it. */
TEST_F(look, what_a_sibling_was_given_is_given_back)
{
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	fill(&self->home, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 2));
	for (int i = 0; i < 3; i++)
		EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(-1, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, queue_length(self->fds[1]));
}

/* But not what is the sibling's own. */
TEST_F(look, what_is_a_siblings_own_stays)
{
	struct address other = client_address(variant->family, 2, PORT);

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	fill(&other, 1);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 2));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(-1, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(1, queue_length(self->fds[1]));
}

/*
 * A supervisor polls, and starts the service that accepts. However long that takes,
 * the connection is there; what else waits is not the service's alone.
 */
TEST_F(look, what_a_supervisor_has_seen_stays)
{
	struct pollfd entry = { .fd = self->fds[0], .events = POLLIN };

	fill_home(self->fds, &self->home, variant->policy, 3);
	EXPECT_EQ(1, poll(&entry, 1, 0));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(-1, accept(self->fds[1], NULL, NULL));
	entry.fd = self->fds[1];
	EXPECT_EQ(0, poll(&entry, 1, 0));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
}

/* A worker that accepts itself, and hangs after it has polled, is relieved. */
TEST_F(look, what_a_worker_has_seen_is_taken_when_it_hangs)
{
	struct pollfd entry = { .fd = self->fds[0], .events = POLLIN };

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1));
	ASSERT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_EQ(0, poll(&entry, 1, 0));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1));
	EXPECT_EQ(1, poll(&entry, 1, 0));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
}

/* But what a supervisor has seen, and was meant for a sibling, is that one's again. */
TEST_F(look, a_supervisor_does_not_keep_what_is_a_siblings)
{
	struct pollfd entry = { .fd = self->fds[1], .events = POLLIN };

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	set_stall(self->fds[0], SERVICE_GROUP_MAX_STALL);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 1));
	EXPECT_EQ(1, poll(&entry, 1, 0));
	set_stall(self->fds[0], STALL);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[1])));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
}

/* What a listener has passed on when it stopped is its own when it listens again. */
TEST_F(look, what_was_passed_on_is_given_back)
{
	fill_home(self->fds, &self->home, variant->policy, 2);
	set_stall(self->fds[0], SERVICE_GROUP_MAX_STALL);
	ASSERT_EQ(0, shutdown(self->fds[0], SHUT_RDWR));
	ASSERT_EQ(2, queue_length(self->fds[1]));
	ASSERT_EQ(0, listen(self->fds[0], BACKLOG));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
}

/* As many programs are told of connections as there are. */
TEST_F(look, one_connection_is_offered_to_one_program)
{
	int third = listener(variant->family, 3, PORT, BACKLOG);
	struct pollfd entries[2] = {
		{ .fd = self->fds[1], .events = POLLIN }, { .fd = third, .events = POLLIN },
	};

	ASSERT_EQ(0, join(third, group_of(self->fds[0])));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	EXPECT_EQ(1, poll(&entries[0], 1, 0));
	EXPECT_EQ(0, poll(&entries[1], 1, 0));
	EXPECT_EQ(1, poll(&entries[0], 1, 0));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
}

/* Connections that wait before the listener is a member's are noticed. */
TEST_F(look, what_waits_already_is_watched)
{
	struct address address = client_address(variant->family, 3, PORT);
	int late = listener(variant->family, 3, PORT, BACKLOG);

	fill(&address, 2);
	ASSERT_TRUE(wait_for(queue_length(late) == 2));
	ASSERT_EQ(0, join(late, group_of(self->fds[0])));
	EXPECT_TRUE(wait_for(is_stalled(late)));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[0], NULL, NULL));
}

TEST_F(look, also_when_a_group_is_formed)
{
	struct address address = client_address(variant->family, 3, PORT);
	int pair[2] = { listener(variant->family, 3, PORT, BACKLOG),
			listener(variant->family, 4, PORT, BACKLOG) };
	struct request request;

	fill(&address, 1);
	ASSERT_TRUE(wait_for(queue_length(pair[0]) == 1));
	describe(&request, pair, 2, 0);
	ASSERT_EQ(0, send_request(pair[0], &request));
	EXPECT_TRUE(wait_for(is_stalled(pair[0])));
}

/* --- A lock that its owner keeps. */

/* Until the page is given up. */
static void keep_locked(struct locker *locker, int fd)
{
	static struct page page;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("entering a namespace");
	page = make_page();
	*locker = (struct locker) { .page = &page, .fd = fd };
	start_locker(locker);
	pthread_detach(locker->thread);
}

/* Most options of a socket wait for its lock. */
static bool was_stalled(int fd)
{
	return member_counter(fd, SERVICE_GROUP_A_COUNTERS_STALLS) > 0;
}

TEST_F(look, a_locked_sibling_does_not_hide_another)
{
	int third = listener(variant->family, 3, PORT, BACKLOG);
	static struct locker locker;

	make_nonblocking(third);
	ASSERT_EQ(0, join(third, group_of(self->fds[0])));
	keep_locked(&locker, self->fds[0]);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(was_stalled(self->fds[0])));
	self->home = client_address(variant->family, 2, PORT);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[1])));
	EXPECT_LE(0, accept(third, NULL, NULL));
	give_page_up(locker.page);
}

static void *sleep_in_accept(void *fd)
{
	return (void *)(long)accept(*(int *)fd, NULL, NULL);
}

TEST_F(look, nor_from_who_sleeps)
{
	static int third;
	static struct locker locker;
	pthread_t thread;

	third = listener(variant->family, 3, PORT, BACKLOG);
	ASSERT_EQ(0, join(third, group_of(self->fds[0])));
	keep_locked(&locker, self->fds[0]);
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &third));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(was_stalled(self->fds[0])));
	self->home = client_address(variant->family, 2, PORT);
	fill(&self->home, 1);
	EXPECT_TRUE(wait_for(info_of(third).accepted == 1));
	give_page_up(locker.page);
}

/* A listener in a group of its own that is found stalled after this time. */
static int clock_of(enum family family, int milliseconds)
{
	struct address home = client_address(family, 3, PORT + 1);
	int fd = listener(family, 3, PORT + 1, BACKLOG);

	if (form(&fd, 1))
		die("forming a group");
	set_stall(fd, milliseconds);
	fill(&home, 1);
	return fd;
}

/* What a sibling was given before its program slept does not wait until the sibling hangs. */
TEST_F(look, nor_what_is_its_own)
{
	static struct handshake handshake;
	pthread_t thread;
	int clock;

	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	start_handshake(&handshake, variant->family, &self->home);
	ASSERT_TRUE(wait_for(info_of(self->fds[1]).half_open == 1));
	set_stall(self->fds[0], 800 * STALL);
	ASSERT_LE(0, accept(self->fds[0], NULL, NULL));
	ASSERT_EQ(0, fcntl(self->fds[0], F_SETFL, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &self->fds[0]));
	/* If it does not sleep yet, that is as good. */
	usleep(50000);
	clock = clock_of(variant->family, 400 * STALL);
	send_last_ack(&handshake);
	EXPECT_TRUE(wait_for(info_of(self->fds[0]).accepted == 2 || is_stalled(clock)));
	EXPECT_EQ(2, info_of(self->fds[0]).accepted);
}

/* Nor is anything moved to one that is locked itself. */
TEST_F(look, who_is_locked_himself_is_given_nothing)
{
	static int third;
	static struct locker locker;
	pthread_t thread;

	third = listener(variant->family, 3, PORT, BACKLOG);
	ASSERT_EQ(0, join(third, group_of(self->fds[0])));
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	keep_locked(&locker, third);
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleep_in_accept, &third));
	/* For it to have come so far; what is right does not depend on it. */
	usleep(100000);
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	give_page_up(locker.page);
}

/* Listeners of one address: the kernel's hash tells who is home. */
FAMILIES(shared);

TEST_F(shared, what_a_sibling_was_given_is_given_back)
{
	struct address home = client_address(variant->family, 1, PORT);
	unsigned int of_first, sum;
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = reuseport_listener(variant->family, 1, PORT, 64);
		make_nonblocking(fds[i]);
	}
	ASSERT_EQ(0, form(fds, 2));
	fill(&home, 16);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) + queue_length(fds[1]) == 16));
	/* Empty one, so that only the other is stalled. */
	while (queue_length(fds[1]))
		ASSERT_LE(0, accept(fds[1], NULL, NULL));
	ASSERT_LT(0, queue_length(fds[0]));
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_STALL, STALL));
	ASSERT_TRUE(wait_for(is_stalled(fds[0])));
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	sum = queue_length(fds[0]);
	fill(&home, 32);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 32));
	of_first = member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_REDIRECTED_STALLED);
	ASSERT_LT(0, of_first);
	for (unsigned int i = 0; i < sum + of_first; i++)
		ASSERT_LE(0, accept(fds[0], NULL, NULL));
	EXPECT_EQ(-1, accept(fds[0], NULL, NULL));
	EXPECT_EQ(32 - of_first, queue_length(fds[1]));
}

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
