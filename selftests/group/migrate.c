// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that the kernel moves to a member itself, as a listener of its SO_REUSEPORT
 * set ends and net.ipv4.tcp_migrate_req is set: no packet comes that would tell of them.
 */

#include <sys/wait.h>

#include "test.h"

#define PORT 8080
#define WAITING 3

FIXTURE(migrate) {
	int outsider;
	int fds[2];
};

FIXTURE_VARIANT(migrate) { enum family family; };
FIXTURE_VARIANT_ADD(migrate, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(migrate, ipv6) { .family = IPV6 };
FIXTURE_VARIANT_ADD(migrate, mapped) { .family = MAPPED };

/* The outsider listens, and connections wait there, before a member is at its address. */
FIXTURE_SETUP(migrate)
{
	struct address home = client_address(variant->family, 1, PORT);

	enter_namespace();
	set_sysctl("ipv4/tcp_migrate_req", "1");
	self->outsider = reuseport_listener(variant->family, 1, PORT, 8);
	fill(&home, WAITING);
	ASSERT_TRUE(wait_for(queue_length(self->outsider) == WAITING));
	self->fds[0] = reuseport_listener(variant->family, 1, PORT, 8);
	self->fds[1] = listener(variant->family, 2, PORT, 8);
	ASSERT_EQ(0, form(self->fds, 2));
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MIN_STALL));
}

FIXTURE_TEARDOWN(migrate) { }

/* The member's program hangs, and a sibling's has what waits, although nothing else comes. */
TEST_F(migrate, a_sibling_has_what_waits)
{
	int server;

	/* What was begun by forming the group is over: else it would see them by chance. */
	usleep(20 * SERVICE_GROUP_MIN_STALL * 1000);
	close(self->outsider);
	ASSERT_EQ(WAITING, queue_length(self->fds[0]));
	EXPECT_TRUE(wait_for(is_stalled(self->fds[0])));
	for (int i = 0; i < WAITING; i++)
		EXPECT_TRUE(wait_for((server = accept_now(self->fds[1])) >= 0));
	EXPECT_EQ(0, queue_length(self->fds[0]));
}

/* And one that sleeps in accept() is woken for it. */
TEST_F(migrate, who_sleeps_is_woken)
{
	pid_t child = fork();
	int status = -1;

	ASSERT_LE(0, child);
	if (!child) {
		close(self->outsider);
		for (int i = 0; i < WAITING; i++)
			if (accept(self->fds[1], NULL, NULL) < 0)
				_exit(1);
		_exit(0);
	}
	usleep(20 * SERVICE_GROUP_MIN_STALL * 1000);
	close(self->outsider);
	ASSERT_TRUE(wait_for(waitpid(child, &status, WNOHANG) == child));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
