// SPDX-License-Identifier: GPL-2.0
/*
 * A program that looks for connections gets one at that look: its own first, or
 * else one that waits for a hung program. Nothing is taken from where the next
 * look comes first.
 *
 * Looks are counted, and come in the worst order: just after the program that had the
 * connection was found stalled. Each way to look is in look_ways.c, a locked
 * listener in look_locked.c.
 */

#include <poll.h>

#include "look.h"

#define LOOKS 40

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

/* Members at which connections wait are found stalled: all have had their time. */
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
	int third = third_of(self->fds, variant->family);
	struct pollfd entries[2] = {
		{ .fd = self->fds[1], .events = POLLIN }, { .fd = third, .events = POLLIN },
	};

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

/* SVCG_REACH of the module. */
#define REACH 256

/*
 * A listener of both families, at which so many connections of IPv4 wait and then one
 * of IPv6, and a sibling that can have only that one. Whether the sibling gets it.
 */
static bool reaches_behind(unsigned int count)
{
	struct address ipv4 = client_address(IPV4, 1, PORT), ipv6 = client_address(IPV6, 1, PORT);
	int fds[2] = { reuseport_listener(MAPPED, 0, PORT, 2 * REACH),
		       reuseport_listener(IPV6, 2, PORT, BACKLOG) };

	make_nonblocking(fds[1]);
	fill(&ipv4, count);
	if (!wait_for(queue_length(fds[0]) == count))
		die("filling a queue");
	fill(&ipv6, 1);
	if (!wait_for(queue_length(fds[0]) == count + 1))
		die("filling a queue");
	if (form(fds, 2))
		die("forming a group");
	set_stall(fds[0], STALL);
	if (!wait_for(is_stalled(fds[0])))
		die("waiting for a stall");
	return accept(fds[1], NULL, NULL) >= 0;
}

/*
 * Others' packets wait while a queue is looked through, and it may be as long as its
 * owner likes: what can be moved is looked for among the first ones.
 */
TEST(far_behind_the_others)
{
	enter_namespace();
	EXPECT_FALSE(reaches_behind(REACH));
}

TEST(not_so_far_behind)
{
	enter_namespace();
	EXPECT_TRUE(reaches_behind(REACH - 1));
}

TEST_HARNESS_MAIN
