// SPDX-License-Identifier: GPL-2.0
/*
 * An unprivileged user does all at once that it is able to, in namespaces of his own or
 * in the network of others: everything that stress.c does, locks that are kept, calls
 * whose memory comes late, calls that are interrupted and killed, sockets that are
 * destroyed under their programs, filters and programs of BPF, requests of netlink. An
 * honest service does not notice: each of its connections is served, and its own changes
 * succeed. Nothing is left afterwards.
 *
 * How long anything takes is not tested, but told: how long a connection of the honest
 * service took, alone and beside the others. SG_HOSTILE_CONNECTIONS says how many there are
 * at least.
 */

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "nuisance.h"
#include "test.h"

#define HONEST_PORT 9090
#define WORKERS 3
#define CONNECTIONS 100
/* Times that are kept. */
#define TIMES 4096
/* Each nuisance is made so often at least. */
#define ROUNDS 5

/* --- The honest service. */

static void work(int fd)
{
	char seen[5];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int server = accept(fd, NULL, NULL);

		if (server >= 0 && recv(server, seen, 5, MSG_WAITALL) == 5)
			send(server, "world", 5, MSG_NOSIGNAL);
		close(server);
	}
}

FIXTURE(hostile) {
	struct shared *shared;
	int fds[WORKERS];
	pid_t workers[WORKERS];
	pid_t users[NUISANCES];
};

FIXTURE_VARIANT(hostile) { bool own_network; };
FIXTURE_VARIANT_ADD(hostile, neighbour) { false };
FIXTURE_VARIANT_ADD(hostile, container) { true };

FIXTURE_SETUP(hostile)
{
	enter_namespace();
	/* As udev has it; and an administrator who allows more than the kernel's default. */
	if (chmod("/dev/fuse", 0666))
		die("opening /dev/fuse to all");
	write_file("/proc/sys/vm/unprivileged_userfaultfd", "1");
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (self->shared == MAP_FAILED)
		die("mapping");
}

static void end_all(pid_t *processes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (processes[i] <= 0)
			continue;
		kill(processes[i], SIGKILL);
		waitpid(processes[i], NULL, 0);
		processes[i] = 0;
	}
}

FIXTURE_TEARDOWN(hostile)
{
	end_all(self->users, NUISANCES);
	end_all(self->workers, WORKERS);
	write_file("/proc/sys/vm/unprivileged_userfaultfd", "0");
}

static void start_service(FIXTURE_DATA(hostile) *self)
{
	group_on_hosts(IPV4, self->fds, WORKERS, HONEST_PORT, 8);
	for (int i = 0; i < WORKERS; i++) {
		self->workers[i] = fork();
		if (!self->workers[i])
			work(self->fds[i]);
	}
}

static void start_users(FIXTURE_DATA(hostile) *self, bool own_network)
{
	for (size_t i = 0; i < NUISANCES; i++) {
		if (nuisances[i].in_own_network && !own_network)
			continue;
		self->users[i] = fork();
		if (!self->users[i])
			annoy(self->shared, i, own_network);
	}
}

/* Whether a client is answered. */
static bool is_served(int host)
{
	struct address to = client_address(IPV4, host, HONEST_PORT);
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char seen[5] = "";
	bool is;

	set_option(fd, IPPROTO_TCP, TCP_SYNCNT, 6);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("being patient");
	is = !connect(fd, &to.any, to.len) && send(fd, "hello", 5, MSG_NOSIGNAL) == 5 &&
	     recv(fd, seen, 5, MSG_WAITALL) == 5 && !memcmp(seen, "world", 5);
	close(fd);
	return is;
}

/* Whether the service's own changes succeed: a worker comes, another setting, and it goes. */
static bool can_change(const FIXTURE_DATA(hostile) *self)
{
	int fd = listener(IPV4, WORKERS + 1, HONEST_PORT, 8);
	bool can = !join(fd, group_of(self->fds[0])) &&
		   !set_one(fd, SERVICE_GROUP_SET_WEIGHT, 2) &&
		   !leave(fd, SERVICE_GROUP_LEAVE_DRAIN);

	return !close(fd) && can;
}

/* How long connections took, in seconds; of many, the first ones. */
struct times {
	double of[TIMES];
	int count;
};

static int compare(const void *one, const void *other)
{
	double difference = *(const double *)one - *(const double *)other;

	return (difference > 0) - (difference < 0);
}

static void tell_times(struct times *times, const char *when)
{
	int last = times->count - 1;

	qsort(times->of, times->count, sizeof(times->of[0]), compare);
	if (last >= 0)
		ksft_print_msg("%s: half took up to %.1f ms, 99 %% up to %.1f ms, all up to %.1f ms\n",
			       when, 1e3 * times->of[last / 2], 1e3 * times->of[last * 99 / 100],
			       1e3 * times->of[last]);
}

static bool is_served_in_time(int host, struct times *times)
{
	double begin = seconds();
	bool is = is_served(host);

	if (times->count < TIMES)
		times->of[times->count++] = seconds() - begin;
	return is;
}

static bool all_have_begun(const FIXTURE_DATA(hostile) *self)
{
	for (size_t i = 0; i < NUISANCES; i++)
		if (self->users[i] && atomic_load(&self->shared->rounds[i]) < ROUNDS)
			return false;
	return true;
}

/* Serves until there were enough of all; how many were not served. */
static int serve(const FIXTURE_DATA(hostile) *self, int *served, struct times *times)
{
	const char *wanted = getenv("SG_HOSTILE_CONNECTIONS");
	int least = wanted ? atoi(wanted) : CONNECTIONS, unserved = 0;
	double deadline = seconds() + PATIENCE_SECONDS;

	while (*served < least || (!all_have_begun(self) && seconds() < deadline)) {
		int host = 1 + *served % WORKERS;

		if (!is_served_in_time(host, times) || (host == 1 && !can_change(self)))
			unserved++;
		++*served;
	}
	return unserved;
}

static void tell(const FIXTURE_DATA(hostile) *self, int served)
{
	ksft_print_msg("%d connections; the storm: %ld operations\n", served,
		       atomic_load(&self->shared->storm.operations));
	for (size_t i = 0; i < NUISANCES; i++)
		ksft_print_msg("%s: %ld rounds\n", nuisances[i].name,
			       atomic_load(&self->shared->rounds[i]));
}

TEST_F_TIMEOUT(hostile, an_honest_service_does_not_notice, 3600)
{
	static struct times times;
	int served = 0;

	start_service(self);
	/* Nobody is there yet who has to begin. */
	EXPECT_EQ(0, serve(self, &served, &times));
	tell_times(&times, "alone");
	served = times.count = 0;
	start_users(self, variant->own_network);
	EXPECT_EQ(0, serve(self, &served, &times));
	tell_times(&times, "beside the others");
	tell(self, served);
	/* What it is about was done. */
	EXPECT_TRUE(!variant->own_network || atomic_load(&self->shared->clusters) > 0);
	EXPECT_TRUE(all_have_begun(self));
	/* None has ended by itself. */
	for (size_t i = 0; i < NUISANCES; i++)
		if (self->users[i]) {
			EXPECT_EQ(0, waitpid(self->users[i], NULL, WNOHANG))
				TH_LOG("%s", nuisances[i].name);
		}
	end_all(self->users, NUISANCES);
	EXPECT_TRUE(wait_for(stats_now().groups == 1 && stats_now().members == WORKERS));
	end_all(self->workers, WORKERS);
	close_all(self->fds, WORKERS);
	EXPECT_TRUE(wait_for(unload_module() == 0));
	EXPECT_EQ(0, load_module());
}

TEST_HARNESS_MAIN
