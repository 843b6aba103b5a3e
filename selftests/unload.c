// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the module: refused while there are members, and possible under
 * traffic as soon as the last one is gone. SG_MODULE is the module's path; it
 * is loaded at the start and at the end.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "test.h"

#define PORT 8080

static int load(void)
{
	const char *path = getenv("SG_MODULE");
	int fd = open(path ? path : "", O_RDONLY | O_CLOEXEC);
	int result;

	if (fd < 0)
		die("opening SG_MODULE");
	result = syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return result;
}

static int unload(void)
{
	return syscall(__NR_delete_module, "service_group", O_NONBLOCK) ? -errno : 0;
}

FAMILIES(unload);

TEST_F(unload, refused_while_there_are_members)
{
	struct service_group_info info;
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_EQ(2, info_of(fds[0]).members);
	ASSERT_EQ(0, leave(fds[0], 0));
	EXPECT_EQ(-EAGAIN, unload());
	close(fds[1]);
	ASSERT_TRUE(wait_for(stats_now().groups == 0));
	ASSERT_EQ(0, unload());
	/* Now nobody knows the option. */
	EXPECT_EQ(-ENOPROTOOPT, get_info(fds[0], &info));
	EXPECT_EQ(-ENOPROTOOPT, form(fds, 1));
	EXPECT_EQ(0, load());
	EXPECT_EQ(0, form(fds, 1));
}

/* Clients that connect all the time, and a server that accepts. */
static void start_traffic(const struct address *to, const int *fds, int count, pid_t *children)
{
	children[0] = fork();
	if (!children[0]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = start_connect(to);

			usleep(500);
			close(fd);
		}
	}
	children[1] = fork();
	if (!children[1]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			for (int i = 0; i < count; i++) {
				int fd = accept_now(fds[i]);

				if (fd >= 0)
					close(fd);
			}
	}
}

TEST_F(unload, under_traffic)
{
	struct address home = client_address(variant->family, 1, PORT);
	pid_t children[2];
	int fds[3];

	listen_on_hosts(variant->family, fds, 3, PORT, 1);
	start_traffic(&home, fds, 3, children);
	for (int round = 0; round < 5; round++) {
		ASSERT_EQ(0, form(fds, 3));
		/* Until connections have gone every way. */
		ASSERT_TRUE(wait_for(info_of(fds[0]).home >= 5));
		for (int i = 0; i < 3; i++)
			ASSERT_EQ(0, leave(fds[i], round % 2 ? SERVICE_GROUP_LEAVE_DRAIN : 0));
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, load());
	}
	for (int i = 0; i < 2; i++) {
		kill(children[i], SIGKILL);
		ASSERT_EQ(children[i], waitpid(children[i], NULL, 0));
	}
}

/* Connections that are queued, accepted and half-open do not hold the module. */
TEST_F(unload, with_connections_left)
{
	struct address home = client_address(variant->family, 1, PORT);
	char seen[5];
	int fds[2];
	int client, half, server;

	group_on_hosts(variant->family, fds, 2, PORT, 1);
	half = start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 1));
	fill(&home, 1);
	client = connect_to(&home);
	ASSERT_LE(0, client);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, leave(fds[i], 0));
	ASSERT_EQ(0, unload());
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	EXPECT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
	EXPECT_LE(0, accept(fds[1], NULL, NULL));
	EXPECT_LE(0, accept(fds[0], NULL, NULL));
	EXPECT_EQ(0, finish_handshake(half));
	EXPECT_LE(0, accept(fds[0], NULL, NULL));
	EXPECT_EQ(0, load());
}

TEST_HARNESS_MAIN
