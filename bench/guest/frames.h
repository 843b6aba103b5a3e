/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ethernet frames with UDP datagrams of many flows, which a program writes to a TAP
 * device as if they came from a segment. The caller has made the device and
 * what is on it: prepare_segment in lib.bash.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* Addresses in host order. */
#define FRAMES_SERVICE	0x0a4d0001	/* 10.77.0.1 */
#define FRAMES_OTHER	0x0a4d0009	/* 10.77.0.9, another one of the machine's */
#define FRAMES_BEHIND	0x0a4e0001	/* 10.78.0.1, behind a node */
#define FRAMES_PORT	8080

/* Flows differ in the source's address, or port, or both. */
#define FRAMES_FLOWS	0x100000

/* Lengths of frames, without their checksum. */
#define FRAMES_SHORTEST	60
#define FRAMES_LONGEST	1514

/* Where a frame goes to. */
enum frame_way {
	TO_MACHINE,	/* its own MAC address */
	TO_ALL_NODES,	/* the multicast MAC address of FRAMES_SERVICE */
	TO_NO_PROTOCOL,	/* the same, but nobody knows the type of the frame */
};

struct frame {
	size_t length;
	uint8_t bytes[FRAMES_LONGEST];
};

/* A frame without its flow. */
void frame_make(struct frame *frame, enum frame_way way, uint32_t destination, size_t length);

/* Gives it to a flow, a number below FRAMES_FLOWS. */
void frame_set_flow(struct frame *frame, uint32_t flow);

/* Writes it to the device. Returns the ticks that the kernel took for it. */
uint64_t frame_put(int wire, const struct frame *frame);

/* Reads what the machine has sent, up to a frame with IPv4 to a node; whether one was there. */
int frame_reaches_node(int wire, struct frame *frame);

#endif /* FRAMES_H */
