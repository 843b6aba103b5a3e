/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One side of a race that is half-way: a packet, a move or a call of a program is
 * held at a point of the module. For races.c and races_gone.c.
 */
#ifndef SELFTESTS_LIB_HALFWAY_H
#define SELFTESTS_LIB_HALFWAY_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "test.h"

#define PORT 8080
#define CLIENTS 4
/* Of a scene, until one side is seen held. */
#define ATTEMPTS 20
/* A stall time, in milliseconds. */
#define SHORT 20

/*
 * Which task is half-way, and with which listener: a sibling, or the program's own. The last ones are a
 * sibling's: its program accepts, sleeps in accept() and is given one by the stall timer, polls, or is
 * about to choose whose connection it accepts, or to lock the listener that it has chosen, while one
 * waits at home, which is stalled.
 */
enum reader { SYN, ACK, MOVE, HAND_OVER, ACCEPT, POLL, TAKE, SLEEP, OFFER, CHOOSE, LOCK };

static const char *const points[] = {
	[SYN] = "syn", [ACK] = "ack", [MOVE] = "move",
	[HAND_OVER] = "hand_over", [ACCEPT] = "accept", [POLL] = "poll",
	[TAKE] = "move", [SLEEP] = "move", [OFFER] = "seen",
	[CHOOSE] = "seen", [LOCK] = "lock",
};

/* Home is fds[0], the sibling fds[1]. */
struct scene {
	enum reader reader;
	int fds[2];
	struct address home;
	int clients[CLIENTS];
	int count;
	int half_open;
	/* What the reader has accepted; and who sleeps. */
	int taken;
	pid_t sleeper;
};

static bool can_race(void)
{
	return can_hold() && sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

static void set_scene(struct scene *scene, enum family family)
{
	forget_holds();
	enter_namespace();
	memset(scene, 0, sizeof(*scene));
	scene->taken = -1;
	scene->home = client_address(family, 1, PORT);
	group_on_hosts(family, scene->fds, 2, PORT, 8);
	errno = -set_one(scene->fds[0], SERVICE_GROUP_SET_STALL, 0);
	if (errno)
		die("having nobody stalled");
	/* One processor is the reader's, and of all that its timers do. */
	run_on(0);
}

static void connect_one(struct scene *scene)
{
	int fd = connect_to(&scene->home);

	if (fd < 0 || send(fd, "hello", 5, MSG_NOSIGNAL) != 5)
		die("connecting");
	scene->clients[scene->count++] = fd;
}

static bool looks_elsewhere(enum reader reader)
{
	return reader >= TAKE;
}

/* A connection waits at home, which is stalled, and stays so unless its sibling is to sleep first. */
static void prepare_look(struct scene *scene)
{
	int home = scene->fds[0];

	connect_one(scene);
	if (!wait_for(queue_length(home) == 1))
		die("waiting for a connection");
	if (scene->reader == SLEEP)
		return;
	if (set_one(home, SERVICE_GROUP_SET_STALL, SHORT) ||
	    !wait_for(info_of(home).state == SERVICE_GROUP_MEMBER_STATE_STALLED) ||
	    set_one(home, SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL))
		die("stalling a member");
}

/* Up to where only the last step is missing. */
static void prepare(struct scene *scene, enum reader reader)
{
	scene->reader = reader;
	if (looks_elsewhere(reader)) {
		prepare_look(scene);
		return;
	}
	if (reader == ACK || reader == HAND_OVER) {
		scene->half_open = start_half_open(&scene->home);
		scene->clients[scene->count++] = scene->half_open;
		if (!wait_for(info_of(scene->fds[0]).half_open == 1))
			die("waiting for a request");
	}
	if (reader != HAND_OVER)
		connect_one(scene);
	/* One that is too many as soon as the backlog is lowered. */
	if (reader == MOVE)
		connect_one(scene);
	if (!wait_for(queue_length(scene->fds[0]) == (reader == MOVE) + (reader != HAND_OVER)))
		die("waiting for a connection");
	/* Full. */
	if ((reader == SYN || reader == ACK) && listen(scene->fds[0], 0))
		die("listening");
}

/* Home is found stalled when its sibling sleeps. */
static void *stall_home(void *arg)
{
	struct scene *scene = arg;

	if (wait_for(thread_state(scene->sleeper) == 'S'))
		set_one(scene->fds[1], SERVICE_GROUP_SET_STALL, SHORT);
	return NULL;
}

static void ignore(int signal)
{
}

/* The sibling's program sleeps until it has a connection, or is interrupted. */
static void sleep_in_accept(struct scene *scene)
{
	struct sigaction action = { .sa_handler = ignore };
	pthread_t staller;

	sigaction(SIGUSR1, &action, NULL);
	scene->sleeper = gettid();
	errno = pthread_create(&staller, NULL, stall_home, scene);
	if (errno)
		die("starting a thread");
	scene->taken = accept4(scene->fds[1], NULL, NULL, SOCK_CLOEXEC);
	errno = pthread_join(staller, NULL);
	if (errno)
		die("joining a thread");
}

static void look_elsewhere(struct scene *scene)
{
	struct pollfd readable = { .fd = scene->fds[1], .events = POLLIN };

	if (scene->reader == SLEEP) {
		sleep_in_accept(scene);
		return;
	}
	fcntl(scene->fds[1], F_SETFL, O_NONBLOCK);
	if (scene->reader != OFFER || poll(&readable, 1, 0) == 1)
		scene->taken = accept4(scene->fds[1], NULL, NULL, SOCK_CLOEXEC);
}

static void *act(void *arg)
{
	struct scene *scene = arg;
	int home = scene->fds[0];
	struct pollfd readable = { .fd = home, .events = POLLIN };

	run_on(0);
	if (looks_elsewhere(scene->reader)) {
		look_elsewhere(scene);
	} else if (hold_is("syn", "waits")) {
		scene->clients[scene->count++] = start_connect(&scene->home);
	} else if (hold_is("ack", "waits")) {
		finish_handshake(scene->half_open);
		send(scene->half_open, "hello", 5, MSG_NOSIGNAL);
	} else if (hold_is("move", "waits")) {
		/* The stall timer moves it. */
		listen(home, 0);
		set_one(home, SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MAX_STALL);
	} else if (hold_is("hand_over", "waits")) {
		leave(home, SERVICE_GROUP_LEAVE_DRAIN);
	} else if (hold_is("accept", "waits")) {
		/* Whether there is one or not. */
		fcntl(home, F_SETFL, O_NONBLOCK);
		accept4(home, NULL, NULL, SOCK_CLOEXEC);
	} else {
		poll(&readable, 1, 0);
	}
	return NULL;
}

/* Whether a task is held at the reader's point; waits for that. */
static bool is_held(enum reader reader)
{
	if (!wait_for(hold_is(points[reader], "held") || hold_is(points[reader], "late")))
		die("waiting for the reader");
	/* A hold ends after a second: on a busy machine this side may not have seen any of it. */
	return hold_is(points[reader], "held");
}

/* Its thread is through; if it sleeps still, as there is nothing for it, it is woken. */
static void join_actor(struct scene *scene, pthread_t actor)
{
	if (scene->reader == SLEEP && !wait_for(!hold_is(points[SLEEP], "held")))
		die("waiting for a move");
	while (scene->reader == SLEEP && pthread_tryjoin_np(actor, NULL) == EBUSY) {
		pthread_kill(actor, SIGUSR1);
		usleep(2000);
	}
	errno = scene->reader == SLEEP ? 0 : pthread_join(actor, NULL);
	if (errno)
		die("waiting for the reader's end");
}

#endif
