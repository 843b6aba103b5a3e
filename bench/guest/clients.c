// SPDX-License-Identifier: GPL-2.0
/*
 * Clients, all of them one process: see load.h.
 *
 * Each has one connection at a time, and none for a random while after it ended:
 * a closed loop. A client that is stuck asks for nothing else meanwhile, so a
 * service that lets clients wait has less to do than one that does not; who
 * compares them gives the bad one that advantage. The service speaks first, with
 * one byte.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS		64

struct client {
	int fd;		/* or -1 between two connections */
	uint64_t begun;
	uint64_t due;	/* when to begin the next, or to give up this one */
	uint32_t random;
};

struct crowd {
	const struct demand *demand;
	struct record *record;
	struct client *clients;
	int epoll;
	unsigned int waiting;
};

/* xorshift: a seed tells the whole sequence, which is the same for all variants. */
static uint32_t next_random(struct client *client)
{
	client->random ^= client->random << 13;
	client->random ^= client->random >> 17;
	client->random ^= client->random << 5;
	return client->random;
}

/* From nothing to twice the average, all alike. */
static uint64_t pause_of(const struct crowd *crowd, struct client *client)
{
	return (crowd->demand->think_ns >> 15) * (next_random(client) >> 16);
}

static uint8_t syns_sent_again(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	/* It sends nothing else that could be sent again. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length))
		err(1, "TCP_INFO");
	return info.tcpi_total_retrans < UINT8_MAX ? (uint8_t)info.tcpi_total_retrans : UINT8_MAX;
}

static void note(struct record *record, struct connection connection)
{
	if (record->count < sizeof(record->connections) / sizeof(record->connections[0]))
		record->connections[record->count++] = connection;
	else
		record->too_many = true;
}

static void end(struct crowd *crowd, struct client *client, enum end end)
{
	uint64_t now = now_ns();

	note(crowd->record, (struct connection){
		.ns = now - client->begun,
		.end = end,
		.sent_again = syns_sent_again(client->fd),
	});
	close(client->fd);
	client->fd = -1;
	client->due = now + pause_of(crowd, client);
	crowd->waiting--;
}

static enum end end_of_error(void)
{
	switch (errno) {
	case ECONNRESET:
		return RESET;
	case ECONNREFUSED:
		return REFUSED;
	default:
		err(1, "a client's connection");
	}
}

static void begin(struct crowd *crowd, struct client *client)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(PORT),
	};
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u32 = (uint32_t)(client - crowd->clients),
	};

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (client->fd < 0)
		err(1, "a client's socket");
	crowd->waiting++;
	client->begun = now_ns();
	client->due = client->begun + crowd->demand->patience_ns;
	if (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		end(crowd, client, end_of_error());
	else if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event))
		err(1, "epoll_ctl");
}

static void look(struct crowd *crowd, struct client *client)
{
	char byte;
	ssize_t got = recv(client->fd, &byte, 1, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	end(crowd, client, got > 0 ? SERVED : got ? end_of_error() : CLOSED);
}

/* Does what is due; returns the milliseconds until something else is. */
static int attend(struct crowd *crowd)
{
	uint64_t now = now_ns(), next = now + 100000000;

	for (unsigned int i = 0; i < crowd->demand->clients; i++) {
		struct client *client = &crowd->clients[i];

		if (client->fd < 0 && crowd->record->stop)
			continue;
		if (client->due <= now && client->fd < 0)
			begin(crowd, client);
		else if (client->due <= now)
			end(crowd, client, GIVEN_UP);
		if (client->due < next)
			next = client->due;
	}
	now = now_ns();
	return next > now ? (int)((next - now) / 1000000) + 1 : 0;
}

static void run(struct crowd *crowd)
{
	struct epoll_event events[EVENTS];

	while (!crowd->record->stop || crowd->waiting) {
		int count = epoll_wait(crowd->epoll, events, EVENTS, attend(crowd));

		if (count < 0)
			err(1, "epoll_wait");
		for (int i = 0; i < count; i++)
			look(crowd, &crowd->clients[events[i].data.u32]);
	}
}

pid_t clients_start(const struct demand *demand, struct record *record)
{
	struct crowd crowd = { .demand = demand, .record = record };
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
	crowd.clients = calloc(demand->clients, sizeof(*crowd.clients));
	if (crowd.epoll < 0 || !crowd.clients)
		err(1, "making the clients");
	for (unsigned int i = 0; i < demand->clients; i++) {
		struct client *client = &crowd.clients[i];

		client->fd = -1;
		client->random = (demand->seed * 1000 + i + 1) * 2654435761u;
		client->due = now_ns() + pause_of(&crowd, client);
	}
	run(&crowd);
	_exit(0);
}
