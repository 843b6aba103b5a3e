// SPDX-License-Identifier: GPL-2.0
/*
 * A handshake whose packets are sent by hand, the last one at a moment of the
 * test's choice. With SYN cookies nothing else can be between SYN and ACK: the
 * listener keeps no request for which it would answer again. And no SYN comes a
 * second time, as a client's would on a slow machine.
 */

#include <linux/filter.h>
#include <linux/tcp.h>

#include "lib.h"

static uint32_t sum_words(const void *data, size_t len, uint32_t sum)
{
	const uint16_t *word = data;

	for (; len > 1; len -= 2)
		sum += *word++;
	return sum;
}

/* TCP's checksum over IPv4; over IPv6 the kernel computes it. */
static uint16_t checksum(const struct handshake *handshake, const struct tcphdr *packet)
{
	struct {
		uint32_t from;
		uint32_t to;
		uint16_t protocol;
		uint16_t len;
	} pseudo = {
		.from = handshake->from.in.sin_addr.s_addr,
		.to = handshake->to.in.sin_addr.s_addr,
		.protocol = htons(IPPROTO_TCP),
		.len = htons(sizeof(*packet)),
	};
	uint32_t sum = sum_words(packet, sizeof(*packet), sum_words(&pseudo, sizeof(pseudo), 0));

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The SYN-ACK that goes to our client; raw IPv4 sockets see the IP header too. */
static void read_answer(struct handshake *handshake)
{
	bool ipv4 = handshake->to.any.sa_family == AF_INET;
	struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	char packet[2048];

	setsockopt(handshake->raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (;;) {
		ssize_t len = recv(handshake->raw, packet, sizeof(packet), 0);
		size_t at = ipv4 ? (packet[0] & 15) * 4 : 0;
		const struct tcphdr *answer = (const void *)(packet + at);

		if (len < 0)
			die("waiting for a SYN-ACK");
		if ((size_t)len < at + sizeof(*answer) || !answer->syn || !answer->ack ||
		    answer->source != handshake->to.in.sin_port ||
		    answer->dest != handshake->from.in.sin_port)
			continue;
		handshake->sequence = ntohl(answer->ack_seq);
		handshake->acknowledge = ntohl(answer->seq) + 1;
		return;
	}
}

/* A port whose owner sees no packet: who answered it would end the handshake. */
static int deaf_socket(enum family family)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &none };
	struct address address = client_address(family, 1, 0);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
	    bind_to(fd, &address) || listen(fd, 1))
		die("making a client's socket");
	return fd;
}

static void send_packet(const struct handshake *handshake, struct tcphdr packet)
{
	struct address to = handshake->to;

	packet.source = handshake->from.in.sin_port;
	packet.dest = handshake->to.in.sin_port;
	packet.doff = sizeof(packet) / 4;
	packet.window = htons(1024);
	/* A raw IPv6 socket takes the port for a protocol. */
	to.in.sin_port = 0;
	if (to.any.sa_family == AF_INET)
		packet.check = checksum(handshake, &packet);
	if (sendto(handshake->raw, &packet, sizeof(packet), 0, &to.any, to.len) !=
	    (ssize_t)sizeof(packet))
		die("sending a packet");
}

/* start_handshake - SYN and SYN-ACK. @to is a client's address. */
void start_handshake(struct handshake *handshake, enum family family, const struct address *to)
{
	struct address any_port;
	int offset = 16;

	handshake->to = *to;
	handshake->raw = socket(family == IPV6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC,
				IPPROTO_TCP);
	if (handshake->raw < 0)
		die("opening a raw socket");
	if (family == IPV6 &&
	    setsockopt(handshake->raw, SOL_IPV6, IPV6_CHECKSUM, &offset, sizeof(offset)))
		die("setting IPV6_CHECKSUM");
	handshake->client = deaf_socket(family);
	handshake->from = name_of(handshake->client);
	any_port = handshake->from;
	any_port.in.sin_port = 0;
	if (bind_to(handshake->raw, &any_port))
		die("binding a raw socket");
	send_packet(handshake, (struct tcphdr){ .syn = 1, .seq = htonl(1000) });
	read_answer(handshake);
}

void send_last_ack(const struct handshake *handshake)
{
	send_packet(handshake, (struct tcphdr){
		.ack = 1,
		.seq = htonl(handshake->sequence),
		.ack_seq = htonl(handshake->acknowledge),
	});
}
