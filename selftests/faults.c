// SPDX-License-Identifier: GPL-2.0
/*
 * A walk of memory failures through every option and netlink operation: the
 * first allocation fails, then the second, until the operation succeeds
 * without meeting one. Each failure is told, and has changed nothing.
 *
 * It needs a kernel with fault injection, for /proc/self/fail-nth. That
 * nothing has leaked is found by kmemleak after all tests, and by `stress` and
 * the module's unloading, which want every reference back. Allocations in
 * softirqs are not among what fails; listen() on a member allocates nothing.
 */

#include <fcntl.h>

#include "test.h"

#define PORT 8080
#define SOCKETS 3
/* No operation allocates as often; the walk does not end by itself. */
#define MOST_FAILURES 2000

FIXTURE(faults) {
	enum family family;
	int nth;
	int fds[SOCKETS];
	int client;
	int netlink;
	int netlink_id;
	uint32_t id;
};

FIXTURE_VARIANT(faults) { enum family family; };
FIXTURE_VARIANT_ADD(faults, ipv4) { .family = IPV4 };
FIXTURE_VARIANT_ADD(faults, ipv6) { .family = IPV6 };

typedef FIXTURE_DATA(faults) state;

struct walk {
	/* Makes what the operation needs; the same each time. */
	void (*prepare)(state *self);
	int (*operate)(state *self);
	/* Whether nothing was done. */
	bool (*unchanged)(state *self);
	/* Whether all was done. */
	bool (*done)(state *self);
};

/* An allocation that may sleep can fail as well as any other. */
static void allow_failures(void)
{
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
}

FIXTURE_SETUP(faults)
{
	self->family = variant->family;
	self->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->nth < 0 || access("/sys/kernel/debug/failslab/ignore-gfp-wait", W_OK))
		SKIP(return, "this kernel has no fault injection (no /proc/self/fail-nth)");
	allow_failures();
	enter_namespace();
	self->netlink = netlink_open();
	self->netlink_id = netlink_family(self->netlink);
	ASSERT_LT(0, self->netlink_id);
}

FIXTURE_TEARDOWN(faults) { }

/* The copy of the number itself may be what fails, if one is due; then none is. */
static void fail_at(state *self, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(self->nth, text, strlen(text), 0) < 0 &&
	    pwrite(self->nth, text, strlen(text), 0) < 0)
		die("writing fail-nth");
}

/* How many allocations were left before the one to fail; 0: it has failed. */
static int left_over(state *self)
{
	char text[16] = "";
	bool due = pread(self->nth, text, sizeof(text) - 1, 0) < 0;

	fail_at(self, 0);
	return due ? 1 : atoi(text);
}

static void close_sockets(state *self)
{
	for (int i = 0; i < SOCKETS; i++) {
		if (self->fds[i] > 0)
			close(self->fds[i]);
		self->fds[i] = 0;
	}
	if (!wait_for(stats_now().members == 0))
		die("waiting for the last member's end");
}

static void walk(struct __test_metadata *_metadata, state *self, const struct walk *walk)
{
	int failures = 0;

	for (int nth = 1; nth <= MOST_FAILURES; nth++) {
		int result, left;

		walk->prepare(self);
		fail_at(self, nth);
		result = walk->operate(self);
		left = left_over(self);
		if (left) {
			EXPECT_EQ(0, result);
			EXPECT_TRUE(walk->done(self));
			close_sockets(self);
			TH_LOG("%d allocations, %d errors", nth - 1, failures);
			/* What allocates nothing was not tested. */
			EXPECT_LT(1, nth);
			return;
		}
		if (result) {
			failures++;
			/*
			 * EFAULT: copying from or to the user is made to fail too.
			 * EADDRINUSE: so says bind() when it has no memory;
			 * ENFILE: so says accept().
			 */
			EXPECT_TRUE(result == -ENOMEM || result == -EFAULT ||
				    result == -ENOBUFS || result == -EADDRINUSE ||
				    result == -ENFILE)
				TH_LOG("failure %d: %s", nth, strerror(-result));
			EXPECT_TRUE(walk->unchanged(self))
				TH_LOG("failure %d has left something", nth);
		} else {
			/* Something that can be done without, as a notification. */
			EXPECT_TRUE(walk->done(self))
				TH_LOG("failure %d was not told", nth);
		}
		close_sockets(self);
	}
	EXPECT_TRUE(false) TH_LOG("no end after %d failures", MOST_FAILURES);
}

static void prepare_unbound(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		self->fds[i] = tcp_socket(self->family);
}

static void prepare_listening(state *self)
{
	listen_on_hosts(self->family, self->fds, SOCKETS, PORT, 3);
}

static void prepare_group(state *self)
{
	group_on_hosts(self->family, self->fds, SOCKETS, PORT, 3);
	self->id = group_of(self->fds[0]);
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

static bool whole_group(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		if (!group_of(self->fds[i]) || info_of(self->fds[i]).members != SOCKETS ||
		    !has_ulp(self->fds[i], "service_group"))
			return false;
	return stats_now().groups == 1 && stats_now().members == SOCKETS;
}

static int do_form(state *self)
{
	return form(self->fds, SOCKETS);
}

static int do_form_bound(state *self)
{
	return form_bound(self->fds, SOCKETS, PORT);
}

TEST_F(faults, form)
{
	const struct walk form = { prepare_listening, do_form, no_group, whole_group };

	walk(_metadata, self, &form);
}

TEST_F(faults, form_and_bind)
{
	const struct walk form = {
		prepare_unbound, do_form_bound, no_group_and_unbound, whole_group,
	};

	walk(_metadata, self, &form);
}

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

TEST_F(faults, join)
{
	const struct walk join = { prepare_join, do_join, not_joined, whole_group };

	walk(_metadata, self, &join);
}

/* The last of them has connections, which drain. */
static void prepare_leave(state *self)
{
	struct address to = client_address(self->family, SOCKETS, PORT);

	prepare_group(self);
	fill(&to, 2);
	if (!wait_for(queue_length(self->fds[SOCKETS - 1]) == 2))
		die("waiting for connections");
}

static int do_leave(state *self)
{
	return leave(self->fds[SOCKETS - 1], SERVICE_GROUP_LEAVE_DRAIN);
}

static bool still_there(state *self)
{
	return whole_group(self) && queue_length(self->fds[SOCKETS - 1]) == 2;
}

static bool left_and_drained(state *self)
{
	return !group_of(self->fds[SOCKETS - 1]) && !queue_length(self->fds[SOCKETS - 1]) &&
	       info_of(self->fds[0]).members == SOCKETS - 1;
}

TEST_F(faults, leave)
{
	const struct walk leave = { prepare_leave, do_leave, still_there, left_and_drained };

	walk(_metadata, self, &leave);
}

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

TEST_F(faults, leave_half_open)
{
	const struct walk leave = {
		prepare_leave_half_open, do_leave, whole_group, left_with_request,
	};

	walk(_metadata, self, &leave);
}

static int do_set_settings(state *self)
{
	const struct service_group_settings settings = {
		.size = sizeof(settings), .set = 31, .policy = 1, .when_full = 1, .stall = 7,
		.weight = 7, .rewrite = 1,
	};

	return set_settings(self->fds[0], &settings);
}

static bool has_settings(state *self, uint32_t stall, uint32_t other)
{
	struct service_group_settings seen;

	return !get_settings(self->fds[0], &seen) && seen.stall == stall &&
	       seen.policy == other && seen.when_full == other;
}

static bool settings_unset(state *self)
{
	return has_settings(self, 0, 0);
}

static bool settings_set(state *self)
{
	return has_settings(self, 7, 1);
}

TEST_F(faults, settings)
{
	const struct walk set = {
		prepare_group, do_set_settings, settings_unset, settings_set,
	};

	walk(_metadata, self, &set);
}

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

TEST_F(faults, accept_rewritten)
{
	const struct walk accept = { prepare_accept, do_accept, not_accepted, accepted };

	walk(_metadata, self, &accept);
}

static int do_get_info(state *self)
{
	struct service_group_info info;

	return get_info(self->fds[0], &info);
}

TEST_F(faults, get_info)
{
	const struct walk get = { prepare_group, do_get_info, whole_group, whole_group };

	walk(_metadata, self, &get);
}

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

TEST_F(faults, netlink)
{
	int (*const operations[])(state *) = {
		do_group_dump, do_member_dump, do_stats, do_group_get,
	};

	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		struct walk read = { prepare_group, operations[i], whole_group, whole_group };

		walk(_metadata, self, &read);
	}
}

TEST_HARNESS_MAIN
