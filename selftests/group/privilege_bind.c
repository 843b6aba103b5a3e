// SPDX-License-Identifier: GPL-2.0
/*
 * Which callers may have the kernel bind the sockets of a group: those with the
 * capability, as far as they may have the port, and no confined process.
 */

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "test.h"

FAMILIES(privilege);

/* From now on with no other capability than this one. */
static void become_with(uid_t user, int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { };

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		die("keeping capabilities");
	become(user);
	data[capability / 32].permitted = 1U << capability % 32;
	data[capability / 32].effective = 1U << capability % 32;
	if (syscall(SYS_capset, &header, data))
		die("keeping capability %d", capability);
}

TEST_F(privilege, privileged_port)
{
	int fds[2];

	become_with(NOBODY, CAP_NET_ADMIN);
	for (int i = 0; i < 2; i++)
		fds[i] = tcp_socket(variant->family);
	EXPECT_EQ(-EACCES, form_bound(fds, 2, 80));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, port_of(fds[i]));
		EXPECT_EQ(0, group_of(fds[i]));
		EXPECT_EQ(0, get_option(fds[i], SOL_SOCKET, SO_REUSEPORT));
	}
	EXPECT_EQ(1, stats_now().refused_permission);
	EXPECT_EQ(0, form_bound(fds, 2, 1024));
}

TEST_F(privilege, port_that_the_administrator_allows)
{
	int fd;

	set_sysctl("ipv4/ip_unprivileged_port_start", "79");
	become_with(NOBODY, CAP_NET_ADMIN);
	fd = tcp_socket(variant->family);
	EXPECT_EQ(-EACCES, form_bound(&fd, 1, 78));
	EXPECT_EQ(0, form_bound(&fd, 1, 80));
}

/* Security modules are not asked when the kernel binds: that is for administrators. */
TEST_F(privilege, binding_without_capability)
{
	struct address address = listener_address(variant->family, 0, 8080);
	int fds[3], own[2], refusals = 0;

	become_with(NOBODY, CAP_NET_BIND_SERVICE);
	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(variant->family);
	own[0] = bound(variant->family, 1, 8081);
	own[1] = listener(variant->family, 2, 8081, 1);
	for (int port = 0; port <= 8080; port += 8080)
		for (int count = 1; count <= 3; count++, refusals++) {
			EXPECT_EQ(-EPERM, ask_to_bind(fds, count, port));
			for (int i = 0; i < 3; i++)
				EXPECT_TRUE(unchanged(fds[i]));
		}
	/* Also when nothing is left to bind, or one is. */
	EXPECT_EQ(-EPERM, ask_to_bind(own, 2, 8081));
	EXPECT_EQ(-EPERM, ask_to_bind((int[]){ own[0], fds[0] }, 2, 8081));
	EXPECT_TRUE(unchanged(fds[0]));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, group_of(own[i]));
		EXPECT_TRUE(has_ulp(own[i], ""));
	}
	EXPECT_EQ(STATE_LISTEN, state_of(own[1]));
	EXPECT_EQ(refusals + 2, stats_now().refused_permission);
	EXPECT_EQ(0, stats_now().groups);
	/* The port is nobody's, and what is bound by bind() is grouped without it. */
	ASSERT_EQ(0, bind_to(fds[0], &address));
	EXPECT_EQ(0, form(fds, 1));
	EXPECT_EQ(0, form(own, 2));
}

TEST_F(privilege, binding_with_capability)
{
	int fds[4];

	become_with(NOBODY, CAP_NET_ADMIN);
	for (int i = 0; i < 4; i++)
		fds[i] = tcp_socket(variant->family);
	ASSERT_EQ(0, ask_to_bind(fds, 2, 8080));
	ASSERT_EQ(0, ask_to_bind(&fds[2], 2, 0));
	EXPECT_EQ(8080, port_of(fds[0]));
	EXPECT_EQ(8080, port_of(fds[1]));
	EXPECT_NE(0, port_of(fds[2]));
	EXPECT_EQ(port_of(fds[2]), port_of(fds[3]));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(2, info_of(fds[i]).members);
		EXPECT_EQ(0, listen(fds[i], 1));
	}
}

/* A confined process binds its sockets itself. */
TEST_F(privilege, confined)
{
	int fds[2] = { tcp_socket(variant->family), tcp_socket(variant->family) };
	struct address address = listener_address(variant->family, 1, 8080);

	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT_EQ(-EACCES, form_bound(fds, 2, 8080));
	EXPECT_EQ(0, port_of(fds[0]));
	EXPECT_EQ(0, group_of(fds[0]));
	ASSERT_EQ(0, bind_to(fds[0], &address));
	EXPECT_EQ(-EACCES, form_bound(fds, 2, 8080));
	EXPECT_EQ(0, port_of(fds[1]));
	EXPECT_EQ(0, form_bound(fds, 1, 8080));
}

TEST_F(privilege, confined_by_seccomp)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog filter = { .len = 1, .filter = &allow };
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
	EXPECT_EQ(-EACCES, form_bound(&fd, 1, 8080));
	EXPECT_EQ(0, form(&fd, 1));
}

TEST_F(privilege, confined_without_binding)
{
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = bound(variant->family, i + 1, 8080);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT_EQ(0, form(fds, 2));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
	EXPECT_EQ(0, leave(fds[0], 0));
}

TEST_HARNESS_MAIN
