// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that threads make at once, of one group or for one socket. Whatever their order, each
 * member is in its group until its socket ends, and the group ends with the last one.
 */

#include <pthread.h>

#include "test.h"

#define PORT 8080
#define THREADS 4
#define ROUNDS 150

FIXTURE(at_once) { };

FIXTURE_SETUP(at_once)
{
	enter_namespace();
}

FIXTURE_TEARDOWN(at_once) { }

/* A call, and where its thread waits for the others. */
struct call {
	pthread_barrier_t *begin;
	void (*make)(struct call *call);
	int fd, result;
	uint32_t id;
};

static void *make_call(void *arg)
{
	struct call *call = arg;

	pthread_barrier_wait(call->begin);
	call->make(call);
	return NULL;
}

static void make_at_once(struct call *calls, unsigned int count)
{
	pthread_t threads[THREADS];
	pthread_barrier_t begin;

	pthread_barrier_init(&begin, NULL, count);
	for (unsigned int i = 0; i < count; i++) {
		calls[i].begin = &begin;
		if (pthread_create(&threads[i], NULL, make_call, &calls[i]))
			die("starting a thread");
	}
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&begin);
}

static void join_it(struct call *call)
{
	call->result = join(call->fd, call->id);
}

static void listen_to_it(struct call *call)
{
	call->result = listen(call->fd, 8);
}

static bool nothing_is_left(void)
{
	return wait_for(!stats_now().members && !stats_now().groups);
}

/* A member more than there is memory for needs a larger table. */
TEST_F(at_once, join)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct call calls[THREADS];
		int first = listener(IPV4, 1, PORT, 8);

		ASSERT_EQ(0, form(&first, 1));
		for (int i = 0; i < THREADS; i++)
			calls[i] = (struct call) {
				.make = join_it,
				.fd = listener(IPV4, 2 + i, PORT, 8),
				.id = group_of(first),
			};
		make_at_once(calls, THREADS);
		for (int i = 0; i < THREADS; i++) {
			EXPECT_EQ(0, calls[i].result);
			close(calls[i].fd);
		}
		EXPECT_TRUE(wait_for(info_of(first).members == 1));
		close(first);
		ASSERT_TRUE(nothing_is_left());
	}
}

/* One group adopts the socket, and another one is joined. */
TEST_F(at_once, listen_and_join)
{
	for (int round = 0; round < ROUNDS; round++) {
		int adopts = reuseport_listener(IPV4, 1, PORT, 8);
		int other = listener(IPV4, 2, PORT, 8);
		int fd = reuseport_bound(IPV4, 1, PORT);
		struct call calls[2];

		ASSERT_EQ(0, form(&adopts, 1));
		ASSERT_EQ(0, set_one(adopts, SERVICE_GROUP_SET_ADOPT, 1000));
		ASSERT_EQ(0, form(&other, 1));
		calls[0] = (struct call) { .make = listen_to_it, .fd = fd };
		calls[1] = (struct call) { .make = join_it, .fd = fd, .id = group_of(other) };
		make_at_once(calls, 2);
		EXPECT_EQ(0, calls[0].result);
		EXPECT_TRUE(wait_for(group_of(fd)));
		ASSERT_EQ(0, set_one(adopts, SERVICE_GROUP_SET_ADOPT, 0));
		close(fd);
		close(adopts);
		close(other);
		ASSERT_TRUE(nothing_is_left());
	}
}

TEST_HARNESS_MAIN
