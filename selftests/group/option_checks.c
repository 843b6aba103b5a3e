// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets with checks of their own, which a connection that a sibling takes
 * would pass by: they are refused (EKEYREJECTED, ENODEV), in a list and when
 * they join, and nothing has changed.
 *
 * Members that get such checks later are tested by listen_fit.c.
 */

#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/syscall.h>

#include "test.h"

FIXTURE(checks) {
	int good[2];
};

FIXTURE_VARIANT(checks) { enum family family; };
FIXTURE_VARIANT_ADD(checks, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(checks, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(checks, mapped) { .family = MAPPED };

FIXTURE_SETUP(checks)
{
	enter_namespace();
	self->good[0] = tcp_socket(variant->family);
	self->good[1] = tcp_socket(variant->family);
}

FIXTURE_TEARDOWN(checks) { }

/* Refused both in a list and at a join. */
#define expect_refused(error, fd) do {					\
	int other = tcp_socket(variant->family);			\
	EXPECT_EQ(error, refusal(self->good, fd, NULL, 0));		\
	ASSERT_EQ(0, form(&other, 1));					\
	EXPECT_EQ(error, join(fd, group_of(other)));			\
	EXPECT_EQ(0, group_of(fd));					\
	EXPECT_EQ(1, info_of(other).members);				\
	close(other);							\
} while (0)

TEST_F(checks, ekeyrejected_filter)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u);
	struct sock_fprog filter = { .len = 1, .filter = &all };
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
	expect_refused(-EKEYREJECTED, fd);
	set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
	EXPECT_EQ(0, form(&fd, 1));
}

TEST_F(checks, ekeyrejected_min_ttl)
{
	int fd = tcp_socket(variant->family);

	set_option(fd, SOL_IP, IP_MINTTL, 255);
	expect_refused(-EKEYREJECTED, fd);
	set_option(fd, SOL_IP, IP_MINTTL, 0);
	if (variant->family != IPV4) {
		set_option(fd, SOL_IPV6, IPV6_MINHOPCOUNT, 255);
		expect_refused(-EKEYREJECTED, fd);
		set_option(fd, SOL_IPV6, IPV6_MINHOPCOUNT, 0);
	}
	EXPECT_EQ(0, form(&fd, 1));
}

TEST_F(checks, ekeyrejected_md5)
{
	int fd = tcp_socket(variant->family);
	struct address peer = listener_address(variant->family, 5, 0);
	struct tcp_md5sig key = { .tcpm_keylen = 3, .tcpm_key = "key" };

	memcpy(&key.tcpm_addr, &peer.any, peer.len);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)))
		SKIP(return, "TCP_MD5SIG: %s", strerror(errno));
	expect_refused(-EKEYREJECTED, fd);
}

TEST_F(checks, ekeyrejected_ao)
{
	int fd = tcp_socket(variant->family);

	if (set_ao(fd, variant->family))
		SKIP(return, "TCP_AO_ADD_KEY: %s", strerror(errno));
	expect_refused(-EKEYREJECTED, fd);
}

TEST_F(checks, ekeyrejected_ipsec)
{
	int fd = tcp_socket(variant->family);

	if (set_ipsec(fd, variant->family))
		SKIP(return, "setting an IPsec policy: %s", strerror(errno));
	expect_refused(-EKEYREJECTED, fd);
}

TEST_F(checks, ekeyrejected_route)
{
	static const struct { int level, option, value; } asked[] = {
		{ SOL_SOCKET, SO_MARK, 7 },
		{ SOL_IP, IP_TOS, 0x10 },
		{ SOL_IP, IP_TRANSPARENT, 1 },
		{ SOL_SOCKET, SO_DONTROUTE, 1 },
	};
	int fd = tcp_socket(variant->family);

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		set_option(fd, asked[i].level, asked[i].option, asked[i].value);
		expect_refused(-EKEYREJECTED, fd);
		set_option(fd, asked[i].level, asked[i].option, 0);
	}
	EXPECT_EQ(0, form(&fd, 1));
}

TEST_F(checks, ekeyrejected_program)
{
	char path[64];
	int cgroup = enter_cgroup(path, sizeof(path));
	int fd;

	if (cgroup < 0)
		SKIP(return, "entering a cgroup: %s", strerror(-cgroup));
	fd = tcp_socket(variant->family);
	leave_cgroup();
	for (int i = 0; i < CGROUP_PROGRAMS; i++) {
		errno = -attach_program(cgroup, cgroup_programs[i]);
		if (errno)
			SKIP(return, "attaching a program: %s", strerror(errno));
		expect_refused(-EKEYREJECTED, fd);
		detach_program(cgroup, cgroup_programs[i]);
	}
	EXPECT_EQ(0, form(&fd, 1));
	close(cgroup);
	rmdir(path);
}

static int bpf_call(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr));
}

/* A sockmap replaces what the kernel calls, as a member's hook does. */
TEST_F(checks, eexist_sockmap)
{
	int fd = listener(variant->family, 1, 8080, 1);
	int map, key = 0;
	union bpf_attr make = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1,
	};
	union bpf_attr put = { .key = (uintptr_t)&key, .value = (uintptr_t)&fd };

	map = bpf_call(BPF_MAP_CREATE, &make);
	if (map < 0)
		SKIP(return, "making a sockmap: %s", strerror(errno));
	put.map_fd = map;
	ASSERT_EQ(0, bpf_call(BPF_MAP_UPDATE_ELEM, &put));
	EXPECT_EQ(-EEXIST, form(&fd, 1));
	EXPECT_EQ(0, group_of(fd));
	/* The other way round, the kernel refuses. */
	close(map);
	fd = listener(variant->family, 2, 8080, 1);
	ASSERT_EQ(0, form(&fd, 1));
	map = bpf_call(BPF_MAP_CREATE, &make);
	put.map_fd = map;
	EXPECT_NE(0, bpf_call(BPF_MAP_UPDATE_ELEM, &put));
	EXPECT_EQ(1, info_of(fd).members);
}

TEST_F(checks, enodev)
{
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	expect_refused(-ENODEV, fd);
	/* All at one device are welcome. */
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, setsockopt(self->good[i], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	ASSERT_EQ(0, form(self->good, 2));
	EXPECT_EQ(0, join(fd, group_of(self->good[0])));
}

TEST_HARNESS_MAIN
