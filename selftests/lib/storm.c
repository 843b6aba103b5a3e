// SPDX-License-Identifier: GPL-2.0
/*
 * A namespace in which everything happens at once. Several threads share the
 * sockets in a few slots, and each takes any of them for any operation: that
 * two work on one at the same time, or that a number is another socket by now,
 * is meant.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "storm_thread.h"

#define PORT 8080
#define SLOTS 16
#define HOSTS 3
#define THREADS 3

/* Shared by the threads; an entry may be closed while another uses it. */
static _Atomic int slots[SLOTS];

static enum family random_family(struct thread *me)
{
	return random_below(&me->state, 3);
}

int pick(struct thread *me)
{
	return atomic_load(&slots[random_below(&me->state, SLOTS)]);
}

static int result_of(int value)
{
	return value < 0 ? -errno : 0;
}

/* --- Making and ending sockets. */

static int new_socket(struct thread *me)
{
	enum family family = random_family(me);
	struct address address = listener_address(family, random_below(&me->state, HOSTS + 1), PORT);
	int domain = family == IPV4 ? AF_INET : AF_INET6;
	int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int one = 1, only = family == IPV6;

	if (fd < 0)
		return fd;
	if (family != IPV4)
		setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (random_below(&me->state, 8))
		bind(fd, &address.any, address.len);
	if (random_below(&me->state, 4))
		listen(fd, random_below(&me->state, 4));
	return fd;
}

static int replace(struct thread *me)
{
	int fd = new_socket(me);
	int old;

	if (fd < 0)
		return -errno;
	old = atomic_exchange(&slots[random_below(&me->state, SLOTS)], fd);
	if (old > 0)
		close(old);
	return 0;
}

static int do_shutdown(struct thread *me)
{
	return result_of(shutdown(pick(me), random_below(&me->state, 3)));
}

static int do_listen(struct thread *me)
{
	return result_of(listen(pick(me), random_below(&me->state, 5)));
}

static int do_connect(struct thread *me)
{
	struct address to = client_address(random_below(&me->state, 2) ? IPV4 : IPV6,
					   1 + random_below(&me->state, HOSTS), PORT);
	int result;

	if (random_below(&me->state, 2))
		to.any.sa_family = AF_UNSPEC;
	result = connect(pick(me), &to.any, to.len);
	return result && errno != EINPROGRESS ? -errno : 0;
}

static int do_fork(struct thread *me)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		/* The members are the child's as well, for a moment. */
		leave(pick(me), 0);
		close(pick(me));
		_exit(0);
	}
	return waitpid(child, NULL, 0) == child ? 0 : -errno;
}

/* --- The option. */

static int do_form(struct thread *me)
{
	struct {
		struct service_group_request header;
		struct service_group_entry entries[6];
	} request = {
		.header.size = sizeof(request.header),
		.header.count = 1 + random_below(&me->state, 6),
	};

	if (random_below(&me->state, 2))
		request.header.port = htons(PORT);
	else if (random_below(&me->state, 2))
		request.header.flags = SERVICE_GROUP_BIND;
	for (unsigned int i = 0; i < request.header.count; i++)
		request.entries[i].fd = pick(me);
	return result_of(setsockopt(request.entries[0].fd, SOL_IP, SO_SERVICE_GROUP, &request,
				    sizeof(request.header) +
				    request.header.count * sizeof(request.entries[0])));
}

static int do_join(struct thread *me)
{
	uint32_t id = group_of(pick(me));

	/* Or one that there may be. */
	return join(pick(me), id ? id : random_below(&me->state, 100));
}

static int do_leave(struct thread *me)
{
	return leave(pick(me), random_below(&me->state, 2) ? SERVICE_GROUP_LEAVE_DRAIN : 0);
}

/*
 * Short stall times, so that members are found stalled all the time; and short adopt
 * times, so that groups wait for members and end.
 */
static int do_settings(struct thread *me)
{
	switch (random_below(&me->state, 6)) {
	case 4:
		return set_one(pick(me), SERVICE_GROUP_SET_ADOPT, random_below(&me->state, 300));
	case 3:
		return set_one(pick(me), SERVICE_GROUP_SET_REWRITE, random_below(&me->state, 2));
	case 0:
		return set_one(pick(me), SERVICE_GROUP_SET_POLICY, random_below(&me->state, 2));
	case 1:
		return set_one(pick(me), SERVICE_GROUP_SET_WHEN_FULL, random_below(&me->state, 2));
	case 2:
		return set_one(pick(me), SERVICE_GROUP_SET_WEIGHT, 1 + random_below(&me->state, 4));
	default:
		return set_one(pick(me), SERVICE_GROUP_SET_STALL, random_below(&me->state, 30));
	}
}

static int do_info(struct thread *me)
{
	struct service_group_info info;

	return get_info(pick(me), &info);
}

/* --- Traffic. */

static int add_client(struct thread *me, bool half_open)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	enum family family = random_below(&me->state, 2) ? IPV4 : IPV6;
	struct address to = client_address(family, 1 + random_below(&me->state, HOSTS), PORT);
	int *place = &me->clients[me->next_client++ % CLIENTS];
	int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	if (half_open)
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	connect(fd, &to.any, to.len);
	if (*place > 0)
		close(*place);
	*place = fd;
	return 0;
}

static int do_client(struct thread *me)
{
	return add_client(me, false);
}

static int do_flood(struct thread *me)
{
	int result = 0;

	for (int i = 0; i < 8 && !result; i++)
		result = add_client(me, true);
	return result;
}

/* A client of the past sees the SYN-ACK after all. */
static int do_finish(struct thread *me)
{
	int zero = 0;

	return result_of(setsockopt(me->clients[random_below(&me->state, CLIENTS)], SOL_SOCKET,
				    SO_DETACH_FILTER, &zero, sizeof(zero)));
}

/* What makes a member unfit, and fit again. */
static int do_filter(struct thread *me)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u);
	struct sock_fprog filter = { .len = 1, .filter = &all };
	int fd = pick(me), zero = 0;

	if (random_below(&me->state, 2))
		return result_of(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof(zero)));
	return result_of(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
}

/* --- Reading. */

static int do_netlink(struct thread *me)
{
	switch (random_below(&me->state, 3)) {
	case 0:
		return netlink_dump_all(me->netlink, me->netlink_id, SERVICE_GROUP_CMD_GROUP_GET);
	case 1:
		return netlink_dump_all(me->netlink, me->netlink_id, SERVICE_GROUP_CMD_MEMBER_GET);
	default:
		return netlink_ask(me->netlink, me->netlink_id, SERVICE_GROUP_CMD_STATS_GET, 0);
	}
}

static int do_diag(struct thread *me)
{
	return diag_dump_all(me->diag, random_below(&me->state, 2) ? AF_INET : AF_INET6);
}

/* It succeeds when there happens to be no member; then it is loaded again. */
static int do_unload(struct thread *me)
{
	const char *path = getenv("SG_MODULE");
	int fd = open(path ? path : "", O_RDONLY | O_CLOEXEC);
	int result = -ENOENT;

	if (fd >= 0) {
		result = result_of(syscall(__NR_delete_module, "service_group", O_NONBLOCK));
		if (!result)
			syscall(__NR_finit_module, fd, "", 0);
		close(fd);
	}
	return result;
}

/* Each kind with its share of all operations, in thousandths. */
static const struct kind {
	const char *name;
	int (*operate)(struct thread *me);
	unsigned int share;
} kinds[STORM_KINDS] = {
	{ "accept", storm_accept, 90 },
	{ "poll and accept", storm_poll, 20 },
	{ "epoll and accept", storm_epoll, 20 },
	{ "accept by a ring", storm_uring, 20 },
	{ "client", do_client, 150 },
	{ "join", do_join, 120 },
	{ "form", do_form, 90 },
	{ "close and make", replace, 90 },
	{ "listen", do_listen, 80 },
	{ "leave", do_leave, 90 },
	{ "settings", do_settings, 30 },
	{ "shutdown", do_shutdown, 50 },
	{ "connect on a member", do_connect, 40 },
	{ "read a member", do_info, 40 },
	{ "flood", do_flood, 20 },
	{ "finish a handshake", do_finish, 15 },
	{ "filter", do_filter, 10 },
	{ "netlink", do_netlink, 12 },
	{ "sock_diag", do_diag, 8 },
	{ "fork", do_fork, 4 },
	{ "rmmod", do_unload, 1 },
};

const char *storm_kind_name(int kind)
{
	return kinds[kind].name ? kinds[kind].name : "(none)";
}

bool storm_goes_on(const struct storm *storm)
{
	return !atomic_load(&storm->shared->stop);
}

static void one_operation(struct thread *me)
{
	struct storm_shared *shared = me->storm->shared;
	unsigned int at = random_below(&me->state, 1000);
	int kind = 0;

	while (at >= kinds[kind].share)
		at -= kinds[kind++].share;
	atomic_fetch_add(&shared->operations, 1);
	atomic_fetch_add(&shared->tried[kind], 1);
	if (!kinds[kind].operate(me))
		atomic_fetch_add(&shared->succeeded[kind], 1);
}

static void *run_thread(void *argument)
{
	struct thread *me = argument;

	begin_looks(me);
	for (long i = 0; i < me->storm->limit / THREADS && storm_goes_on(me->storm); i++)
		one_operation(me);
	for (int i = 0; i < CLIENTS; i++)
		if (me->clients[i] > 0 && !me->storm->abrupt)
			close(me->clients[i]);
	end_looks(me);
	return NULL;
}

void run_storm(struct storm *storm)
{
	static struct thread threads[THREADS];

	if (!storm->here)
		enter_namespace();
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < THREADS; i++) {
		threads[i].storm = storm;
		threads[i].state = storm->seed * 7919 + i + 1;
		threads[i].netlink = netlink_open();
		threads[i].netlink_id = netlink_family(threads[i].netlink);
		threads[i].diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	}
	for (int i = 0; i < SLOTS; i++)
		replace(&threads[0]);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]))
			die("starting a thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	if (storm->abrupt)
		kill(getpid(), SIGKILL);
}
