// SPDX-License-Identifier: GPL-2.0
/*
 * Every errno that include/uapi/linux/service_group.h lists about the sockets
 * of a request, and that a refused call has changed nothing: what was unbound
 * is unbound and can be bound, nothing has the flag or SO_REUSEPORT.
 *
 * EKEYREJECTED and ENODEV are in option_checks.c, errors of the bytes in
 * option_sizes.c, of privileges in privilege.c; ENOMEM is provoked by faults.c.
 */

#include <fcntl.h>
#include <sched.h>

#include "test.h"

#define PORT 8080
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

FIXTURE(errors) {
	int good[2];
};

FIXTURE_VARIANT(errors) { enum family family; };
FIXTURE_VARIANT_ADD(errors, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(errors, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(errors, mapped) { .family = MAPPED };

FIXTURE_SETUP(errors)
{
	enter_namespace();
	self->good[0] = tcp_socket(variant->family);
	self->good[1] = tcp_socket(variant->family);
}

FIXTURE_TEARDOWN(errors) { }

/* That sockets can still be bound, and to the same port, and then grouped. */
#define expect_usable(fds) do {							\
	struct address first = listener_address(variant->family, 8, PORT);	\
	struct address second = listener_address(variant->family, 9, PORT);		\
	EXPECT_EQ(0, bind_to((fds)[0], &first));				\
	EXPECT_EQ(0, bind_to((fds)[1], &second));				\
	EXPECT_EQ(0, form(fds, 2));						\
} while (0)

TEST_F(errors, ebadf)
{
	int closed = dup(self->good[0]);

	close(closed);
	EXPECT_EQ(-EBADF, refusal(self->good, closed, NULL, PORT));
	EXPECT_EQ(-EBADF, refusal(self->good, -1, NULL, PORT));
	EXPECT_EQ(-EBADF, refusal(self->good, INT32_MAX, NULL, PORT));
	EXPECT_EQ(-EBADF, refusal(self->good, INT32_MIN, NULL, PORT));
	EXPECT_EQ(-EBADF, refusal(self->good, open("/", O_PATH | O_CLOEXEC), NULL, PORT));
	expect_usable(self->good);
}

TEST_F(errors, enotsock)
{
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	EXPECT_EQ(-ENOTSOCK, refusal(self->good, ends[0], NULL, PORT));
	EXPECT_EQ(-ENOTSOCK, refusal(self->good, open("/proc/self/stat", O_RDONLY), NULL, PORT));
	expect_usable(self->good);
}

TEST_F(errors, eprotonosupport)
{
	int domain = variant->family == IPV4 ? AF_INET : AF_INET6;
	int fds[] = {
		socket(domain, SOCK_DGRAM, 0),
		socket(domain, SOCK_RAW, IPPROTO_TCP),
		socket(AF_UNIX, SOCK_STREAM, 0),
		socket(AF_NETLINK, SOCK_RAW, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(-EPROTONOSUPPORT, refusal(self->good, fds[i], NULL, PORT));
	}
	/* The other options; an IPv6 socket of another kind does not know the level. */
	for (int i = 0; i < 2 && variant->family == IPV4; i++) {
		struct service_group_info info;

		EXPECT_EQ(-EPROTONOSUPPORT, join(fds[i], 1));
		EXPECT_EQ(-EPROTONOSUPPORT, leave(fds[i], 0));
		EXPECT_EQ(-EPROTONOSUPPORT, get_info(fds[i], &info));
	}
	expect_usable(self->good);
}

TEST_F(errors, eprototype)
{
	int fd = socket(variant->family == IPV4 ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		SKIP(return, "this kernel has no MPTCP");
	EXPECT_EQ(-EPROTOTYPE, refusal(self->good, fd, NULL, PORT));
	expect_usable(self->good);
}

TEST_F(errors, exdev)
{
	int here = open("/proc/self/ns/net", O_RDONLY);
	int member = tcp_socket(variant->family);
	int foreign, id;

	ASSERT_EQ(0, form(&member, 1));
	id = group_of(member);
	enter_namespace();
	foreign = tcp_socket(variant->family);
	ASSERT_EQ(0, setns(here, CLONE_NEWNET));
	EXPECT_EQ(-EXDEV, refusal(self->good, foreign, NULL, PORT));
	EXPECT_EQ(-EXDEV, join(foreign, id));
	EXPECT_EQ(-EXDEV, form(&foreign, 1));
	expect_usable(self->good);
	EXPECT_EQ(-EXDEV, join(foreign, group_of(self->good[0])));
}

TEST_F(errors, enotuniq)
{
	int fds[2] = { self->good[0], dup(self->good[0]) };

	EXPECT_EQ(-ENOTUNIQ, refusal(self->good, fds[1], NULL, PORT));
	EXPECT_EQ(-ENOTUNIQ, form(fds, 2));
	fds[1] = fds[0];
	EXPECT_EQ(-ENOTUNIQ, form_bound(fds, 2, PORT));
	expect_usable(self->good);
}

TEST_F(errors, ealready)
{
	int member = tcp_socket(variant->family);
	uint32_t id;

	ASSERT_EQ(0, form(&member, 1));
	id = group_of(member);
	EXPECT_EQ(-EALREADY, refusal(self->good, member, NULL, PORT));
	EXPECT_EQ(-EALREADY, join(member, id));
	EXPECT_EQ(id, group_of(member));
	EXPECT_EQ(1, info_of(member).members);
	EXPECT_EQ(0, port_of(member));
	expect_usable(self->good);
	EXPECT_EQ(-EALREADY, join(member, group_of(self->good[0])));
}

/* A connection of this family; both ends. */
static void connect_pair(enum family family, int ends[2])
{
	int server = listener(family, 1, PORT + 2, 1);
	struct address to = client_address(family, 1, PORT + 2);

	ends[0] = family == MAPPED ? tcp_socket(MAPPED) : -1;
	if (family == MAPPED) {
		to = listener_address(MAPPED, 1, PORT + 2);
		if (connect(ends[0], &to.any, to.len))
			die("connecting");
	} else {
		ends[0] = connect_to(&to);
	}
	ends[1] = accept(server, NULL, NULL);
	if (ends[0] < 0 || ends[1] < 0)
		die("connecting");
	close(server);
}

TEST_F(errors, eexist)
{
	int ends[2];

	connect_pair(variant->family, ends);
	if (setsockopt(ends[0], IPPROTO_TCP, TCP_ULP, "tls", 3))
		SKIP(return, "this kernel has no kTLS");
	EXPECT_EQ(-EEXIST, refusal(self->good, ends[0], NULL, 0));
	expect_usable(self->good);
	EXPECT_EQ(-EEXIST, join(ends[0], group_of(self->good[0])));
	EXPECT_TRUE(has_ulp(ends[0], "tls"));
}

TEST_F(errors, eisconn)
{
	int ends[2];

	connect_pair(variant->family, ends);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(-EISCONN, refusal(self->good, ends[i], NULL, 0));
	expect_usable(self->good);
	EXPECT_EQ(-EISCONN, join(ends[0], group_of(self->good[0])));
	EXPECT_EQ(STATE_ESTABLISHED, state_of(ends[0]));
	EXPECT_EQ(2, write(ends[0], "ok", 2));
}

TEST_F(errors, erange)
{
	int fd = bound(variant->family, 3, PORT + 1);
	struct address wanted = listener_address(variant->family, 4, 0);

	/* Another port, and another address than is asked for. */
	EXPECT_EQ(-ERANGE, refusal(self->good, fd, NULL, PORT));
	EXPECT_EQ(-ERANGE, refusal(self->good, fd, &wanted, PORT + 1));
	EXPECT_EQ(PORT + 1, port_of(fd));
	EXPECT_EQ(0, group_of(fd));
	/* A group has one port, whatever joins, */
	expect_usable(self->good);
	EXPECT_EQ(-ERANGE, join(fd, group_of(self->good[0])));
	EXPECT_EQ(0, group_of(fd));
	/* and whether or not the request names it. */
	close_all(self->good, 2);
	self->good[0] = bound(variant->family, 5, PORT);
	self->good[1] = fd;
	EXPECT_EQ(-ERANGE, form(self->good, 2));
}

TEST_F(errors, eaddrinuse)
{
	int taken = listener(variant->family, 3, PORT, 1);
	struct address address = listener_address(variant->family, 3, PORT);
	int fd = tcp_socket(variant->family);

	EXPECT_EQ(-EADDRINUSE, refusal(self->good, fd, &address, PORT));
	EXPECT_TRUE(unchanged(fd));
	EXPECT_EQ(0, group_of(taken));
	/* The wildcard is in the way of every address. */
	close(taken);
	taken = listener(variant->family, 0, PORT, 1);
	EXPECT_EQ(-EADDRINUSE, refusal(self->good, fd, &address, PORT));
	EXPECT_TRUE(unchanged(fd));
	close(taken);
	expect_usable(self->good);
}

TEST_F(errors, eaddrnotavail)
{
	struct address nowhere = listener_address(variant->family, 10, PORT);
	int fd = tcp_socket(variant->family);

	/* 192.0.2.1, or ::10.0.0.10 (host 10 does not exist in IPv6). */
	if (variant->family == IPV4)
		nowhere.in.sin_addr.s_addr = htonl(0xc0000201);
	else if (variant->family == MAPPED)
		memcpy(&nowhere.in6.sin6_addr.s6_addr[12], "\xc0\x00\x02\x01", 4);
	EXPECT_EQ(-EADDRNOTAVAIL, refusal(self->good, fd, &nowhere, PORT));
	EXPECT_TRUE(unchanged(fd));
	expect_usable(self->good);
}

TEST_F(errors, eafnosupport)
{
	struct address address = listener_address(variant->family == IPV4 ? IPV6 : IPV4, 3, PORT);
	int fd = tcp_socket(variant->family);

	EXPECT_EQ(-EAFNOSUPPORT, refusal(self->good, fd, &address, PORT));
	expect_usable(self->good);
}

TEST_F(errors, edestaddrreq)
{
	struct address address = listener_address(variant->family, 3, PORT);
	int fd = tcp_socket(variant->family);

	EXPECT_EQ(-EDESTADDRREQ, refusal(self->good, fd, &address, 0));
	expect_usable(self->good);
}

TEST_F(errors, enoent_and_esrch)
{
	struct service_group_info info;
	uint32_t ids[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		EXPECT_EQ(-ENOENT, join(self->good[0], ids[i]));
	EXPECT_EQ(-ESRCH, leave(self->good[0], 0));
	EXPECT_EQ(-ESRCH, leave(self->good[0], SERVICE_GROUP_LEAVE_DRAIN));
	EXPECT_EQ(-ESRCH, get_info(self->good[0], &info));
	EXPECT_TRUE(unchanged(self->good[0]));
	expect_usable(self->good);
}

/* A refusal is counted. */
TEST_F(errors, refusals_are_counted)
{
	struct stats before = stats_now();

	EXPECT_EQ(-EBADF, refusal(self->good, -1, NULL, PORT));
	EXPECT_EQ(-ENOENT, join(self->good[0], 77));
	EXPECT_EQ(before.refused_other + 4, stats_now().refused_other);
	EXPECT_EQ(0, stats_now().refused_limit);
	EXPECT_EQ(0, stats_now().refused_permission);
}

TEST_HARNESS_MAIN
