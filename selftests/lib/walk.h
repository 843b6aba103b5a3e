/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A walk of memory failures through an operation; for faults.c and faults_end.c.
 *
 * The first allocation fails, then the second, until the operation succeeds without
 * meeting one. Each failure is told, and has changed nothing; an operation that
 * cannot fail does all that it can. A process listens for notifications, whose
 * allocations are walked as well. It needs a kernel with fault injection, for
 * /proc/self/fail-nth.
 */
#ifndef SELFTESTS_LIB_WALK_H
#define SELFTESTS_LIB_WALK_H

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
	int events;
	uint32_t id;
};

typedef FIXTURE_DATA(faults) state;

struct walk {
	/* The option that it is about, and whether it is set or got; or 0. */
	int option;
	bool sets;
	/* Makes what the operation needs; the same each time. */
	void (*prepare)(state *self);
	int (*operate)(state *self);
	/* Whether nothing was done. */
	bool (*unchanged)(state *self);
	/* Whether all was done. */
	bool (*done)(state *self);
};

FIXTURE_VARIANT(faults) {
	enum family family;
	const struct walk *walk;
};

/* An allocation that may sleep can fail as well as any other. */
static struct {
	const char *file;
	const char *wanted;
	char before[16];
} settings[] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N", "" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N", "" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N", "" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0", "" },
	/* Each failure counts these down, until they are 0. */
	{ "/sys/kernel/debug/failslab/times", "1", "" },
	{ "/sys/kernel/debug/fail_page_alloc/times", "1", "" },
	{ "/sys/kernel/debug/fail_usercopy/times", "1", "" },
};

static bool can_inject(void)
{
	return !access("/proc/thread-self/fail-nth", W_OK) && !access(settings[0].file, W_OK);
}

static void allow_failures(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		read_text(settings[i].file, settings[i].before, sizeof(settings[i].before));
		write_file(settings[i].file, settings[i].wanted);
	}
}

/* Other suites count on what the kernel began with. */
static void restore_settings(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		write_file(settings[i].file, settings[i].before);
}

FIXTURE_SETUP(faults)
{
	self->family = variant->family;
	if (!can_inject())
		SKIP(return, "this kernel has no fault injection (no /proc/self/fail-nth)");
	self->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	enter_namespace();
	self->netlink = netlink_open();
	self->netlink_id = netlink_family(self->netlink);
	ASSERT_LT(0, self->netlink_id);
	self->events = netlink_subscribe();
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
		if (result && walk->unchanged) {
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
			EXPECT_EQ(0, result);
			EXPECT_TRUE(walk->done(self))
				TH_LOG("failure %d was not told", nth);
		}
		close_sockets(self);
	}
	EXPECT_TRUE(false) TH_LOG("no end after %d failures", MOST_FAILURES);
}

static void prepare_group(state *self)
{
	group_on_hosts(self->family, self->fds, SOCKETS, PORT, 3);
	self->id = group_of(self->fds[0]);
}

static bool whole_group(state *self)
{
	for (int i = 0; i < SOCKETS; i++)
		if (!group_of(self->fds[i]) || info_of(self->fds[i]).members != SOCKETS ||
		    !has_ulp(self->fds[i], "service_group"))
			return false;
	return stats_now().groups == 1 && stats_now().members == SOCKETS;
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

static bool still_there(state *self)
{
	return whole_group(self) && queue_length(self->fds[SOCKETS - 1]) == 2;
}

#define AS_VARIANT(name)							\
	FIXTURE_VARIANT_ADD(faults, name##_ipv4) { IPV4, &name##_walk };	\
	FIXTURE_VARIANT_ADD(faults, name##_ipv6) { IPV6, &name##_walk };
#define AS_POINTER(name) &name##_walk,

/* WALKS - a test of each of these in both families, and main(). @ALL is as for AS_VARIANT. */
#define WALKS(ALL)								\
	ALL(AS_VARIANT)								\
	TEST_F(faults, walk)							\
	{									\
		walk(_metadata, self, variant->walk);				\
	}									\
	int main(int argc, char **argv)						\
	{									\
		return run_with_failures(argc, argv);				\
	}

static int run_with_failures(int argc, char **argv)
{
	bool injects = can_inject();
	int result;

	if (injects)
		allow_failures();
	result = test_harness_run(argc, argv);
	if (injects)
		restore_settings();
	return result;
}

#endif
