// SPDX-License-Identifier: GPL-2.0
/*
 * What the groups of one user cost others: how often closing members has every processor
 * be interrupted, whose work waits for whose, and how long the work for one user's groups is.
 */

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080
#define GROUP 64
#define USER 4000
/* Closes in a hurry: so many at once, and more each second. */
#define AT_ONCE (2 * SERVICE_GROUP_MAX_MEMBERS)
#define EACH_SECOND 64
/* Groups whose closes are more than that, by far. */
#define ROUNDS (4 * AT_ONCE / GROUP)
/* Groups of a container, whose closes are less than is allowed at once. */
#define CONTAINED (AT_ONCE / GROUP - 4)

FIXTURE(costs) { };

FIXTURE_SETUP(costs)
{
	if (!can_hold())
		SKIP(return, "needs fault injection");
	forget_holds();
	enter_namespace();
}

FIXTURE_TEARDOWN(costs)
{
	if (can_hold())
		forget_holds();
}

struct closing {
	int fd;
	bool done;
};

static void *close_it(void *arg)
{
	struct closing *closing = arg;

	close(closing->fd);
	__atomic_store_n(&closing->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool is_done(const struct closing *closing)
{
	return __atomic_load_n(&closing->done, __ATOMIC_SEQ_CST);
}

/* Whether so many closes since then may all have been in a hurry, on a slow machine. */
static bool is_allowed(size_t closes, double since)
{
	return closes <= AT_ONCE + EACH_SECOND * (seconds() - since + 1);
}

/* Whether a member's close() is in a hurry. */
static bool hurries(int fd)
{
	struct closing closing = { .fd = fd };
	pthread_t thread;
	bool hurried;

	hold("hurry", "go");
	errno = pthread_create(&thread, NULL, close_it, &closing);
	if (errno)
		die("closing in a thread");
	if (!wait_for(is_done(&closing) || !hold_is("hurry", "waits")))
		die("waiting for a close()");
	hurried = !hold_is("hurry", "waits");
	pass_hold("go");
	errno = pthread_join(thread, NULL);
	if (errno)
		die("joining a thread");
	forget_holds();
	return hurried;
}

/* Closes a group; whether the last close() but one was in a hurry. */
static bool close_in_order(const int *fds, size_t members)
{
	bool hurried;

	close_all(fds, members - 2);
	hurried = hurries(fds[members - 2]);
	close(fds[members - 1]);
	return hurried;
}

static void act_as(uid_t user)
{
	if (seteuid(user))
		die("changing the user");
}

/* Forms a group as this user and closes it, likewise. */
static bool close_a_group(uid_t user, size_t members)
{
	int fds[GROUP];

	act_as(user);
	for (size_t i = 0; i < members; i++)
		fds[i] = reuseport_listener(IPV4, 1, PORT, 8);
	errno = -form(fds, members);
	act_as(0);
	if (errno)
		die("forming a group");
	return close_in_order(fds, members);
}

/* Chance may have it share an allowance with what ran before; that grows again. */
static bool may_hurry(uid_t user)
{
	return wait_for(close_a_group(user, 2));
}

TEST_F(costs, a_namespace_may_not_hurry_for_ever)
{
	double since = seconds();
	bool hurried = may_hurry(0);
	size_t closes = 0;

	ASSERT_TRUE(hurried);
	/* One more comes back now and then. */
	for (int round = 0; round < ROUNDS && hurried; round++, closes += GROUP - 1)
		hurried = close_a_group(0, GROUP);
	EXPECT_TRUE(!hurried || is_allowed(closes, since));
	/* What others do is not counted here, nor what is done elsewhere. */
	EXPECT_TRUE(may_hurry(USER));
	enter_namespace();
	EXPECT_TRUE(may_hurry(0));
}

/* What a child in namespaces of its own makes, for a parent with the same descriptors. */
struct contained {
	uid_t user;
	size_t groups, members;
	int fds[CONTAINED][GROUP];
};

static int form_in_a_container(void *arg)
{
	struct contained *made = arg;

	if (setresuid(made->user, made->user, made->user) || unshare(CLONE_NEWUSER))
		die("entering a user namespace");
	enter_namespace();
	for (size_t i = 0; i < made->groups; i++) {
		for (size_t j = 0; j < made->members; j++)
			made->fds[i][j] = reuseport_listener(IPV4, 1, PORT + i, 8);
		errno = -form(made->fds[i], made->members);
		if (errno)
			die("forming a group in a container");
	}
	return 0;
}

/* Groups of a container that this user has made for them. */
static struct contained *contain(uid_t user, size_t groups, size_t members)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	struct contained *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (made == MAP_FAILED)
		die("sharing memory");
	made->user = user;
	made->groups = groups;
	made->members = members;
	pid = clone(form_in_a_container, stack + sizeof(stack), CLONE_FILES | SIGCHLD, made);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("making a container");
	return made;
}

/* Closes one after the other, until one is not closed in a hurry; whether all were. */
static bool close_contained(const struct contained *made)
{
	bool hurried = true;

	for (size_t i = 0; i < made->groups && hurried; i++)
		hurried = close_in_order(made->fds[i], made->members);
	return hurried;
}

TEST_F(costs, containers_of_a_user_have_one_allowance)
{
	struct rlimit many = { 4 * CONTAINED * GROUP, 4 * CONTAINED * GROUP };
	struct contained *one, *other;
	double since;

	if (setrlimit(RLIMIT_NOFILE, &many))
		die("raising the number of files");
	ASSERT_TRUE(wait_for(close_contained(contain(USER + 2, 1, 2))));
	/* Before the first close(): making a container takes so long that much is allowed again. */
	one = contain(USER + 2, CONTAINED, GROUP);
	other = contain(USER + 2, CONTAINED, GROUP);
	since = seconds();
	EXPECT_TRUE(!close_contained(one) || !close_contained(other) ||
		    is_allowed(2 * CONTAINED * (GROUP - 1), since));
	EXPECT_TRUE(wait_for(close_contained(contain(USER + 3, 1, 2))));
}

/* A group of this user, whose first listener keeps a connection waiting. */
struct hung {
	int fds[2], client;
};

static struct hung hang(uid_t user, uint16_t port)
{
	struct address home = client_address(IPV4, 1, port);
	struct hung hung;

	act_as(user);
	for (size_t i = 0; i < 2; i++)
		hung.fds[i] = reuseport_listener(IPV4, 1, port, 8);
	errno = -form(hung.fds, 2);
	act_as(0);
	if (errno || set_one(hung.fds[0], SERVICE_GROUP_SET_STALL, 20))
		die("forming a group");
	hung.client = connect_to(&home);
	return hung;
}

static bool is_found(const struct hung *hung)
{
	return is_stalled(hung->fds[0]) || is_stalled(hung->fds[1]);
}

static void end(const struct hung *hung)
{
	close_all(hung->fds, 2);
	close(hung->client);
}

/* Whether another user's hung member is found while the work for this one's groups is held. */
static bool is_found_meanwhile(void)
{
	struct hung one, other;
	bool found;

	hold("tick", "go");
	one = hang(USER, PORT);
	if (!wait_for(!hold_is("tick", "waits")))
		die("waiting for a tick");
	other = hang(USER + 1, PORT + 1);
	found = wait_for(is_found(&other) || !hold_is("tick", "held")) &&
		hold_is("tick", "held");
	pass_hold("go");
	end(&one);
	end(&other);
	forget_holds();
	return found;
}

TEST_F(costs, nobody_waits_for_anothers_ticks)
{
	/* Not held for long: it is tried again. */
	EXPECT_TRUE(wait_for(is_found_meanwhile()));
}

/* Forms a group as this user. */
static int form_as(uid_t user, uint16_t port)
{
	int fd;

	act_as(user);
	fd = listener(IPV4, 1, port, 8);
	errno = -form(&fd, 1);
	act_as(0);
	if (errno)
		die("forming a group");
	return fd;
}

/*
 * Whether the work for the one group of a user looks at that and no other one: it is held there,
 * and would be at a second one, before it is held at its end.
 */
static bool looks_at_one(int fd)
{
	forget_holds();
	hold("yield", "go");
	hold("yield", "never");
	hold("ticked", "go");
	if (set_one(fd, SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL))
		die("having a group looked at");
	/* The first one is let go on, and then who is next. */
	if (!wait_for(({ pass_hold("go"); !hold_is("ticked", "waits"); })))
		die("waiting for a tick");
	return hold_is("yield", "waits");
}

TEST_F(costs, nobody_looks_at_anothers_groups)
{
	int fds[3];

	for (size_t i = 0; i < 3; i++)
		fds[i] = form_as(USER + i, PORT + i);
	/* Another namespace's work may have come first. */
	EXPECT_TRUE(wait_for(looks_at_one(fds[1])));
	forget_holds();
	close_all(fds, 3);
}

/* Whether a program that listens at this port has a group looked through for that. */
static bool asks_a_group(uint16_t port)
{
	bool asks;
	int fd;

	forget_holds();
	hold("yield", "go");
	fd = listener(IPV4, 2, port, 8);
	asks = !hold_is("yield", "waits");
	forget_holds();
	close(fd);
	return asks;
}

/* Groups of others adopt, at other ports; who listens does not ask them. */
TEST_F(costs, nobody_listens_through_anothers_groups)
{
	int fds[3];

	for (size_t i = 0; i < 3; i++) {
		fds[i] = form_as(USER + i, PORT + i);
		ASSERT_EQ(0, set_one(fds[i], SERVICE_GROUP_SET_ADOPT, SERVICE_GROUP_MAX_ADOPT));
	}
	/* What a tick does may have been seen. */
	EXPECT_TRUE(wait_for(!asks_a_group(PORT + 3)));
	/* At the same port they count that the place is theirs. */
	EXPECT_TRUE(wait_for(asks_a_group(PORT)));
	close_all(fds, 3);
}

/* Of a group with more waiting at home than it may have; the others have room. */
#define WORKERS 40
#define TOO_MANY 120
#define HOARDS 10
/* What a tick does for that, and for how long the timer rests then, in seconds at least. */
#define MOVES_OF_A_TICK (4096 / WORKERS + 1)
#define REST 0.15

static void hoard(int *fds, uint16_t port)
{
	struct address home = client_address(IPV4, 1, port);

	group_on_hosts(IPV4, fds, WORKERS, port, TOO_MANY);
	/* Nobody looks at them before they are too many. */
	if (set_one(fds[0], SERVICE_GROUP_SET_STALL, 0))
		die("having nobody stalled");
	fill(&home, TOO_MANY);
	if (!wait_for(queue_length(fds[0]) == TOO_MANY))
		die("waiting for connections");
	if (listen(fds[0], 0))
		die("lowering a backlog");
}

/* What is moved is limited and counted as what is looked at is, and moved all the same. */
TEST_F(costs, moves_are_counted)
{
	int fds[HOARDS][WORKERS], left;
	double since;
	bool met;

	for (size_t i = 0; i < HOARDS; i++)
		hoard(fds[i], PORT + i);
	hold("tick", "all");
	hold("ticked", "go");
	for (size_t i = 0; i < HOARDS; i++) {
		ASSERT_EQ(0, set_one(fds[i][0], SERVICE_GROUP_SET_STALL,
				     SERVICE_GROUP_MAX_STALL));
		/* What comes later has a tick of its own. */
		ASSERT_TRUE(wait_for(!hold_is("tick", "waits")));
	}
	pass_hold("all");
	ASSERT_TRUE(wait_for(!hold_is("ticked", "waits")));
	left = queue_length(fds[0][0]);
	EXPECT_LE(TOO_MANY - MOVES_OF_A_TICK, left);
	EXPECT_GT(TOO_MANY, left);
	/* Unless it began before the others were ready, on a slow machine. */
	met = hold_is("tick", "passed");
	hold("tick", "over");
	since = seconds();
	pass_hold("go");
	ASSERT_TRUE(wait_for(({ pass_hold("over"); !hold_is("tick", "waits"); })));
	EXPECT_TRUE(!met || seconds() - since >= REST);
	forget_holds();
	for (size_t i = 0; i < HOARDS; i++) {
		EXPECT_TRUE(wait_for(queue_length(fds[i][0]) == 1));
		close_all(fds[i], WORKERS);
	}
}

/* Alone there is nobody to wait for. */
TEST_F(costs, the_only_member_does_not_wait)
{
	int fd = listener(IPV4, 1, PORT, 8);

	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_FALSE(hurries(fd));
}

TEST_HARNESS_MAIN
