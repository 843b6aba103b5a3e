// SPDX-License-Identifier: GPL-2.0
/*
 * A client that is no socket: see wire.h.
 *
 * write() to a TUN device hands the packet to the stack and returns when the
 * stack is through with it, answer included. There is no loss to recover from,
 * so this knows three packets only: SYN, SYN-ACK, ACK.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#define FIRST_SEQUENCE	1000000
#define WINDOW		64240
#define SEGMENT		1460
#define PATIENCE_MS	1000

#define LINK		"/sys/class/net/" WIRE_DEVICE "/carrier"

/* A SYN carries its maximum segment size, the ACK has no options. */
struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t options[4];
};

#define ACK_LENGTH	offsetof(struct packet, options)

/*
 * The device has been without a link since its last user left, and until a kernel
 * thread has seen that it has one again, what is sent is lost. Whoever reads the
 * state does that thread's work first.
 */
static void bring_up_link(void)
{
	int file = open(LINK, O_RDONLY | O_CLOEXEC);
	char state;

	if (file < 0 || read(file, &state, 1) != 1)
		err(1, LINK);
	if (state != '1')
		errx(1, "the device has no link");
	close(file);
}

int wire_open(void)
{
	struct ifreq request = { .ifr_name = WIRE_DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI };
	int wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (wire < 0)
		err(1, "/dev/net/tun");
	if (ioctl(wire, TUNSETIFF, &request))
		err(1, "TUNSETIFF");
	bring_up_link();
	return wire;
}

static uint32_t add(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Length and checksums, when all else is there. */
static void seal(struct packet *packet, size_t length)
{
	size_t segment = length - sizeof(packet->ip);
	uint32_t pseudo = IPPROTO_TCP + (uint32_t)segment;

	packet->ip.tot_len = htons((uint16_t)length);
	packet->tcp.doff = (segment / 4) & 0xf;
	pseudo = add(pseudo, &packet->ip.saddr, 8);
	packet->tcp.check = folded(add(pseudo, &packet->tcp, segment));
	packet->ip.check = folded(add(0, &packet->ip, sizeof(packet->ip)));
}

static struct packet packet(uint16_t port, uint32_t server, uint16_t server_port)
{
	return (struct packet){
		.ip = {
			.version = 4,
			.ihl = sizeof(struct iphdr) / 4,
			.ttl = 64,
			.protocol = IPPROTO_TCP,
			.saddr = htonl(WIRE_CLIENT),
			.daddr = htonl(server),
		},
		.tcp = {
			.source = htons(port),
			.dest = htons(server_port),
			.window = htons(WINDOW),
		},
	};
}

static void put(int wire, const struct packet *packet, size_t length)
{
	if (write(wire, packet, length) != (ssize_t)length)
		err(1, "write to the device");
}

/*
 * The server's sequence number, from the SYN-ACK to this port. It is there by
 * now, unless an interrupt made the kernel leave its sending to a thread.
 */
static uint32_t syn_ack(int wire, uint16_t port)
{
	struct {
		struct packet head;
		uint8_t rest[64];
	} answer;
	const struct tcphdr *tcp = &answer.head.tcp;
	struct pollfd readable = { .fd = wire, .events = POLLIN };

	while (poll(&readable, 1, PATIENCE_MS) > 0 &&
	       read(wire, &answer, sizeof(answer)) >= (ssize_t)ACK_LENGTH) {
		if (answer.head.ip.version == 4 && tcp->dest == htons(port) && tcp->syn && tcp->ack)
			return ntohl(tcp->seq);
	}
	errx(1, "the SYN was not answered");
}

uint64_t wire_connection(int wire, uint16_t port, uint32_t server, uint16_t server_port,
			 int listener, int *accepted)
{
	struct packet syn = packet(port, server, server_port), ack = syn;
	uint64_t start, middle, ticks;

	syn.tcp.syn = 1;
	syn.tcp.seq = htonl(FIRST_SEQUENCE);
	memcpy(syn.options, (uint8_t[]){ 2, 4, SEGMENT >> 8, SEGMENT & 0xff }, 4);
	seal(&syn, sizeof(syn));

	start = __rdtsc();
	put(wire, &syn, sizeof(syn));
	ticks = __rdtsc() - start;

	ack.tcp.ack = 1;
	ack.tcp.seq = htonl(FIRST_SEQUENCE + 1);
	ack.tcp.ack_seq = htonl(syn_ack(wire, port) + 1);
	seal(&ack, ACK_LENGTH);

	middle = __rdtsc();
	put(wire, &ack, ACK_LENGTH);
	*accepted = accept(listener, NULL, NULL);
	return ticks + (__rdtsc() - middle);
}

void wire_drain(int wire)
{
	uint8_t packet[256];

	while (read(wire, packet, sizeof(packet)) > 0)
		;
}
