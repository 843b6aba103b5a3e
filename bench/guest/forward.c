// SPDX-License-Identifier: GPL-2.0
/*
 * forward CASE LENGTH FLOWS PACKETS - what a packet costs that goes to another machine.
 *
 * CASE is only a name: the caller has made what sends the packets on; but
 * with `route` they are not for the service, and are routed.
 *
 * One packet of each of FLOWS flows is sent, and then PACKETS packets of any of them are
 * counted, in frames of LENGTH bytes: from the packet on the device until it is on the
 * device again, to a node's MAC address. What the slab caches grew by for all flows is
 * told, too. It must run in a guest whose time stamp counter counts instructions, and
 * prints one JSON object.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "counts.h"
#include "frames.h"
#include "slab.h"
#include "wire.h"

/* Numerical Recipes' generator, to take the flows in no order. */
#define FACTOR		1664525u
#define SUMMAND		1013904223u

static uint64_t forward(int wire, struct frame *frame, uint32_t flow)
{
	static struct frame seen;
	uint64_t ticks;

	frame_set_flow(frame, flow);
	ticks = frame_put(wire, frame);
	if (!frame_reaches_node(wire, &seen))
		errx(1, "a packet of flow %u went nowhere", flow);
	if (seen.length != frame->length)
		errx(1, "a packet came out with another length");
	return ticks;
}

/* Bytes that all flows took. */
static int64_t begin_flows(int wire, struct frame *frame, uint32_t flows)
{
	uint64_t before;

	/* The files that are read exist from now on. */
	slab_bytes();
	before = slab_bytes();
	for (uint32_t flow = 0; flow < flows; flow++)
		forward(wire, frame, flow);
	return (int64_t)(slab_bytes() - before);
}

static void count_packets(int wire, struct frame *frame, uint32_t flows, uint64_t *counts,
			  unsigned int n)
{
	uint32_t random = 1;

	for (unsigned int i = 0; i < n; i++) {
		random = random * FACTOR + SUMMAND;
		counts[i] = forward(wire, frame, (uint32_t)((uint64_t)random * flows >> 32));
	}
}

int main(int argc, char **argv)
{
	static struct frame frame;
	unsigned int length, flows, packets;
	int64_t memory;
	uint64_t *counts;
	int wire;

	if (argc != 5)
		errx(2, "usage: forward CASE LENGTH FLOWS PACKETS");
	length = number(argv[2], FRAMES_SHORTEST, FRAMES_LONGEST);
	flows = number(argv[3], 1, FRAMES_FLOWS);
	packets = number(argv[4], 1, 1000000);
	check_clock();
	wire = wire_open_ethernet();
	frame_make(&frame, TO_MACHINE, strcmp(argv[1], "route") ? FRAMES_SERVICE : FRAMES_BEHIND,
		   length);
	counts = new_counts(packets);
	memory = begin_flows(wire, &frame, flows);
	count_packets(wire, &frame, flows, counts, packets);
	printf("{\"case\":\"%s\",\"length\":%u,\"flows\":%u,\"packets\":%u,\"memory\":%lld,", argv[1],
	       length, flows, packets, (long long)memory);
	print_counts(counts, packets);
	printf("}\n");
	return 0;
}
