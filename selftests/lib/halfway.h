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

/* Who is half-way, and with which listener: a sibling, or the program's own. */
enum reader { SYN, ACK, MOVE, HAND_OVER, ACCEPT, POLL };

static const char *const points[] = {
	[SYN] = "syn", [ACK] = "ack", [MOVE] = "move",
	[HAND_OVER] = "hand_over", [ACCEPT] = "accept", [POLL] = "poll",
};

/* Home is fds[0], the sibling fds[1]. */
struct scene {
	int fds[2];
	struct address home;
	int clients[CLIENTS];
	int count;
	int half_open;
};

static bool can_race(void)
{
	return can_hold() && sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

static void set_scene(struct scene *scene)
{
	forget_holds();
	enter_namespace();
	memset(scene, 0, sizeof(*scene));
	scene->home = client_address(IPV4, 1, PORT);
	group_on_hosts(IPV4, scene->fds, 2, PORT, 8);
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

/* Up to where only the last step is missing. */
static void prepare(struct scene *scene, enum reader reader)
{
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

static void *act(void *arg)
{
	struct scene *scene = arg;
	int home = scene->fds[0];
	struct pollfd readable = { .fd = home, .events = POLLIN };

	run_on(0);
	if (hold_is("syn", "waits")) {
		scene->clients[scene->count++] = start_connect(&scene->home);
	} else if (hold_is("ack", "waits")) {
		finish_handshake(scene->half_open);
		send(scene->half_open, "hello", 5, MSG_NOSIGNAL);
	} else if (hold_is("move", "waits")) {
		/* The ticker moves it. */
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

/* Whether somebody is held at the reader's point; waits for that. */
static bool is_held(enum reader reader)
{
	if (!wait_for(hold_is(points[reader], "held") || hold_is(points[reader], "late")))
		die("waiting for the reader");
	/* A hold ends after a second: on a busy machine this side may not have seen any of it. */
	return hold_is(points[reader], "held");
}

#endif
