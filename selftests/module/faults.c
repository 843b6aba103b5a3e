// SPDX-License-Identifier: GPL-2.0
/*
 * A walk of memory failures through every option, see lib/walk.h. Every other call on
 * a member that allocates is in faults_end.c, netlink in faults_netlink.py.
 *
 * That nothing has leaked is found by kmemleak after all tests, and by `stress` and
 * the module's unloading, which want every reference back. Allocations in
 * softirqs are the matter of faults_packets.py.
 */

#include "walk.h"

static void prepare_unbound(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		self->fds[i] = tcp_socket(self->family);
}

static void prepare_listening(state *self)
{
	listen_on_hosts(self->family, self->fds, SOCKETS, PORT, 3);
}

static bool no_group(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		if (group_of(self->fds[i]) || !has_ulp(self->fds[i], "") ||
		    get_option(self->fds[i], SOL_SOCKET, SO_REUSEPORT))
			return false;
	return !stats_now().groups && !stats_now().members;
}

static bool no_group_and_unbound(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		if (port_of(self->fds[i]))
			return false;
	return no_group(self);
}

static int do_form(state *self)
{
	return form(self->fds, SOCKETS);
}

static int do_form_bound(state *self)
{
	return form_bound(self->fds, SOCKETS, PORT);
}

static const struct walk form_walk = {
	.option = SO_SERVICE_GROUP, .sets = true,
	.prepare = prepare_listening, .operate = do_form,
	.unchanged = no_group, .done = whole_group,
};

static const struct walk form_and_bind_walk = {
	.option = SO_SERVICE_GROUP, .sets = true,
	.prepare = prepare_unbound, .operate = do_form_bound,
	.unchanged = no_group_and_unbound, .done = whole_group,
};

/* A group of all but the last. */
static void prepare_join(state *self)
{
	prepare_listening(self);
	if (form(self->fds, SOCKETS - 1))
		die("forming a group");
	self->id = group_of(self->fds[0]);
}

static int do_join(state *self)
{
	return join(self->fds[SOCKETS - 1], self->id);
}

static bool not_joined(state *self)
{
	return !group_of(self->fds[SOCKETS - 1]) && has_ulp(self->fds[SOCKETS - 1], "") &&
	       info_of(self->fds[0]).members == SOCKETS - 1;
}

static const struct walk join_walk = {
	.option = SO_SERVICE_GROUP, .sets = true,
	.prepare = prepare_join, .operate = do_join,
	.unchanged = not_joined, .done = whole_group,
};

static int do_leave(state *self)
{
	return leave(self->fds[SOCKETS - 1], SERVICE_GROUP_LEAVE_DRAIN);
}

static bool left_and_drained(state *self)
{
	return !group_of(self->fds[SOCKETS - 1]) && !queue_length(self->fds[SOCKETS - 1]) &&
	       info_of(self->fds[0]).members == SOCKETS - 1;
}

static const struct walk leave_walk = {
	.option = SO_SERVICE_GROUP_LEAVE, .sets = true,
	.prepare = prepare_leave, .operate = do_leave,
	.unchanged = still_there, .done = left_and_drained,
};

/* The last of them has a request, and leaves without an error whatever fails. */
static void prepare_leave_half_open(state *self)
{
	struct address to = client_address(self->family, SOCKETS, PORT);

	prepare_group(self);
	/* The one before it would send its SYN again, for another request. */
	if (self->client > 0)
		close(self->client);
	self->client = start_half_open(&to);
	if (!wait_for(info_of(self->fds[SOCKETS - 1]).half_open == 1))
		die("waiting for a request");
}

/* One that could not be moved is where it was. */
static bool left_with_request(state *self)
{
	uint64_t handed = group_counter(self->id, SERVICE_GROUP_A_COUNTERS_HANDED_OUT);
	unsigned int half_open = 0;

	for (int i = 0; i < SOCKETS - 1; i++)
		half_open += info_of(self->fds[i]).half_open;
	return !group_of(self->fds[SOCKETS - 1]) && half_open == handed;
}

static const struct walk leave_half_open_walk = {
	.option = SO_SERVICE_GROUP_LEAVE, .sets = true,
	.prepare = prepare_leave_half_open, .operate = do_leave,
	.unchanged = whole_group, .done = left_with_request,
};

/* One that adopts is there for a moment after its last member, and would have the next ones. */
static void prepare_settings(state *self)
{
	if (!wait_for(stats_now().groups == 0))
		die("waiting for a group's end");
	prepare_group(self);
}

static int do_set_settings(state *self)
{
	const struct service_group_settings settings = {
		.size = sizeof(settings), .set = 63, .policy = 1, .when_full = 1, .stall = 7,
		.weight = 7, .rewrite = 1, .adopt = 1,
	};

	return set_settings(self->fds[0], &settings);
}

static bool has_settings(state *self, uint32_t stall, uint32_t other)
{
	struct service_group_settings seen;

	return !get_settings(self->fds[0], &seen) && seen.stall == stall &&
	       seen.policy == other && seen.when_full == other && seen.adopt == other;
}

static bool settings_unset(state *self)
{
	return has_settings(self, 0, 0);
}

static bool settings_set(state *self)
{
	return has_settings(self, 7, 1);
}

static const struct walk settings_walk = {
	.option = SO_SERVICE_GROUP_SETTINGS, .sets = true,
	.prepare = prepare_settings, .operate = do_set_settings,
	.unchanged = settings_unset, .done = settings_set,
};

static int do_get_info(state *self)
{
	struct service_group_info info;

	return get_info(self->fds[0], &info);
}

static const struct walk get_info_walk = {
	.option = SO_SERVICE_GROUP, .sets = false,
	.prepare = prepare_group, .operate = do_get_info,
	.unchanged = whole_group, .done = whole_group,
};

static int do_get_settings(state *self)
{
	struct service_group_settings seen;

	return get_settings(self->fds[0], &seen);
}

static const struct walk get_settings_walk = {
	.option = SO_SERVICE_GROUP_SETTINGS, .sets = false,
	.prepare = prepare_group, .operate = do_get_settings,
	.unchanged = whole_group, .done = whole_group,
};

static int do_leave_at_once(state *self)
{
	return leave(self->fds[SOCKETS - 1], 0);
}

static bool left_with_connections(state *self)
{
	return !group_of(self->fds[SOCKETS - 1]) && info_of(self->fds[0]).members == SOCKETS - 1 &&
	       queue_length(self->fds[SOCKETS - 1]) == 2;
}

static const struct walk leave_at_once_walk = {
	.option = SO_SERVICE_GROUP_LEAVE, .sets = true,
	.prepare = prepare_leave, .operate = do_leave_at_once,
	.unchanged = still_there, .done = left_with_connections,
};

#define ALL(WALK)								\
	WALK(form) WALK(form_and_bind) WALK(join) WALK(leave) WALK(leave_at_once)	\
	WALK(leave_half_open) WALK(settings) WALK(get_settings) WALK(get_info)

static const struct walk *const all[] = { ALL(AS_POINTER) };

/* Whether the kernel knows the option; it is asked in a way that no option takes. */
static bool is_known(int fd, int option, bool sets)
{
	char nothing[2];
	socklen_t len = 2;
	int result = sets ? setsockopt(fd, SOL_IP, option, nothing, len) :
			    getsockopt(fd, SOL_IP, option, nothing, &len);

	return !result || errno != ENOPROTOOPT;
}

/* A new one needs a walk: all with the first byte of ours are looked at. */
TEST(every_option_is_walked)
{
	int fd = tcp_socket(IPV4);
	int found = 0;

	for (int option = SO_SERVICE_GROUP & 0xff00; option <= (SO_SERVICE_GROUP | 0xff); option++)
		for (int sets = 0; sets < 2; sets++) {
			bool walked = false;

			for (size_t i = 0; i < ARRAY_SIZE(all); i++)
				walked |= all[i]->option == option && all[i]->sets == sets;
			EXPECT_EQ(walked, is_known(fd, option, sets))
				TH_LOG("option %#x, set: %d", option, sets);
			found += walked;
		}
	EXPECT_EQ(5, found);
}

WALKS(ALL)
