/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The service that hook.c and rewrite.c measure: listeners that share a port, each
 * at an address of its own, so that which one a connection reaches is no matter of
 * a hash. Every connection goes to the first one, the home listener.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

#include "linux/service_group.h"

#define PORT		80
#define CLIENTS		20000

/*
 * What the listeners are: sockets like any other if PLAIN, else one group. The last
 * one has room, and those between the first and the last have none. The first has
 * room, unless its connections are to be REDIRECTED.
 */
enum mode { PLAIN, MEMBER, REDIRECTED, MODES };

struct service {
	uint32_t address;	/* the home listener's; the last one has the next */
	unsigned int members;
	int rewrite;	/* whether the group shows the addresses that members have */
	int fds[SERVICE_GROUP_MAX_MEMBERS];
	int wire;	/* the device that connections come from, or -1 */
};

/* Open, group and fill the listeners of a service whose other fields are set. */
void serve(struct service *service, enum mode mode);

/* Where connections go to. */
int home_of(const struct service *service);

/* Where those go that the first has no room for. */
int sibling_of(const struct service *service);

uint32_t address_of(const struct service *service, unsigned int member);

/* Ports follow from the connection's number: every run does the same work. */
uint16_t client_port(unsigned int number);
int client_socket(unsigned int number);
void connect_client(int fd, uint32_t host);

/* A reset ends the connection, so that it does not linger in TIME_WAIT. */
void reset_at_close(int fd);

/* Besides the few that each program has. */
void allow_descriptors(unsigned int count);

#endif /* SERVICE_H */
