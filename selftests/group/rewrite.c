// SPDX-License-Identifier: GPL-2.0
/*
 * Rewriting: a program is shown the address that its listener is bound to,
 * whatever the client asked for; the client sees only what it asked for.
 */

#include <fcntl.h>
#include <liburing.h>
#include <linux/tls.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080

FIXTURE(rewrite) {
	int fds[2];
	struct address home;
	/* What the client asks for, and what the listeners are bound to. */
	struct address asked;
	struct address own;
};

FIXTURE_VARIANT(rewrite) { enum family family; };
FIXTURE_VARIANT_ADD(rewrite, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(rewrite, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(rewrite, mapped) { .family = MAPPED };

FIXTURE_SETUP(rewrite)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	self->asked = listener_address(variant->family, 1, PORT);
	self->own = listener_address(variant->family, 2, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, 0);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_REWRITE, 1));
	/* Home is full. */
	fill(&self->home, 1);
	if (!wait_for(queue_length(self->fds[0]) == 1))
		die("waiting for a connection");
}

FIXTURE_TEARDOWN(rewrite) { }

static bool is_named(int fd, const struct address *name)
{
	struct address seen = name_of(fd);

	return same_address(name, &seen);
}

static uint64_t rewritten(int fd)
{
	return member_counter(fd, SERVICE_GROUP_A_COUNTERS_REWRITTEN);
}

/* Sends one way until the other side has all of it; more than any buffer. */
static bool transfer(int from, int to)
{
	static char out[1 << 20], in[sizeof(out)];
	pid_t child;
	int status;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + i / 251;
	child = fork();
	if (!child) {
		ssize_t sent = 0, more;

		while (sent < (ssize_t)sizeof(out) &&
		       (more = send(from, out + sent, sizeof(out) - sent, 0)) > 0)
			sent += more;
		_exit(sent != sizeof(out));
	}
	if (recv(to, in, sizeof(in), MSG_WAITALL) != sizeof(in))
		return false;
	return waitpid(child, &status, 0) == child && !status && !memcmp(in, out, sizeof(in));
}

TEST_F(rewrite, shows_the_own_address)
{
	int client = connect_to(&self->home);
	struct address peer, back;
	int server;

	ASSERT_LE(0, client);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &self->own));
	EXPECT_EQ(PORT, port_of(server));
	EXPECT_EQ(1, rewritten(self->fds[1]));
	/* Both still have the peers that they had. */
	peer = peer_of(client);
	EXPECT_TRUE(same_address(&self->home, &peer));
	peer = peer_of(server);
	EXPECT_EQ(port_of(client), ntohs(peer.in.sin_port));
	back = name_of(client);
	EXPECT_EQ(back.in.sin_port, peer.in.sin_port);
	EXPECT_TRUE(transfer(client, server));
	EXPECT_TRUE(transfer(server, client));
}

/* The member that was asked for shows what was asked for, as it is its own. */
TEST_F(rewrite, home_is_home)
{
	int server = accept(self->fds[0], NULL, NULL);

	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &self->asked));
	EXPECT_EQ(0, rewritten(self->fds[0]));
}

/* It counts when accept() is called. */
TEST_F(rewrite, off)
{
	int server;

	fill(&self->home, 1);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_REWRITE, 0));
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &self->asked));
	EXPECT_EQ(0, rewritten(self->fds[1]));
}

/* A connection that was moved is shown as its new owner's, too. */
TEST_F(rewrite, rescued)
{
	int server;

	ASSERT_EQ(0, leave(self->fds[0], SERVICE_GROUP_LEAVE_DRAIN));
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &self->own));
}

TEST_F(rewrite, io_uring)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ASSERT_EQ(0, io_uring_queue_init(8, &ring, 0));
	fill(&self->home, 1);
	io_uring_prep_accept(io_uring_get_sqe(&ring), self->fds[1], NULL, NULL, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
	ASSERT_LE(0, cqe->res);
	EXPECT_TRUE(is_named(cqe->res, &self->own));
}

/* Of several descriptors and processes the last one ends it. */
TEST_F(rewrite, shared)
{
	int server, copy, status;
	pid_t child;

	fill(&self->home, 1);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	copy = dup(server);
	close(server);
	EXPECT_TRUE(is_named(copy, &self->own));
	child = fork();
	if (!child)
		_exit(!is_named(copy, &self->own));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(is_named(copy, &self->own));
}

/* kTLS brings operations of its own, and they tell what was asked for. */
TEST_F(rewrite, ktls)
{
	struct tls12_crypto_info_aes_gcm_128 crypto = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};
	int client = connect_to(&self->home);
	int server;

	ASSERT_LE(0, client);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	ASSERT_EQ(0, setsockopt(server, IPPROTO_TCP, TCP_ULP, "tls", 3));
	EXPECT_TRUE(has_ulp(server, "tls"));
	EXPECT_TRUE(is_named(server, &self->asked));
	ASSERT_EQ(0, setsockopt(server, SOL_TLS, TLS_TX, &crypto, sizeof(crypto)));
	EXPECT_EQ(5, send(server, "hello", 5, 0));
}

/* A listener on the wildcard has no address to show. */
TEST_F(rewrite, wildcard)
{
	struct address there = client_address(variant->family, 3, PORT + 1);
	struct address asked = listener_address(variant->family, 3, PORT + 1);
	int fds[2] = {
		reuseport_listener(variant->family, 3, PORT + 1, 0),
		reuseport_listener(variant->family, 0, PORT + 1, 0),
	};
	int server;

	ASSERT_EQ(0, form(fds, 2));
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_REWRITE, 1));
	fill(&there, 2);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &asked));
	EXPECT_EQ(0, rewritten(fds[1]));
}

/* accept() on what does not listen gives up, and takes nothing with it. */
TEST_F(rewrite, accept_on_a_connection)
{
	int server;

	fill(&self->home, 1);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(-1, accept(server, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(is_named(server, &self->own));
	EXPECT_EQ(-1, listen(server, 1));
	shutdown(self->fds[1], SHUT_RD);
	EXPECT_EQ(-1, accept(self->fds[1], NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
}

/* A socket that is connected anew tells its new address. */
TEST_F(rewrite, connected_anew)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct address there = listener_address(variant->family, 5, 0);
	struct address seen;
	int server;

	fill(&self->home, 1);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	ASSERT_EQ(0, connect(server, &nobody, sizeof(nobody)));
	ASSERT_EQ(0, bind_to(server, &there));
	seen = name_of(server);
	there.in.sin_port = seen.in.sin_port;
	EXPECT_TRUE(same_address(&there, &seen));
}

/* One that listens anew is an ordinary listener, with ordinary connections. */
TEST_F(rewrite, listens_anew)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct address there = listener_address(variant->family, 5, PORT + 1);
	struct address home = client_address(variant->family, 5, PORT + 1);
	int references = read_number("/sys/module/service_group/refcnt");
	int server, client, child;

	fill(&self->home, 1);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_LT(references, read_number("/sys/module/service_group/refcnt"));
	ASSERT_EQ(0, connect(server, &nobody, sizeof(nobody)));
	ASSERT_EQ(0, bind_to(server, &there));
	ASSERT_EQ(0, listen(server, 8));
	EXPECT_EQ(references, read_number("/sys/module/service_group/refcnt"));
	client = connect_to(&home);
	ASSERT_LE(0, client);
	child = accept(server, NULL, NULL);
	ASSERT_LE(0, child);
	EXPECT_TRUE(is_named(child, &there));
	close(child);
	close(client);
	close(server);
}

/* Its connections keep the module after its members are gone. */
TEST_F(rewrite, keeps_the_module)
{
	int server;

	fill(&self->home, 1);
	server = accept(self->fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	close_all(self->fds, 2);
	ASSERT_TRUE(wait_for(stats_now().members == 0));
	ASSERT_TRUE(wait_for(read_number("/sys/module/service_group/refcnt") == 1));
	EXPECT_EQ(-1, syscall(__NR_delete_module, "service_group", O_NONBLOCK));
	EXPECT_TRUE(is_named(server, &self->own));
	close(server);
	EXPECT_TRUE(wait_for(read_number("/sys/module/service_group/refcnt") == 0));
}

ONE_FAMILY(addrform);

/* So does an IPv6 socket that becomes an IPv4 one. */
TEST_F(addrform, tells_what_was_asked_for)
{
	struct address home = client_address(MAPPED, 1, PORT);
	struct address own = listener_address(MAPPED, 2, PORT);
	struct address asked = listener_address(IPV4, 1, PORT);
	int inet = AF_INET;
	int fds[2], server;

	group_on_hosts(MAPPED, fds, 2, PORT, 0);
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_REWRITE, 1));
	fill(&home, 2);
	server = accept(fds[1], NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(is_named(server, &own));
	ASSERT_EQ(0, setsockopt(server, SOL_IPV6, IPV6_ADDRFORM, &inet, sizeof(inet)));
	EXPECT_TRUE(is_named(server, &asked));
}

TEST_HARNESS_MAIN
