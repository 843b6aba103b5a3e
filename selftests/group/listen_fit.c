// SPDX-License-Identifier: GPL-2.0
/*
 * Members that cannot take a sibling's connection although they have room:
 * what a redirected connection would pass by, or could not be served by.
 */

#include <linux/filter.h>

#include "test.h"

#define PORT 8080

FIXTURE(fit) {
	int fds[2];
	struct address home;
};

FIXTURE_VARIANT(fit) { enum family family; };
FIXTURE_VARIANT_ADD(fit, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(fit, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(fit, mapped) { .family = MAPPED };

FIXTURE_SETUP(fit)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, 0);
	fill(&self->home, 1);
	if (!wait_for(queue_length(self->fds[0]) == 1))
		die("waiting for a connection");
}

FIXTURE_TEARDOWN(fit) { }

/* Home is full: its next SYN is dropped as unfit, not taken by the sibling. */
#define expect_unfit() do {							\
	int client = start_connect(&self->home);				\
	EXPECT_TRUE(wait_for(member_counter(self->fds[0],			\
			     SERVICE_GROUP_A_COUNTERS_DROPPED_UNFIT) >= 1));	\
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));				\
	EXPECT_EQ(0, queue_length(self->fds[1]));				\
	EXPECT_EQ(0, info_of(self->fds[1]).half_open);				\
	EXPECT_LE(1, info_of(self->fds[0]).dropped);				\
	EXPECT_EQ(0, member_counter(self->fds[0],				\
				    SERVICE_GROUP_A_COUNTERS_DROPPED_FULL));	\
	close(client);								\
} while (0)

/* And once the reason is gone, the sibling takes it. */
#define expect_fit() do {							\
	fill(&self->home, 1);							\
	EXPECT_TRUE(wait_for(queue_length(self->fds[1]) == 1));			\
} while (0)

/* A listener's filter is run for its own packets only; so it has no part in it. */
static void attach_filter(int fd)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u);
	struct sock_fprog filter = { .len = 1, .filter = &all };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
		die("attaching a filter");
}

TEST_F(fit, filter_at_sibling)
{
	attach_filter(self->fds[1]);
	expect_unfit();
	set_option(self->fds[1], SOL_SOCKET, SO_DETACH_FILTER, 0);
	expect_fit();
}

TEST_F(fit, filter_at_home)
{
	attach_filter(self->fds[0]);
	expect_unfit();
	set_option(self->fds[0], SOL_SOCKET, SO_DETACH_FILTER, 0);
	expect_fit();
}

static int set_md5(int fd, enum family family)
{
	struct address peer = listener_address(family, 9, 0);
	struct tcp_md5sig key = { .tcpm_keylen = 3, .tcpm_key = "key" };

	memcpy(&key.tcpm_addr, &peer.any, peer.len);
	return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key));
}

TEST_F(fit, md5_at_sibling)
{
	if (set_md5(self->fds[1], variant->family))
		SKIP(return, "TCP_MD5SIG: %s", strerror(errno));
	expect_unfit();
}

TEST_F(fit, md5_at_home)
{
	if (set_md5(self->fds[0], variant->family))
		SKIP(return, "TCP_MD5SIG: %s", strerror(errno));
	expect_unfit();
}

/* A key for another peer, and a policy that allows all, are a check all the same. */
TEST_F(fit, ao_at_sibling)
{
	if (set_ao(self->fds[1], variant->family))
		SKIP(return, "TCP_AO_ADD_KEY: %s", strerror(errno));
	expect_unfit();
}

TEST_F(fit, ao_at_home)
{
	if (set_ao(self->fds[0], variant->family))
		SKIP(return, "TCP_AO_ADD_KEY: %s", strerror(errno));
	expect_unfit();
}

TEST_F(fit, ipsec_at_sibling)
{
	if (set_ipsec(self->fds[1], variant->family))
		SKIP(return, "setting an IPsec policy: %s", strerror(errno));
	expect_unfit();
}

TEST_F(fit, ipsec_at_home)
{
	if (set_ipsec(self->fds[0], variant->family))
		SKIP(return, "setting an IPsec policy: %s", strerror(errno));
	expect_unfit();
}

TEST_F(fit, device_of_sibling)
{
	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	expect_unfit();
	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_SOCKET, SO_BINDTODEVICE, "", 0));
	expect_fit();
}

TEST_F(fit, min_ttl)
{
	bool ipv4 = variant->family != IPV6;
	int level = ipv4 ? SOL_IP : SOL_IPV6;
	int option = ipv4 ? IP_MINTTL : IPV6_MINHOPCOUNT;

	set_option(self->fds[1], level, option, 60);
	expect_unfit();
	/* Equal on both sides is no difference. */
	set_option(self->fds[0], level, option, 60);
	expect_fit();
}

TEST_F(fit, mark)
{
	set_option(self->fds[1], SOL_SOCKET, SO_MARK, 7);
	expect_unfit();
	set_option(self->fds[0], SOL_SOCKET, SO_MARK, 7);
	expect_fit();
}

/* The SYN-ACK is routed by that of IPv4, which an IPv6 socket has, too. */
TEST_F(fit, tos)
{
	set_option(self->fds[1], SOL_IP, IP_TOS, 0x10);
	expect_unfit();
	set_option(self->fds[0], SOL_IP, IP_TOS, 0x10);
	expect_fit();
}

TEST_F(fit, transparent)
{
	set_option(self->fds[0], SOL_IP, IP_TRANSPARENT, 1);
	expect_unfit();
	set_option(self->fds[0], SOL_IP, IP_TRANSPARENT, 0);
	expect_fit();
}

TEST_F(fit, dontroute)
{
	set_option(self->fds[1], SOL_SOCKET, SO_DONTROUTE, 1);
	expect_unfit();
	set_option(self->fds[1], SOL_SOCKET, SO_DONTROUTE, 0);
	expect_fit();
}

TEST_F(fit, sticky_options)
{
	unsigned char hops[8] = { 0, 0, 1, 4 };

	if (variant->family == IPV4)
		SKIP(return, "of IPv6");
	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_IPV6, IPV6_HOPOPTS, hops, sizeof(hops)));
	expect_unfit();
	ASSERT_EQ(0, setsockopt(self->fds[1], SOL_IPV6, IPV6_HOPOPTS, NULL, 0));
	expect_fit();
}

static void be_unfit_by_program(struct __test_metadata *_metadata, FIXTURE_DATA(fit) *self,
				enum family family, int kind)
{
	char path[64];
	int cgroup = enter_cgroup(path, sizeof(path));
	int fd;

	if (cgroup < 0)
		SKIP(return, "entering a cgroup: %s", strerror(-cgroup));
	fd = listener(family, 3, PORT, 0);
	leave_cgroup();
	ASSERT_EQ(0, join(fd, group_of(self->fds[0])));
	close(self->fds[1]);
	self->fds[1] = fd;
	errno = -attach_program(cgroup, kind);
	if (errno)
		SKIP(return, "attaching a program: %s", strerror(errno));
	expect_unfit();
	detach_program(cgroup, kind);
	expect_fit();
	close(cgroup);
	rmdir(path);
}

TEST_F(fit, program_of_its_cgroup_that_sees_what_comes)
{
	be_unfit_by_program(_metadata, self, variant->family, cgroup_programs[0]);
}

TEST_F(fit, program_of_its_cgroup_that_sees_what_goes)
{
	be_unfit_by_program(_metadata, self, variant->family, cgroup_programs[1]);
}

TEST_F(fit, program_of_its_cgroup_that_sees_connections)
{
	be_unfit_by_program(_metadata, self, variant->family, cgroup_programs[2]);
}

/* A socket that joined before it had a port may have another one later. */
TEST_F(fit, other_port)
{
	struct address address = listener_address(variant->family, 3, PORT + 1);
	int far = tcp_socket(variant->family);

	ASSERT_EQ(0, join(far, group_of(self->fds[0])));
	close(self->fds[1]);
	self->fds[1] = far;
	ASSERT_EQ(0, bind_to(far, &address));
	ASSERT_EQ(0, listen(far, 5));
	expect_unfit();
}

TEST_F(fit, not_listening)
{
	int client;

	/* Nobody with room at all: the reason is another one. */
	ASSERT_EQ(0, shutdown(self->fds[1], SHUT_RDWR));
	client = start_connect(&self->home);
	EXPECT_TRUE(wait_for(member_counter(self->fds[0],
					    SERVICE_GROUP_A_COUNTERS_DROPPED_FULL) >= 1));
	EXPECT_EQ(0, member_counter(self->fds[0], SERVICE_GROUP_A_COUNTERS_DROPPED_UNFIT));
	EXPECT_EQ(STATE_SYN_SENT, state_of(client));
	ASSERT_EQ(0, listen(self->fds[1], 0));
	EXPECT_TRUE(wait_for(queue_length(self->fds[1]) == 1));
}

FIXTURE(families) { };

FIXTURE_VARIANT(families) {
	enum family home;
	enum family sibling;
	unsigned int sibling_host;
	bool fits;
};

/* Every pair; a v4-mapped address is IPv4 alone, the wildcard is both. */
FIXTURE_VARIANT_ADD(families, ipv4_by_ipv6) { IPV4, IPV6, 2, false };
FIXTURE_VARIANT_ADD(families, ipv4_by_mapped) { IPV4, MAPPED, 2, true };
FIXTURE_VARIANT_ADD(families, ipv4_by_wildcard) { IPV4, MAPPED, 0, true };
FIXTURE_VARIANT_ADD(families, ipv6_by_ipv4) { IPV6, IPV4, 2, false };
FIXTURE_VARIANT_ADD(families, ipv6_by_mapped) { IPV6, MAPPED, 2, false };
FIXTURE_VARIANT_ADD(families, ipv6_by_wildcard) { IPV6, MAPPED, 0, true };
FIXTURE_VARIANT_ADD(families, mapped_by_ipv4) { MAPPED, IPV4, 2, true };
FIXTURE_VARIANT_ADD(families, mapped_by_ipv6) { MAPPED, IPV6, 2, false };

FIXTURE_SETUP(families)
{
	enter_namespace();
}

FIXTURE_TEARDOWN(families) { }

TEST_F(families, redirect)
{
	struct address home = client_address(variant->home, 1, PORT);
	int fds[2];
	int client;

	fds[0] = reuseport_listener(variant->home, 1, PORT, 0);
	fds[1] = reuseport_listener(variant->sibling, variant->sibling_host, PORT, 0);
	ASSERT_EQ(0, form(fds, 2));
	fill(&home, 1);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) == 1));
	client = start_connect(&home);
	if (variant->fits) {
		int server;

		ASSERT_TRUE(wait_for(queue_length(fds[1]) == 1));
		server = accept(fds[1], NULL, NULL);
		ASSERT_LE(0, server);
		EXPECT_TRUE(wait_for(state_of(client) == STATE_ESTABLISHED));
		EXPECT_EQ(2, send(server, "ok", 2, 0));
		EXPECT_EQ(get_option(fds[1], SOL_SOCKET, SO_DOMAIN),
			  get_option(server, SOL_SOCKET, SO_DOMAIN));
		EXPECT_EQ(PORT, port_of(server));
	} else {
		EXPECT_TRUE(wait_for(member_counter(fds[0],
				     SERVICE_GROUP_A_COUNTERS_DROPPED_UNFIT) >= 1));
		EXPECT_EQ(0, queue_length(fds[1]));
		EXPECT_EQ(STATE_SYN_SENT, state_of(client));
	}
}

TEST_HARNESS_MAIN
