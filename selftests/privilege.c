// SPDX-License-Identifier: GPL-2.0
/*
 * Who may group which sockets: an unprivileged user, two users, a user
 * namespace, privileged ports, a confined process.
 *
 * That descriptors must be held is tested by option_errors.c (EBADF).
 */

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#include "test.h"

#define USER 65534
#define OTHER_USER 65533

FAMILIES(privilege);

/* A socket that belongs to this user, whoever we are. */
static int socket_of(uid_t user, enum family family)
{
	int fd;

	setfsuid(user);
	fd = tcp_socket(family);
	setfsuid(geteuid());
	return fd;
}

/* From now on without any privilege. */
static void become(uid_t user)
{
	if (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user))
		die("becoming user %u", user);
}

TEST_F(privilege, own_sockets)
{
	int fds[3];

	become(USER);
	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(variant->family);
	ASSERT_EQ(0, form_bound(fds, 2, 8080));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
	EXPECT_EQ(3, info_of(fds[0]).members);
	EXPECT_EQ(0, leave(fds[1], SERVICE_GROUP_LEAVE_DRAIN));
}

/* Who is privileged in the namespace may group what belongs to several users. */
TEST_F(privilege, two_users_with_capability)
{
	int fds[3] = {
		socket_of(USER, variant->family), socket_of(OTHER_USER, variant->family),
		socket_of(0, variant->family),
	};

	ASSERT_EQ(0, form(fds, 2));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
}

TEST_F(privilege, two_users_without)
{
	int mine = socket_of(USER, variant->family);
	int fds[2] = { mine, socket_of(OTHER_USER, variant->family) };
	uint32_t id;

	become(USER);
	EXPECT_EQ(-EPERM, form_bound(fds, 2, 8080));
	EXPECT_EQ(0, port_of(fds[0]));
	EXPECT_EQ(0, port_of(fds[1]));
	EXPECT_EQ(0, group_of(fds[0]));
	/* Nor may the other's socket join. */
	ASSERT_EQ(0, form(&mine, 1));
	id = group_of(mine);
	EXPECT_EQ(-EPERM, join(fds[1], id));
	EXPECT_EQ(0, group_of(fds[1]));
	EXPECT_EQ(1, info_of(mine).members);
	EXPECT_EQ(2, stats_now().refused_permission);
}

/* A thief: an own socket joins the group of somebody else. */
TEST_F(privilege, joining_a_foreign_group)
{
	int theirs = socket_of(OTHER_USER, variant->family);
	int mine;

	ASSERT_EQ(0, form_bound(&theirs, 1, 8080));
	become(USER);
	mine = tcp_socket(variant->family);
	EXPECT_EQ(-EPERM, join(mine, group_of(theirs)));
	EXPECT_EQ(0, group_of(mine));
	EXPECT_EQ(1, info_of(theirs).members);
}

/* A socket that privileged people grouped stays what it is for others. */
TEST_F(privilege, group_of_several_users)
{
	int fds[2] = {
		socket_of(USER, variant->family), socket_of(OTHER_USER, variant->family),
	};
	int mine;

	ASSERT_EQ(0, form(fds, 2));
	become(OTHER_USER);
	mine = tcp_socket(variant->family);
	/* The group belongs to the user of its first socket, or to nobody. */
	EXPECT_EQ(-EPERM, join(mine, group_of(fds[0])));
}

/* A capability in a user namespace that does not own the network namespace. */
TEST_F(privilege, foreign_user_namespace)
{
	int fds[2] = {
		socket_of(USER, variant->family), socket_of(OTHER_USER, variant->family),
	};

	become(USER);
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces: %s", strerror(errno));
	EXPECT_EQ(-EPERM, form(fds, 2));
	EXPECT_EQ(0, group_of(fds[0]));
	EXPECT_EQ(0, form(fds, 1));
}

/* In the network namespace of an own user namespace the capability counts. */
TEST_F(privilege, own_user_namespace)
{
	int ready[2], mapped[2];
	char byte, path[64];
	int status;
	pid_t child;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(mapped));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct request request;
		int fds[2];

		become(USER);
		prctl(PR_SET_DUMPABLE, 1);
		if (unshare(CLONE_NEWUSER))
			_exit(4);
		if (write(ready[1], "r", 1) != 1 || read(mapped[0], &byte, 1) != 1)
			_exit(5);
		if (setresuid(0, 0, 0))
			_exit(6);
		enter_namespace();
		fds[0] = socket_of(0, variant->family);
		fds[1] = socket_of(1, variant->family);
		/* Two users share no address. */
		describe(&request, fds, 2, 80);
		for (int i = 0; i < 2; i++) {
			struct address address = listener_address(variant->family, i + 1, 80);

			describe_address(&request, i, &address);
		}
		errno = -send_request(fds[0], &request);
		if (errno)
			die("forming a group as root of the namespace");
		if (info_of(fds[0]).members != 2)
			_exit(7);
		/* The reader's own names of users: tested through the count. */
		if (stats_now().groups != 1)
			_exit(8);
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
		write_file(path, "0 65534 1\n1 65533 1\n");
		ASSERT_EQ(1, write(mapped[1], "m", 1));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == 4)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, WEXITSTATUS(status));
	/* What happened there is not seen here. */
	EXPECT_EQ(0, stats_now().groups);
}

TEST_F(privilege, privileged_port)
{
	int fds[2];

	become(USER);
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
	become(USER);
	fd = tcp_socket(variant->family);
	EXPECT_EQ(-EACCES, form_bound(&fd, 1, 78));
	EXPECT_EQ(0, form_bound(&fd, 1, 80));
}

/* Who formed a group says who joins it, even with sockets of the same owner. */
TEST_F(privilege, joining_what_another_formed)
{
	int fds[2] = { socket_of(USER, variant->family), socket_of(USER, variant->family) };

	ASSERT_EQ(0, form(fds, 1));
	become(USER);
	EXPECT_EQ(-EPERM, join(fds[1], group_of(fds[0])));
	EXPECT_EQ(0, group_of(fds[1]));
	EXPECT_EQ(1, info_of(fds[0]).members);
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
