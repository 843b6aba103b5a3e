// SPDX-License-Identifier: GPL-2.0
/*
 * Two listening sockets of one port become a group, which serves a connection.
 *
 *	reuse_workers [PORT]	without a port the kernel chooses one
 *
 * cc -I include/uapi -o reuse_workers examples/c/reuse_workers.c
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/service_group.h>

#define WORKERS 2

/* All to one address and port, which takes SO_REUSEPORT. The first gets what @port says. */
static void bind_all(const int *sockets, unsigned int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	socklen_t length = sizeof(address);
	int on = 1;

	for (int i = 0; i < WORKERS; i++) {
		if (setsockopt(sockets[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
		    bind(sockets[i], (struct sockaddr *)&address, sizeof(address)) ||
		    getsockname(sockets[i], (struct sockaddr *)&address, &length))
			err(1, "socket %d was not bound", i + 1);
	}
}

/* The sockets are bound: the request says nothing of a port. */
static void form_group(const int *sockets)
{
	struct {
		struct service_group_request request;
		struct service_group_entry entries[WORKERS];
	} option = {
		.request = { .size = sizeof(option.request), .count = WORKERS },
	};

	for (int i = 0; i < WORKERS; i++)
		option.entries[i].fd = sockets[i];
	if (setsockopt(sockets[0], SOL_IP, SO_SERVICE_GROUP, &option, sizeof(option)))
		err(1, "the group was not formed");
}

static void print_member(int number, int socket)
{
	struct service_group_info info;
	socklen_t length = sizeof(info);

	if (getsockopt(socket, SOL_IP, SO_SERVICE_GROUP, &info, &length))
		err(1, "member %d has no group", number);
	if (number == 1)
		printf("group %u\n", info.id);
	printf("member %d of %u: state %u, %u of %u queued\n", number, info.members,
	       info.state, info.queued, info.backlog);
}

/* Connects to the group, and serves that by the socket that got it. */
static void serve_once(const int *sockets)
{
	struct pollfd ready[WORKERS];
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	char answer[16] = "";
	int client = socket(AF_INET, SOCK_STREAM, 0);

	if (client < 0 || getsockname(sockets[0], (struct sockaddr *)&address, &length) ||
	    connect(client, (struct sockaddr *)&address, length))
		err(1, "no connection");
	for (int i = 0; i < WORKERS; i++)
		ready[i] = (struct pollfd){ .fd = sockets[i], .events = POLLIN };
	if (poll(ready, WORKERS, -1) < 0)
		err(1, "poll");
	for (int i = 0; i < WORKERS; i++) {
		int served;

		if (!ready[i].revents)
			continue;
		served = accept(sockets[i], NULL, NULL);
		if (served < 0 || write(served, "hello", 5) != 5)
			err(1, "member %d does not serve", i + 1);
		if (read(client, answer, sizeof(answer) - 1) < 0)
			err(1, "no answer");
		printf("member %d said %s\n", i + 1, answer);
		return;
	}
	errx(1, "no listener is ready");
}

int main(int argc, char **argv)
{
	unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int sockets[WORKERS];

	if (port > 65535)
		errx(2, "%s is no port", argv[1]);
	for (int i = 0; i < WORKERS; i++) {
		sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (sockets[i] < 0)
			err(1, "socket");
	}
	bind_all(sockets, port);
	form_group(sockets);
	for (int i = 0; i < WORKERS; i++) {
		if (listen(sockets[i], 16))
			err(1, "listen");
		print_member(i + 1, sockets[i]);
	}
	serve_once(sockets);
	return 0;
}
