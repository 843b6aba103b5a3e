// SPDX-License-Identifier: GPL-2.0
/*
 * A member that goes passes on what it has: connections that wait, and
 * handshakes that are half-way, to siblings at the same address and at others.
 * The client sees no reset.
 */

#include <linux/filter.h>
#include <linux/in6.h>
#include <signal.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080

/* How it goes. */
enum way { CLOSE, SHUTDOWN, DISCONNECT, KILL, EXEC, DRAIN };

FIXTURE(leaving) {
	int fds[3];
	struct address home;
	struct address asked;
};

FIXTURE_VARIANT(leaving) {
	enum family family;
	enum way way;
};

#define WAYS(name, kind)							\
	FIXTURE_VARIANT_ADD(leaving, name##_close) { kind, CLOSE };		\
	FIXTURE_VARIANT_ADD(leaving, name##_shutdown) { kind, SHUTDOWN };	\
	FIXTURE_VARIANT_ADD(leaving, name##_disconnect) { kind, DISCONNECT };	\
	FIXTURE_VARIANT_ADD(leaving, name##_kill) { kind, KILL };		\
	FIXTURE_VARIANT_ADD(leaving, name##_exec) { kind, EXEC };		\
	FIXTURE_VARIANT_ADD(leaving, name##_drain) { kind, DRAIN }

WAYS(ipv4, IPV4);
WAYS(ipv6, IPV6);
WAYS(mapped, MAPPED);

FIXTURE_SETUP(leaving)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	self->asked = listener_address(variant->family, 1, PORT);
	group_on_hosts(variant->family, self->fds, 3, PORT, 8);
}

FIXTURE_TEARDOWN(leaving) { }

/* The only process with the descriptor; it ends, or becomes another program. */
static void end_with_process(int fd, bool kill_it)
{
	int ready[2];
	pid_t child;
	char byte;

	if (pipe(ready))
		die("making a pipe");
	child = fork();
	if (child < 0)
		die("forking");
	if (!child) {
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		if (!kill_it)
			execlp("true", "true", NULL);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		die("waiting for a process");
	close(fd);
	if (kill_it)
		kill(child, SIGKILL);
	if (waitpid(child, NULL, 0) != child)
		die("waiting for a process to end");
}

static void go(int fd, enum way way)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int result = 0;

	switch (way) {
	case CLOSE:
		result = close(fd);
		break;
	case SHUTDOWN:
		result = shutdown(fd, SHUT_RD);
		break;
	case DISCONNECT:
		result = connect(fd, &nobody, sizeof(nobody));
		break;
	case KILL:
		end_with_process(fd, true);
		break;
	case EXEC:
		end_with_process(fd, false);
		break;
	case DRAIN:
		result = leave(fd, SERVICE_GROUP_LEAVE_DRAIN);
		break;
	}
	if (result)
		die("going");
}

/* Accepts one, reads what the client said, and answers. */
static bool serve(int fd, const struct address *asked)
{
	int server = accept_now(fd);
	struct address name;
	char seen[5] = "";

	if (server < 0)
		return false;
	name = name_of(server);
	return same_address(asked, &name) &&
	       recv(server, seen, 5, MSG_WAITALL) == 5 && !memcmp(seen, "hello", 5) &&
	       send(server, "world", 5, 0) == 5;
}

TEST_F(leaving, waiting_connections)
{
	uint32_t id = group_of(self->fds[0]);
	int clients[4], served = 0;
	char seen[5];

	for (int i = 0; i < 4; i++) {
		clients[i] = connect_to(&self->home);
		ASSERT_LE(0, clients[i]);
		ASSERT_EQ(5, send(clients[i], "hello", 5, 0));
	}
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 4));
	go(self->fds[0], variant->way);
	EXPECT_EQ(4, group_counter(id, SERVICE_GROUP_A_COUNTERS_RESCUED_LEAVING));
	EXPECT_EQ(2, queue_length(self->fds[1]));
	EXPECT_EQ(2, queue_length(self->fds[2]));
	for (int i = 1; i < 3; i++)
		while (queue_length(self->fds[i]))
			served += serve(self->fds[i], &self->asked);
	EXPECT_EQ(4, served);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(5, recv(clients[i], seen, 5, MSG_WAITALL));
		EXPECT_EQ(0, retransmissions_of(clients[i]));
	}
}

/* The last packet of the handshake comes after it has gone. */
TEST_F(leaving, half_open)
{
	uint32_t id = group_of(self->fds[0]);
	struct handshake handshakes[2];
	struct address peer;
	int found = 0;

	for (int i = 0; i < 2; i++)
		start_handshake(&handshakes[i], variant->family, &self->home);
	ASSERT_TRUE(wait_for(info_of(self->fds[0]).half_open == 2));
	go(self->fds[0], variant->way);
	EXPECT_EQ(2, group_counter(id, SERVICE_GROUP_A_COUNTERS_HANDED_OUT));
	EXPECT_EQ(1, info_of(self->fds[1]).half_open);
	EXPECT_EQ(1, info_of(self->fds[2]).half_open);
	for (int i = 0; i < 2; i++)
		send_last_ack(&handshakes[i]);
	for (int i = 1; i < 3; i++) {
		int server;

		ASSERT_TRUE(wait_for(queue_length(self->fds[i]) == 1));
		EXPECT_EQ(0, info_of(self->fds[i]).half_open);
		server = accept_now(self->fds[i]);
		ASSERT_LE(0, server);
		peer = peer_of(server);
		for (int j = 0; j < 2; j++)
			found += peer.in.sin_port == handshakes[j].from.in.sin_port;
	}
	EXPECT_EQ(2, found);
}

/* Its client sees the SYN-ACK that the sibling's timer sends again. */
TEST_F(leaving, half_open_goes_on)
{
	int client = start_half_open(&self->home);

	ASSERT_TRUE(wait_for(info_of(self->fds[0]).half_open == 1));
	go(self->fds[0], variant->way);
	EXPECT_EQ(1, info_of(self->fds[1]).half_open + info_of(self->fds[2]).half_open);
	EXPECT_EQ(0, finish_handshake(client));
	EXPECT_TRUE(wait_for(queue_length(self->fds[1]) + queue_length(self->fds[2]) == 1));
	EXPECT_EQ(0, info_of(self->fds[1]).half_open + info_of(self->fds[2]).half_open);
}

/* Without a sibling, and without room, the kernel does what it always did. */
TEST_F(leaving, nobody_else)
{
	int client;

	close(self->fds[1]);
	close(self->fds[2]);
	client = connect_to(&self->home);
	ASSERT_LE(0, client);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1));
	go(self->fds[0], variant->way);
	if (variant->way == DRAIN) {
		EXPECT_EQ(1, queue_length(self->fds[0]));
	} else {
		EXPECT_TRUE(wait_for(state_of(client) == STATE_CLOSE));
	}
}

ONE_FAMILY(both_families);

/* What no sibling can take does not keep the others. */
TEST_F(both_families, one_at_a_time)
{
	struct address ipv4 = client_address(IPV4, 1, PORT);
	struct address ipv6 = client_address(IPV6, 1, PORT);
	int only = 0, fds[2];

	/* Of both families, and of IPv6 alone. */
	fds[0] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	set_option(fds[0], SOL_IPV6, IPV6_V6ONLY, only);
	set_option(fds[0], SOL_SOCKET, SO_REUSEPORT, 1);
	{
		struct address any = listener_address(MAPPED, 0, PORT);

		any.in6.sin6_addr = in6addr_any;
		ASSERT_EQ(0, bind_to(fds[0], &any));
	}
	ASSERT_EQ(0, listen(fds[0], 8));
	fds[1] = reuseport_listener(IPV6, 2, PORT, 8);
	ASSERT_EQ(0, form(fds, 2));
	fill(&ipv4, 2);
	fill(&ipv6, 3);
	start_half_open(&ipv4);
	start_half_open(&ipv6);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 5));
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 2));
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(3, queue_length(fds[1]));
	EXPECT_EQ(1, info_of(fds[1]).half_open);
	EXPECT_EQ(2, queue_length(fds[0]));
}

FAMILIES(request);

/* A client that does not see the SYN-ACK, and whose SYN has IPv4 options: a record of its route. */
static int start_with_options(enum family family, const struct address *to)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	const unsigned char route[12] = { 7, 11, 4 };
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (family == IPV4 && setsockopt(fd, SOL_IP, IP_OPTIONS, route, sizeof(route)))
		die("setting IPv4 options");
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
	    (connect(fd, &to->any, to->len) && errno != EINPROGRESS))
		die("connecting");
	return fd;
}

/* Has the listener keep SYNs and their flow labels. */
static void keep_syns(int fd, enum family family)
{
	struct in6_flowlabel_req reflect = {
		.flr_action = IPV6_FL_A_GET, .flr_flags = IPV6_FL_F_REFLECT,
	};

	set_option(fd, IPPROTO_TCP, TCP_SAVE_SYN, 1);
	if (family != IPV4 &&
	    setsockopt(fd, SOL_IPV6, IPV6_FLOWLABEL_MGR, &reflect, sizeof(reflect)))
		die("reflecting flow labels");
}

static socklen_t length_of(int fd, int level, int name)
{
	char value[256];
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, value, &len))
		die("reading an option");
	return len;
}

/* What its SYN has brought is there when the sibling that has it completes the handshake. */
TEST_F(request, keeps_what_it_has)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2], client, server;

	set_sysctl("ipv6/flowlabel_consistency", "0");
	group_on_hosts(variant->family, fds, 2, PORT, 8);
	for (int i = 0; i < 2; i++)
		keep_syns(fds[i], variant->family);
	client = start_with_options(variant->family, &home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 1));
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(1, info_of(fds[1]).half_open);
	ASSERT_EQ(0, finish_handshake(client));
	ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
	server = accept_now(fds[1]);
	ASSERT_LE(0, server);
	EXPECT_LT(0, length_of(server, IPPROTO_TCP, TCP_SAVED_SYN));
	if (variant->family == IPV4)
		EXPECT_LT(0, length_of(server, SOL_IP, IP_OPTIONS));
}

FAMILIES(stopped);

/* What stopped may listen again, and is a member like any other. */
TEST_F(stopped, comes_back)
{
	struct address home = client_address(variant->family, 1, PORT);
	static const enum way ways[] = { SHUTDOWN, DISCONNECT };
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 8);
	for (int i = 0; i < 2; i++) {
		fill(&home, 2);
		ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
		go(fds[0], ways[i]);
		EXPECT_EQ(2, info_of(fds[0]).members);
		ASSERT_EQ(0, listen(fds[0], 8));
		EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
	}
	EXPECT_EQ(4, queue_length(fds[1]));
	fill(&home, 3);
	EXPECT_TRUE(wait_for(queue_length(fds[0]) == 3));
}

TEST_HARNESS_MAIN
