// SPDX-License-Identifier: GPL-2.0
/*
 * Which sockets a caller may group: an unprivileged user, two users, a user namespace.
 *
 * What may have the kernel bind them is tested by privilege_bind.c, that descriptors
 * must be held by option_errors.c (EBADF).
 */

#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#include "test.h"

#define OTHER_USER 65533

FAMILIES(privilege);

/* A socket that belongs to this user, whatever the caller's is. */
static int socket_of(uid_t user, enum family family)
{
	int fd;

	setfsuid(user);
	fd = tcp_socket(family);
	setfsuid(geteuid());
	return fd;
}

TEST_F(privilege, own_sockets)
{
	int fds[3];

	become(NOBODY);
	for (int i = 0; i < 3; i++)
		fds[i] = bound(variant->family, i + 1, 8080);
	ASSERT_EQ(0, form(fds, 2));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
	EXPECT_EQ(3, info_of(fds[0]).members);
	EXPECT_EQ(0, leave(fds[1], SERVICE_GROUP_LEAVE_DRAIN));
}

/* A stall time is how often the machine's timers run for the caller. */
static void expect_stall_times(struct __test_metadata *_metadata, int fd)
{
	static const uint32_t refused[] = { 1, SERVICE_GROUP_MIN_STALL - 1 };
	static const uint32_t allowed[] = { SERVICE_GROUP_MIN_STALL, 0, SERVICE_GROUP_MAX_STALL };
	struct service_group_settings seen;

	for (int i = 0; i < ARRAY_SIZE(allowed); i++)
		EXPECT_EQ(0, set_one(fd, SERVICE_GROUP_SET_STALL, allowed[i]));
	for (int i = 0; i < ARRAY_SIZE(refused); i++)
		EXPECT_EQ(-EPERM, set_one(fd, SERVICE_GROUP_SET_STALL, refused[i]));
	ASSERT_EQ(0, get_settings(fd, &seen));
	EXPECT_EQ(SERVICE_GROUP_MAX_STALL, seen.stall);
	EXPECT_EQ(2, stats_now().refused_permission);
}

TEST_F(privilege, short_stall_times)
{
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_EQ(0, set_one(fd, SERVICE_GROUP_SET_STALL, 1));
	become(NOBODY);
	fd = tcp_socket(variant->family);
	ASSERT_EQ(0, form(&fd, 1));
	expect_stall_times(_metadata, fd);
}

/* Nor may a caller change it that may do everything in namespaces of its own. */
TEST_F(privilege, short_stall_times_in_own_namespaces)
{
	int fd;

	become_unprivileged(true);
	fd = tcp_socket(variant->family);
	ASSERT_EQ(0, form(&fd, 1));
	expect_stall_times(_metadata, fd);
}

/* A group that waits for members is nobody's, and what it adopts nobody has given it. */
TEST_F(privilege, adopt_times)
{
	int roots = socket_of(0, variant->family);
	int fd;

	ASSERT_EQ(0, form(&roots, 1));
	EXPECT_EQ(0, set_one(roots, SERVICE_GROUP_SET_ADOPT, SERVICE_GROUP_MAX_ADOPT));
	roots = socket_of(0, variant->family);
	become(NOBODY);
	fd = tcp_socket(variant->family);
	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_EQ(0, set_one(fd, SERVICE_GROUP_SET_ADOPT, 60000));
	EXPECT_EQ(-EPERM, set_one(fd, SERVICE_GROUP_SET_ADOPT, 60001));
	EXPECT_EQ(0, set_one(fd, SERVICE_GROUP_SET_ADOPT, 0));
	/* It was handed over, and what comes in its place will not be. */
	ASSERT_EQ(0, form(&roots, 1));
	EXPECT_EQ(-EPERM, set_one(roots, SERVICE_GROUP_SET_ADOPT, 1));
	EXPECT_EQ(0, set_one(roots, SERVICE_GROUP_SET_ADOPT, 0));
}

/* A caller that is privileged in the namespace may group what belongs to several users. */
TEST_F(privilege, two_users_with_capability)
{
	int fds[3] = {
		socket_of(NOBODY, variant->family), socket_of(OTHER_USER, variant->family),
		socket_of(0, variant->family),
	};

	ASSERT_EQ(0, form(fds, 2));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
}

TEST_F(privilege, two_users_without)
{
	int mine = socket_of(NOBODY, variant->family);
	int fds[2] = { mine, socket_of(OTHER_USER, variant->family) };
	uint32_t id;

	become(NOBODY);
	EXPECT_EQ(-EPERM, form(fds, 2));
	EXPECT_TRUE(unchanged(fds[0]));
	EXPECT_TRUE(unchanged(fds[1]));
	/* Nor may the other's socket join. */
	ASSERT_EQ(0, form(&mine, 1));
	id = group_of(mine);
	EXPECT_EQ(-EPERM, join(fds[1], id));
	EXPECT_EQ(0, group_of(fds[1]));
	EXPECT_EQ(1, info_of(mine).members);
	EXPECT_EQ(2, stats_now().refused_permission);
}

/* A thief: an own socket joins the group of another user. */
TEST_F(privilege, joining_a_foreign_group)
{
	int theirs = socket_of(OTHER_USER, variant->family);
	int mine;

	ASSERT_EQ(0, form_bound(&theirs, 1, 8080));
	become(NOBODY);
	mine = tcp_socket(variant->family);
	EXPECT_EQ(-EPERM, join(mine, group_of(theirs)));
	EXPECT_EQ(0, group_of(mine));
	EXPECT_EQ(1, info_of(theirs).members);
}

/* A socket that privileged people grouped stays what it is for others. */
TEST_F(privilege, group_of_several_users)
{
	int fds[2] = {
		socket_of(NOBODY, variant->family), socket_of(OTHER_USER, variant->family),
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
		socket_of(NOBODY, variant->family), socket_of(OTHER_USER, variant->family),
	};

	become(NOBODY);
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces: %s", strerror(errno));
	EXPECT_EQ(-EPERM, form(fds, 2));
	EXPECT_EQ(0, group_of(fds[0]));
	EXPECT_EQ(-EPERM, ask_to_bind(fds, 1, 8080));
	EXPECT_TRUE(unchanged(fds[0]));
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
		int any;

		become(NOBODY);
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
		any = tcp_socket(variant->family);
		if (ask_to_bind(&any, 1, 0) || !port_of(any))
			_exit(9);
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

/* The user that formed a group decides about joining, even with sockets of the same owner. */
TEST_F(privilege, joining_what_another_formed)
{
	int fds[2] = { socket_of(NOBODY, variant->family), socket_of(NOBODY, variant->family) };

	ASSERT_EQ(0, form(fds, 1));
	become(NOBODY);
	EXPECT_EQ(-EPERM, join(fds[1], group_of(fds[0])));
	EXPECT_EQ(0, group_of(fds[1]));
	EXPECT_EQ(1, info_of(fds[0]).members);
}

TEST_HARNESS_MAIN
