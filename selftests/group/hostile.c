// SPDX-License-Identifier: GPL-2.0
/*
 * An unprivileged user keeps the lock of its sockets for ever: an option is
 * copied from a page that never comes. No other program waits for that: others form,
 * join and leave groups, change settings and read them, and unloading is refused.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <linux/netlink.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080
#define HONEST_PORT 9090
/* To have a lock in time. */
#define ATTEMPTS 20

/* What the user's process tells. */
struct report {
	int done;
	int result;
	int step;
	/* The process that keeps the page back. */
	pid_t server;
};

FIXTURE(hostile) {
	struct report *report;
	pid_t user;
};

FIXTURE_SETUP(hostile)
{
	enter_namespace();
	/* As udev has it. */
	if (chmod("/dev/fuse", 0666))
		die("opening /dev/fuse to all");
	self->report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (self->report == MAP_FAILED)
		die("mapping");
}

FIXTURE_TEARDOWN(hostile)
{
	if (self->user > 0)
		kill(self->user, SIGKILL);
	if (self->report->server > 0)
		kill(self->report->server, SIGKILL);
}

/* The user's process. It ends with the test. */
static pid_t start(struct report *report, void (*body)(struct report *report))
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		body(report);
		__atomic_store_n(&report->done, 1, __ATOMIC_SEQ_CST);
		for (;;)
			pause();
	}
	return child;
}

static bool is_done(const struct report *report)
{
	return __atomic_load_n(&report->done, __ATOMIC_SEQ_CST);
}

/* finishes - whether an honest program comes to its end, and well. */
static bool finishes(bool (*body)(void))
{
	pid_t child = fork();
	int status = -1;

	if (!child)
		_exit(!body());
	if (!wait_for(waitpid(child, &status, WNOHANG) == child)) {
		fprintf(stderr, "# it hangs\n");
		kill(child, SIGKILL);
	}
	return !status;
}

/* What anybody does. */
static bool works_with_groups(void)
{
	int fds[3];
	uint32_t id;

	listen_on_hosts(IPV4, fds, 3, HONEST_PORT, 8);
	if (form(fds, 2))
		return false;
	id = group_of(fds[0]);
	if (join(fds[2], id) || set_one(fds[1], SERVICE_GROUP_SET_STALL, 50) ||
	    leave(fds[1], SERVICE_GROUP_LEAVE_DRAIN) || leave(fds[2], 0))
		return false;
	return info_of(fds[0]).members == 1 && !close(fds[0]);
}

static bool reads_all(void)
{
	int fd = netlink_open(), diag = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	int family = netlink_family(fd);

	/* Without a thing to change it is refused, but not before it has come to its turn. */
	return family > 0 && netlink_ask(fd, family, SERVICE_GROUP_CMD_GROUP_SET, 1) == -EINVAL &&
	       !netlink_dump_all(fd, family, SERVICE_GROUP_CMD_GROUP_GET) &&
	       !netlink_dump_all(fd, family, SERVICE_GROUP_CMD_MEMBER_GET) &&
	       !diag_dump_all(diag, AF_INET) && !read_stats(&(struct stats) { });
}

static bool cannot_unload(void)
{
	return unload_module() == -EAGAIN;
}

/* Asks for a change of a group's setting: generic netlink is the whole machine's. */
static void *ask_netlink(void *unused)
{
	int fd = netlink_open();

	netlink_ask(fd, netlink_family(fd), SERVICE_GROUP_CMD_GROUP_SET, 1);
	return NULL;
}

/* A page that never comes, whose server can be ended. */
static struct page page_of(struct report *report)
{
	struct page page = make_page();

	report->server = page.server;
	return page;
}

/*
 * Forms a group of two, one of which is locked by then. There is one grace
 * period for that; who was too late, on a busy machine, lets go.
 */
static int form_meanwhile(struct report *report, int *fds)
{
	struct locker locker = { .late = true };
	struct page page = page_of(report);
	int result;

	for (int i = 0; i < 2; i++)
		fds[i] = reuseport_listener(IPV4, 0, PORT, 8);
	locker.page = &page;
	locker.fd = fds[1];
	start_locker(&locker);
	report->step = 1;
	result = form(fds, 2);
	if (!wait_for(page_was_asked_for(&page)))
		die("waiting for the lock");
	if (result)
		return result;
	give_page_up(&page);
	pthread_join(locker.thread, NULL);
	close_all(fds, 2);
	return 0;
}

static void lock_while_forming(struct report *report, bool own_network)
{
	pthread_t thread;
	int fds[2], other;

	become_unprivileged(own_network);
	/* Has the module used all the while. */
	other = reuseport_listener(IPV4, 0, PORT + 1, 8);
	if (form(&other, 1))
		die("forming a group");
	if (own_network && pthread_create(&thread, NULL, ask_netlink, NULL))
		die("starting a thread");
	for (int i = 0; i < ATTEMPTS && !report->result; i++)
		report->result = form_meanwhile(report, fds);
	if (own_network)
		ask_netlink(NULL);
	/* Nothing has changed: but for the one that is locked they may be members at once. */
	if (report->result && (group_of(fds[0]) || form(fds, 1)))
		report->step = -1;
	__atomic_store_n(&report->done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void form_in_the_network(struct report *report)
{
	lock_while_forming(report, false);
}

static void form_in_his_own(struct report *report)
{
	lock_while_forming(report, true);
}

FIXTURE_VARIANT(hostile) { bool own_network; };
FIXTURE_VARIANT_ADD(hostile, neighbour) { false };
FIXTURE_VARIANT_ADD(hostile, container) { true };

TEST_F(hostile, locks_a_socket_while_a_group_is_formed)
{
	self->user = start(self->report,
			   variant->own_network ? form_in_his_own : form_in_the_network);
	ASSERT_TRUE(wait_for(self->report->step));
	/* The lock is taken within a moment of that. */
	sleep(1);
	EXPECT_TRUE(finishes(works_with_groups));
	EXPECT_TRUE(finishes(reads_all));
	EXPECT_TRUE(finishes(cannot_unload));
	EXPECT_TRUE(wait_for(is_done(self->report)));
	EXPECT_EQ(-EBUSY, self->report->result);
	EXPECT_EQ(1, self->report->step);
}

static void lock_a_member(struct report *report, bool own_network)
{
	static struct request request;
	struct page page;
	struct locker locker;
	int fds[2];

	become_unprivileged(own_network);
	page = page_of(report);
	for (int i = 0; i < 2; i++)
		fds[i] = reuseport_listener(IPV4, 0, PORT, 8);
	if (form(fds, 2))
		die("forming a group");
	locker = (struct locker) { .page = &page, .fd = fds[1] };
	start_locker(&locker);
	report->step = 1;
	/* An option of the locked one itself waits in the kernel's own code. */
	describe(&request, &fds[1], 1, 0);
	report->result = send_request(fds[0], &request);
	report->step = 2;
	if (set_one(fds[0], SERVICE_GROUP_SET_STALL, 50) || info_of(fds[0]).members != 2 ||
	    leave(fds[0], 0))
		report->step = -1;
	/* The program goes on when the page is given up, and the socket is as any other. */
	give_page_up(&page);
	if (leave(fds[1], 0) || form(fds, 2))
		report->step = -2;
}

static void member_in_the_network(struct report *report)
{
	lock_a_member(report, false);
}

static void member_in_his_own(struct report *report)
{
	lock_a_member(report, true);
}

TEST_F(hostile, locks_a_member)
{
	self->user = start(self->report,
			   variant->own_network ? member_in_his_own : member_in_the_network);
	ASSERT_TRUE(wait_for(self->report->step));
	EXPECT_TRUE(finishes(works_with_groups));
	EXPECT_TRUE(finishes(reads_all));
	EXPECT_TRUE(finishes(cannot_unload));
	EXPECT_TRUE(wait_for(is_done(self->report)));
	EXPECT_EQ(-EBUSY, self->report->result);
	EXPECT_EQ(2, self->report->step);
}

/* A connection whose handshake is complete for the listener only when it says something. */
static int connect_silently(const struct address *to)
{
	int fd = connect_to(to);

	if (fd < 0)
		die("connecting");
	return fd;
}

static void say_something(int fd)
{
	if (send(fd, "hello", 5, MSG_NOSIGNAL) != 5)
		die("sending");
}

/* One connection too many waits at the first two, and the third has room. */
static void overflow(int *fds, struct locker *locker)
{
	int silent[2];

	for (int i = 0; i < 2; i++) {
		struct address home = client_address(IPV4, i + 1, PORT);

		set_option(fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, 100);
		say_something(connect_silently(&home));
		silent[i] = connect_silently(&home);
		if (!wait_for(queue_length(fds[i]) == 1) || listen(fds[i], 0))
			die("filling a listener");
	}
	start_locker(locker);
	for (int i = 0; i < 2; i++)
		say_something(silent[i]);
}

static void lock_an_overflowing_one(struct report *report)
{
	struct page page;
	struct locker locker;
	int fds[3];

	become_unprivileged(false);
	page = page_of(report);
	group_on_hosts(IPV4, fds, 3, PORT, 8);
	set_one(fds[0], SERVICE_GROUP_SET_STALL, 0);
	locker = (struct locker) { .page = &page, .fd = fds[0] };
	report->step = 1;
	overflow(fds, &locker);
	if (wait_for(queue_length(fds[1]) == 1 && queue_length(fds[2]) == 1))
		report->step = 2;
	give_page_up(&page);
	if (wait_for(queue_length(fds[0]) == 1 && queue_length(fds[2]) == 2))
		report->result = 1;
}

/* What waits at others is moved without it; and it is tried again. */
TEST_F(hostile, locks_a_member_that_is_too_full)
{
	if (variant->own_network)
		SKIP(return, "the same in any network");
	self->user = start(self->report, lock_an_overflowing_one);
	ASSERT_TRUE(wait_for(self->report->step));
	ASSERT_TRUE(wait_for(is_done(self->report)) || wait_for(is_done(self->report)));
	EXPECT_EQ(2, self->report->step);
	EXPECT_EQ(1, self->report->result);
}

struct sleeper {
	const struct page *page;
	int fd;
};

/* A call that waits for the page without a lock. */
static void *sleep_in_it(void *arg)
{
	const struct sleeper *sleeper = arg;

	setsockopt(sleeper->fd, IPPROTO_TCP, TCP_CONGESTION, sleeper->page->edge, 15);
	return NULL;
}

static void sleep_in_the_module(struct report *report)
{
	struct sleeper sleeper;
	struct address home;
	struct page page;
	pthread_t thread;
	int fds[2];

	become_unprivileged(false);
	page = page_of(report);
	memset(page.edge, 'x', PAGE_HEAD);
	group_on_hosts(IPV4, fds, 2, PORT, 0);
	home = client_address(IPV4, 1, PORT);
	if (set_one(fds[0], SERVICE_GROUP_SET_REWRITE, 1))
		die("having addresses shown");
	fill(&home, 2);
	sleeper = (struct sleeper) { .page = &page, .fd = accept(fds[1], NULL, NULL) };
	if (sleeper.fd < 0 || pthread_create(&thread, NULL, sleep_in_it, &sleeper) ||
	    !wait_for(page_was_asked_for(&page)))
		die("waiting for a page");
	/* There is no such protocol, but the socket is an ordinary one from now on. */
	if (!setsockopt(sleeper.fd, IPPROTO_TCP, TCP_ULP, "nonesuch", 8))
		die("setting a protocol that there is none of");
	close_all(fds, 2);
	report->step = 1;
}

/* A task that sleeps in there keeps the module, and does not keep unloading waiting. */
TEST_F(hostile, sleeps_in_the_module)
{
	if (variant->own_network)
		SKIP(return, "the same in any network");
	self->user = start(self->report, sleep_in_the_module);
	ASSERT_TRUE(wait_for(is_done(self->report)));
	ASSERT_EQ(1, self->report->step);
	/* When the listeners have ended. */
	usleep(500000);
	EXPECT_TRUE(finishes(cannot_unload));
	kill(self->user, SIGKILL);
	EXPECT_TRUE(wait_for(unload_module() == 0));
	EXPECT_EQ(0, load_module());
}

TEST_HARNESS_MAIN
