// SPDX-License-Identifier: GPL-2.0
/*
 * rewrite CASE SEGMENTS CONNECTIONS - what it costs that a connection is not with
 * the address that the client asked for.
 *
 * Two listeners share a port, each at an address of its own. A client, which is no
 * socket (wire.h), connects to the first one's address. CASE says what becomes of it:
 *
 *   plain	nothing: the first listener takes the connection
 *   rewritten	both are one service group that rewrites, and the first is full: the
 *		second one takes it, and its socket tells the second address
 *   dnat	connection tracking changes the address in each packet, by a rule that
 *		the caller has made: the second one takes it, too
 *
 * Over one connection, client and server send SEGMENTS segments each, in turn. Of
 * each the instructions are counted that the server's kernel takes:
 *
 *   received	from the packet on the device to the return of recv()
 *   sent	send(), to the packet on the device
 *
 * Each acknowledges the one before it, so that there are no other packets. Then
 * CONNECTIONS more connections are opened and kept, and it is told by how many
 * bytes the kernel's slab caches grew for each. What a connection costs once, at
 * the handshake, accept() and getsockname(), is not counted.
 *
 * It checks that each connection is what CASE says: by the address that its socket
 * tells, by the group's counters, and by what is tracked. It must run in a guest
 * whose time stamp counter counts instructions, and prints one JSON object.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "counts.h"
#include "lib.h"
#include "service.h"
#include "slab.h"
#include "wire.h"

/* The first segments are acknowledged at once; windows and buffers grow. */
#define WARM_UP		200
/* For a connection or data that do not come. */
#define PATIENCE_S	10

#define TRACKED		"/proc/sys/net/netfilter/nf_conntrack_count"

struct kind {
	const char *name;
	enum mode mode;
	int rewrite;
	int at_sibling;	/* which listener takes the connections */
	int tracked;
};

static const struct kind kinds[] = {
	{ .name = "plain", .mode = PLAIN },
	{ .name = "rewritten", .mode = REDIRECTED, .rewrite = 1, .at_sibling = 1 },
	{ .name = "dnat", .mode = PLAIN, .at_sibling = 1, .tracked = 1 },
};

static const struct kind *kind_named(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	errx(2, "no such case: %s", name);
}

/* What is measured, and the number of connections so far. */
struct scene {
	const struct kind *kind;
	struct service service;
	unsigned int opened;
};

static int listener_of(const struct scene *scene)
{
	return scene->kind->at_sibling ? sibling_of(&scene->service) : home_of(&scene->service);
}

/* The listener's connections inherit it. */
static void do_not_wait_for_ever(int listener)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };

	if (setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		err(1, "SO_RCVTIMEO");
}

static void check_name(const struct scene *scene, int fd)
{
	uint32_t own = address_of(&scene->service, scene->kind->at_sibling);
	struct sockaddr_in seen;
	socklen_t length = sizeof(seen);

	if (getsockname(fd, (struct sockaddr *)&seen, &length))
		err(1, "getsockname");
	if (seen.sin_addr.s_addr != htonl(own) || seen.sin_port != htons(PORT))
		errx(1, "%s: the connection tells %s, not its listener's address",
		     scene->kind->name, inet_ntoa(seen.sin_addr));
}

static int open_connection(struct scene *scene, struct wire_client *client)
{
	const struct service *service = &scene->service;
	int accepted;

	*client = (struct wire_client){
		.wire = service->wire,
		.port = client_port(scene->opened++),
		.server = service->address,
		.server_port = PORT,
	};
	wire_connect(client, listener_of(scene), &accepted);
	if (accepted < 0)
		err(1, "%s: no connection came to its listener", scene->kind->name);
	reset_at_close(accepted);
	check_name(scene, accepted);
	return accepted;
}

static uint64_t count_received(struct wire_client *client, int fd)
{
	uint64_t ticks = wire_send(client), start;
	char data[2 * WIRE_DATA];
	ssize_t length;

	start = __rdtsc();
	length = recv(fd, data, sizeof(data), 0);
	ticks += __rdtsc() - start;
	if (length != WIRE_DATA)
		err(1, "recv");
	return ticks;
}

static uint64_t count_sent(struct wire_client *client, int fd)
{
	static const char data[WIRE_DATA];
	uint64_t start = __rdtsc(), ticks;
	ssize_t length;

	length = send(fd, data, sizeof(data), 0);
	ticks = __rdtsc() - start;
	if (length != WIRE_DATA)
		err(1, "send");
	wire_receive(client);
	return ticks;
}

/* The counts of @n segments each way, after some that are not counted. */
static void count_segments(struct scene *scene, uint64_t *received, uint64_t *sent, unsigned int n)
{
	struct wire_client client;
	int fd = open_connection(scene, &client);

	for (unsigned int i = 0; i < WARM_UP + n; i++) {
		unsigned int place = i < WARM_UP ? 0 : i - WARM_UP;

		received[place] = count_received(&client, fd);
		sent[place] = count_sent(&client, fd);
	}
	close(fd);
}

/* Bytes for each of @n connections; they stay open. */
static double measure_memory(struct scene *scene, unsigned int n)
{
	int highest = (int)(n + 32);
	struct wire_client client;
	uint64_t before;

	/* The table of descriptors grows now, and the files read exist. */
	if (dup2(scene->service.wire, highest) < 0)
		err(1, "dup2");
	close(highest);
	slab_bytes();
	before = slab_bytes();
	for (unsigned int i = 0; i < n; i++)
		open_connection(scene, &client);
	wire_drain(scene->service.wire);
	return ((double)slab_bytes() - (double)before) / n;
}

static uint64_t tracked(void)
{
	FILE *file = fopen(TRACKED, "r");
	unsigned long long count = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &count) != 1)
		errx(1, "%s has no number", TRACKED);
	fclose(file);
	return count;
}

static void check_count(const struct scene *scene, const char *what, uint64_t count,
			uint64_t expected)
{
	if (count != expected)
		errx(1, "%s: %llu connections were %s instead of %llu", scene->kind->name,
		     (unsigned long long)count, what, (unsigned long long)expected);
}

static uint64_t counter(const struct scene *scene, int which)
{
	return member_counter(sibling_of(&scene->service), which);
}

/* The figures mean nothing unless the connections were what they should be. */
static void check_counters(const struct scene *scene)
{
	check_count(scene, "tracked", tracked(), scene->kind->tracked ? scene->opened : 0);
	if (!scene->kind->rewrite)
		return;
	check_count(scene, "redirected", counter(scene, SERVICE_GROUP_A_COUNTERS_REDIRECTED_IN),
		    scene->opened);
	check_count(scene, "rewritten", counter(scene, SERVICE_GROUP_A_COUNTERS_REWRITTEN),
		    scene->opened);
}

int main(int argc, char **argv)
{
	static struct scene scene = {
		.service = { .address = WIRE_SERVER, .members = 2 },
	};
	unsigned int segments, connections;
	uint64_t *received, *sent;
	double memory;

	if (argc != 4)
		errx(2, "usage: rewrite plain|rewritten|dnat SEGMENTS CONNECTIONS");
	scene.kind = kind_named(argv[1]);
	scene.service.rewrite = scene.kind->rewrite;
	segments = number(argv[2], 1, 1000000);
	connections = number(argv[3], 1, CLIENTS / 2);
	check_clock();
	allow_descriptors(connections);
	check_count(&scene, "tracked before", tracked(), 0);
	serve(&scene.service, scene.kind->mode);
	do_not_wait_for_ever(listener_of(&scene));
	scene.service.wire = wire_open();
	received = new_counts(segments);
	sent = new_counts(segments);
	count_segments(&scene, received, sent, segments);
	memory = measure_memory(&scene, connections);
	check_counters(&scene);
	printf("{\"case\":\"%s\",\"segments\":%u,\"received\":{", scene.kind->name, segments);
	print_counts(received, segments);
	printf("},\"sent\":{");
	print_counts(sent, segments);
	printf("},\"connections\":%u,\"memory\":%.1f}\n", connections, memory);
	return 0;
}
