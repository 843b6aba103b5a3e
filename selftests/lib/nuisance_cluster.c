// SPDX-License-Identifier: GPL-2.0
/*
 * A cluster IP that is set, changed, read and deleted again and again while packets
 * come for it, in every role; and whose device goes in the middle of that.
 */

#include <net/if.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "message.h"
#include "nuisance.h"

#define CHANGES 40
#define SLOTS 16
#define ADDRESS "10.77.0.1"

static void add_number(struct message *message, int type, uint32_t number)
{
	add(message, type, &number, sizeof(number));
}

/* A request about the cluster IP. */
static struct message about(int family, int command)
{
	struct message message = new_message(family, command, 0);
	uint32_t address = inet_addr(ADDRESS);
	uint16_t kind = AF_INET;

	add(&message, SERVICE_GROUP_A_CLUSTER_FAMILY, &kind, sizeof(kind));
	add(&message, SERVICE_GROUP_A_CLUSTER_ADDRESS, &address, sizeof(address));
	return message;
}

static void add_node(struct message *message, uint32_t id, uint32_t role)
{
	struct nlattr *nest = (void *)((char *)message + message->header.nlmsg_len);
	const int start = message->header.nlmsg_len;
	uint32_t address = htonl(0x0a4d000a + id);

	message->header.nlmsg_len += NLA_HDRLEN;
	add_number(message, SERVICE_GROUP_A_NODE_ID, id);
	add_number(message, SERVICE_GROUP_A_NODE_WEIGHT, 1);
	add_number(message, SERVICE_GROUP_A_NODE_STATE, random() % 3);
	if (role != SERVICE_GROUP_CLUSTER_ROLE_SHARED) {
		add(message, SERVICE_GROUP_A_NODE_ADDRESS, &address, sizeof(address));
		add_number(message, SERVICE_GROUP_A_NODE_WAY, random() % 2);
	}
	nest->nla_type = SERVICE_GROUP_A_CLUSTER_NODES | NLA_F_NESTED;
	nest->nla_len = message->header.nlmsg_len - start;
}

static int set(int fd, int family, unsigned int device, uint32_t epoch)
{
	static const unsigned char mac[6] = { 0x01, 0, 0x5e, 0x4d, 0, 1 };
	struct message message = about(family, SERVICE_GROUP_CMD_CLUSTER_SET);
	uint32_t role = random() % 4, table[SLOTS];

	for (int i = 0; i < SLOTS; i++)
		table[i] = 1 + random() % 2;
	add_number(&message, SERVICE_GROUP_A_CLUSTER_ROLE, role);
	add_number(&message, SERVICE_GROUP_A_CLUSTER_DEVICE, device);
	if (role == SERVICE_GROUP_CLUSTER_ROLE_SHARED)
		add(&message, SERVICE_GROUP_A_CLUSTER_MAC, mac, sizeof(mac));
	add_number(&message, SERVICE_GROUP_A_CLUSTER_HASH, random() % 2);
	add_number(&message, SERVICE_GROUP_A_CLUSTER_NODE, 1);
	add_number(&message, SERVICE_GROUP_A_CLUSTER_SETTLE, random() % 3);
	add_number(&message, SERVICE_GROUP_A_CLUSTER_SPILL, random() % 2);
	add_number(&message, SERVICE_GROUP_A_CLUSTER_EPOCH, epoch);
	for (uint32_t id = 1; id <= 2; id++)
		add_node(&message, id, role);
	add(&message, SERVICE_GROUP_A_CLUSTER_TABLE, table, sizeof(table));
	return ask(fd, &message, NULL, NULL);
}

static int change_role(int fd, int family)
{
	struct message message = about(family, SERVICE_GROUP_CMD_CLUSTER_ROLE_SET);

	add_number(&message, SERVICE_GROUP_A_CLUSTER_ROLE,
		   SERVICE_GROUP_CLUSTER_ROLE_DIRECTOR + random() % 2);
	return ask(fd, &message, NULL, NULL);
}

static int forget(int fd, int family)
{
	struct message message = about(family, SERVICE_GROUP_CMD_CLUSTER_DEL);

	return ask(fd, &message, NULL, NULL);
}

static uint16_t sum_of(const void *header)
{
	const uint16_t *words = header;
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* A packet from the other end of the cable: of any protocol, with anything in it. */
static void send_one(int fd, struct sockaddr_ll *to)
{
	static const unsigned char protocols[] = { 1, 4, 6, 17, 47, 132 };
	unsigned char packet[60];
	struct iphdr header = {
		.version = 4, .ihl = 5, .ttl = 64, .tot_len = htons(sizeof(packet)),
		.protocol = protocols[random() % sizeof(protocols)],
		.saddr = htonl(0x0a4d0000 + random() % 256), .daddr = inet_addr(ADDRESS),
	};

	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = random();
	header.check = sum_of(&header);
	memcpy(packet, &header, sizeof(header));
	/* The device may just have gone. */
	sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)to, sizeof(*to));
}

static void send_packets(void)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_halen = 6,
		.sll_ifindex = if_nametoindex("outside"), .sll_addr = { 2, 0, 0, 0x4d, 0, 1 },
	};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("opening a packet socket");
	for (;;)
		send_one(fd, &to);
}

static void lay_cable(void)
{
	if (system("ip link add inside address 02:00:00:4d:00:01 type veth peer name outside && "
		   "ip address add " ADDRESS "/24 dev inside && ip link set inside up && "
		   "ip link set outside up"))
		die("laying a cable");
}

static pid_t start_sender(void)
{
	pid_t self = getpid(), child = fork();

	if (!child) {
		end_with(self);
		send_packets();
	}
	return child;
}

void change_cluster(struct shared *shared)
{
	int fd = netlink_open(), family = netlink_family(fd);
	unsigned int device;
	pid_t sender;

	lay_cable();
	device = if_nametoindex("inside");
	sender = start_sender();
	for (uint32_t epoch = 1; epoch <= CHANGES; epoch++) {
		if (!set(fd, family, device, epoch))
			atomic_fetch_add(&shared->clusters, 1);
		change_role(fd, family);
		netlink_dump_all(fd, family, SERVICE_GROUP_CMD_CLUSTER_GET);
		if (!(random() % 4))
			forget(fd, family);
	}
	/* Served or not. */
	if (system("ip link del inside"))
		die("taking a device away");
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
	forget(fd, family);
	close(fd);
}
