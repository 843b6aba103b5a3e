/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two listeners whose group finds them stalled after a moment, for tests of what
 * a program gets that looks for connections.
 */
#ifndef SELFTESTS_LIB_LOOK_H
#define SELFTESTS_LIB_LOOK_H

#include <fcntl.h>

#include "test.h"

#define PORT 8080
#define BACKLOG 16
/* Milliseconds. */
#define STALL 20

static inline void make_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		die("making a listener non-blocking");
}

static inline void set_policy(int fd, int policy)
{
	if (set_one(fd, SERVICE_GROUP_SET_POLICY, policy))
		die("setting the policy");
}

static inline void set_stall(int fd, int milliseconds)
{
	if (set_one(fd, SERVICE_GROUP_SET_STALL, milliseconds))
		die("setting the stall time");
}

/* Two listeners of one group, under each policy. */
FIXTURE(look) {
	int fds[2];
	struct address home;
};

FAMILIES_AND_POLICIES(look);

FIXTURE_SETUP(look)
{
	enter_namespace();
	self->home = client_address(variant->family, 1, PORT);
	group_on_hosts(variant->family, self->fds, 2, PORT, BACKLOG);
	for (int i = 0; i < 2; i++)
		make_nonblocking(self->fds[i]);
	set_policy(self->fds[0], variant->policy);
	set_stall(self->fds[0], STALL);
}

FIXTURE_TEARDOWN(look) { }

/* Another listener of that group. */
static inline int third_of(const int fds[2], enum family family)
{
	int third = listener(family, 3, PORT, BACKLOG);

	if (join(third, group_of(fds[0])))
		die("joining a group");
	return third;
}

#endif
