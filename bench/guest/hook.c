// SPDX-License-Identifier: GPL-2.0
/*
 * hook WAY CASE CONNECTIONS [NAME [MEMBERS]] - count the instructions of a
 * connection.
 *
 * MEMBERS (2) listeners share a port, each at an address of its own, so that which
 * one a connection reaches is no matter of a hash. CASE says what they are:
 *
 *   plain	sockets like any other, nothing set
 *   member	one service group; the first has room
 *   redirected	one service group; the first is full
 *
 * The last one has room, and those between the first and the last are full. NAME
 * is what the result calls the case, if not that. Every connection goes to the
 * first listener. WAY says where it comes from, and so what is counted:
 *
 *   loopback	a socket of the same machine: from the start of connect() to the
 *		return of accept(), the client's share included
 *   wire	packets written to a TUN device: what the server does with the SYN
 *		and the ACK, and accept()
 *
 * All of this happens on one processor within the system calls. Making, binding
 * and closing the sockets is not counted. A reset ends each connection, so that
 * none lingers in TIME_WAIT, and the clients' ports follow from the connection's
 * number: every run does the same work.
 *
 * It must run in a guest whose time stamp counter counts instructions, and
 * checks that with a loop of known length. It prints one JSON object; the
 * median over the connections is what counts, since a timer interrupt falls into
 * one of them now and then. It says nothing about time, caches or contention.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#include "linux/service_group.h"
#include "linux/service_group_netlink.h"
#include "wire.h"

#define PORT		80
#define WARM_UP		200
#define FIRST_CLIENT	10000
#define CLIENTS		20000

enum mode { PLAIN, MEMBER, REDIRECTED, MODES };
static const char *const names[MODES] = { "plain", "member", "redirected" };

/* Addresses of the guest's loopback device; the last listener has the next one. */
#define HOME_LOOPBACK	INADDR_LOOPBACK
#define HOME_WIRE	0x0a4d0001	/* 10.77.0.1 */
/* The first of the others'. */
#define FULL		0x7f010001	/* 127.1.0.1 */

/* The listeners, the address of the first, and the way. */
struct service {
	uint32_t address;
	unsigned int members;
	int fds[SERVICE_GROUP_MAX_MEMBERS];
	int wire;	/* the device, or -1 */
};

/* Where connections go to. */
static int home_of(const struct service *service)
{
	return service->fds[0];
}

/* Where those go that the first has no room for. */
static int sibling_of(const struct service *service)
{
	return service->fds[service->members - 1];
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(host),
		.sin_port = htons(port),
	};
}

static int bound_socket(uint32_t host, uint16_t port)
{
	struct sockaddr_in own = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	int one = 1;

	if (fd < 0)
		err(1, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		err(1, "SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		err(1, "bind to port %u", port);
	return fd;
}

static uint16_t client_port(unsigned int number)
{
	return (uint16_t)(FIRST_CLIENT + number % CLIENTS);
}

static void reset_at_close(int fd)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		err(1, "SO_LINGER");
}

static int client(unsigned int number)
{
	int fd = bound_socket(INADDR_LOOPBACK, client_port(number));

	reset_at_close(fd);
	return fd;
}

static void connect_to(int fd, uint32_t host)
{
	struct sockaddr_in server = address(host, PORT);

	if (connect(fd, (struct sockaddr *)&server, sizeof(server)))
		err(1, "connect");
}

/*
 * Nobody accepts from those that are full. They are not to count as stalled while
 * the counting lasts, as what fills them would move to the one with room; but the
 * group looks for stalled ones, as it does by default.
 */
static void form_group(const struct service *service)
{
	static struct {
		struct service_group_request head;
		struct service_group_entry entries[SERVICE_GROUP_MAX_MEMBERS];
	} request;
	struct service_group_settings settings = {
		.size = sizeof(settings),
		.set = SERVICE_GROUP_SET_STALL,
		.stall = SERVICE_GROUP_MAX_STALL,
	};
	socklen_t length = (socklen_t)(sizeof(request.head) +
				       service->members * sizeof(request.entries[0]));

	request.head.size = sizeof(request.head);
	request.head.count = service->members;
	for (unsigned int i = 0; i < service->members; i++)
		request.entries[i].fd = service->fds[i];
	if (setsockopt(home_of(service), SOL_IP, SO_SERVICE_GROUP, &request, length))
		err(1, "SO_SERVICE_GROUP");
	if (setsockopt(home_of(service), SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings,
		       sizeof(settings)))
		err(1, "SO_SERVICE_GROUP_SETTINGS");
}

static uint32_t address_of(const struct service *service, unsigned int member)
{
	if (!member)
		return service->address;
	if (member == service->members - 1)
		return service->address + 1;
	return FULL + member;
}

/* A backlog of zero takes one connection, which nobody accepts. */
static void serve(struct service *service, enum mode mode)
{
	unsigned int last = service->members - 1;
	unsigned int first_full = mode == REDIRECTED ? 0 : 1;

	for (unsigned int i = 0; i <= last; i++) {
		int full = i >= first_full && i < last;

		service->fds[i] = bound_socket(address_of(service, i), PORT);
		if (listen(service->fds[i], full ? 0 : 64))
			err(1, "listen");
	}
	if (mode != PLAIN)
		form_group(service);
	for (unsigned int i = first_full; i < last; i++)
		connect_to(client(CLIENTS - 1 - i), address_of(service, i));
}

static uint64_t over_loopback(const struct service *service, int listener, unsigned int number)
{
	int fd = client(number), accepted;
	uint64_t start = __rdtsc(), end;

	connect_to(fd, service->address);
	accepted = accept(listener, NULL, NULL);
	end = __rdtsc();
	if (accepted < 0)
		err(1, "accept");
	close(fd);
	close(accepted);
	return end - start;
}

static uint64_t over_wire(const struct service *service, int listener, unsigned int number)
{
	int accepted;
	uint64_t ticks = wire_connection(service->wire, client_port(number), service->address,
					 PORT, listener, &accepted);

	if (accepted < 0)
		err(1, "accept");
	reset_at_close(accepted);
	close(accepted);
	wire_drain(service->wire);
	return ticks;
}

/* The counts of @n connections, after some that are not counted. */
static uint64_t *count_all(const struct service *service, enum mode mode, unsigned int n)
{
	int listener = mode == REDIRECTED ? sibling_of(service) : home_of(service);
	uint64_t *counts = calloc(n, sizeof(*counts));

	if (!counts)
		err(1, "calloc");
	for (unsigned int i = 0; i < WARM_UP + n; i++) {
		uint64_t count = service->wire < 0 ? over_loopback(service, listener, i) :
						     over_wire(service, listener, i);

		if (i >= WARM_UP)
			counts[i - WARM_UP] = count;
	}
	return counts;
}

/* The figures mean nothing unless the connections went the way they should. */
static void check_counters(const struct service *service, enum mode mode, uint64_t all)
{
	struct service_group_info info = { 0 };
	socklen_t length = sizeof(info);
	uint64_t counted;

	if (mode == PLAIN)
		return;
	if (getsockopt(home_of(service), SOL_IP, SO_SERVICE_GROUP, &info, &length))
		err(1, "getsockopt");
	counted = mode == MEMBER ? info.home : info.redirected_out;
	if (counted != all)
		errx(1, "%s: %llu connections were counted instead of %llu", names[mode],
		     (unsigned long long)counted, (unsigned long long)all);
}

/* Two instructions a turn. An interrupt may fall into a try, not into each. */
static void check_clock(void)
{
	const uint64_t turns = 100000;
	uint64_t least = UINT64_MAX;

	for (int try = 0; try < 5; try++) {
		uint64_t left = turns, start = __rdtsc(), ticks;

		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
		ticks = __rdtsc() - start;
		if (ticks < least)
			least = ticks;
	}
	if (least < 2 * turns - turns / 50 || least > 2 * turns + turns / 50)
		errx(1, "the clock does not count instructions: %llu for %llu",
		     (unsigned long long)least, (unsigned long long)(2 * turns));
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_result(const struct service *service, const char *name, uint64_t *counts,
			 unsigned int n)
{
	const char *way = service->wire < 0 ? "loopback" : "wire";
	uint64_t sum = 0;

	qsort(counts, n, sizeof(*counts), ascending);
	for (unsigned int i = 0; i < n; i++)
		sum += counts[i];
	printf("{\"way\":\"%s\",\"case\":\"%s\",\"members\":%u,\"connections\":%u,"
	       "\"median\":%llu,\"mean\":%.1f,\"min\":%llu,\"p90\":%llu,\"max\":%llu}\n",
	       way, name, service->members, n, (unsigned long long)counts[n / 2], (double)sum / n,
	       (unsigned long long)counts[0], (unsigned long long)counts[n * 9 / 10],
	       (unsigned long long)counts[n - 1]);
}

static enum mode mode_named(const char *name)
{
	for (enum mode mode = PLAIN; mode < MODES; mode++)
		if (!strcmp(names[mode], name))
			return mode;
	errx(2, "no such case: %s", name);
}

static unsigned int number(const char *text, unsigned int least, unsigned int most)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (value < least || value > most)
		errx(2, "not a number from %u to %u: %s", least, most, text);
	return (unsigned int)value;
}

/* Each listener, and what fills it. */
static void allow_descriptors(unsigned int members)
{
	struct rlimit limit = { .rlim_cur = 2 * members + 64, .rlim_max = 2 * members + 64 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
}

int main(int argc, char **argv)
{
	static struct service service = { .members = 2, .wire = -1 };
	enum mode mode;
	unsigned int n;
	uint64_t *counts;
	int wire;

	if (argc < 4)
		errx(2, "usage: hook loopback|wire plain|member|redirected CONNECTIONS [NAME [MEMBERS]]");
	wire = !strcmp(argv[1], "wire");
	if (!wire && strcmp(argv[1], "loopback"))
		errx(2, "no such way: %s", argv[1]);
	mode = mode_named(argv[2]);
	n = number(argv[3], 1, CLIENTS / 2);
	if (argc > 5)
		service.members = number(argv[5], 2, SERVICE_GROUP_MAX_MEMBERS);
	check_clock();
	allow_descriptors(service.members);
	service.address = wire ? HOME_WIRE : HOME_LOOPBACK;
	serve(&service, mode);
	if (wire)
		service.wire = wire_open();
	counts = count_all(&service, mode, n);
	check_counters(&service, mode, WARM_UP + n);
	print_result(&service, argc > 4 ? argv[4] : names[mode], counts, n);
	free(counts);
	return 0;
}
