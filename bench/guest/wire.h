/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The client of hook.c that is not in the kernel: it writes the packets of a
 * handshake itself, to a TUN device, so that only the server's side is counted.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

/* Attach to the device; it exists, is up, and has a route to WIRE_CLIENT. */
#define WIRE_DEVICE	"wire0"
#define WIRE_CLIENT	0x0a4d0101	/* 10.77.1.1 */

int wire_open(void);

/*
 * One handshake from the client's @port to @server:@server_port, and accept()
 * of @listener. Returns the ticks that the kernel took for the SYN, for the ACK
 * and for accept(); the accepted socket goes to @accepted.
 */
uint64_t wire_connection(int wire, uint16_t port, uint32_t server, uint16_t server_port,
			 int listener, int *accepted);

/* Forget what the server has sent. */
void wire_drain(int wire);

#endif /* WIRE_H */
