// SPDX-License-Identifier: GPL-2.0
/*
 * owner CASE PACKET PACKETS - what a received packet costs the kernel.
 *
 * CASE is only a name: the caller has made what decides whose a packet is.
 * PACKET says which ones are counted:
 *
 *   owned	to the service, and this machine takes it: a socket has it
 *   ignored	to the service, and this machine does not
 *   other	to another address of this machine
 *   unknown	of a protocol that the kernel does not know, for comparison: it is thrown
 *		away where the protocols begin
 *
 * Some flows are looked for whose packets fare like that, whatever decides it, and PACKETS
 * packets of them in turn are counted, from the packet on the device until the kernel is
 * through with it. It must run in a guest whose time stamp counter counts instructions,
 * and prints one JSON object.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "counts.h"
#include "frames.h"
#include "wire.h"

#define CHOSEN		16
#define MOST_TRIED	10000

struct kind {
	const char *name;
	enum frame_way way;
	uint32_t destination;
	int taken;
};

static const struct kind kinds[] = {
	{ "owned", TO_ALL_NODES, FRAMES_SERVICE, 1 },
	{ "ignored", TO_ALL_NODES, FRAMES_SERVICE, 0 },
	{ "other", TO_MACHINE, FRAMES_OTHER, 1 },
	{ "unknown", TO_NO_PROTOCOL, FRAMES_SERVICE, 0 },
};

struct scene {
	const struct kind *kind;
	int wire;
	int service;	/* a socket */
	struct frame frame;
	uint32_t flows[CHOSEN];
};

static const struct kind *kind_named(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	errx(2, "no such packets: %s", name);
}

static int serve(uint32_t address)
{
	struct sockaddr_in own = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address),
		.sin_port = htons(FRAMES_PORT),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)))
		err(1, "bind");
	return fd;
}

/* Sends a packet of a flow. Returns the ticks; @taken says whether the socket got it. */
static uint64_t send_one(struct scene *scene, uint32_t flow, int *taken)
{
	uint64_t ticks;
	char data[64];

	frame_set_flow(&scene->frame, flow);
	ticks = frame_put(scene->wire, &scene->frame);
	*taken = recv(scene->service, data, sizeof(data), 0) >= 0;
	return ticks;
}

static void choose_flows(struct scene *scene)
{
	unsigned int found = 0;
	int taken;

	for (uint32_t flow = 0; flow < MOST_TRIED && found < CHOSEN; flow++) {
		send_one(scene, flow, &taken);
		if (taken == scene->kind->taken)
			scene->flows[found++] = flow;
	}
	if (found < CHOSEN)
		errx(1, "only %u flows are %s", found, scene->kind->name);
}

static void count_packets(struct scene *scene, uint64_t *counts, unsigned int n)
{
	int taken;

	for (unsigned int i = 0; i < n; i++) {
		counts[i] = send_one(scene, scene->flows[i % CHOSEN], &taken);
		if (taken != scene->kind->taken)
			errx(1, "a packet was not %s", scene->kind->name);
	}
}

int main(int argc, char **argv)
{
	static struct scene scene;
	unsigned int packets;
	uint64_t *counts;

	if (argc != 4)
		errx(2, "usage: owner CASE owned|ignored|other|unknown PACKETS");
	scene.kind = kind_named(argv[2]);
	packets = number(argv[3], 1, 1000000);
	check_clock();
	scene.wire = wire_open_ethernet();
	scene.service = serve(scene.kind->destination);
	frame_make(&scene.frame, scene.kind->way, scene.kind->destination, FRAMES_SHORTEST);
	counts = new_counts(packets);
	choose_flows(&scene);
	count_packets(&scene, counts, packets);
	printf("{\"case\":\"%s\",\"packet\":\"%s\",\"packets\":%u,", argv[1], scene.kind->name,
	       packets);
	print_counts(counts, packets);
	printf("}\n");
	return 0;
}
