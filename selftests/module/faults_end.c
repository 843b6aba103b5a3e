// SPDX-License-Identifier: GPL-2.0
/*
 * A walk of memory failures, see lib/walk.h, through what is no option: the end of a
 * member, accept(), and the read-out. listen() on a member allocates nothing.
 */

#include <linux/netlink.h>

#include "walk.h"

/* --- The end of a member, which cannot fail. */

/* The last of them has connections and a request. */
static void prepare_to_go(state *self)
{
	struct address to = client_address(self->family, SOCKETS, PORT);

	prepare_leave(self);
	if (self->client > 0)
		close(self->client);
	self->client = start_half_open(&to);
	if (!wait_for(info_of(self->fds[SOCKETS - 1]).half_open == 1))
		die("waiting for a request");
}

/* Connections move without memory; a request that could not be moved has ended. */
static bool passed_on(state *self)
{
	uint64_t handed = group_counter(self->id, SERVICE_GROUP_A_COUNTERS_HANDED_OUT);
	unsigned int queued = 0, half_open = 0;

	for (int i = 0; i < SOCKETS - 1; i++) {
		queued += queue_length(self->fds[i]);
		half_open += info_of(self->fds[i]).half_open;
	}
	return queued == 2 && half_open == handed;
}

static int do_close(state *self)
{
	int fd = self->fds[SOCKETS - 1];

	self->fds[SOCKETS - 1] = 0;
	return close(fd) ? -errno : 0;
}

static bool closed(state *self)
{
	return wait_for(info_of(self->fds[0]).members == SOCKETS - 1) && passed_on(self);
}

static const struct walk close_walk = {
	.prepare = prepare_to_go, .operate = do_close, .done = closed,
};

static int do_shutdown(state *self)
{
	return shutdown(self->fds[SOCKETS - 1], SHUT_RD) ? -errno : 0;
}

static int do_disconnect(state *self)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	return connect(self->fds[SOCKETS - 1], &nobody, sizeof(nobody)) ? -errno : 0;
}

static bool stopped(state *self)
{
	return whole_group(self) && state_of(self->fds[SOCKETS - 1]) == STATE_CLOSE &&
	       passed_on(self);
}

static bool still_to_go(state *self)
{
	return still_there(self) && info_of(self->fds[SOCKETS - 1]).half_open == 1;
}

static const struct walk shutdown_walk = {
	.prepare = prepare_to_go, .operate = do_shutdown,
	.unchanged = still_to_go, .done = stopped,
};

static const struct walk disconnect_walk = {
	.prepare = prepare_to_go, .operate = do_disconnect,
	.unchanged = still_to_go, .done = stopped,
};

/* --- A listener in a member's place, which listens in any case. */

static uint64_t refused_before;

static void prepare_to_listen(state *self)
{
	struct address at = listener_address(self->family, 1, PORT);

	/* That of the time before waits for a moment. */
	if (!wait_for(stats_now().groups == 0))
		die("waiting for a group's end");
	self->fds[0] = reuseport_listener(self->family, 1, PORT, 3);
	if (form(self->fds, 1) || set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, 1))
		die("forming a group");
	self->id = group_of(self->fds[0]);
	self->fds[1] = tcp_socket(self->family);
	set_option(self->fds[1], SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind_to(self->fds[1], &at))
		die("binding");
	refused_before = stats_now().refused_other;
}

static int do_listen(state *self)
{
	return listen(self->fds[1], 3) ? -errno : 0;
}

static bool does_not_listen(state *self)
{
	return state_of(self->fds[1]) == STATE_CLOSE && !group_of(self->fds[1]);
}

static bool adopted_or_told(state *self)
{
	bool told = stats_now().refused_other == refused_before + 1;

	return state_of(self->fds[1]) == STATE_LISTEN &&
	       (told ? !group_of(self->fds[1]) : group_of(self->fds[1]) == self->id);
}

static const struct walk listen_walk = {
	.prepare = prepare_to_listen, .operate = do_listen,
	.unchanged = does_not_listen, .done = adopted_or_told,
};

/* --- The read-out. */

/* A socket of the netlink operation's own, as a failed dump ends it. */
static int dump(state *self, int command)
{
	int result = netlink_dump_all(self->netlink, self->netlink_id, command);

	if (result) {
		close(self->netlink);
		left_over(self);
		self->netlink = netlink_open();
	}
	return result;
}

static int do_group_dump(state *self)
{
	return dump(self, SERVICE_GROUP_CMD_GROUP_GET);
}

static int do_member_dump(state *self)
{
	return dump(self, SERVICE_GROUP_CMD_MEMBER_GET);
}

static int do_stats(state *self)
{
	return netlink_ask(self->netlink, self->netlink_id, SERVICE_GROUP_CMD_STATS_GET, 0);
}

static int do_group_get(state *self)
{
	return netlink_ask(self->netlink, self->netlink_id, SERVICE_GROUP_CMD_GROUP_GET, self->id);
}

static int do_diag(state *self)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int result;

	if (fd < 0)
		return -errno;
	result = diag_dump_all(fd, self->family == IPV4 ? AF_INET : AF_INET6);
	close(fd);
	return result;
}

#define READ(name, function) static const struct walk name##_walk = {		\
	.prepare = prepare_group, .operate = function,				\
	.unchanged = whole_group, .done = whole_group,				\
}

READ(group_dump, do_group_dump);
READ(member_dump, do_member_dump);
READ(stats, do_stats);
READ(group_get, do_group_get);
READ(diag, do_diag);

/* --- accept() */

/* The last of them shows its address: a connection that it took is accepted. */
static void prepare_accept(state *self)
{
	struct address to = client_address(self->family, 1, PORT);

	prepare_group(self);
	if (listen(self->fds[0], 0) || listen(self->fds[1], 0) ||
	    set_one(self->fds[0], SERVICE_GROUP_SET_REWRITE, 1))
		die("setting up a group");
	fill(&to, 3);
	if (!wait_for(queue_length(self->fds[SOCKETS - 1]) == 1))
		die("waiting for a connection");
}

/* The test's own clients and connections go with its process. */
static int do_accept(state *self)
{
	int fd = accept(self->fds[SOCKETS - 1], NULL, NULL);

	return fd < 0 ? -errno : 0;
}

static bool not_accepted(state *self)
{
	return queue_length(self->fds[SOCKETS - 1]) == 1;
}

static bool accepted(state *self)
{
	return info_of(self->fds[SOCKETS - 1]).accepted == 1 &&
	       member_counter(self->fds[SOCKETS - 1], SERVICE_GROUP_A_COUNTERS_REWRITTEN) == 1;
}

static const struct walk accept_rewritten_walk = {
	.prepare = prepare_accept, .operate = do_accept,
	.unchanged = not_accepted, .done = accepted,
};

/* The last one's program has nothing to do, and another one is busy. */
static void prepare_take_over(state *self)
{
	struct address to = client_address(self->family, 1, PORT);

	prepare_group(self);
	fill(&to, 3);
	if (accept(self->fds[0], NULL, NULL) < 0 || !wait_for(queue_length(self->fds[0]) == 2) ||
	    set_one(self->fds[0], SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_BALANCE))
		die("setting up a group");
}

static bool none_is_lost(state *self)
{
	unsigned int queued = 0;

	for (int i = 0; i < SOCKETS; i++)
		queued += queue_length(self->fds[i]);
	return whole_group(self) && queued == 2;
}

static bool one_is_accepted(state *self)
{
	unsigned int queued = 0;

	for (int i = 0; i < SOCKETS; i++)
		queued += queue_length(self->fds[i]);
	return whole_group(self) && queued == 1;
}

static const struct walk accept_taken_over_walk = {
	.prepare = prepare_take_over, .operate = do_accept,
	.unchanged = none_is_lost, .done = one_is_accepted,
};

#define ALL(WALK)								\
	WALK(close) WALK(shutdown) WALK(disconnect) WALK(accept_rewritten)	\
	WALK(accept_taken_over) WALK(listen) WALK(group_dump) WALK(member_dump) WALK(stats)	\
	WALK(group_get) WALK(diag)

WALKS(ALL)
