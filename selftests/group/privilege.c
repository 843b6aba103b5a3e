// SPDX-License-Identifier: GPL-2.0
/*
 * Who may group which sockets, and have the kernel bind them: an unprivileged
 * user, two users, a user namespace, privileged ports, a confined process.
 *
 * That descriptors must be held is tested by option_errors.c (EBADF).
 */

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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

/* What a request says that has this port, or SERVICE_GROUP_BIND when it is 0. */
static int ask_to_bind(const int *fds, size_t count, uint16_t port)
{
	struct request request;

	describe(&request, fds, count, port);
	request.header.flags = port ? 0 : SERVICE_GROUP_BIND;
	return send_request(fds[0], &request);
}

TEST_F(privilege, own_sockets)
{
	int fds[3];

	become(USER);
	for (int i = 0; i < 3; i++)
		fds[i] = bound(variant->family, i + 1, 8080);
	ASSERT_EQ(0, form(fds, 2));
	EXPECT_EQ(0, join(fds[2], group_of(fds[0])));
	EXPECT_EQ(3, info_of(fds[0]).members);
	EXPECT_EQ(0, leave(fds[1], SERVICE_GROUP_LEAVE_DRAIN));
}

/* A stall time is how often the machine's timers run for him. */
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
	become(USER);
	fd = tcp_socket(variant->family);
	ASSERT_EQ(0, form(&fd, 1));
	expect_stall_times(_metadata, fd);
}

/* Nor is it his who may do everything in namespaces of his own. */
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
	become(USER);
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

TEST_F(privilege, privileged_port)
{
	int fds[2];

	become_with(USER, CAP_NET_ADMIN);
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
	become_with(USER, CAP_NET_ADMIN);
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

/* Security modules are not asked when the kernel binds: that is for administrators. */
TEST_F(privilege, binding_without_capability)
{
	struct address address = listener_address(variant->family, 0, 8080);
	int fds[3], own[2], refusals = 0;

	become_with(USER, CAP_NET_BIND_SERVICE);
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

	become_with(USER, CAP_NET_ADMIN);
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
