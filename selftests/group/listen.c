// SPDX-License-Identifier: GPL-2.0
/*
 * Which member takes a connection: the home listener while it has room, then
 * the least loaded sibling, else none; and what the counters say of it.
 *
 * Each listener has an address of its own here, so that the test knows which
 * one is home. Shared addresses are in listen_shared.c, members that cannot
 * serve a connection in listen_fit.c, other ways to connect in listen_paths.c.
 */

#include "test.h"

#define PORT 8080

FAMILIES(listen);

TEST_F(listen, home_first)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 4);
	fill(&home, 5);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 5));
	EXPECT_EQ(0, queue_length(fds[1]));
	EXPECT_EQ(5, info_of(fds[0]).queued);
	EXPECT_EQ(5, info_of(fds[0]).home);
	EXPECT_EQ(0, info_of(fds[0]).redirected_out);
	EXPECT_EQ(0, info_of(fds[1]).home);
	EXPECT_EQ(0, info_of(fds[1]).redirected_in);
}

/* The heart of it: a full listener's connections are served by its sibling. */
TEST_F(listen, full_queue_redirects)
{
	struct address home = client_address(variant->family, 1, PORT);
	uint64_t counters[COUNTERS];
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 1);
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 2));
	EXPECT_EQ(2, queue_length(fds[0]));
	EXPECT_EQ(2, info_of(fds[0]).home);
	EXPECT_EQ(2, info_of(fds[0]).redirected_out);
	EXPECT_EQ(0, info_of(fds[0]).redirected_in);
	EXPECT_EQ(0, info_of(fds[1]).home);
	EXPECT_EQ(2, info_of(fds[1]).redirected_in);

	ASSERT_EQ(0, member_counters(fds[0], counters));
	EXPECT_EQ(2, counters[SERVICE_GROUP_A_COUNTERS_HOME]);
	EXPECT_EQ(2, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_QUEUE_FULL]);
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_PROMISED]);
	ASSERT_EQ(0, group_counters(group_of(fds[0]), counters));
	EXPECT_EQ(2, counters[SERVICE_GROUP_A_COUNTERS_HOME]);
	EXPECT_EQ(2, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_IN]);
	EXPECT_EQ(2, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_QUEUE_FULL]);
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_DROPPED_FULL]);
}

/* The application behind the sibling serves the client as its own. */
TEST_F(listen, sibling_serves)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address asked = listener_address(variant->family, 1, PORT);
	static char sent[100000], seen[sizeof(sent)];
	struct address name, peer, from;
	size_t got = 0;
	int fds[2];
	int client, server;

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fill(&home, 1);
	client = connect_to(&home);
	ASSERT_LE(0, client);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);

	name = name_of(server);
	EXPECT_TRUE(same_address(&asked, &name));
	name = name_of(client);
	peer = peer_of(server);
	if (variant->family != MAPPED)
		EXPECT_TRUE(same_address(&name, &peer));
	from = peer_of(client);
	EXPECT_TRUE(same_address(&home, &from));

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = i * 7 + i / 251;
	ASSERT_EQ(sizeof(sent), send(client, sent, sizeof(sent), 0));
	shutdown(client, SHUT_WR);
	while (got < sizeof(seen)) {
		ssize_t more = recv(server, seen + got, sizeof(seen) - got, 0);

		ASSERT_LT(0, more);
		got += more;
	}
	EXPECT_EQ(0, recv(server, seen, 1, 0));
	EXPECT_EQ(0, memcmp(sent, seen, sizeof(sent)));
	ASSERT_EQ(5, send(server, "reply", 5, 0));
	ASSERT_EQ(5, recv(client, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, memcmp("reply", seen, 5));
}

/* Waiting for the sibling: redirected connections wake who polls it. */
TEST_F(listen, sibling_is_woken)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];
	int status;
	pid_t child;

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fill(&home, 1);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct pollfd readable = { .fd = fds[1], .events = POLLIN };

		if (poll(&readable, 1, PATIENCE_SECONDS * 1000) != 1)
			_exit(2);
		_exit(accept(fds[1], NULL, NULL) < 0);
	}
	fill(&home, 1);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* Promises count: half-open requests occupy a slot. */
TEST_F(listen, promises_redirect)
{
	struct address home = client_address(variant->family, 1, PORT);
	uint64_t counters[COUNTERS];
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 2);
	start_half_open(&home);
	start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 2));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	/* Its queue has room for two more, but both are promised. */
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	EXPECT_EQ(1, queue_length(fds[0]));
	ASSERT_EQ(0, member_counters(fds[0], counters));
	EXPECT_EQ(3, counters[SERVICE_GROUP_A_COUNTERS_HOME]);
	EXPECT_EQ(1, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_PROMISED]);
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_QUEUE_FULL]);
}

/* A handshake that was begun finds the slot that it was promised. */
TEST_F(listen, promise_is_kept)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];
	int client;

	group_on_hosts(variant->family, fds, 2, PORT, 1);
	client = start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 1));
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	EXPECT_EQ(0, finish_handshake(client));
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
	EXPECT_EQ(1, queue_length(fds[1]));
	EXPECT_EQ(0, info_of(fds[0]).rescued_out);
	EXPECT_EQ(0, info_of(fds[0]).half_open);
}

/* A redirected handshake is a promise of the sibling. */
TEST_F(listen, half_open_at_the_sibling)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];
	int client;

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fill(&home, 1);
	client = start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[1]).half_open == 1));
	EXPECT_EQ(0, info_of(fds[0]).half_open);
	EXPECT_EQ(0, finish_handshake(client));
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	EXPECT_EQ(1, info_of(fds[1]).redirected_in);
}

/* When promises fill every member, the kernel's own rule decides. */
TEST_F(listen, promises_everywhere)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address sibling = client_address(variant->family, 2, PORT);
	uint64_t counters[COUNTERS];
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 2);
	for (int i = 0; i < 3; i++) {
		start_half_open(&home);
		start_half_open(&sibling);
	}
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 3 && info_of(fds[1]).half_open == 3));
	/* All queues are empty, and so is this one. */
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	ASSERT_EQ(0, member_counters(fds[0], counters));
	EXPECT_EQ(1, counters[SERVICE_GROUP_A_COUNTERS_HOME_UNPROMISED]);
	EXPECT_EQ(3, counters[SERVICE_GROUP_A_COUNTERS_HOME]);
	EXPECT_EQ(4, info_of(fds[0]).home);
	EXPECT_EQ(0, info_of(fds[0]).dropped);
	EXPECT_EQ(0, info_of(fds[0]).redirected_out);
}

/* Of several siblings the least loaded one, whatever their order. */
TEST_F(listen, least_loaded)
{
	struct address home = client_address(variant->family, 1, PORT);
	/* How many connections each sibling has at first. */
	static const int loads[] = { 0, 3, 1, 2 };
	int fds[4];

	listen_on_hosts(variant->family, fds, 4, PORT, 5);
	ASSERT_EQ(0, listen(fds[0], 0));
	ASSERT_EQ(0, form(fds, 4));
	fill(&home, 1);
	for (int i = 1; i < 4; i++) {
		struct address own = client_address(variant->family, i + 1, PORT);

		fill(&own, loads[i]);
		ASSERT_TRUE(wait_for(queue_length(fds[i]) == loads[i]));
	}
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 2));
	/* Now two of them have two: the third gets none of the next two. */
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) + queue_length(fds[3]) == 6));
	EXPECT_EQ(3, queue_length(fds[1]));
	EXPECT_EQ(3, queue_length(fds[2]));
	EXPECT_EQ(3, queue_length(fds[3]));
	EXPECT_EQ(1, info_of(fds[0]).home);
	EXPECT_EQ(3, info_of(fds[0]).redirected_out);
}

/* Half-open requests are load as well. */
TEST_F(listen, least_loaded_with_promises)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address second = client_address(variant->family, 2, PORT);
	struct address third = client_address(variant->family, 3, PORT);
	int fds[3];

	listen_on_hosts(variant->family, fds, 3, PORT, 5);
	ASSERT_EQ(0, listen(fds[0], 0));
	ASSERT_EQ(0, form(fds, 3));
	fill(&home, 1);
	start_half_open(&second);
	start_half_open(&second);
	ASSERT_TRUE(wait_for(info_of(fds[1]).half_open == 2));
	fill(&third, 1);
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 2));
	EXPECT_EQ(0, queue_length(fds[1]));
}

/* Equally loaded siblings share: none is always the first. */
TEST_F(listen, ties_rotate)
{
	struct address home = client_address(variant->family, 1, PORT);
	bool first = false, second = false;
	int fds[3];

	listen_on_hosts(variant->family, fds, 3, PORT, 1);
	ASSERT_EQ(0, listen(fds[0], 0));
	ASSERT_EQ(0, form(fds, 3));
	fill(&home, 1);
	for (int i = 0; i < 64 && !(first && second); i++) {
		int client = connect_to(&home);
		int server;

		ASSERT_LE(0, client);
		ASSERT_TRUE(wait_for(queue_length(fds[1]) + queue_length(fds[2]) == 1));
		first |= queue_length(fds[1]) == 1;
		second |= queue_length(fds[2]) == 1;
		server = accept(queue_length(fds[1]) ? fds[1] : fds[2], NULL, NULL);
		ASSERT_LE(0, server);
		close(server);
		close(client);
	}
	EXPECT_TRUE(first && second);
}

/* No room anywhere: no answer, and each SYN is counted. */
TEST_F(listen, all_full_drops)
{
	struct address home = client_address(variant->family, 1, PORT);
	uint64_t counters[COUNTERS];
	int fds[2];
	int client;

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) + queue_length(fds[1]) == 2));
	client = start_connect(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).dropped >= 1));
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));
	EXPECT_TRUE(wait_for(info_of(fds[0]).dropped == 1 + retransmissions_of(client)));
	EXPECT_EQ(0, info_of(fds[1]).dropped);
	ASSERT_EQ(0, member_counters(fds[0], counters));
	EXPECT_LE(1, counters[SERVICE_GROUP_A_COUNTERS_DROPPED_FULL]);
	EXPECT_EQ(0, counters[SERVICE_GROUP_A_COUNTERS_DROPPED_UNFIT]);
	EXPECT_EQ(1, counters[SERVICE_GROUP_A_COUNTERS_HOME]);
	EXPECT_EQ(1, counters[SERVICE_GROUP_A_COUNTERS_REDIRECTED_QUEUE_FULL]);

	/* Room at the sibling alone is enough for the SYN that comes again. */
	ASSERT_LE(0, accept(fds[1], NULL, NULL));
	EXPECT_TRUE(wait_for(state_of(client) == STATE_ESTABLISHED));
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	EXPECT_EQ(2, info_of(fds[1]).redirected_in);
}

/* Once home has room again it is home again. */
TEST_F(listen, home_takes_again)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fill(&home, 2);
	ASSERT_LE(0, accept(fds[0], NULL, NULL));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	EXPECT_EQ(2, info_of(fds[0]).home);
	EXPECT_EQ(1, info_of(fds[0]).redirected_out);
}

/* Full siblings are passed by, until they accept or listen with a longer backlog. */
TEST_F(listen, siblings_take_again)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[3];
	int client;

	group_on_hosts(variant->family, fds, 3, PORT, 0);
	fill(&home, 3);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1 && queue_length(fds[2]) == 1));
	/* All are found full by a connection that nobody takes. */
	client = start_connect(&home);
	ASSERT_LE(0, client);
	ASSERT_TRUE(wait_for(member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_DROPPED_FULL) > 0));
	close(client);
	ASSERT_LE(0, accept(fds[2], NULL, NULL));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 1));
	ASSERT_EQ(0, listen(fds[1], 8));
	fill(&home, 2);
	EXPECT_TRUE(wait_for(queue_length(fds[1]) == 3));
	EXPECT_EQ(1, queue_length(fds[2]));
}

/* What left serves nobody else, and keeps its own fate. */
TEST_F(listen, after_leaving)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[3];
	int client;

	group_on_hosts(variant->family, fds, 3, PORT, 0);
	fill(&home, 1);
	ASSERT_EQ(0, leave(fds[1], 0));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 1));
	EXPECT_EQ(0, queue_length(fds[1]));
	ASSERT_EQ(0, leave(fds[0], 0));
	ASSERT_LE(0, accept(fds[2], NULL, NULL));
	/* The stock kernel's rule again: full is full. */
	client = start_connect(&home);
	EXPECT_TRUE(wait_for(retransmissions_of(client) >= 1));
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));
	EXPECT_EQ(0, queue_length(fds[2]));
}

TEST_HARNESS_MAIN
