// SPDX-License-Identifier: GPL-2.0
/*
 * A socket is closed by one thread while another one, which has called listen(), is
 * about to make it a member. The one side is held at a point of the module until the
 * other is through, or waits for it. Needs a kernel with fault injection.
 *
 * Whichever is first, the references to the module come out even, and the group has
 * the members that are left.
 */

#include <pthread.h>
#include <sched.h>

#include "test.h"

#define PORT 8080
/* Until one side was held when the other came. */
#define ATTEMPTS 20

FIXTURE(closed) {
	int fds[2];
	uint32_t id;
};

FIXTURE_SETUP(closed)
{
	if (!can_hold() || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
	enter_namespace();
	for (int i = 0; i < 2; i++)
		self->fds[i] = reuseport_listener(IPV4, 1, PORT, 8);
	ASSERT_EQ(0, form(self->fds, 2));
	self->id = group_of(self->fds[0]);
	ASSERT_EQ(0, set_one(self->fds[0], SERVICE_GROUP_SET_ADOPT, SERVICE_GROUP_MAX_ADOPT));
}

FIXTURE_TEARDOWN(closed)
{
	if (can_hold())
		forget_holds();
}

/* References to the module. */
static long references(void)
{
	return read_number("/sys/module/service_group/refcnt");
}

/* A thread, and what its call has come to. */
struct call {
	pthread_t thread;
	int fd;
	int result;
	pid_t tid;
	bool done;
};

/* It may be held, and has a processor for that. */
static void *listen_to(void *arg)
{
	struct call *call = arg;

	run_on(0);
	call->result = listen(call->fd, 8) ? -errno : 0;
	return NULL;
}

static void *close_it(void *arg)
{
	struct call *call = arg;

	run_on(1);
	__atomic_store_n(&call->tid, gettid(), __ATOMIC_SEQ_CST);
	close(call->fd);
	__atomic_store_n(&call->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static void start(struct call *call, void *(*body)(void *))
{
	errno = pthread_create(&call->thread, NULL, body, call);
	if (errno)
		die("starting a thread");
}

static void join_thread(struct call *call)
{
	errno = pthread_join(call->thread, NULL);
	if (errno)
		die("joining a thread");
}

/* Whether the close() is over, or waits for the socket's lock. */
static bool has_closed_or_waits(struct call *call)
{
	if (__atomic_load_n(&call->done, __ATOMIC_SEQ_CST))
		return true;
	return thread_state(__atomic_load_n(&call->tid, __ATOMIC_SEQ_CST)) == 'D';
}

/* The first is a member, so the second cannot listen. */
static void two_of_one_place(int fds[2], uint32_t id)
{
	struct address at = listener_address(IPV4, 3, PORT);

	for (int i = 0; i < 2; i++) {
		fds[i] = tcp_socket(IPV4);
		set_option(fds[i], SOL_SOCKET, SO_REUSEADDR, 1);
		if (bind_to(fds[i], &at))
			die("binding");
	}
	errno = -join(fds[0], id);
	if (errno || listen(fds[0], 8))
		die("listening");
}

static int bound_worker(void)
{
	struct address at = listener_address(IPV4, 1, PORT);
	int fd = tcp_socket(IPV4);

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind_to(fd, &at))
		die("binding");
	return fd;
}

/*
 * It listens, or tries to, in a thread that is held before it makes the socket a member; that goes
 * on when close() is in the middle of the socket's end, which waits for it in turn. Whether it came so.
 */
static bool close_in_the_middle(struct call *call)
{
	bool met;

	forget_holds();
	hold("adopt", "release");
	hold("release", "adopted");
	start(call, listen_to);
	if (!wait_for(!hold_is("adopt", "waits")))
		die("waiting for the adoption");
	run_on(1);
	close(call->fd);
	join_thread(call);
	met = hold_is("adopt", "passed") && hold_is("release", "passed");
	forget_holds();
	return met;
}

TEST_F(closed, when_it_could_not_listen)
{
	struct call call = { 0 };
	bool met = false;
	int fds[2];

	for (int i = 0; i < ATTEMPTS && !met && !_metadata->exit_code; i++) {
		long before;

		two_of_one_place(fds, self->id);
		before = references();
		call.fd = fds[1];
		met = close_in_the_middle(&call);
		EXPECT_EQ(-EADDRINUSE, call.result);
		EXPECT_EQ(before, references());
		EXPECT_EQ(3, info_of(self->fds[0]).members);
		close(fds[0]);
		ASSERT_TRUE(wait_for(info_of(self->fds[0]).members == 2));
	}
	EXPECT_TRUE(met);
	EXPECT_EQ(0, stats_now().refused_other);
}

TEST_F(closed, when_it_listens)
{
	struct call call = { 0 };
	long before = references();
	bool met = false;

	for (int i = 0; i < ATTEMPTS && !met && !_metadata->exit_code; i++) {
		call.fd = bound_worker();
		met = close_in_the_middle(&call);
		EXPECT_EQ(0, call.result);
		EXPECT_EQ(before, references());
		EXPECT_EQ(2, info_of(self->fds[0]).members);
	}
	EXPECT_TRUE(met);
}

/*
 * It listens, and its thread is about to make it a member, when another one closes it: whether the
 * socket has ended before that is over.
 */
static bool ends_before_it_is_a_member(struct call *call, bool *met)
{
	bool ended;

	forget_holds();
	hold("adopting", "go");
	hold("release", "never");
	start(call, listen_to);
	if (!wait_for(!hold_is("adopting", "waits")))
		die("waiting for the adoption");
	run_on(1);
	close(call->fd);
	ended = !hold_is("release", "waits");
	*met = hold_is("adopting", "held");
	forget_holds();
	join_thread(call);
	return ended && *met;
}

/* The thread that makes it a member holds its file, and is the one that closes it. */
TEST_F(closed, when_it_is_about_to_be_a_member)
{
	struct call call = { 0 };
	long before = references();
	bool met = false;

	for (int i = 0; i < ATTEMPTS && !met && !_metadata->exit_code; i++) {
		call.fd = bound_worker();
		EXPECT_FALSE(ends_before_it_is_a_member(&call, &met));
		EXPECT_EQ(0, call.result);
		EXPECT_EQ(before, references());
		EXPECT_EQ(2, info_of(self->fds[0]).members);
	}
	EXPECT_TRUE(met);
}

/* It has listened before, and so gets the module's operations only when it listens again. */
static int used_worker(int member)
{
	int fd;

	if (set_one(member, SERVICE_GROUP_SET_ADOPT, 0))
		die("adopting nobody");
	fd = reuseport_listener(IPV4, 1, PORT, 8);
	if (shutdown(fd, SHUT_RD) || set_one(member, SERVICE_GROUP_SET_ADOPT, 1))
		die("adopting");
	return fd;
}

/* The socket is locked, and is being armed, when close() comes. Whether it came so. */
static bool close_while_it_is_armed(int fd)
{
	struct call call = { .fd = fd }, closing = { .fd = fd };
	bool met;

	forget_holds();
	hold("arm", "go");
	start(&call, listen_to);
	if (!wait_for(!hold_is("arm", "waits")))
		die("waiting for the adoption");
	start(&closing, close_it);
	if (!wait_for(has_closed_or_waits(&closing)))
		die("waiting for close()");
	met = hold_is("arm", "held");
	pass_hold("go");
	join_thread(&call);
	join_thread(&closing);
	forget_holds();
	return met;
}

TEST_F(closed, while_it_is_armed)
{
	long before = references();
	bool met = false;

	for (int i = 0; i < ATTEMPTS && !met && !_metadata->exit_code; i++) {
		met = close_while_it_is_armed(used_worker(self->fds[0]));
		EXPECT_EQ(before, references());
		EXPECT_EQ(2, info_of(self->fds[0]).members);
	}
	EXPECT_TRUE(met);
}

TEST_HARNESS_MAIN
