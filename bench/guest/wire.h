/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A client that is not in the kernel: it writes the packets of its connection
 * itself, to a TUN device, so that only the server's side is counted.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

/*
 * Attach to the device; it exists, is up, and has a route to WIRE_CLIENT. The
 * server's address and the next one are the machine's.
 */
#define WIRE_DEVICE	"wire0"
#define WIRE_CLIENT	0x0a4d0101	/* 10.77.1.1 */
#define WIRE_SERVER	0x0a4d0001	/* 10.77.0.1 */

int wire_open(void);

/* The same for a device that takes Ethernet frames. */
int wire_open_ethernet(void);

/*
 * A connection as its client sees it. The one that connects sets the first four; the
 * addresses and ports are in host order.
 */
struct wire_client {
	int wire;
	uint16_t port;
	uint16_t server_port;
	uint32_t server;
	uint32_t sequence;	/* of the next byte that it sends */
	uint32_t expected;	/* of the next byte that the server sends */
};

/*
 * The handshake, and accept() of @listener. Returns the ticks that the kernel took
 * for the SYN, for the ACK and for accept(); the accepted socket goes to @accepted.
 */
uint64_t wire_connect(struct wire_client *client, int listener, int *accepted);

/* Bytes in a segment with data; an even number. */
#define WIRE_DATA	100

/*
 * Send a segment with data, which acknowledges all that was received. Returns the
 * ticks that the kernel took for it.
 */
uint64_t wire_send(struct wire_client *client);

/* Receive one, which has to come from the address that was asked for. */
void wire_receive(struct wire_client *client);

/* Forget what the server has sent. */
void wire_drain(int wire);

#endif /* WIRE_H */
