// SPDX-License-Identifier: GPL-2.0
/*
 * The other ways from SYN to accept queue: SYN cookies, TCP Fast Open, a home
 * listener that is full when the last packet of the handshake comes (rescue),
 * and one that leaves with connections in its queue (drain).
 */

#include <linux/filter.h>

#include "test.h"

#define PORT 8080

FIXTURE(cookies) {
	struct address home;
	struct address sibling;
	int fds[2];
};

FIXTURE_VARIANT(cookies) {
	enum family family;
	const char *mode;
};

FIXTURE_VARIANT_ADD(cookies, ipv4_off) { IPV4, "0" };
FIXTURE_VARIANT_ADD(cookies, ipv4_on_overflow) { IPV4, "1" };
FIXTURE_VARIANT_ADD(cookies, ipv4_always) { IPV4, "2" };
FIXTURE_VARIANT_ADD(cookies, ipv6_off) { IPV6, "0" };
FIXTURE_VARIANT_ADD(cookies, ipv6_on_overflow) { IPV6, "1" };
FIXTURE_VARIANT_ADD(cookies, ipv6_always) { IPV6, "2" };
FIXTURE_VARIANT_ADD(cookies, mapped_off) { MAPPED, "0" };
FIXTURE_VARIANT_ADD(cookies, mapped_on_overflow) { MAPPED, "1" };
FIXTURE_VARIANT_ADD(cookies, mapped_always) { MAPPED, "2" };

FIXTURE_SETUP(cookies)
{
	enter_namespace();
	set_sysctl("ipv4/tcp_syncookies", variant->mode);
	self->home = client_address(variant->family, 1, PORT);
	self->sibling = client_address(variant->family, 2, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, 1);
}

FIXTURE_TEARDOWN(cookies) { }

/* Serves all that waits at a listener; the number, and whether one is of @port. */
static int serve(struct __test_metadata *_metadata, int fd, const struct address *asked,
		 uint16_t port, bool *found)
{
	int server, count = 0;

	while ((server = accept_now(fd)) >= 0) {
		struct address name = name_of(server);
		struct address peer = peer_of(server);

		EXPECT_TRUE(same_address(asked, &name));
		EXPECT_EQ(STATE_ESTABLISHED, state_of(server));
		EXPECT_TRUE(has_ulp(server, ""));
		EXPECT_EQ(5, send(server, "hello", 5, 0));
		*found |= port == peer.in.sin_port;
		count++;
	}
	return count;
}

/* Which of the connections a sibling gets is not promised, but none is lost. */
TEST_F(cookies, redirect)
{
	struct address asked = listener_address(variant->family, 1, PORT);
	int clients[4];
	bool found = false;

	for (int i = 0; i < 4; i++) {
		clients[i] = connect_to(&self->home);
		ASSERT_LE(0, clients[i]);
	}
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 2 && queue_length(self->fds[1]) == 2));
	EXPECT_EQ(2, info_of(self->fds[0]).home);
	EXPECT_EQ(2, info_of(self->fds[1]).redirected_in);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(2, serve(_metadata, self->fds[i], &asked, 0, &found));
	for (int i = 0; i < 4; i++) {
		char seen[5];

		ASSERT_EQ(5, recv(clients[i], seen, 5, MSG_WAITALL));
		EXPECT_EQ(0, memcmp("hello", seen, 5));
	}
}

TEST_F(cookies, drop)
{
	int client;

	fill(&self->home, 4);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 2));
	client = start_connect(&self->home);
	EXPECT_TRUE(wait_for(info_of(self->fds[0]).dropped >= 1));
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));
}

/* Home has become full between SYN and ACK. */
TEST_F(cookies, rescue)
{
	struct address asked = listener_address(variant->family, 1, PORT);
	struct handshake handshake;
	bool found = false;

	start_handshake(&handshake, variant->family, &self->home);
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1));
	/* The smaller backlog makes it full. */
	ASSERT_EQ(0, listen(self->fds[0], 0));
	send_last_ack(&handshake);
	ASSERT_TRUE(wait_for(queue_length(self->fds[1]) == 1));
	EXPECT_EQ(1, queue_length(self->fds[0]));
	EXPECT_EQ(0, info_of(self->fds[0]).half_open);
	EXPECT_EQ(1, info_of(self->fds[0]).rescued_out);
	EXPECT_EQ(1, info_of(self->fds[1]).rescued_in);
	EXPECT_EQ(0, info_of(self->fds[1]).redirected_in);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(1, serve(_metadata, self->fds[i], &asked,
				   handshake.from.in.sin_port, &found));
	EXPECT_TRUE(found);
}

/* No room for a rescue: nothing goes beyond any queue's end. */
TEST_F(cookies, no_rescue)
{
	struct address asked = listener_address(variant->family, 1, PORT);
	struct handshake handshake;
	bool found = false;

	start_handshake(&handshake, variant->family, &self->home);
	fill(&self->home, 1);
	fill(&self->sibling, 2);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1 && queue_length(self->fds[1]) == 2));
	ASSERT_EQ(0, listen(self->fds[0], 0));
	send_last_ack(&handshake);
	EXPECT_EQ(1, queue_length(self->fds[0]));
	EXPECT_EQ(2, queue_length(self->fds[1]));
	/* A later one, whose arrival can be waited for. */
	while (accept_now(self->fds[1]) >= 0)
		;
	fill(&self->home, 1);
	ASSERT_TRUE(wait_for(queue_length(self->fds[0]) == 1 && queue_length(self->fds[1]) == 1));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(1, serve(_metadata, self->fds[i], &asked,
				   handshake.from.in.sin_port, &found));
	EXPECT_FALSE(found);
}

FAMILIES(paths);

/* The request waits until there is room, and then is rescued. */
TEST_F(paths, rescue_when_there_is_room)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address sibling = client_address(variant->family, 2, PORT);
	int fds[2];
	int client, server;
	bool found = false;
	char seen[5];

	group_on_hosts(variant->family, fds, 2, PORT, 1);
	client = start_half_open(&home);
	ASSERT_TRUE(wait_for(info_of(fds[0]).half_open == 1));
	fill(&home, 1);
	fill(&sibling, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1 && queue_length(fds[1]) == 2));
	ASSERT_EQ(0, listen(fds[0], 0));
	ASSERT_EQ(0, finish_handshake(client));
	ASSERT_EQ(5, send(client, "hello", 5, 0));
	for (int i = 0; i < 2; i++)
		ASSERT_LE(0, accept(fds[1], NULL, NULL));
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1 && queue_length(fds[1]) == 1));
	EXPECT_TRUE(wait_for(info_of(fds[1]).rescued_in == 1));
	for (int i = 0; i < 2; i++) {
		server = accept(fds[i], NULL, NULL);
		ASSERT_LE(0, server);
		if (peer_of(server).in.sin_port != name_of(client).in.sin_port)
			continue;
		ASSERT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
		EXPECT_EQ(0, memcmp("hello", seen, 5));
		found = true;
	}
	EXPECT_TRUE(found);
}

/* Those for which there is room go to the sibling, in their order. */
TEST_F(paths, drain)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address asked = listener_address(variant->family, 1, PORT);
	int clients[4];
	int fds[3];
	uint32_t id;
	int moved = 0;

	group_on_hosts(variant->family, fds, 3, PORT, 3);
	ASSERT_EQ(0, listen(fds[1], 0));
	ASSERT_EQ(0, listen(fds[2], 1));
	id = group_of(fds[0]);
	for (int i = 0; i < 4; i++) {
		clients[i] = connect_to(&home);
		ASSERT_LE(0, clients[i]);
		ASSERT_EQ(5, send(clients[i], "hello", 5, 0));
	}
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 4));
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(1, queue_length(fds[0]));
	EXPECT_EQ(1, queue_length(fds[1]));
	EXPECT_EQ(2, queue_length(fds[2]));
	EXPECT_EQ(1, info_of(fds[1]).rescued_in);
	EXPECT_EQ(2, info_of(fds[2]).rescued_in);
	EXPECT_EQ(3, group_counter(id, SERVICE_GROUP_A_COUNTERS_RESCUED_LEAVING));
	EXPECT_EQ(3, group_counter(id, SERVICE_GROUP_A_COUNTERS_RESCUED_IN));
	for (int i = 0; i < 3; i++) {
		int server;

		while ((server = accept_now(fds[i])) >= 0) {
			struct address name = name_of(server);
			char seen[5] = "";

			EXPECT_TRUE(same_address(&asked, &name));
			ASSERT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
			EXPECT_EQ(0, memcmp("hello", seen, 5));
			ASSERT_EQ(2, send(server, "ok", 2, 0));
			moved++;
		}
	}
	EXPECT_EQ(4, moved);
	for (int i = 0; i < 4; i++) {
		char seen[2];

		EXPECT_EQ(2, recv(clients[i], seen, 2, MSG_WAITALL));
	}
}

/* Without the flag they stay. */
TEST_F(paths, leave_without_drain)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 3);
	fill(&home, 3);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 3));
	ASSERT_EQ(0, leave(fds[0], 0));
	EXPECT_EQ(3, queue_length(fds[0]));
	EXPECT_EQ(0, queue_length(fds[1]));
}

/* Draining wakes the sibling's application. */
TEST_F(paths, drain_wakes)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];
	int status;
	pid_t child;

	group_on_hosts(variant->family, fds, 2, PORT, 3);
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(accept(fds[1], NULL, NULL) < 0);
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

#define FASTOPEN_NO_COOKIES "519"	/* 0x207: client and server, without cookies */

/* A client that sends its data with the SYN. */
static int fast_open(const struct address *to)
{
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0 || sendto(fd, "hello", 5, MSG_FASTOPEN, &to->any, to->len) != 5)
		die("fast open");
	return fd;
}

/* One that does not see the SYN-ACK: the server's end stays in SYN_RECV. */
static void fast_open_half(const struct address *to)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
		die("attaching a filter");
	if (sendto(fd, "hello", 5, MSG_FASTOPEN, &to->any, to->len) < 0 && errno != EINPROGRESS)
		die("fast open");
}

static bool was_fast(int fd)
{
	struct tcp_info info = { };
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_options & TCPI_OPT_SYN_DATA;
}

TEST_F(paths, fast_open)
{
	struct address home = client_address(variant->family, 1, PORT);
	struct address asked = listener_address(variant->family, 1, PORT);
	int fds[2];

	set_sysctl("ipv4/tcp_fastopen", FASTOPEN_NO_COOKIES);
	listen_on_hosts(variant->family, fds, 2, PORT, 0);
	for (int i = 0; i < 2; i++)
		set_option(fds[i], IPPROTO_TCP, TCP_FASTOPEN, 16);
	ASSERT_EQ(0, form(fds, 2));
	/* The first is served at home, the second by the sibling. */
	for (int i = 0; i < 2; i++) {
		int client = fast_open(&home);
		struct address name;
		char seen[5];
		int server;

		ASSERT_TRUE(wait_for(queue_length(fds[i]) == 1));
		/* Nobody accepts the first: home stays full. */
		if (!i)
			continue;
		server = accept(fds[1], NULL, NULL);
		ASSERT_LE(0, server);
		ASSERT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
		EXPECT_EQ(0, memcmp("hello", seen, 5));
		ASSERT_EQ(5, send(server, "reply", 5, 0));
		ASSERT_EQ(5, recv(client, seen, 5, MSG_WAITALL));
		EXPECT_TRUE(was_fast(client));
		name = name_of(server);
		EXPECT_TRUE(same_address(&asked, &name));
		EXPECT_TRUE(has_ulp(server, ""));
	}
	EXPECT_EQ(1, info_of(fds[0]).home);
	EXPECT_EQ(1, info_of(fds[1]).redirected_in);
}

/* A sibling without fast open serves the connection all the same. */
TEST_F(paths, fast_open_at_home_only)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];
	int server;
	char seen[5];

	set_sysctl("ipv4/tcp_fastopen", FASTOPEN_NO_COOKIES);
	listen_on_hosts(variant->family, fds, 2, PORT, 0);
	set_option(fds[0], IPPROTO_TCP, TCP_FASTOPEN, 16);
	ASSERT_EQ(0, form(fds, 2));
	fast_open(&home);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	fast_open(&home);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	ASSERT_EQ(5, recv(server, seen, 5, MSG_WAITALL));
	EXPECT_EQ(0, memcmp("hello", seen, 5));
}

/* One whose handshake is not complete stays where it is. */
TEST_F(paths, fast_open_is_not_drained)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];

	set_sysctl("ipv4/tcp_fastopen", FASTOPEN_NO_COOKIES);
	listen_on_hosts(variant->family, fds, 2, PORT, 4);
	for (int i = 0; i < 2; i++)
		set_option(fds[i], IPPROTO_TCP, TCP_FASTOPEN, 16);
	ASSERT_EQ(0, form(fds, 2));
	fast_open_half(&home);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 2));
	ASSERT_EQ(0, leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(1, queue_length(fds[0]));
	EXPECT_EQ(1, queue_length(fds[1]));
	EXPECT_LE(0, accept(fds[0], NULL, NULL));
	EXPECT_LE(0, accept(fds[1], NULL, NULL));
}

TEST_HARNESS_MAIN
