// SPDX-License-Identifier: GPL-2.0
/*
 * neighbour CASE grouped|plain MILLISECONDS RUN - what a hostile namespace costs
 * another one.
 *
 * An honest service, a group of two listeners in a namespace of its own, serves one
 * connection after the other, from connect() over poll() and accept() to the first
 * byte, on processor 0 and for MILLISECONDS. On processor 1 an unprivileged user, with
 * user and network namespaces of its own, does what CASE says:
 *
 *   alone	nothing
 *   close	opens 64 listeners and closes them, over and over
 *   stall	has 1024 listeners, each with a connection that nobody accepts, and
 *		opens another one, and closes it, over and over
 *
 * If `grouped` the user forms groups of 64 of them, with the shortest stall time that is
 * allowed; if `plain` not, which is what the figures are compared with. So the
 * difference is what the module lets a user do to others, and not what any user may do.
 *
 * One JSON object is printed: how many connections were served in a second, and
 * microseconds of the median one, of the 99th percentile, and of the longest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "linux/service_group.h"
#include "linux/service_group_netlink.h"

#define GROUP		64
#define GROUPS		16
#define NOBODY		65534
#define MOST		(1 << 20)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void run_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "processor %d", processor);
}

static void enter_namespace(int flags)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET | flags))
		err(1, "unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		err(1, "bringing up the loopback device");
	close(fd);
}

static struct sockaddr_in address(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in own = address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&own, sizeof(own)) || listen(fd, 64))
		err(1, "listening at port %u", port);
	return fd;
}

static int connect_at(uint16_t port)
{
	struct sockaddr_in to = address(port);
	struct linger reset = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connecting to port %u", port);
	return fd;
}

static void form(const int *fds, unsigned int count)
{
	struct {
		struct service_group_request head;
		struct service_group_entry entries[GROUP];
	} request = {
		.head = { .size = sizeof(request.head), .count = count },
	};

	for (unsigned int i = 0; i < count; i++)
		request.entries[i].fd = fds[i];
	if (setsockopt(fds[0], SOL_IP, SO_SERVICE_GROUP, &request,
		       sizeof(request.head) + count * sizeof(*request.entries)))
		err(1, "forming a group");
}

/* The shortest stall time that the caller may set. */
static void stall_soon(int fd)
{
	struct service_group_settings settings = {
		.size = sizeof(settings), .set = SERVICE_GROUP_SET_STALL, .stall = 1,
	};

	while (setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, sizeof(settings)))
		if (errno != EPERM || settings.stall++ > SERVICE_GROUP_MAX_STALL)
			err(1, "setting the stall time");
}

static void open_some(int fds[GROUP], uint16_t port, bool grouped)
{
	for (int i = 0; i < GROUP; i++)
		fds[i] = listen_at(port);
	if (!grouped)
		return;
	form(fds, GROUP);
	stall_soon(fds[0]);
}

static void close_some(const int fds[GROUP])
{
	for (int i = 0; i < GROUP; i++)
		close(fds[i]);
}

/* Connections enough that most listeners get one. */
static void leave_waiting(uint16_t port)
{
	for (int i = 0; i < 4 * GROUP; i++)
		connect_at(port);
}

/* The hostile user; says when it has begun. */
static void harm(bool stall, bool grouped, int ready)
{
	int some[GROUP], fds[GROUPS][GROUP];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on(1);
	if (setgid(NOBODY) || setuid(NOBODY))
		err(1, "becoming nobody");
	enter_namespace(CLONE_NEWUSER);
	for (int i = 0; stall && i < GROUPS; i++) {
		open_some(fds[i], 1025 + i, grouped);
		leave_waiting(1025 + i);
	}
	if (write(ready, "!", 1) != 1)
		err(1, "saying that it begins");
	for (;;) {
		open_some(some, 1024, grouped);
		close_some(some);
	}
}

static pid_t start_harm(bool stall, bool grouped)
{
	pid_t pid;
	char said;
	int ready[2];

	if (pipe(ready))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		harm(stall, grouped, ready[1]);
	close(ready[1]);
	if (read(ready[0], &said, 1) != 1)
		errx(1, "the hostile user failed");
	close(ready[0]);
	return pid;
}

/* One connection, from the beginning to its first byte; nanoseconds. */
static uint64_t serve_one(int listener)
{
	struct pollfd readable = { .fd = listener, .events = POLLIN };
	uint64_t begun = now_ns();
	int client = connect_at(1024), fd;
	char byte;

	if (poll(&readable, 1, -1) != 1)
		err(1, "poll");
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || send(fd, "!", 1, 0) != 1 || recv(client, &byte, 1, 0) != 1)
		err(1, "serving");
	begun = now_ns() - begun;
	close(client);
	close(fd);
	return begun;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

/* The second member takes none while the first one has room. */
static int honest_listener(void)
{
	int fds[2] = { listen_at(1024), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	if (fds[1] < 0)
		err(1, "socket");
	form(fds, 2);
	return fds[0];
}

static uint32_t serve(int listener, uint64_t *times, uint64_t milliseconds)
{
	uint64_t end = now_ns() + milliseconds * 1000000;
	uint32_t count = 0;

	while (now_ns() < end && count < MOST)
		times[count++] = serve_one(listener);
	qsort(times, count, sizeof(*times), compare);
	return count;
}

int main(int argc, char **argv)
{
	struct rlimit many = { .rlim_cur = 16384, .rlim_max = 16384 };
	bool alone, stall, grouped;
	uint64_t *times, milliseconds;
	uint32_t count;
	pid_t hostile = 0;
	int listener;

	if (argc != 5)
		errx(2, "usage: neighbour alone|close|stall grouped|plain MILLISECONDS RUN");
	alone = !strcmp(argv[1], "alone");
	stall = !strcmp(argv[1], "stall");
	grouped = !strcmp(argv[2], "grouped");
	milliseconds = strtoul(argv[3], NULL, 10);
	times = calloc(MOST, sizeof(*times));
	if (!times || setrlimit(RLIMIT_NOFILE, &many))
		err(1, "preparing");
	if (!alone)
		hostile = start_harm(stall, grouped);
	run_on(0);
	enter_namespace(0);
	listener = honest_listener();
	/* What is done for the first time is slow. */
	serve(listener, times, milliseconds / 10);
	count = serve(listener, times, milliseconds);
	if (hostile) {
		if (waitpid(hostile, NULL, WNOHANG))
			errx(1, "the hostile user failed");
		kill(hostile, SIGKILL);
		waitpid(hostile, NULL, 0);
	}
	printf("{\"run\":%s,\"case\":\"%s\",\"grouped\":%s,\"per_second\":%.1f,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
	       argv[4], argv[1], grouped ? "true" : "false", count * 1000.0 / milliseconds,
	       times[count / 2] / 1e3, times[count * 99ULL / 100] / 1e3, times[count - 1] / 1e3);
	return 0;
}
