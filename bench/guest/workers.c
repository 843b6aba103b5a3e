// SPDX-License-Identifier: GPL-2.0
/*
 * Workers, each a process: see load.h.
 *
 * A worker opens its own listener, as servers with `reuseport` do, and joins it
 * to the others. What it does for a connection is to wait: a wait takes the same
 * time however slow the guest's processor is, so the service's capacity is known.
 */
#include "load.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/service_group.h"
#include "linux/service_group_netlink.h"

static enum variant variant;
static struct steering steering;
static int shared_listener = -1;
/* Of the group, in shared memory: the first worker forms it. */
static uint32_t *group;

/* Of this worker. */
static volatile sig_atomic_t ending;
static int listener = -1;

static int listen_here(void)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(PORT),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), one = 1;

	if (fd < 0)
		err(1, "socket");
	if (variant != SHARED && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		err(1, "SO_REUSEPORT");
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		err(1, "bind");
	if (listen(fd, BACKLOG))
		err(1, "listen");
	return fd;
}

static void set_migrate_req(void)
{
	int fd = open("/proc/sys/net/ipv4/tcp_migrate_req", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		err(1, "net.ipv4.tcp_migrate_req");
	close(fd);
}

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

void workers_prepare(enum variant which)
{
	variant = which;
	group = shared_memory(sizeof(*group));
	if (variant == MIGRATE)
		set_migrate_req();
	if (variant == SHARED)
		shared_listener = listen_here();
	if (variant == BPF)
		steering = steering_load();
}

static void form_group(int fd)
{
	struct {
		struct service_group_request head;
		struct service_group_entry entries[1];
	} request = {
		.head = { .size = sizeof(request.head), .count = 1 },
		.entries = { { .fd = fd } },
	};
	struct service_group_settings settings = {
		.size = sizeof(settings),
		.set = SERVICE_GROUP_SET_POLICY,
		.policy = variant == BALANCE ? SERVICE_GROUP_POLICY_BALANCE :
					       SERVICE_GROUP_POLICY_OVERFLOW,
	};
	struct service_group_info info = { 0 };
	socklen_t length = sizeof(info);

	if (setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &request, sizeof(request)))
		err(1, "forming a group");
	if (setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings, sizeof(settings)))
		err(1, "setting the group's policy");
	if (getsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &info, &length))
		err(1, "reading the group");
	*group = info.id;
}

static void tie(int fd, uint32_t index)
{
	if (variant == BPF)
		steering_add(&steering, index, fd);
	if (variant != OVERFLOW && variant != BALANCE)
		return;
	if (!*group)
		form_group(fd);
	else if (setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, group, sizeof(*group)))
		err(1, "joining the group");
}

static void end(int signal)
{
	(void)signal;
	ending = 1;
	close(listener);
}

static void hold(uint64_t until_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / 1000000000),
		.tv_nsec = (long)(until_ns % 1000000000),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void serve(uint64_t service_ns)
{
	while (!ending) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && ending)
			break;
		if (fd < 0)
			err(1, "accept");
		hold(now_ns() + service_ns);
		/* The client may have given up. */
		send(fd, "!", 1, MSG_NOSIGNAL);
		close(fd);
	}
}

static void work(uint32_t index, uint64_t service_ns, int ready)
{
	struct sigaction action = { .sa_handler = end };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	listener = variant == SHARED ? shared_listener : listen_here();
	tie(listener, index);
	if (sigaction(SIGTERM, &action, NULL))
		err(1, "sigaction");
	close(ready);
	serve(service_ns);
	_exit(0);
}

pid_t worker_start(uint32_t index, uint64_t service_ns)
{
	int ready[2];
	pid_t pid;
	char none;

	if (pipe2(ready, O_CLOEXEC))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		work(index, service_ns, ready[1]);
	close(ready[1]);
	/* It ends when the worker listens; or is no more, and then it has said why. */
	if (read(ready[0], &none, 1) || waitpid(pid, NULL, WNOHANG))
		errx(1, "worker %u did not start", index);
	close(ready[0]);
	return pid;
}

void worker_hang(pid_t pid)
{
	int status;

	if (kill(pid, SIGSTOP) || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		errx(1, "worker %d was not stopped", (int)pid);
}

void worker_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		errx(1, "worker %d failed", (int)pid);
}
