// SPDX-License-Identifier: GPL-2.0
/*
 * What the life of a socket does to its membership: close, shutdown, listening
 * again, connecting, passing the descriptor, fork, exec, a killed process, the
 * end of a namespace. The last member's end is the group's.
 *
 * Unloading the module is tested by unload.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "test.h"

#define PORT 8080

FAMILIES(life);

static int members_of(int fd)
{
	struct service_group_info info;

	return get_info(fd, &info) ? 0 : info.members;
}

TEST_F(life, close)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[3];

	group_on_hosts(variant->family, fds, 3, PORT, 0);
	fill(&home, 1);
	close(fds[1]);
	EXPECT_TRUE(wait_for(members_of(fds[0]) == 2));
	/* It is no target any more. */
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[2]) == 1));
	close(fds[0]);
	EXPECT_TRUE(wait_for(members_of(fds[2]) == 1));
	EXPECT_EQ(1, stats_now().groups);
	close(fds[2]);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
	EXPECT_EQ(0, stats_now().members);
}

/* Of a duplicate only the last descriptor counts. */
TEST_F(life, duplicate)
{
	int fd = tcp_socket(variant->family);
	int copy;

	ASSERT_EQ(0, form(&fd, 1));
	copy = dup(fd);
	close(fd);
	EXPECT_EQ(1, members_of(copy));
	close(copy);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
}

/* A member that is shut down stays a member, and may listen again. */
TEST_F(life, shutdown_and_listen_again)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address sibling = client_address(variant->family, 2, PORT);
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	for (int round = 0; round < 3; round++) {
		int client;

		ASSERT_EQ(0, shutdown(fds[1], SHUT_RDWR));
		EXPECT_EQ(2, members_of(fds[1]));
		EXPECT_TRUE(has_ulp(fds[1], "service_group"));
		EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_BOUND, info_of(fds[1]).state);
		EXPECT_EQ(-ECONNREFUSED, connect_to(&sibling));
		fill(&home, 1);
		client = start_connect(&home);
		EXPECT_TRUE(wait_for(info_of(fds[0]).dropped >= 1));
		EXPECT_EQ(STATE_SYN_SENT, state_of(client));
		close(client);

		ASSERT_EQ(0, listen(fds[1], 0));
		EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[1]).state);
		fill(&home, 1);
		ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
		/* And its own connections are redirected as before. */
		ASSERT_LE(0, accept(fds[0], NULL, NULL));
		fill(&sibling, 1);
		ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
		ASSERT_LE(0, accept(fds[0], NULL, NULL));
		ASSERT_LE(0, accept(fds[1], NULL, NULL));
	}
	EXPECT_EQ(3, info_of(fds[1]).redirected_in);
	EXPECT_EQ(3, info_of(fds[0]).redirected_in);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
}

/* connect() with AF_UNSPEC takes a listener apart as shutdown() does. */
TEST_F(life, disconnect)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	ASSERT_EQ(0, connect(fds[0], &nobody, sizeof(nobody)));
	EXPECT_EQ(2, members_of(fds[0]));
	EXPECT_NE(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
	ASSERT_EQ(0, listen(fds[0], 0));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
}

/* A member that connects is of no use to its siblings, and does no harm. */
TEST_F(life, connect_on_a_member)
{
	struct address there = client_address(variant->family, 2, PORT);
	struct address home = client_address(variant->family, 1, PORT);
	int fds[3];
	char seen[2];
	int server;

	if (variant->family == MAPPED)
		there = listener_address(MAPPED, 2, PORT);
	group_on_hosts(variant->family, fds, 2, PORT, 0);
	fds[2] = tcp_socket(variant->family);
	ASSERT_EQ(0, join(fds[2], group_of(fds[0])));
	ASSERT_EQ(0, connect(fds[2], &there.any, there.len));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_CONNECTED, info_of(fds[2]).state);
	EXPECT_EQ(3, members_of(fds[0]));
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	ASSERT_EQ(2, send(fds[2], "ok", 2, 0));
	ASSERT_EQ(2, recv(server, seen, 2, MSG_WAITALL));
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	ASSERT_EQ(0, leave(fds[2], 0));
	ASSERT_EQ(2, send(fds[2], "ok", 2, 0));
	ASSERT_EQ(2, recv(server, seen, 2, MSG_WAITALL));
}

/* The whole circle: listen, shutdown, connect, disconnect, listen. */
TEST_F(life, circle)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct address there_as_client = client_address(variant->family, 2, PORT);
	struct address home = client_address(variant->family, 1, PORT);
	struct address there = there_as_client;
	int fds[2];

	if (variant->family == MAPPED)
		there = listener_address(MAPPED, 2, PORT);
	group_on_hosts(variant->family, fds, 2, PORT, 1);
	ASSERT_EQ(0, shutdown(fds[0], SHUT_RDWR));
	ASSERT_EQ(0, connect(fds[0], &there.any, there.len));
	ASSERT_LE(0, accept(fds[1], NULL, NULL));
	ASSERT_EQ(0, connect(fds[0], &nobody, sizeof(nobody)));
	EXPECT_EQ(2, members_of(fds[0]));
	ASSERT_EQ(0, listen(fds[0], 0));
	EXPECT_EQ(PORT, port_of(fds[0]));
	/* A connection to IPv4 has changed an IPv6 socket's operations for good. */
	EXPECT_EQ(variant->family == MAPPED ? SERVICE_GROUP_MEMBER_STATE_UNHOOKED :
		  SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	/* Listening, it takes connections for its sibling in any case. */
	ASSERT_LE(0, accept(fds[0], NULL, NULL));
	fill(&there_as_client, 3);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	EXPECT_EQ(1, info_of(fds[0]).redirected_in);
	if (variant->family == MAPPED)
		return;
	/* And otherwise the sibling takes what comes for it. */
	ASSERT_LE(0, accept(fds[1], NULL, NULL));
	fill(&home, 1);
	EXPECT_TRUE(wait_for(info_of(fds[0]).redirected_out == 1));
}

/* A process that inherits a member may do all that its parent may. */
TEST_F(life, fork)
{
	int fds[2];
	int status;
	pid_t child;

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(fds[1]);
		_exit(members_of(fds[0]) != 2 || leave(fds[0], 0));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, group_of(fds[0]));
	EXPECT_EQ(1, members_of(fds[1]));
}

/* A child that keeps the descriptor keeps the membership. */
TEST_F(life, kept_by_a_child)
{
	int fds[2];
	int hold[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(hold));
	group_on_hosts(variant->family, fds, 2, PORT, 0);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(hold[1]);
		if (read(hold[0], &byte, 1) < 0)
			_exit(1);
		pause();
	}
	close_all(fds, 2);
	EXPECT_EQ(2, stats_now().members);
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(wait_for(stats_now().members == 0));
	EXPECT_EQ(0, stats_now().groups);
}

/* The descriptor goes to another process, and its first owner is killed. */
TEST_F(life, passed_and_owner_killed)
{
	struct address home = client_address(variant->family, 1, PORT);
	char control[CMSG_SPACE(2 * sizeof(int))] = { };
	struct iovec byte = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int ends[2], fds[2];
	char room[1];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

		group_on_hosts(variant->family, fds, 2, PORT, 0);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(rights), fds, sizeof(fds));
		if (sendmsg(ends[1], &message, 0) != 1)
			_exit(1);
		pause();
	}
	byte.iov_base = room;
	ASSERT_EQ(1, recvmsg(ends[0], &message, 0));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fds));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(2, members_of(fds[0]));
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
}

/* exec: what is inherited is a member, what closes is none. */
TEST_F(life, exec)
{
	int fds[2];
	int end[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe2(end, O_CLOEXEC));
	group_on_hosts(variant->family, fds, 2, PORT, 0);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fcntl(fds[0], F_SETFD, 0);
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	close(end[1]);
	close_all(fds, 2);
	/* The pipe ends with the exec. */
	ASSERT_EQ(0, read(end[0], &byte, 1));
	EXPECT_TRUE(wait_for(stats_now().members == 1));
	kill(child, SIGKILL);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
}

/* A namespace ends with its last process, and everything in it. */
TEST_F(life, namespace_ends)
{
	int status;

	for (int round = 0; round < 3; round++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child) {
			struct address home = client_address(variant->family, 1, PORT);
			int fds[2];

			enter_namespace();
			group_on_hosts(variant->family, fds, 2, PORT, 0);
			start_half_open(&home);
			start_half_open(&home);
			fill(&home, 1);
			kill(getpid(), SIGKILL);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

ONE_FAMILY(mapped);

/* An IPv6 connection that becomes an IPv4 socket changes its operations. */
TEST_F(mapped, addrform)
{
	struct address there = listener_address(MAPPED, 1, PORT);
	int server = listener(IPV4, 1, PORT, 1);
	int fd = tcp_socket(MAPPED);

	ASSERT_EQ(0, form(&fd, 1));
	ASSERT_EQ(0, connect(fd, &there.any, there.len));
	ASSERT_LE(0, accept(server, NULL, NULL));
	/* It may be refused, but then nothing has changed. */
	if (!setsockopt(fd, SOL_IPV6, IPV6_ADDRFORM, &(int){ AF_INET }, sizeof(int)))
		EXPECT_EQ(AF_INET, get_option(fd, SOL_SOCKET, SO_DOMAIN));
	EXPECT_EQ(1, members_of(fd));
	EXPECT_EQ(2, send(fd, "ok", 2, 0));
	EXPECT_EQ(0, leave(fd, 0));
	EXPECT_EQ(2, send(fd, "ok", 2, 0));
}

TEST_HARNESS_MAIN
