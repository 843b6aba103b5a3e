// SPDX-License-Identifier: GPL-2.0
/*
 * load CASE VARIANT LOAD MILLISECONDS RUN - load a service of eight workers.
 *
 * The workers are processes, each with a listening socket of its own, and serve
 * one connection at a time (workers.c). VARIANT says how the sockets are tied
 * together, see variant_names, and CASE what is wrong:
 *
 *   healthy	nothing; the load is that of `hung`, to compare with it
 *   hung	one worker is stopped from the beginning
 *   uneven	every second worker takes ten times as long
 *   restart	during the load each worker in turn is replaced by a new process;
 *		that opens its listener first, then the old one closes its own
 *
 * LOAD is in percent of what the workers that are not stopped can serve. The
 * clients (clients.c) go on for MILLISECONDS and then wait for what they began.
 * RUN is a number: the clients' pauses follow from it.
 *
 * All of this happens on the loopback device of a network namespace of its own,
 * and nothing is left of it. One JSON object is printed, with all connections:
 * milliseconds from connect() to the first byte, or to whatever else the end was;
 * the end; and how many times the SYN was sent again.
 */
#include "load.h"

#include <linux/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/service_group_netlink.h"

#define CLIENTS		128
#define MS		1000000ULL
#define PATIENCE	(2000 * MS)

enum scene { HEALTHY, HUNG, UNEVEN, RESTART, SCENES };
static const char *const scene_names[SCENES] = { "healthy", "hung", "uneven", "restart" };
static const char *const variant_names[VARIANTS] = {
	"reuseport", "migrate", "shared", "bpf", "overflow", "balance",
};
static const char *const end_names[ENDS] = {
	"served", "reset", "refused", "closed", "given_up",
};

/* What the arguments ask for. */
struct order {
	enum scene scene;
	enum variant variant;
	unsigned int load;
	unsigned int milliseconds;
	unsigned int run;
};

static void enter_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		err(1, "unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		err(1, "bringing up the loopback device");
	close(fd);
}

/* Even the slow ones need less than the stall time. */
static uint64_t service_ns(enum scene scene, uint32_t index)
{
	if (scene != UNEVEN)
		return 20 * MS;
	return index % 2 ? 80 * MS : 8 * MS;
}

/* Connections a second that those serve who are counted on. */
static double capacity(enum scene scene)
{
	double sum = 0;

	for (uint32_t i = scene == HEALTHY || scene == HUNG; i < WORKERS; i++)
		sum += 1e9 / (double)service_ns(scene, i);
	return sum;
}

/* A client's connections are so far apart that all clients together are the load. */
static struct demand demand_of(const struct order *order)
{
	double all = capacity(order->scene), rate = all * order->load / 100;
	double served_in = WORKERS / all, apart = CLIENTS / rate;

	if (apart < served_in)
		errx(2, "%d clients cannot make a load of %u %%", CLIENTS, order->load);
	return (struct demand){
		.clients = CLIENTS,
		.think_ns = (uint64_t)((apart - served_in) * 1e9),
		.patience_ns = PATIENCE,
		.seed = order->run,
	};
}

static void pause_ms(unsigned int milliseconds)
{
	struct timespec time = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * 1000000L,
	};

	nanosleep(&time, NULL);
}

/* Each worker in turn, with the same time before, between and after. */
static void replace_all(const struct order *order, pid_t workers[WORKERS])
{
	unsigned int pause = order->milliseconds / (WORKERS + 1);

	for (uint32_t i = 0; i < WORKERS; i++) {
		pid_t old = workers[i];

		pause_ms(pause);
		workers[i] = worker_start(i, service_ns(order->scene, i));
		if (kill(old, SIGTERM))
			err(1, "ending worker %u", i);
		worker_wait(old);
	}
	pause_ms(pause);
}

static void load(const struct order *order, pid_t workers[WORKERS], struct record *record)
{
	struct demand demand = demand_of(order);
	pid_t clients = clients_start(&demand, record);
	int status;

	if (order->scene == RESTART)
		replace_all(order, workers);
	else
		pause_ms(order->milliseconds);
	record->stop = true;
	if (waitpid(clients, &status, 0) != clients || !WIFEXITED(status) || WEXITSTATUS(status))
		errx(1, "the clients failed");
	if (record->too_many)
		errx(1, "more connections than can be recorded");
}

static void serve_and_load(const struct order *order, struct record *record)
{
	pid_t workers[WORKERS];

	workers_prepare(order->variant);
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i] = worker_start(i, service_ns(order->scene, i));
	if (order->scene == HUNG)
		worker_hang(workers[0]);
	load(order, workers, record);
	for (uint32_t i = 0; i < WORKERS; i++) {
		kill(workers[i], SIGKILL);
		waitpid(workers[i], NULL, 0);
	}
}

static void print(const struct order *order, const struct record *record)
{
	struct utsname system;

	uname(&system);
	printf("{\"run\":%u,\"case\":\"%s\",\"variant\":\"%s\",\"load\":%u,\"workers\":%d,"
	       "\"capacity\":%.0f,\"patience_ms\":%.0f,\"stall_ms\":%d,\"kernel\":\"%s\",\"connections\":[",
	       order->run, scene_names[order->scene], variant_names[order->variant], order->load,
	       WORKERS, capacity(order->scene), PATIENCE / 1e6,
	       SERVICE_GROUP_DEFAULT_STALL, system.release);
	for (uint32_t i = 0; i < record->count; i++) {
		const struct connection *one = &record->connections[i];

		printf("%s[%.3f,\"%s\",%u]", i ? "," : "", (double)one->ns / 1e6,
		       end_names[one->end], one->sent_again);
	}
	printf("]}\n");
}

static unsigned int named(const char *what, const char *const *names, unsigned int count,
			  const char *name)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return i;
	errx(2, "no such %s: %s", what, name);
}

static unsigned int number(const char *text)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (!value || value > 1000000)
		errx(2, "not a number from 1 to 1000000: %s", text);
	return (unsigned int)value;
}

int main(int argc, char **argv)
{
	struct order order;
	struct record *record;

	if (argc != 6)
		errx(2, "usage: load CASE VARIANT LOAD MILLISECONDS RUN");
	order = (struct order){
		.scene = named("case", scene_names, SCENES, argv[1]),
		.variant = named("variant", variant_names, VARIANTS, argv[2]),
		.load = number(argv[3]),
		.milliseconds = number(argv[4]),
		.run = number(argv[5]),
	};
	enter_namespace();
	record = shared_memory(sizeof(*record));
	serve_and_load(&order, record);
	print(&order, record);
	return 0;
}
