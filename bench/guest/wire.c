// SPDX-License-Identifier: GPL-2.0
/*
 * A client that is no socket: see wire.h.
 *
 * write() to a TUN device hands the packet to the stack and returns when the
 * stack is through with it, answer included. There is no loss to recover from,
 * so this knows the packets of a handshake, and segments that come in order.
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

/* A SYN carries its maximum segment size; what comes later has no options. */
struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t rest[WIRE_DATA];
};

#define OPTIONS		4
#define HEADERS		offsetof(struct packet, rest)

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

static int open_device(short mode)
{
	struct ifreq request = { .ifr_name = WIRE_DEVICE, .ifr_flags = (short)(mode | IFF_NO_PI) };
	int wire = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (wire < 0)
		err(1, "/dev/net/tun");
	if (ioctl(wire, TUNSETIFF, &request))
		err(1, "TUNSETIFF");
	bring_up_link();
	return wire;
}

int wire_open(void)
{
	return open_device(IFF_TUN);
}

int wire_open_ethernet(void)
{
	return open_device(IFF_TAP);
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

/* Lengths and checksums, when all else is there. */
static void seal(struct packet *packet, size_t options, size_t data)
{
	size_t length = HEADERS + options + data;
	size_t segment = length - sizeof(packet->ip);
	uint32_t pseudo = IPPROTO_TCP + (uint32_t)segment;

	packet->ip.tot_len = htons((uint16_t)length);
	packet->tcp.doff = ((sizeof(packet->tcp) + options) / 4) & 0xf;
	pseudo = add(pseudo, &packet->ip.saddr, 8);
	packet->tcp.check = folded(add(pseudo, &packet->tcp, segment));
	packet->ip.check = folded(add(0, &packet->ip, sizeof(packet->ip)));
}

static struct packet packet(const struct wire_client *client)
{
	return (struct packet){
		.ip = {
			.version = 4,
			.ihl = sizeof(struct iphdr) / 4,
			.ttl = 64,
			.protocol = IPPROTO_TCP,
			.saddr = htonl(WIRE_CLIENT),
			.daddr = htonl(client->server),
		},
		.tcp = {
			.source = htons(client->port),
			.dest = htons(client->server_port),
			.window = htons(WINDOW),
			.seq = htonl(client->sequence),
		},
	};
}

static struct packet segment(const struct wire_client *client, size_t data)
{
	struct packet segment = packet(client);

	segment.tcp.ack = 1;
	segment.tcp.ack_seq = htonl(client->expected);
	seal(&segment, 0, data);
	return segment;
}

static void put(int wire, const struct packet *packet, size_t length)
{
	if (write(wire, packet, length) != (ssize_t)length)
		err(1, "write to the device");
}

/*
 * What the server has sent to this client. It is there by now, unless an
 * interrupt made the kernel leave its sending to a thread.
 */
static struct packet answer(const struct wire_client *client)
{
	struct pollfd readable = { .fd = client->wire, .events = POLLIN };
	struct packet packet;

	while (poll(&readable, 1, PATIENCE_MS) > 0 &&
	       read(client->wire, &packet, sizeof(packet)) >= (ssize_t)HEADERS) {
		if (packet.ip.version == 4 && packet.tcp.dest == htons(client->port))
			return packet;
	}
	errx(1, "the server did not answer");
}

static void receive_syn_ack(struct wire_client *client)
{
	struct packet packet;

	do {
		packet = answer(client);
	} while (!packet.tcp.syn || !packet.tcp.ack);
	client->expected = ntohl(packet.tcp.seq) + 1;
}

uint64_t wire_connect(struct wire_client *client, int listener, int *accepted)
{
	uint64_t start, middle, ticks;
	struct packet syn, ack;

	client->sequence = FIRST_SEQUENCE;
	syn = packet(client);
	syn.tcp.syn = 1;
	memcpy(syn.rest, (uint8_t[]){ 2, OPTIONS, SEGMENT >> 8, SEGMENT & 0xff }, OPTIONS);
	seal(&syn, OPTIONS, 0);

	start = __rdtsc();
	put(client->wire, &syn, HEADERS + OPTIONS);
	ticks = __rdtsc() - start;

	client->sequence++;
	receive_syn_ack(client);
	ack = segment(client, 0);

	middle = __rdtsc();
	put(client->wire, &ack, HEADERS);
	*accepted = accept(listener, NULL, NULL);
	return ticks + (__rdtsc() - middle);
}

uint64_t wire_send(struct wire_client *client)
{
	struct packet data = segment(client, WIRE_DATA);
	uint64_t start = __rdtsc(), ticks;

	put(client->wire, &data, HEADERS + WIRE_DATA);
	ticks = __rdtsc() - start;
	client->sequence += WIRE_DATA;
	return ticks;
}

static size_t data_of(const struct packet *packet)
{
	return ntohs(packet->ip.tot_len) - packet->ip.ihl * 4u - packet->tcp.doff * 4u;
}

void wire_receive(struct wire_client *client)
{
	struct packet packet;

	do {
		packet = answer(client);
	} while (!data_of(&packet));
	if (packet.ip.saddr != htonl(client->server) ||
	    packet.tcp.source != htons(client->server_port))
		errx(1, "a segment came from where the client did not connect to");
	if (data_of(&packet) != WIRE_DATA || ntohl(packet.tcp.seq) != client->expected ||
	    ntohl(packet.tcp.ack_seq) != client->sequence)
		errx(1, "a segment is not the one that was sent");
	client->expected += WIRE_DATA;
}

void wire_drain(int wire)
{
	uint8_t packet[256];

	while (read(wire, packet, sizeof(packet)) > 0)
		;
}
