// SPDX-License-Identifier: GPL-2.0
/* What is remembered of a connection that did not stay with its home listener. */

#include "message.h"

static void read_moves(const struct nlattr *first, int left, void *to)
{
	for_each_attribute(attribute, first, left)
		if (type_of(attribute) == SERVICE_GROUP_A_DECISION_MOVES)
			*(int *)to = number_of(attribute);
}

/* Whether its packets are IPv4; and so is what is kept of it. */
static bool is_ipv4(const struct address *end)
{
	return end->any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&end->in6.sin6_addr);
}

static void add_end(struct message *message, int address, int port, const struct address *end)
{
	if (end->any.sa_family == AF_INET)
		add(message, address, &end->in.sin_addr, 4);
	else if (is_ipv4(end))
		add(message, address, &end->in6.sin6_addr.s6_addr[12], 4);
	else
		add(message, address, &end->in6.sin6_addr, 16);
	/* At the same place in both families. */
	add(message, port, &end->in.sin_port, 2);
}

/*
 * moves_of - how often the connection with these ends has moved, its SYN's redirection
 * included; 0 also if it is forgotten.
 */
int moves_of(const struct address *local, const struct address *peer)
{
	int fd = netlink_open(), moves = 0, error;
	uint16_t family = is_ipv4(local) ? AF_INET : AF_INET6;
	struct message message = new_message(netlink_family(fd), SERVICE_GROUP_CMD_DECISION_GET, 0);

	add(&message, SERVICE_GROUP_A_DECISION_FAMILY, &family, sizeof(family));
	add_end(&message, SERVICE_GROUP_A_DECISION_LOCAL_ADDRESS,
		SERVICE_GROUP_A_DECISION_LOCAL_PORT, local);
	add_end(&message, SERVICE_GROUP_A_DECISION_PEER_ADDRESS,
		SERVICE_GROUP_A_DECISION_PEER_PORT, peer);
	error = ask(fd, &message, read_moves, &moves);
	close(fd);
	if (error && error != -ENOENT)
		die("asking for a decision: %d", error);
	return moves;
}
