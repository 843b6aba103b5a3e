// SPDX-License-Identifier: GPL-2.0
/*
 * A program that Landlock forbids to bind: the kernel does not bind for it, and what
 * the library binds, it binds by bind(), which tells it. Nothing is bound then.
 */

#include <limits.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080

FIXTURE(landlock) { };

FIXTURE_SETUP(landlock)
{
	enter_namespace();
}

FIXTURE_TEARDOWN(landlock) { }

/* It may bind to no port; 0 or -errno. */
static int confine(void)
{
	struct landlock_ruleset_attr rules = { .handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP };
	int fd = syscall(__NR_landlock_create_ruleset, &rules, sizeof(rules), 0);

	if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(__NR_landlock_restrict_self, fd, 0))
		return -errno;
	return close(fd);
}

TEST_F(landlock, the_kernel_does_not_bind)
{
	struct address address = listener_address(IPV4, 1, PORT);
	int fds[2] = { tcp_socket(IPV4), tcp_socket(IPV4) }, result = confine();

	if (result)
		SKIP(return, "Landlock: %s", strerror(-result));
	EXPECT_EQ(-EACCES, bind_to(fds[0], &address));
	EXPECT_EQ(-EACCES, form_bound(fds, 2, PORT));
	EXPECT_TRUE(unchanged(fds[0]));
	EXPECT_TRUE(unchanged(fds[1]));
	/* A group needs no port. */
	EXPECT_EQ(0, form(fds, 2));
}

/* The example of the Rust library, which forms a group of sockets that it binds. */
static void run_workers(void)
{
	char path[PATH_MAX] = "";

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		die("finding the programs");
	strcpy(strrchr(path, '/'), "/../bin/workers");
	execl(path, "workers", "8080", NULL);
	die("starting %s", path);
}

static int status_of_workers(bool confined, char *said, size_t size)
{
	int status = -1, ends[2], result = 0;
	size_t filled = 0;
	ssize_t len;
	pid_t child;

	if (pipe(ends))
		die("making a pipe");
	child = fork();
	if (!child) {
		result = confined ? confine() : 0;
		dup2(ends[1], STDERR_FILENO);
		if (!result)
			run_workers();
		_exit(KSFT_SKIP);
	}
	close(ends[1]);
	/* It comes in pieces. */
	while ((len = read(ends[0], said + filled, size - 1 - filled)) > 0)
		filled += len;
	said[filled] = '\0';
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		die("waiting for a program");
	return WEXITSTATUS(status);
}

TEST_F(landlock, the_library_is_told)
{
	char said[256];
	int status;

	EXPECT_EQ(0, status_of_workers(false, said, sizeof(said))) TH_LOG("%s", said);
	status = status_of_workers(true, said, sizeof(said));
	if (status == KSFT_SKIP)
		SKIP(return, "no Landlock");
	EXPECT_EQ(1, status);
	EXPECT_TRUE(strstr(said, "Confined")) TH_LOG("%s", said);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
}

TEST_HARNESS_MAIN
