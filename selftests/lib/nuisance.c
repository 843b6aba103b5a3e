// SPDX-License-Identifier: GPL-2.0
/* What an unprivileged user does to annoy others, again and again. */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "nuisance.h"

/* The storm's as well. */
#define PORT 8080
/* So many operations are a round. */
#define STORM 300

static void three_members(int fds[3])
{
	for (int i = 0; i < 3; i++)
		fds[i] = reuseport_listener(IPV4, 0, PORT, 2);
	/* The user may have too many groups by now. */
	form(fds, 3);
}

/* Everything that stress does, by a process that then ends. */
static void make_storm(struct shared *shared)
{
	struct storm storm = {
		.shared = &shared->storm, .limit = STORM, .seed = random(), .here = true,
	};
	pid_t self = getpid(), child = fork();

	if (!child) {
		end_with(self);
		run_storm(&storm);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* A member is locked until its page is given up. */
static void lock_members(struct shared *shared)
{
	struct page page = make_page();
	struct locker locker;
	int fds[3];

	three_members(fds);
	locker = (struct locker) { .page = &page, .fd = fds[1] };
	start_locker(&locker);
	set_one(fds[0], SERVICE_GROUP_SET_STALL, 50);
	leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN);
	join(fds[0], group_of(fds[2]));
	close(fds[2]);
	give_page_up(&page);
	pthread_join(locker.thread, NULL);
	waitpid(page.server, NULL, 0);
	munmap(page.edge + PAGE_HEAD - 4096, 2 * 4096);
	munmap(page.asked, 4096);
	umount2("/mnt", MNT_DETACH);
	close_all(fds, 2);
}

/* --- The memory of a request is not there when it is read. */

struct late {
	int faults;
	char *memory;
	size_t page;
	int fd;
};

static void *give_late(void *arg)
{
	struct late *late = arg;
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)late->memory + late->page, .len = late->page },
	};
	struct uffd_msg fault;

	if (read(late->faults, &fault, sizeof(fault)) == sizeof(fault)) {
		/* Meanwhile the request's own socket is no listener any more, and then closed. */
		shutdown(late->fd, SHUT_RD);
		close(late->fd);
		memset(late->memory, 0xff, late->page);
	}
	ioctl(late->faults, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

static void ask_with_late_memory(struct shared *shared)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct late late = { .page = sysconf(_SC_PAGESIZE) };
	struct request request;
	pthread_t thread;
	int fds[3];

	late.faults = syscall(__NR_userfaultfd, O_CLOEXEC);
	late.memory = mmap(NULL, 2 * late.page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (late.faults < 0 || late.memory == MAP_FAILED)
		die("userfaultfd");
	three_members(fds);
	leave(fds[0], 0);
	leave(fds[1], 0);
	describe(&request, fds, 2, 0);
	memcpy(late.memory + late.page - 40, &request, 40);
	range.range.start = (uintptr_t)late.memory + late.page;
	range.range.len = late.page;
	late.fd = fds[1];
	if (ioctl(late.faults, UFFDIO_API, &api) || ioctl(late.faults, UFFDIO_REGISTER, &range) ||
	    pthread_create(&thread, NULL, give_late, &late))
		die("having memory come late");
	setsockopt(fds[0], SOL_IP, SO_SERVICE_GROUP, late.memory + late.page - 40,
		   request_length(&request));
	pthread_join(thread, NULL);
	munmap(late.memory, 2 * late.page);
	close(late.faults);
	close(fds[0]);
	close(fds[2]);
}

/* --- Every call is interrupted, or ends with its process. */

static void ignore(int number)
{
}

static void form_and_leave(void)
{
	int fds[3];

	three_members(fds);
	accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
	leave(fds[0], SERVICE_GROUP_LEAVE_DRAIN);
	join(fds[0], group_of(fds[1]));
	shutdown(fds[1], SHUT_RD);
	listen(fds[1], 4);
	close_all(fds, 3);
}

static void be_interrupted(struct shared *shared)
{
	struct itimerval often = { { 0, 700 }, { 0, 700 } }, never = { };
	struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	form_and_leave();
	setitimer(ITIMER_REAL, &never, NULL);
}

static void be_killed(struct shared *shared)
{
	struct sigaction action = { .sa_handler = ignore };
	pid_t self = getpid(), child = fork();

	if (!child) {
		end_with(self);
		sigaction(SIGALRM, &action, NULL);
		for (;;)
			form_and_leave();
	}
	usleep(random() % 20000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* --- ss -K, where the user may; and programs of BPF. */

static void destroy_members(struct shared *shared)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u), none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog pass = { .len = 1, .filter = &all }, first = { .len = 1, .filter = &none };
	struct address home = client_address(IPV4, 1, PORT);
	int fds[3], client;

	three_members(fds);
	client = start_connect(&home);
	setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &pass, sizeof(pass));
	setsockopt(fds[2], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &first, sizeof(first));
	for (int i = 0; i < 3; i++)
		destroy(fds[i]);
	close(client);
	close_all(fds, 3);
}

/* --- Generic netlink is the whole machine's. */

static void ask_netlink(struct shared *shared)
{
	int fd = netlink_open(), diag = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	int family = netlink_family(fd), fds[3];

	three_members(fds);
	netlink_ask(fd, family, SERVICE_GROUP_CMD_GROUP_SET, group_of(fds[0]));
	netlink_dump_all(fd, family, SERVICE_GROUP_CMD_GROUP_GET);
	netlink_dump_all(fd, family, SERVICE_GROUP_CMD_MEMBER_GET);
	diag_dump_all(diag, AF_INET);
	close_all(fds, 3);
	close(diag);
	close(fd);
}

const struct nuisance nuisances[NUISANCES] = {
	{ "a storm", make_storm },
	{ "locks", lock_members },
	{ "late memory", ask_with_late_memory },
	{ "interrupted calls", be_interrupted },
	{ "killed processes", be_killed },
	{ "destroyed sockets", destroy_members, .in_own_network = true },
	{ "netlink", ask_netlink },
	{ "cluster IPs", change_cluster, .in_own_network = true },
};

/* annoy - one of them for ever, by a process of the user's own. */
void annoy(struct shared *shared, int which, bool own_network)
{
	become_unprivileged(own_network);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (own_network)
		bring_up("lo");
	for (;;) {
		nuisances[which].make(shared);
		atomic_fetch_add(&shared->rounds[which], 1);
	}
}
