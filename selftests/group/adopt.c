// SPDX-License-Identifier: GPL-2.0
/*
 * A group outlives a reload: what begins to listen in a member's place becomes a
 * member, while members are there and for the adopt time after the last has ended.
 */

#include <liburing.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080

FIXTURE(adopt) {
	int fds[2];
	uint32_t id;
	struct address home;
};

FIXTURE_VARIANT(adopt) { enum family family; };
FIXTURE_VARIANT_ADD(adopt, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(adopt, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(adopt, mapped) { .family = MAPPED };

/* Two workers at one address, as of a program that can be reloaded. */
FIXTURE_SETUP(adopt)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	for (int i = 0; i < 2; i++)
		self->fds[i] = reuseport_listener(variant->family, 1, PORT, 64);
	ASSERT_EQ(0, form(self->fds, 2));
	self->id = group_of(self->fds[0]);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, SERVICE_GROUP_MAX_ADOPT));
}

FIXTURE_TEARDOWN(adopt) { }

static int worker(enum family family)
{
	return reuseport_listener(family, 1, PORT, 64);
}

/* A socket of another user. */
static int worker_of(uid_t user, enum family family)
{
	int fd;

	setfsuid(user);
	fd = worker(family);
	setfsuid(geteuid());
	return fd;
}

/* No descriptor is left but that of the test's own: the members end. */
static void end_all(int *fds)
{
	close_all(fds, 2);
	if (!wait_for(stats_now().members == 0))
		die("waiting for members to end");
}

TEST_F(adopt, a_new_listener_is_a_member)
{
	int fd = worker(variant->family);

	EXPECT_EQ(self->id, group_of(fd));
	EXPECT_EQ(3, info_of(fd).members);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fd).state);
	EXPECT_TRUE(has_ulp(fd, "service_group"));
}

TEST_F(adopt, only_if_the_group_does)
{
	int fd;

	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 0));
	fd = worker(variant->family);
	EXPECT_EQ(0, group_of(fd));
	EXPECT_TRUE(has_ulp(fd, ""));
	/* And again, and for new ones only. */
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 1));
	EXPECT_EQ(0, group_of(fd));
	fd = worker(variant->family);
	EXPECT_EQ(self->id, group_of(fd));
}

/* Through io_uring it is done before the call's end is told, or soon after. */
TEST_F(adopt, by_io_uring)
{
	int fd = tcp_socket(variant->family);
	struct address at = listener_address(variant->family, 1, PORT);
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	ASSERT_EQ(0, bind_to(fd, &at));
	if (io_uring_queue_init(1, &ring, 0))
		SKIP(return, "this kernel has no io_uring");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_listen(sqe, fd, 64);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
	ASSERT_EQ(0, cqe->res);
	EXPECT_TRUE(wait_for(group_of(fd) == self->id));
	io_uring_queue_exit(&ring);
}

/* A successor takes what its siblings have no room for, as any member does. */
TEST_F(adopt, it_serves_for_siblings)
{
	int fd = worker(variant->family);

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, listen(self->fds[i], 0));
	/* 2 and 65 are all that there is room for, wherever they are hashed to. */
	fill(&self->home, 67);
	EXPECT_TRUE(wait_for(queue_length(fd) == 65));
	EXPECT_EQ(1, queue_length(self->fds[0]));
	EXPECT_EQ(1, queue_length(self->fds[1]));
	EXPECT_EQ(0, group_counter(self->id, SERVICE_GROUP_A_COUNTERS_DROPPED_FULL));
}

/* As with `nginx -t`: it binds, listens and closes; what it was given meanwhile stays. */
TEST_F(adopt, a_passing_listener_loses_nothing)
{
	int clients[64], fd = worker(variant->family), half_open[16], served = 0;
	char seen[5];

	/* Until some are hashed to it. */
	for (int i = 0; i < 64; i++) {
		clients[i] = connect_to(&self->home);
		ASSERT_LE(0, clients[i]);
		ASSERT_EQ(5, send(clients[i], "hello", 5, 0));
	}
	for (int i = 0; i < 16; i++)
		half_open[i] = start_half_open(&self->home);
	ASSERT_TRUE(wait_for(queue_length(fd) + queue_length(self->fds[0]) +
			     queue_length(self->fds[1]) == 64));
	ASSERT_LT(0, queue_length(fd));
	close(fd);
	for (int i = 0; i < 16; i++)
		let_answers_through(half_open[i]);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(0, connected(half_open[i]));
	EXPECT_TRUE(wait_for(queue_length(self->fds[0]) + queue_length(self->fds[1]) == 80));
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(STATE_ESTABLISHED, state_of(clients[i]));
	for (int i = 0; i < 2; i++)
		while (queue_length(self->fds[i]) > 0) {
			int server = accept_now(self->fds[i]);

			ASSERT_LE(0, server);
			/* The half-open ones have said nothing. */
			served += recv(server, seen, 5, MSG_DONTWAIT) == 5;
		}
	EXPECT_EQ(64, served);
	EXPECT_EQ(2, info_of(self->fds[0]).members);
}

/* One after the other, as workers are replaced, and all at once. */
TEST_F(adopt, all_are_replaced)
{
	int new[2];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2; i++) {
			new[0] = worker(variant->family);
			ASSERT_EQ(self->id, group_of(new[0]));
			close(self->fds[i]);
			self->fds[i] = new[0];
		}
		for (int i = 0; i < 2; i++)
			new[i] = worker(variant->family);
		EXPECT_EQ(4, info_of(new[0]).members);
		close_all(self->fds, 2);
		memcpy(self->fds, new, sizeof(new));
	}
	EXPECT_TRUE(wait_for(info_of(new[0]).members == 2));
	EXPECT_EQ(self->id, group_of(new[1]));
}

/* The old program has gone before the new one listens: the group waits for it. */
TEST_F(adopt, after_the_last_has_gone)
{
	struct service_group_settings settings;

	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_WEIGHT, 7));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_BALANCE));
	close(self->fds[1]);
	ASSERT_TRUE(wait_for(stats_now().members == 1));
	close(self->fds[0]);
	ASSERT_TRUE(wait_for(stats_now().members == 0));
	EXPECT_EQ(1, stats_now().groups);
	self->fds[0] = worker(variant->family);
	ASSERT_EQ(self->id, group_of(self->fds[0]));
	ASSERT_EQ(0, get_settings(self->fds[0], &settings));
	EXPECT_EQ(7, settings.weight);
	EXPECT_EQ(SERVICE_GROUP_POLICY_BALANCE, settings.policy);
	EXPECT_EQ(SERVICE_GROUP_MAX_ADOPT, settings.adopt);
}

TEST_F(adopt, it_does_not_wait_for_ever)
{
	int fd;

	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 1));
	end_all(self->fds);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
	fd = worker(variant->family);
	EXPECT_EQ(0, group_of(fd));
}

/* A program that takes its sockets out wants them to be out. */
TEST_F(adopt, who_was_taken_out_leaves_no_place)
{
	int fds[2];

	/* Nor does it come back itself, when it listens anew. */
	ASSERT_EQ(0, leave(self->fds[1], 0));
	ASSERT_EQ(0, shutdown(self->fds[1], SHUT_RD));
	ASSERT_EQ(0, listen(self->fds[1], 64));
	EXPECT_EQ(0, group_of(self->fds[1]));
	ASSERT_EQ(0, leave(self->fds[0], 0));
	EXPECT_EQ(0, stats_now().groups);
	close_all(self->fds, 2);

	/* At addresses of their own: the place of the one, and not that of the other. */
	for (int i = 0; i < 2; i++)
		fds[i] = reuseport_listener(variant->family, i + 1, PORT, 8);
	ASSERT_EQ(0, form(fds, 2));
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_ADOPT, SERVICE_GROUP_MAX_ADOPT));
	ASSERT_EQ(0, leave(fds[0], 0));
	close(fds[1]);
	ASSERT_TRUE(wait_for(stats_now().members == 0));
	fds[0] = reuseport_listener(variant->family, 1, PORT, 8);
	fds[1] = reuseport_listener(variant->family, 2, PORT, 8);
	EXPECT_EQ(0, group_of(fds[0]));
	EXPECT_LT(0, group_of(fds[1]));
}

TEST_F(adopt, only_in_a_members_place)
{
	int fd = reuseport_listener(variant->family, 2, PORT, 8);

	EXPECT_EQ(0, group_of(fd));
	fd = reuseport_listener(variant->family, 1, PORT + 1, 8);
	EXPECT_EQ(0, group_of(fd));
	if (variant->family != IPV4) {
		fd = tcp_socket(IPV6);
		set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
		set_option(fd, SOL_IPV6, IPV6_V6ONLY, 1);
		struct address any = listener_address(IPV6, 0, PORT);

		ASSERT_EQ(0, bind_to(fd, &any));
		ASSERT_EQ(0, listen(fd, 8));
		EXPECT_EQ(0, group_of(fd));
	}
	EXPECT_EQ(0, stats_now().refused_other + stats_now().refused_permission);
}

/* Nobody else's, though the address is free. */
TEST_F(adopt, not_of_another_user)
{
	int fd;

	end_all(self->fds);
	fd = worker_of(NOBODY, variant->family);
	EXPECT_EQ(0, group_of(fd));
	EXPECT_TRUE(has_ulp(fd, ""));
	EXPECT_EQ(1, stats_now().refused_permission);
	close(fd);
	fd = worker(variant->family);
	EXPECT_EQ(self->id, group_of(fd));
}

/* What a redirected connection would pass by keeps it away; it listens all the same. */
TEST_F(adopt, not_with_checks_of_its_own)
{
	struct address at = listener_address(variant->family, 1, PORT);
	int fd = tcp_socket(variant->family);

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	set_option(fd, SOL_SOCKET, SO_MARK, 7);
	ASSERT_EQ(0, bind_to(fd, &at));
	ASSERT_EQ(0, listen(fd, 8));
	EXPECT_EQ(0, group_of(fd));
	EXPECT_TRUE(has_ulp(fd, ""));
	EXPECT_EQ(STATE_LISTEN, state_of(fd));
	EXPECT_EQ(1, stats_now().refused_other);
}

/* One that could not listen is none, and may be later. */
TEST_F(adopt, not_if_it_cannot_listen)
{
	struct address at = listener_address(variant->family, 3, PORT);
	int fds[2];

	for (int i = 0; i < 2; i++) {
		fds[i] = tcp_socket(variant->family);
		set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
		ASSERT_EQ(0, bind_to(fds[i], &at));
	}
	ASSERT_EQ(0, join(fds[0], self->id));
	ASSERT_EQ(0, listen(fds[0], 8));
	EXPECT_EQ(-1, listen(fds[1], 8));
	EXPECT_EQ(EADDRINUSE, errno);
	EXPECT_EQ(0, group_of(fds[1]));
	EXPECT_EQ(3, info_of(self->fds[0]).members);
	close(fds[0]);
	ASSERT_TRUE(wait_for(info_of(self->fds[0]).members == 2));
	ASSERT_EQ(0, listen(fds[1], 8));
	EXPECT_EQ(self->id, group_of(fds[1]));
	EXPECT_EQ(0, stats_now().refused_other);
}

/* A socket that has listened before, when it was in no group. */
TEST_F(adopt, one_that_has_listened_before)
{
	int fd;

	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 0));
	fd = worker(variant->family);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 1));
	ASSERT_EQ(0, shutdown(fd, SHUT_RD));
	ASSERT_EQ(0, listen(fd, 8));
	EXPECT_EQ(self->id, group_of(fd));
}

TEST_F(adopt, an_empty_group_can_be_joined_and_ended)
{
	int fd;

	end_all(self->fds);
	fd = reuseport_listener(variant->family, 2, PORT, 8);
	EXPECT_EQ(0, join(fd, self->id));
	ASSERT_EQ(0, set_one(fd, SERVICE_GROUP_SET_ADOPT, 0));
	close(fd);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
}

/* With its namespace a group that waits is gone. */
TEST_F(adopt, the_namespace_ends)
{
	end_all(self->fds);
	EXPECT_EQ(1, stats_now().groups);
	enter_namespace();
	EXPECT_EQ(0, stats_now().groups);
	/* There is nobody's place here. */
	self->fds[0] = worker(variant->family);
	EXPECT_EQ(0, group_of(self->fds[0]));
}

/* The program is killed as soon as it listens. */
TEST_F(adopt, killed_at_once)
{
	for (int round = 0; round < 20; round++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child) {
			close_all(self->fds, 2);
			worker(variant->family);
			kill(getpid(), SIGKILL);
		}
		ASSERT_EQ(child, waitpid(child, NULL, 0));
		ASSERT_TRUE(wait_for(info_of(self->fds[0]).members == 2));
	}
	EXPECT_EQ(self->id, group_of(self->fds[0]));
}

ONE_FAMILY(limits);

TEST_F(limits, a_full_group)
{
	static int fds[SERVICE_GROUP_MAX_MEMBERS];
	struct rlimit limit = { 4096, 4096 };
	int fd;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("raising the limit of descriptors");
	for (int i = 0; i < SERVICE_GROUP_MAX_MEMBERS; i++)
		fds[i] = worker(IPV4);
	ASSERT_EQ(0, form(fds, SERVICE_GROUP_MAX_MEMBERS));
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_ADOPT, 1));
	fd = worker(IPV4);
	EXPECT_EQ(0, group_of(fd));
	EXPECT_EQ(1, stats_now().refused_limit);
	close(fds[0]);
	ASSERT_TRUE(wait_for(info_of(fds[1]).members == SERVICE_GROUP_MAX_MEMBERS - 1));
	fd = worker(IPV4);
	EXPECT_LT(0, group_of(fd));
}

TEST_HARNESS_MAIN
