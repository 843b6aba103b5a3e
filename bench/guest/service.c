// SPDX-License-Identifier: GPL-2.0
/*
 * The service that is measured, and its clients: see service.h.
 */
#include "service.h"

#include <err.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "linux/service_group_netlink.h"

#define FIRST_CLIENT	10000

/* The first of the addresses of those that are neither the first nor the last. */
#define FULL		0x7f010001	/* 127.1.0.1 */

int home_of(const struct service *service)
{
	return service->fds[0];
}

int sibling_of(const struct service *service)
{
	return service->fds[service->members - 1];
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(host),
		.sin_port = htons(port),
	};
}

static int bound_socket(uint32_t host, uint16_t port)
{
	struct sockaddr_in own = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	int one = 1;

	if (fd < 0)
		err(1, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		err(1, "SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		err(1, "bind to port %u", port);
	return fd;
}

uint16_t client_port(unsigned int number)
{
	return (uint16_t)(FIRST_CLIENT + number % CLIENTS);
}

void reset_at_close(int fd)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		err(1, "SO_LINGER");
}

int client_socket(unsigned int number)
{
	int fd = bound_socket(INADDR_LOOPBACK, client_port(number));

	reset_at_close(fd);
	return fd;
}

void connect_client(int fd, uint32_t host)
{
	struct sockaddr_in server = address(host, PORT);

	if (connect(fd, (struct sockaddr *)&server, sizeof(server)))
		err(1, "connect");
}

/*
 * Nobody accepts from those that are full. They are not to count as stalled while
 * the counting lasts, as what fills them would move to the one with room; but the
 * group looks for stalled ones, as it does by default.
 */
static void form_group(const struct service *service)
{
	static struct {
		struct service_group_request head;
		struct service_group_entry entries[SERVICE_GROUP_MAX_MEMBERS];
	} request;
	struct service_group_settings settings = {
		.size = sizeof(settings),
		.set = SERVICE_GROUP_SET_STALL,
		.stall = SERVICE_GROUP_MAX_STALL,
	};
	socklen_t length = (socklen_t)(sizeof(request.head) +
				       service->members * sizeof(request.entries[0]));

	request.head.size = sizeof(request.head);
	request.head.count = service->members;
	for (unsigned int i = 0; i < service->members; i++)
		request.entries[i].fd = service->fds[i];
	if (setsockopt(home_of(service), SOL_IP, SO_SERVICE_GROUP, &request, length))
		err(1, "SO_SERVICE_GROUP");
	if (service->rewrite) {
		settings.set |= SERVICE_GROUP_SET_REWRITE;
		settings.rewrite = 1;
	}
	if (setsockopt(home_of(service), SOL_IP, SO_SERVICE_GROUP_SETTINGS, &settings,
		       sizeof(settings)))
		err(1, "SO_SERVICE_GROUP_SETTINGS");
}

uint32_t address_of(const struct service *service, unsigned int member)
{
	if (!member)
		return service->address;
	if (member == service->members - 1)
		return service->address + 1;
	return FULL + member;
}

/* A backlog of zero takes one connection, which nobody accepts. */
void serve(struct service *service, enum mode mode)
{
	unsigned int last = service->members - 1;
	unsigned int first_full = mode == REDIRECTED ? 0 : 1;

	for (unsigned int i = 0; i <= last; i++) {
		int full = i >= first_full && i < last;

		service->fds[i] = bound_socket(address_of(service, i), PORT);
		if (listen(service->fds[i], full ? 0 : 64))
			err(1, "listen");
	}
	if (mode != PLAIN)
		form_group(service);
	for (unsigned int i = first_full; i < last; i++)
		connect_client(client_socket(CLIENTS - 1 - i), address_of(service, i));
}

void allow_descriptors(unsigned int count)
{
	struct rlimit limit = { .rlim_cur = count + 64, .rlim_max = count + 64 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
}
