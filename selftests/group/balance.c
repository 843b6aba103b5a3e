// SPDX-License-Identifier: GPL-2.0
/*
 * The policy `balance` once connections wait: a program that has nothing to do
 * takes over what waits behind a busy one, and who came first is served first.
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "test.h"

#define PORT 8080
#define BACKLOG 8

FIXTURE(balance) {
	int fds[2];
	struct address first, second;
};

FIXTURE_VARIANT(balance) { enum family family; };
FIXTURE_VARIANT_ADD(balance, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(balance, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(balance, mapped) { .family = MAPPED };

FIXTURE_SETUP(balance)
{
	enter_namespace();
	self->first = client_address(variant->family, 1, PORT);
	self->second = client_address(variant->family, 2, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, BACKLOG);
	/* Nothing is moved because it waits. */
	if (set_one(self->fds[0], SERVICE_GROUP_SET_STALL, 0))
		die("setting the stall time");
}

FIXTURE_TEARDOWN(balance) { }

/* So many connections wait for the member, whose program is busy with another. */
static void make_busy(int fd, const struct address *address, unsigned int count)
{
	fill(address, count + 1);
	if (accept(fd, NULL, NULL) < 0)
		die("accept");
	if (!wait_for(queue_length(fd) == count))
		die("filling a queue");
}

static void balance(int fd)
{
	if (set_one(fd, SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_BALANCE))
		die("setting the policy");
}

static bool polls_for(int fd, short events)
{
	struct pollfd entry = { .fd = fd, .events = events };

	return poll(&entry, 1, 0) == 1;
}

static bool polls_readable(int fd)
{
	return polls_for(fd, POLLIN);
}

static void empty(int fd)
{
	while (queue_length(fd))
		close(accept(fd, NULL, NULL));
	/* It has nothing to do. */
	polls_readable(fd);
}

static uint64_t taken_over(int from)
{
	return member_counter(from, SERVICE_GROUP_A_COUNTERS_RESCUED_BALANCED);
}

TEST_F(balance, who_polls_takes_over)
{
	make_busy(self->fds[0], &self->first, 2);
	EXPECT_FALSE(polls_readable(self->fds[1]));
	make_busy(self->fds[1], &self->second, 0);
	balance(self->fds[1]);
	/* It is told of one, and takes it when it accepts. */
	EXPECT_TRUE(polls_readable(self->fds[1]));
	EXPECT_EQ(2, queue_length(self->fds[0]));
	EXPECT_EQ(0, queue_length(self->fds[1]));
	EXPECT_TRUE(polls_readable(self->fds[1]));
	EXPECT_EQ(0, taken_over(self->fds[0]));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(1, taken_over(self->fds[0]));
	EXPECT_EQ(1, queue_length(self->fds[0]));
	EXPECT_EQ(1, info_of(self->fds[1]).rescued_in);
	EXPECT_TRUE(polls_readable(self->fds[1]));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(2, taken_over(self->fds[0]));
	EXPECT_FALSE(polls_readable(self->fds[1]));
}

TEST_F(balance, who_sleeps_in_accept_takes_over)
{
	make_busy(self->fds[0], &self->first, 2);
	balance(self->fds[1]);
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_LE(0, accept(self->fds[1], NULL, NULL));
	EXPECT_TRUE(wait_for(taken_over(self->fds[0]) == 2));
	EXPECT_EQ(2, info_of(self->fds[1]).accepted);
	EXPECT_EQ(0, queue_length(self->fds[0]));
}

/* It would empty its siblings' queues in a loop that ends when there is nothing. */
TEST_F(balance, who_does_not_sleep_in_accept_does_not)
{
	make_busy(self->fds[0], &self->first, 2);
	make_busy(self->fds[1], &self->second, 0);
	balance(self->fds[1]);
	ASSERT_EQ(0, fcntl(self->fds[1], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(EAGAIN, errno);
}

/* Its program has seen them, and is about to accept. */
TEST_F(balance, nothing_is_taken_from_who_has_looked)
{
	make_busy(self->fds[0], &self->first, 2);
	make_busy(self->fds[1], &self->second, 0);
	balance(self->fds[1]);
	EXPECT_TRUE(polls_readable(self->fds[0]));
	EXPECT_FALSE(polls_readable(self->fds[1]));
	EXPECT_EQ(2, queue_length(self->fds[0]));
}

TEST_F(balance, nothing_is_taken_over_by_default)
{
	make_busy(self->fds[0], &self->first, 2);
	EXPECT_FALSE(polls_readable(self->fds[1]));
	ASSERT_EQ(0, fcntl(self->fds[1], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(2, queue_length(self->fds[0]));
}

/* Whose turn it is does not depend on the queue. */
TEST_F(balance, who_came_first_is_served_first)
{
	int clients[2];

	make_busy(self->fds[0], &self->first, 0);
	clients[0] = connect_to(&self->first);
	ASSERT_LE(0, clients[0]);
	clients[1] = connect_to(&self->second);
	ASSERT_LE(0, clients[1]);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1 && queue_length(self->fds[1]) == 1));
	balance(self->fds[1]);
	for (int turn = 0; turn < 2; turn++) {
		int server = accept(self->fds[1], NULL, NULL);

		ASSERT_LE(0, server);
		EXPECT_EQ(port_of(clients[turn]), ntohs(peer_of(server).in.sin_port));
	}
	EXPECT_EQ(1, taken_over(self->fds[0]));
}

/* What was sent meanwhile is there. */
TEST_F(balance, nothing_is_lost)
{
	char seen[5] = "";
	int client, server;

	make_busy(self->fds[0], &self->first, 0);
	client = connect_to(&self->first);
	ASSERT_LE(0, client);
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	balance(self->fds[1]);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, memcmp(seen, "hello", 5));
	EXPECT_EQ(0, retransmissions_of(client));
}

static void *accept_one(void *arg)
{
	const int *fd = arg;

	if (accept(*fd, NULL, NULL) < 0)
		die("accept");
	return NULL;
}

static void *poll_and_accept_one(void *arg)
{
	const int *fd = arg;
	struct pollfd entry = { .fd = *fd, .events = POLLIN };

	poll(&entry, 1, -1);
	return accept_one(arg);
}

/*
 * It has looked before, and sleeps: a connection whose handshake takes long, or
 * that waited when the policy was another, is brought to it.
 */
static void serve_a_sleeper(struct __test_metadata *_metadata, const int fds[2],
			    const struct address *home, void *(*sleep)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep, (void *)&fds[1]))
		die("starting a thread");
	make_busy(fds[0], home, 2);
	/* A change has the members looked after. */
	balance(fds[0]);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_TRUE(wait_for(taken_over(fds[0]) == 1));
	EXPECT_EQ(1, queue_length(fds[0]));
	EXPECT_EQ(0, queue_length(fds[1]));
	EXPECT_EQ(0, member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_STALLS));
}

TEST_F(balance, who_sleeps_in_accept_is_given_one)
{
	serve_a_sleeper(_metadata, self->fds, &self->first, accept_one);
}

TEST_F(balance, who_sleeps_in_poll_is_woken)
{
	serve_a_sleeper(_metadata, self->fds, &self->first, poll_and_accept_one);
}

/* Nobody looks: all stays where it is. */
TEST_F(balance, who_does_not_look_is_given_nothing)
{
	make_busy(self->fds[0], &self->first, 2);
	balance(self->fds[0]);
	/* A stall shows that the members were looked after. */
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, 1));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	EXPECT_EQ(2, queue_length(self->fds[0]));
	EXPECT_EQ(0, queue_length(self->fds[1]));
}

/* One that can take nothing keeps nobody else from it. */
TEST_F(balance, idle_ones_are_looked_for_behind_a_stalled_one)
{
	int third = reuseport_listener(variant->family, 3, PORT, BACKLOG);
	pthread_t thread;

	ASSERT_LE(0, third);
	ASSERT_EQ(0, join(third, group_of(self->fds[0])));
	fill(&self->first, 1);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, 1));
	ASSERT_TRUE(wait_for(is_stalled(self->fds[0])));
	/* It hangs, and has nothing. */
	ASSERT_TRUE(wait_for((empty(third), polls_readable(third)) &&
			     accept(third, NULL, NULL) >= 0));
	ASSERT_EQ(0, queue_length(self->fds[0]));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL));
	make_busy(self->fds[1], &self->second, 2);
	EXPECT_FALSE(polls_for(third, POLLIN));
	if (pthread_create(&thread, NULL, poll_and_accept_one, &third))
		die("starting a thread");
	ASSERT_EQ(0, set_one(third, SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_BALANCE));
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(1, queue_length(self->fds[1]));
	EXPECT_EQ(0, queue_length(self->fds[0]));
}

/* A program that is not interested in connections does not look for any. */
TEST_F(balance, only_who_asks_for_input_takes_over)
{
	make_busy(self->fds[0], &self->first, 2);
	make_busy(self->fds[1], &self->second, 0);
	balance(self->fds[1]);
	EXPECT_FALSE(polls_for(self->fds[1], 0));
	EXPECT_FALSE(polls_for(self->fds[1], POLLOUT));
	EXPECT_EQ(0, taken_over(self->fds[0]));
}

/* New ones go to who has nothing to do, although nothing waits for the others. */
TEST_F(balance, busy_ones_are_given_new_ones_last)
{
	make_busy(self->fds[0], &self->first, 0);
	balance(self->fds[0]);
	fill(&self->first, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 1));
	EXPECT_EQ(1, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_REDIRECTED_BALANCED));
	/* Now both have one to do, and who is at home has it. */
	fill(&self->first, 1);
	EXPECT_TRUE(wait_for(queue_length(self->fds[0]) == 1));
}

TEST_HARNESS_MAIN
