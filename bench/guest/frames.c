// SPDX-License-Identifier: GPL-2.0
/*
 * Ethernet frames of many flows: see frames.h.
 *
 * write() to a TAP device hands the frame to the stack and returns when the stack is
 * through with it. UDP's checksum is left out, as IPv4 allows: nobody computes it.
 */
#include "frames.h"

#include <arpa/inet.h>
#include <err.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

/* A private address; flows take the addresses from here on. */
#define FIRST_SOURCE	0x0a800000	/* 10.128.0.0 */
#define SOURCES		0x10000
#define FIRST_PORT	20000
/* For experiments (RFC 9542), so nobody takes it. */
#define NO_PROTOCOL	0x88b5

/* As prepare_segment sets them; a node's ends in its number. */
static const uint8_t machine[ETH_ALEN] = { 0x02, 0x77, 0, 0, 0, 1 };
static const uint8_t node[ETH_ALEN - 1] = { 0x02, 0x77, 0, 0, 1 };
static const uint8_t router[ETH_ALEN] = { 0x02, 0x77, 0, 0, 2, 1 };
static const uint8_t all_nodes[ETH_ALEN] = { 0x03, 0x53, 10, 77, 0, 1 };

/* As it is on the wire. */
struct contents {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

static struct contents *contents_of(struct frame *frame)
{
	return (struct contents *)frame->bytes;
}

static uint16_t checksum(const struct iphdr *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void frame_make(struct frame *frame, enum frame_way way, uint32_t destination, size_t length)
{
	struct contents *contents = contents_of(frame);
	size_t datagram = length - sizeof(contents->ethernet);

	*frame = (struct frame){ .length = length };
	memcpy(contents->ethernet.h_dest, way == TO_MACHINE ? machine : all_nodes, ETH_ALEN);
	memcpy(contents->ethernet.h_source, router, ETH_ALEN);
	contents->ethernet.h_proto = htons(way == TO_NO_PROTOCOL ? NO_PROTOCOL : ETH_P_IP);
	contents->ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(struct iphdr) / 4,
		.tot_len = htons((uint16_t)datagram),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.daddr = htonl(destination),
	};
	contents->udp = (struct udphdr){
		.dest = htons(FRAMES_PORT),
		.len = htons((uint16_t)(datagram - sizeof(contents->ip))),
	};
	frame_set_flow(frame, 0);
}

void frame_set_flow(struct frame *frame, uint32_t flow)
{
	struct contents *contents = contents_of(frame);
	struct iphdr ip = contents->ip;

	ip.saddr = htonl(FIRST_SOURCE + flow % SOURCES);
	ip.check = 0;
	ip.check = checksum(&ip);
	contents->ip = ip;
	contents->udp.source = htons((uint16_t)(FIRST_PORT + flow / SOURCES + flow % 251));
}

uint64_t frame_put(int wire, const struct frame *frame)
{
	uint64_t start = __rdtsc(), ticks;
	ssize_t length = write(wire, frame->bytes, frame->length);

	ticks = __rdtsc() - start;
	if (length != (ssize_t)frame->length)
		err(1, "write to the device");
	return ticks;
}

int frame_reaches_node(int wire, struct frame *frame)
{
	const struct contents *contents = contents_of(frame);
	ssize_t length;

	while ((length = read(wire, frame->bytes, sizeof(frame->bytes))) > 0) {
		frame->length = (size_t)length;
		if (contents->ethernet.h_proto == htons(ETH_P_IP) &&
		    !memcmp(contents->ethernet.h_dest, node, sizeof(node)))
			return 1;
	}
	return 0;
}
