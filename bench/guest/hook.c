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
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#include "counts.h"
#include "service.h"
#include "wire.h"

#define WARM_UP		200

static const char *const names[MODES] = { "plain", "member", "redirected" };

static uint64_t over_loopback(const struct service *service, int listener, unsigned int number)
{
	int fd = client_socket(number), accepted;
	uint64_t start = __rdtsc(), end;

	connect_client(fd, service->address);
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
	struct wire_client client = {
		.wire = service->wire,
		.port = client_port(number),
		.server = service->address,
		.server_port = PORT,
	};
	int accepted;
	uint64_t ticks = wire_connect(&client, listener, &accepted);

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
	uint64_t *counts = new_counts(n);

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

static void print_result(const struct service *service, const char *name, uint64_t *counts,
			 unsigned int n)
{
	printf("{\"way\":\"%s\",\"case\":\"%s\",\"members\":%u,\"connections\":%u,",
	       service->wire < 0 ? "loopback" : "wire", name, service->members, n);
	print_counts(counts, n);
	printf("}\n");
}

static enum mode mode_named(const char *name)
{
	for (enum mode mode = PLAIN; mode < MODES; mode++)
		if (!strcmp(names[mode], name))
			return mode;
	errx(2, "no such case: %s", name);
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
	/* Each listener, and what fills it. */
	allow_descriptors(2 * service.members);
	service.address = wire ? WIRE_SERVER : INADDR_LOOPBACK;
	serve(&service, mode);
	if (wire)
		service.wire = wire_open();
	counts = count_all(&service, mode, n);
	check_counters(&service, mode, WARM_UP + n);
	print_result(&service, argc > 4 ? argv[4] : names[mode], counts, n);
	free(counts);
	return 0;
}
