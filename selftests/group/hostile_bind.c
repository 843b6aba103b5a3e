// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel is to bind the sockets of a request, and their owner locks one for ever
 * meanwhile: an option is copied from a page that never comes. The call does not wait
 * for that, and undoes what it can. Needs a kernel with fault injection.
 */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080
/* Until the call was held when the lock was taken. */
#define ATTEMPTS 20

/* What the user's process and the test tell each other. */
struct report {
	/* The call is about to begin, the lock is taken, the call is over, the page is given up. */
	int step;
	/* Which of the two is locked: the one that is bound already, or the one that is to be. */
	int locked;
	int result;
	uint16_t ports[2];
	pid_t server;
};

FIXTURE(binds) {
	struct report *report;
	pid_t user;
};

FIXTURE_SETUP(binds)
{
	if (!can_hold() || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
	enter_namespace();
	/* As udev has it. */
	if (chmod("/dev/fuse", 0666))
		die("opening /dev/fuse to all");
	self->report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (self->report == MAP_FAILED)
		die("mapping");
}

FIXTURE_TEARDOWN(binds)
{
	if (can_hold())
		forget_holds();
	if (self->user > 0)
		kill(self->user, SIGKILL);
	if (self->report && self->report->server > 0)
		kill(self->report->server, SIGKILL);
}

static bool is_at(const struct report *report, int step)
{
	return __atomic_load_n(&report->step, __ATOMIC_SEQ_CST) == step;
}

static void go_to(struct report *report, int step)
{
	__atomic_store_n(&report->step, step, __ATOMIC_SEQ_CST);
}

struct binder {
	struct request request;
	int fds[2];
	int result;
};

/* It may be held, and has a processor for that. */
static void *bind_both(void *arg)
{
	struct binder *binder = arg;

	run_on(0);
	binder->result = send_request(binder->fds[0], &binder->request);
	return NULL;
}

/* No address of this machine: the second one's bind() fails, and the first one's is undone. */
static void describe_both(struct binder *binder, bool second_fails)
{
	struct address foreign = { .len = sizeof(foreign.in), .in.sin_family = AF_INET };

	for (int i = 0; i < 2; i++)
		binder->fds[i] = tcp_socket(IPV4);
	describe(&binder->request, binder->fds, 2, PORT);
	foreign.in.sin_addr.s_addr = inet_addr("192.0.2.7");
	if (second_fails)
		describe_address(&binder->request, 1, &foreign);
}

static void lock_meanwhile(struct report *report)
{
	static struct binder binder;
	struct locker locker;
	struct page page;
	pthread_t thread;

	become_unprivileged(true);
	bring_up("lo");
	page = make_page();
	report->server = page.server;
	describe_both(&binder, report->locked == 0);
	go_to(report, 1);
	errno = pthread_create(&thread, NULL, bind_both, &binder);
	if (errno || !wait_for(is_at(report, 2)))
		die("starting a call");
	run_on(1);
	locker = (struct locker) { .page = &page, .fd = binder.fds[report->locked] };
	start_locker(&locker);
	go_to(report, 3);
	errno = pthread_join(thread, NULL);
	if (errno)
		die("joining a thread");
	report->result = binder.result;
	go_to(report, 4);
	give_page_up(&page);
	pthread_join(locker.thread, NULL);
	for (int i = 0; i < 2; i++)
		report->ports[i] = port_of(binder.fds[i]);
	go_to(report, 5);
	for (;;)
		pause();
}

/* Whether the call was held before its second socket when that or the first one was locked. */
static bool bind_meanwhile(struct __test_metadata *_metadata, FIXTURE_DATA(binds) *self, int locked)
{
	bool held;

	forget_holds();
	hold("bind", "first");
	hold("bind", "go");
	memset(self->report, 0, sizeof(*self->report));
	self->report->locked = locked;
	self->user = fork();
	if (!self->user) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		lock_meanwhile(self->report);
	}
	ASSERT_TRUE(wait_for(is_at(self->report, 1)));
	ASSERT_TRUE(wait_for(hold_is("bind", "held") || hold_is("bind", "late")));
	pass_hold("first");
	ASSERT_TRUE(wait_for(!hold_is("bind", "waits")));
	go_to(self->report, 2);
	ASSERT_TRUE(wait_for(is_at(self->report, 3)));
	held = hold_is("bind", "held");
	pass_hold("go");
	/* A call that waits for its own socket's lock would not end. */
	EXPECT_TRUE(wait_for(is_at(self->report, 5)));
	kill(self->report->server, SIGKILL);
	kill(self->user, SIGKILL);
	EXPECT_EQ(self->user, waitpid(self->user, NULL, 0));
	self->user = 0;
	return held;
}

static void bind_until_held(struct __test_metadata *_metadata, FIXTURE_DATA(binds) *self, int locked)
{
	bool held = false;

	for (int i = 0; i < ATTEMPTS && !held && !_metadata->exit_code; i++)
		held = bind_meanwhile(_metadata, self, locked);
	EXPECT_TRUE(held);
}

/* The one that is to be bound: the call gives up, and the other one is as it was. */
TEST_F(binds, what_its_owner_locks)
{
	bind_until_held(_metadata, self, 1);
	EXPECT_EQ(-EBUSY, self->report->result);
	EXPECT_EQ(0, self->report->ports[0]);
	EXPECT_EQ(0, self->report->ports[1]);
}

/* The one that was bound, and is not to be: it stays so. */
TEST_F(binds, and_unbinds_what_its_owner_locks)
{
	bind_until_held(_metadata, self, 0);
	EXPECT_EQ(-EADDRNOTAVAIL, self->report->result);
	EXPECT_EQ(PORT, self->report->ports[0]);
	EXPECT_EQ(0, self->report->ports[1]);
}

TEST_HARNESS_MAIN
