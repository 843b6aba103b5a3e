// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module: refused while there are members, and possible under
 * traffic when the last one is closed. SG_MODULE is the module's path; it
 * is loaded at the start and at the end.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "test.h"

#define PORT 8080

FAMILIES(unload);

TEST_F(unload, refused_while_there_are_members)
{
	struct service_group_info info;
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	EXPECT_EQ(-EAGAIN, unload_module());
	EXPECT_EQ(2, info_of(fds[0]).members);
	close(fds[1]);
	EXPECT_EQ(-EAGAIN, unload_module());
	/* What left keeps the module in use until it is closed. */
	ASSERT_EQ(0, leave(fds[0], 0));
	EXPECT_EQ(0, stats_now().groups);
	EXPECT_EQ(-EAGAIN, unload_module());
	close(fds[0]);
	ASSERT_TRUE(wait_for(unload_module() == 0));
	/* Now nobody knows the option. */
	fds[0] = tcp_socket(variant->family);
	EXPECT_EQ(-ENOPROTOOPT, get_info(fds[0], &info));
	EXPECT_EQ(-ENOPROTOOPT, form(fds, 1));
	EXPECT_EQ(0, load_module());
	EXPECT_EQ(0, form(fds, 1));
}

/* A client that connects all the time. */
static pid_t start_traffic(const struct address *to)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = start_connect(to);

			usleep(500);
			close(fd);
		}
	}
	return child;
}

TEST_F(unload, under_traffic)
{
	struct address home = client_address(variant->family, 1, PORT);
	pid_t child = start_traffic(&home);
	int fds[3];

	ASSERT_LE(0, child);
	for (int round = 0; round < 5; round++) {
		group_on_hosts(variant->family, fds, 3, PORT, 1);
		/* Until connections have gone every way. */
		ASSERT_TRUE(wait_for(info_of(fds[0]).dropped >= 1));
		EXPECT_LE(1, info_of(fds[0]).redirected_out);
		for (int i = 0; i < 3 && round % 2; i++)
			ASSERT_EQ(0, leave(fds[i], SERVICE_GROUP_LEAVE_DRAIN));
		close_all(fds, 3);
		/* The end of a socket waits for a grace period. */
		ASSERT_TRUE(wait_for(unload_module() == 0));
		ASSERT_EQ(0, load_module());
	}
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
}

/* Connections that a group has served do not hold the module. */
TEST_F(unload, with_connections_left)
{
	struct address home = client_address(variant->family, 1, PORT);
	char seen[5];
	int fds[2];
	int client, server;

	group_on_hosts(variant->family, fds, 2, PORT, 1);
	start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 1));
	fill(&home, 1);
	client = connect_to(&home);
	ASSERT_LE(0, client);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	close_all(fds, 2);
	ASSERT_TRUE(wait_for(unload_module() == 0));
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	EXPECT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, load_module());
	ASSERT_EQ(5, send(server, "reply", 5, 0));
	EXPECT_EQ(5, recv(client, seen, 5, MSG_WAITALL));
}

/* A test that fails may leave it unloaded, which others need. */
int main(int argc, char **argv)
{
	int result = test_harness_run(argc, argv);

	if (access("/sys/module/service_group", F_OK) && load_module())
		die("loading the module again");
	return result;
}
