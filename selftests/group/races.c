// SPDX-License-Identifier: GPL-2.0
/*
 * A listener ends at the worst moment: while a packet, a move or a call of its
 * program is half-way with it. The one side is held at a point of the module until
 * the other is through, or waits for it. Needs a kernel with fault injection.
 *
 * What is accepted afterwards is whole, and the kernel has nothing to report.
 *
 * That its namespace or the module goes meanwhile is tested by races_gone.c.
 */

#include <linux/membarrier.h>

#include "halfway.h"

/* How a listener ends. */
enum end { LEAVE, DRAIN, CLOSE, LEAVE_CLOSE, KILL, DESTROY, SHUTDOWN, DISCONNECT, AGAIN };

/* What is passed when a reader is through. */
static const char *const done[] = {
	[SYN] = "syn_done", [ACK] = "ack_done", [MOVE] = "move_done", [HAND_OVER] = "hand_done",
};

FIXTURE(races) {
	struct scene scene;
	/* The process that has the listener, which ends with it. */
	pid_t owner;
	pthread_t actor;
	/* The task that ends the listener, and whether that is done. */
	pid_t ender;
	_Atomic bool ended;
	pthread_t watcher;
};

/* A task that is seen asleep so often in a row waits for the reader. */
#define ASLEEP 5

FIXTURE_VARIANT(races) {
	enum reader reader;
	enum end end;
	/* The end is held as well, within the socket's destruction, until the reader is through. */
	bool within;
	/* Of the readers that look at a sibling: whether that ends, or their own listener. */
	enum { GIVER, LOOKER } victim;
	enum family family;
};

#define PAIR(reader, end)						\
	FIXTURE_VARIANT_ADD(races, reader##_##end) { reader, end, false }
#define WITHIN(reader, end)						\
	FIXTURE_VARIANT_ADD(races, reader##_within_##end) { reader, end, true }
#define PAIRS(reader)							\
	PAIR(reader, LEAVE);						\
	PAIR(reader, DRAIN);						\
	PAIR(reader, CLOSE);						\
	PAIR(reader, LEAVE_CLOSE);					\
	PAIR(reader, KILL);						\
	PAIR(reader, DESTROY);						\
	PAIR(reader, SHUTDOWN);						\
	PAIR(reader, DISCONNECT);					\
	PAIR(reader, AGAIN)
#define SIBLING_PAIRS(reader)						\
	PAIRS(reader);							\
	WITHIN(reader, CLOSE);						\
	WITHIN(reader, LEAVE_CLOSE)

SIBLING_PAIRS(SYN);
SIBLING_PAIRS(ACK);
SIBLING_PAIRS(MOVE);
SIBLING_PAIRS(HAND_OVER);
PAIRS(ACCEPT);
PAIRS(POLL);

#define LOOK(reader, family, victim, end)					\
	FIXTURE_VARIANT_ADD(races, reader##_##family##_##victim##_##end) {	\
		reader, end, false, victim, family				\
	}
#define LOOKS(reader, family, victim)						\
	LOOK(reader, family, victim, LEAVE);					\
	LOOK(reader, family, victim, DRAIN);					\
	LOOK(reader, family, victim, CLOSE);					\
	LOOK(reader, family, victim, LEAVE_CLOSE);				\
	LOOK(reader, family, victim, KILL);					\
	LOOK(reader, family, victim, DESTROY);					\
	LOOK(reader, family, victim, SHUTDOWN);					\
	LOOK(reader, family, victim, DISCONNECT);				\
	LOOK(reader, family, victim, AGAIN)

LOOKS(TAKE, IPV4, GIVER);
LOOKS(TAKE, IPV4, LOOKER);
LOOKS(TAKE, IPV6, GIVER);
LOOKS(TAKE, IPV6, LOOKER);
LOOKS(SLEEP, IPV4, GIVER);
LOOKS(SLEEP, IPV4, LOOKER);
/* These stop it; all other ends wait for who polls, and are met with the lock. */
LOOK(OFFER, IPV4, GIVER, CLOSE);
LOOK(OFFER, IPV4, GIVER, SHUTDOWN);
LOOK(OFFER, IPV4, GIVER, DISCONNECT);
LOOK(OFFER, IPV4, GIVER, AGAIN);
LOOKS(OFFER, IPV4, LOOKER);
/* All other ends leave nothing there to choose; here the member's memory is needed afterwards. */
LOOK(CHOOSE, IPV4, GIVER, LEAVE);
/* Nothing but the socket's memory is kept. */
LOOKS(LOCK, IPV4, GIVER);

FIXTURE_SETUP(races)
{
	if (!can_race())
		SKIP(return, "needs fault injection and two processors");
}

FIXTURE_TEARDOWN(races)
{
	if (can_hold())
		forget_holds();
}

static int victim_of(const FIXTURE_VARIANT(races) *variant)
{
	if (looks_elsewhere(variant->reader))
		return variant->victim;
	return variant->reader == ACCEPT || variant->reader == POLL ? 0 : 1;
}

/* Whether it is the listener of the program that is half-way. */
static bool is_readers_own(enum reader reader, int victim)
{
	return victim == (looks_elsewhere(reader) ? LOOKER : GIVER);
}

/* From now on another process has the descriptor alone, and does this with it. */
static void give_away(FIXTURE_DATA(races) *self, int victim, void *(*body)(void *))
{
	self->owner = fork();
	if (!self->owner) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (body)
			body(&self->scene);
		for (;;)
			pause();
	}
	close(self->scene.fds[victim]);
	self->scene.fds[victim] = -1;
}

static void await_owner(FIXTURE_DATA(races) *self)
{
	if (self->owner && waitpid(self->owner, NULL, 0) != self->owner)
		die("waiting for a process");
	self->owner = 0;
}

/* The reader begins; if its program is to be killed, that is another one. */
static void start_reader(FIXTURE_DATA(races) *self, enum end how, int victim)
{
	bool is_killed = how == KILL && is_readers_own(self->scene.reader, victim);

	if (how == KILL)
		give_away(self, victim, is_killed ? act : NULL);
	if (is_killed)
		return;
	errno = pthread_create(&self->actor, NULL, act, &self->scene);
	if (errno)
		die("starting the reader");
}

static void end_reader(FIXTURE_DATA(races) *self, enum reader reader)
{
	if (self->actor)
		join_actor(&self->scene, self->actor);
	if (!wait_for(!hold_is(points[reader], "held")))
		die("waiting for the reader's end");
	await_owner(self);
}

/* The end may wait for the reader, as it should: the reader goes on then. */
static void *watch_ender(void *arg)
{
	FIXTURE_DATA(races) *self = arg;
	int asleep = 0;

	while (!self->ended && asleep < ASLEEP) {
		asleep = strchr("DZ", thread_state(self->ender)) ? asleep + 1 : 0;
		usleep(2000);
	}
	pass_hold("go");
	pass_hold("ended");
	return NULL;
}

static void end(FIXTURE_DATA(races) *self, enum end how, int victim)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int *fd = &self->scene.fds[victim];

	switch (how) {
	case LEAVE:
		leave(*fd, 0);
		break;
	case DRAIN:
		leave(*fd, SERVICE_GROUP_LEAVE_DRAIN);
		break;
	case LEAVE_CLOSE:
		leave(*fd, 0);
		/* fallthrough */
	case CLOSE:
		close(*fd);
		*fd = -1;
		break;
	case KILL:
		kill(self->owner, SIGKILL);
		/* A process that is half-way itself ends when it is through. */
		if (!is_readers_own(self->scene.reader, victim))
			await_owner(self);
		break;
	case DESTROY:
		destroy(*fd);
		break;
	case SHUTDOWN:
		shutdown(*fd, SHUT_RD);
		break;
	case DISCONNECT:
		connect(*fd, &nobody, sizeof(nobody));
		break;
	case AGAIN:
		shutdown(*fd, SHUT_RD);
		listen(*fd, 8);
		break;
	}
}

static void end_watched(FIXTURE_DATA(races) *self, enum end how, int victim)
{
	bool is_killed = how == KILL && !is_readers_own(self->scene.reader, victim);

	self->ender = is_killed ? self->owner : gettid();
	errno = pthread_create(&self->watcher, NULL, watch_ender, self);
	if (errno)
		die("starting a thread");
	end(self, how, victim);
	self->ended = true;
	errno = pthread_join(self->watcher, NULL);
	if (errno)
		die("joining a thread");
}

/* Whether a connection is one that works: 1; or -1, or 0 if it was reset. */
static int serve_one(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	char seen[5] = "";
	int result = 0;

	/* It may have been reset, but not be half of one. */
	if (poll(&readable, 1, PATIENCE_SECONDS * 1000) != 1)
		return -1;
	if (!(readable.revents & (POLLERR | POLLHUP))) {
		if (recv(fd, seen, 5, MSG_WAITALL) != 5 || memcmp(seen, "hello", 5) ||
		    send(fd, "world", 5, MSG_NOSIGNAL) != 5)
			return -1;
		result = 1;
	}
	close(fd);
	return result;
}

/* Whether each connection that a listener still has is one that works; their number. */
static int serve_all(int listener)
{
	int count = 0, fd, result;

	while (listener >= 0 && (fd = accept_now(listener)) >= 0) {
		result = serve_one(fd);
		if (result < 0)
			return -1;
		count += result;
	}
	return count;
}

static int answered(const struct scene *scene)
{
	int count = 0;

	for (int i = 0; i < scene->count; i++) {
		struct pollfd readable = { .fd = scene->clients[i], .events = POLLIN };
		char seen[5];

		count += poll(&readable, 1, 0) == 1 &&
			 recv(scene->clients[i], seen, 5, MSG_DONTWAIT) == 5;
	}
	return count;
}

/* Whether a connection may be lost that is on its way to a sibling: that one's end is no orderly one. */
static bool may_lose(const FIXTURE_VARIANT(races) *variant)
{
	return !looks_elsewhere(variant->reader) || variant->end == LEAVE_CLOSE ||
	       variant->end == KILL || variant->end == DESTROY;
}

/* What both have left is whole, and not all is lost. */
static bool is_whole(struct scene *scene, const FIXTURE_VARIANT(races) *variant)
{
	int served = scene->taken >= 0 ? serve_one(scene->taken) : 0, count;

	if (served < 0)
		return false;
	if (variant->reader == SYN)
		send(scene->clients[scene->count - 1], "hello", 5, MSG_NOSIGNAL);
	for (int i = 0; i < 2; i++) {
		count = serve_all(scene->fds[i]);
		if (count < 0)
			return false;
		served += count;
	}
	if (!served && !may_lose(variant))
		return false;
	return wait_for(served <= 0 || answered(scene) > 0);
}

static void end_scene(struct scene *scene)
{
	close_all(scene->clients, scene->count);
	for (int i = 0; i < 2; i++)
		if (scene->fds[i] >= 0)
			close(scene->fds[i]);
}

/* Whether the socket is no member any more when that is over; after DESTROY it is one until it is closed. */
static bool ends_membership(enum end how)
{
	return how != DESTROY && how != SHUTDOWN && how != DISCONNECT && how != AGAIN;
}

/*
 * The checker sees that a socket's memory is free only after a grace period. What marks it then is a
 * callback, which may come a little later: so two.
 */
static void await_grace_period(void)
{
	for (int i = 0; i < 2; i++)
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
			die("waiting for a grace period");
}

/*
 * Nothing waits for a reader that has neither the lock nor a read section: the member's memory is freed
 * meanwhile. Whether the reader was held as long.
 */
static bool end_chosen(FIXTURE_DATA(races) *self, const FIXTURE_VARIANT(races) *variant)
{
	bool held;

	hold("put", "gone");
	end(self, variant->end, variant->victim);
	if (ends_membership(variant->end) && !wait_for(!hold_is("put", "waits")))
		die("waiting for a member's end");
	/* It has put its socket, and goes. */
	pass_hold("gone");
	await_grace_period();
	held = hold_is("lock", "held");
	pass_hold("go");
	return held;
}

/* Whether the one side was held when the other began to end. */
static bool end_meanwhile(FIXTURE_DATA(races) *self, const FIXTURE_VARIANT(races) *variant)
{
	enum reader reader = variant->reader;
	int victim = victim_of(variant);
	bool held;

	prepare(&self->scene, reader);
	/* A move is the work of any processor, and this side's the other one's. */
	if (reader == MOVE)
		run_anywhere();
	else
		run_on(1);
	if (variant->within)
		hold("ended", done[reader]);
	hold(points[reader], variant->within ? "ended" : "go");
	start_reader(self, variant->end, victim);
	held = is_held(reader);
	if (reader == LOCK)
		held = end_chosen(self, variant) && held;
	else
		end_watched(self, variant->end, victim);
	end_reader(self, reader);
	forget_holds();
	return held;
}

/* Whether what waits at home is no sibling's any more: it has left, and passed on nothing. */
static bool keeps_all(const FIXTURE_VARIANT(races) *variant)
{
	return variant->reader == LOCK &&
	       (variant->end == LEAVE || variant->end == LEAVE_CLOSE);
}

TEST_F(races, nothing_is_left_of_who_ends)
{
	bool held = false;

	for (int i = 0; i < ATTEMPTS && !held; i++) {
		memset(self, 0, sizeof(*self));
		set_scene(&self->scene, variant->family);
		held = end_meanwhile(self, variant);
		EXPECT_TRUE(!held || !keeps_all(variant) || self->scene.taken < 0);
		ASSERT_TRUE(is_whole(&self->scene, variant));
		end_scene(&self->scene);
	}
	EXPECT_TRUE(held);
}

FIXTURE(again) { };

FIXTURE_SETUP(again)
{
	if (!can_race())
		SKIP(return, "needs fault injection and two processors");
	forget_holds();
	enter_namespace();
}

FIXTURE_TEARDOWN(again)
{
	if (can_hold())
		forget_holds();
}

static void *leave_it(void *arg)
{
	leave(*(int *)arg, 0);
	return NULL;
}

/* A socket that leaves does not join again by what came too early; it may once it has left. */
TEST_F(again, joins_while_it_leaves)
{
	pthread_t leaver;
	int fds[2], result;
	uint32_t id;

	group_on_hosts(IPV4, fds, 2, PORT, 8);
	id = group_of(fds[0]);
	hold("detached", "go");
	ASSERT_EQ(0, pthread_create(&leaver, NULL, leave_it, &fds[1]));
	ASSERT_TRUE(wait_for(hold_is("detached", "held") || hold_is("detached", "late")));
	result = join(fds[1], id);
	EXPECT_TRUE(!result || result == -EBUSY) TH_LOG("%s", strerror(-result));
	pass_hold("go");
	ASSERT_EQ(0, pthread_join(leaver, NULL));
	EXPECT_EQ(result ? 1 : 2, info_of(fds[0]).members);
	EXPECT_EQ(result ? 0 : id, group_of(fds[1]));
	EXPECT_EQ(result ? 0 : -EALREADY, join(fds[1], id));
	EXPECT_EQ(2, info_of(fds[1]).members);
}

TEST_HARNESS_MAIN
