// SPDX-License-Identifier: GPL-2.0
/*
 * Members that share an address (SO_REUSEPORT), the wildcard, both families
 * in one group, and several network namespaces at once.
 */

#include "test.h"

#define PORT 8080

FAMILIES(shared);

/* Where the kernel's hash alone would drop, every slot of the group is used. */
static void fill_all(struct __test_metadata *_metadata, const int *fds, int count,
		     int capacity, const struct address *to)
{
	unsigned int home = 0, redirected = 0, queued = 0;
	int client;

	fill(to, count * capacity);
	for (int i = 0; i < count; i++) {
		ASSERT_TRUE(wait_for(queue_length(fds[i]) == capacity));
		home += info_of(fds[i]).home;
		redirected += info_of(fds[i]).redirected_in;
		queued += info_of(fds[i]).queued;
		EXPECT_EQ(0, info_of(fds[i]).dropped);
	}
	EXPECT_EQ(count * capacity, queued);
	EXPECT_EQ(count * capacity, home + redirected);

	client = start_connect(to);
	EXPECT_TRUE(wait_for(group_counter(group_of(fds[0]),
					   SERVICE_GROUP_A_COUNTERS_DROPPED_FULL) >= 1));
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));
}

TEST_F(shared, same_address)
{
	struct address to = client_address(variant->family, 1, PORT);
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = reuseport_listener(variant->family, 1, PORT, 2);
	ASSERT_EQ(0, form(fds, 4));
	fill_all(_metadata, fds, 4, 3, &to);
}

TEST_F(shared, wildcard)
{
	struct address to = client_address(variant->family, 3, PORT);
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = tcp_socket(variant->family);
	ASSERT_EQ(0, form_bound(fds, 4, PORT));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, listen(fds[i], 2));
	fill_all(_metadata, fds, 4, 3, &to);
}

/* Grouped first, listening later, and one after the other. */
TEST_F(shared, grouped_before_listening)
{
	struct address to = client_address(variant->family, 1, PORT);
	int fds[2];

	for (int i = 0; i < 2; i++)
		fds[i] = tcp_socket(variant->family);
	ASSERT_EQ(0, form_bound(fds, 2, PORT));
	ASSERT_EQ(0, listen(fds[0], 1));
	fill(&to, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
	ASSERT_EQ(0, listen(fds[1], 1));
	fill(&to, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 2));
	EXPECT_EQ(2, info_of(fds[0]).home);
}

/* A wildcard listener and one at an address serve for each other. */
TEST_F(shared, wildcard_and_address)
{
	struct address one = client_address(variant->family, 1, PORT);
	struct address two = client_address(variant->family, 2, PORT);
	int fds[2];

	fds[0] = reuseport_listener(variant->family, 1, PORT, 0);
	fds[1] = reuseport_listener(variant->family, 0, PORT, 1);
	ASSERT_EQ(0, form(fds, 2));
	fill(&one, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	EXPECT_EQ(1, queue_length(fds[0]));
	ASSERT_LE(0, accept(fds[0], NULL, NULL));
	fill(&two, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	EXPECT_EQ(2, queue_length(fds[1]));
	EXPECT_EQ(1, info_of(fds[1]).redirected_out);
}

/* Groups of two namespaces do not know of each other. */
TEST_F(shared, two_namespaces)
{
	struct address to = client_address(variant->family, 1, PORT);
	int here[2], there[2];
	int client;

	group_on_hosts(variant->family, here, 2, PORT, 0);
	fill(&to, 2);
	ASSERT_TRUE(wait_for(queue_length(here[0]) + queue_length(here[1]) == 2));

	enter_namespace();
	EXPECT_EQ(0, stats_now().groups);
	group_on_hosts(variant->family, there, 2, PORT, 0);
	EXPECT_EQ(2, stats_now().members);
	fill(&to, 2);
	ASSERT_TRUE(wait_for(queue_length(there[0]) + queue_length(there[1]) == 2));
	EXPECT_EQ(1, info_of(there[1]).redirected_in);
	EXPECT_EQ(1, info_of(here[1]).redirected_in);
	client = start_connect(&to);
	EXPECT_TRUE(wait_for(info_of(there[0]).dropped >= 1));
	EXPECT_EQ(0, info_of(here[0]).dropped);
	close(client);
}

ONE_FAMILY(mixed);

/* An IPv4 and an IPv6 listener with a dual-stack one, which helps both. */
TEST_F(mixed, dual_stack_helps_both)
{
	struct address four = client_address(IPV4, 1, PORT);
	struct address six = client_address(IPV6, 1, PORT);
	struct address address = listener_address(MAPPED, 0, PORT);
	int fds[3];

	fds[0] = reuseport_listener(IPV4, 1, PORT, 0);
	fds[1] = reuseport_listener(IPV6, 1, PORT, 0);
	fds[2] = tcp_socket(MAPPED);
	set_option(fds[2], SOL_SOCKET, SO_REUSEPORT, 1);
	ASSERT_EQ(0, bind_to(fds[2], &address));
	ASSERT_EQ(0, listen(fds[2], 1));
	ASSERT_EQ(0, form(fds, 3));
	fill(&four, 2);
	fill(&six, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 2));
	EXPECT_EQ(1, queue_length(fds[0]));
	EXPECT_EQ(1, queue_length(fds[1]));
	EXPECT_EQ(2, info_of(fds[2]).redirected_in);
	for (int i = 0; i < 2; i++) {
		int server = accept(fds[2], NULL, NULL);
		struct address name = name_of(server);
		struct address asked = listener_address(i ? IPV6 : MAPPED, 1, PORT);

		EXPECT_TRUE(same_address(&asked, &name));
		EXPECT_EQ(2, send(server, "ok", 2, 0));
	}
}

/* The other way round: a dual-stack listener that is full. */
TEST_F(mixed, both_help_dual_stack)
{
	struct address four = client_address(IPV4, 3, PORT);
	struct address six = client_address(IPV6, 3, PORT);
	struct address asked = listener_address(IPV4, 3, PORT);
	struct address name;
	int fds[3];
	int server;

	fds[0] = reuseport_listener(IPV4, 1, PORT, 0);
	fds[1] = reuseport_listener(IPV6, 1, PORT, 0);
	fds[2] = reuseport_listener(MAPPED, 0, PORT, 0);
	ASSERT_EQ(0, form(fds, 3));
	fill(&four, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	fill(&six, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	/* A dual-stack listener's IPv4 connection, in an IPv4 listener. */
	server = accept(fds[0], NULL, NULL);
	ASSERT_LE(0, server);
	name = name_of(server);
	EXPECT_TRUE(same_address(&asked, &name));
	EXPECT_EQ(AF_INET, get_option(server, SOL_SOCKET, SO_DOMAIN));
	EXPECT_EQ(2, send(server, "ok", 2, 0));
}

/* A connection's socket is accepted from a listener of its own family only. */
TEST_F(mixed, drain_within_a_family)
{
	struct address four = client_address(IPV4, 1, PORT);
	int server;
	int fds[2];

	fds[0] = reuseport_listener(IPV4, 1, PORT, 3);
	fds[1] = reuseport_listener(MAPPED, 0, PORT, 3);
	ASSERT_EQ(0, form(fds, 2));
	fill(&four, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(2, queue_length(fds[0]));
	EXPECT_EQ(0, queue_length(fds[1]));
	EXPECT_EQ(0, info_of(fds[1]).rescued_in);
	server = accept(fds[0], NULL, NULL);
	EXPECT_EQ(AF_INET, get_option(server, SOL_SOCKET, SO_DOMAIN));
	EXPECT_EQ(0, close(server));
}

TEST_HARNESS_MAIN
