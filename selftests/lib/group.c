// SPDX-License-Identifier: GPL-2.0
/* The socket option, as tests use it. */

#include "lib.h"

/* describe - a request that lists these sockets, none with an address. */
void describe(struct request *request, const int *fds, size_t count, uint16_t port)
{
	memset(request, 0, sizeof(*request));
	request->header.size = sizeof(request->header);
	request->header.count = count;
	request->header.port = htons(port);
	for (size_t i = 0; i < count; i++)
		request->entries[i].fd = fds[i];
}

void describe_address(struct request *request, size_t index, const struct address *address)
{
	struct service_group_entry *entry = &request->entries[index];

	entry->family = address->any.sa_family;
	if (entry->family == AF_INET) {
		memcpy(entry->addr, &address->in.sin_addr, 4);
	} else {
		memcpy(entry->addr, &address->in6.sin6_addr, 16);
		entry->scope_id = address->in6.sin6_scope_id;
	}
}

socklen_t request_length(const struct request *request)
{
	return sizeof(request->header) + request->header.count * sizeof(request->entries[0]);
}

int send_request(int fd, const struct request *request)
{
	return setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, request, request_length(request)) ?
	       -errno : 0;
}

int set_settings(int fd, const struct service_group_settings *settings)
{
	return setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, settings, sizeof(*settings)) ?
	       -errno : 0;
}

/* set_one - change the setting of this SERVICE_GROUP_SET_* flag. */
int set_one(int fd, uint32_t which, uint32_t value)
{
	struct service_group_settings settings = { .size = sizeof(settings), .set = which };

	switch (which) {
	case SERVICE_GROUP_SET_POLICY:
		settings.policy = value;
		break;
	case SERVICE_GROUP_SET_WHEN_FULL:
		settings.when_full = value;
		break;
	case SERVICE_GROUP_SET_STALL:
		settings.stall = value;
		break;
	case SERVICE_GROUP_SET_WEIGHT:
		settings.weight = value;
		break;
	case SERVICE_GROUP_SET_REWRITE:
		settings.rewrite = value;
		break;
	case SERVICE_GROUP_SET_ADOPT:
		settings.adopt = value;
		break;
	}
	return set_settings(fd, &settings);
}

int get_settings(int fd, struct service_group_settings *settings)
{
	socklen_t len = sizeof(*settings);

	memset(settings, 0xee, sizeof(*settings));
	return getsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, settings, &len) ? -errno : 0;
}

/*
 * form_bound - form a group, bound to this port. Nobody accepts in most tests, so
 * members of it are never stalled.
 */
int form_bound(const int *fds, size_t count, uint16_t port)
{
	struct request *request = malloc(sizeof(*request));
	int result;

	if (!request)
		die("allocating");
	describe(request, fds, count, port);
	result = send_request(fds[0], request);
	free(request);
	/* The user that forms a group may do this, but a test may become another user. */
	if (!result)
		set_one(fds[0], SERVICE_GROUP_SET_STALL, 0);
	return result;
}

/* form - form a group of sockets as they are. */
int form(const int *fds, size_t count)
{
	return form_bound(fds, count, 0);
}

/* ask_to_bind - what a request says that has this port, or SERVICE_GROUP_BIND when it is 0. */
int ask_to_bind(const int *fds, size_t count, uint16_t port)
{
	struct request request;

	describe(&request, fds, count, port);
	request.header.flags = port ? 0 : SERVICE_GROUP_BIND;
	return send_request(fds[0], &request);
}

int join(int fd, uint32_t id)
{
	return setsockopt(fd, SOL_IP, SO_SERVICE_GROUP, &id, sizeof(id)) ? -errno : 0;
}

int leave(int fd, uint32_t flags)
{
	return setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_LEAVE, &flags, sizeof(flags)) ? -errno : 0;
}

int get_info(int fd, struct service_group_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0xee, sizeof(*info));
	return getsockopt(fd, SOL_IP, SO_SERVICE_GROUP, info, &len) ? -errno : 0;
}

struct service_group_info info_of(int fd)
{
	struct service_group_info info;

	errno = -get_info(fd, &info);
	if (errno)
		die("reading a socket's group");
	return info;
}

/* group_of - the group's id, or 0. */
uint32_t group_of(int fd)
{
	struct service_group_info info;

	return get_info(fd, &info) ? 0 : info.id;
}

bool is_stalled(int fd)
{
	return info_of(fd).state == SERVICE_GROUP_MEMBER_STATE_STALLED;
}

/* has_ulp - whether TCP_ULP tells this name, or none when @name is empty. */
bool has_ulp(int fd, const char *name)
{
	char seen[32] = "";
	socklen_t len = sizeof(seen) - 1;

	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, seen, &len))
		die("reading TCP_ULP");
	seen[len] = '\0';
	return !strcmp(seen, name);
}

/* listen_on_hosts - one listener on each of the hosts from 1 on. */
void listen_on_hosts(enum family family, int *fds, size_t count, uint16_t port, int backlog)
{
	for (size_t i = 0; i < count; i++)
		fds[i] = listener(family, i + 1, port, backlog);
}

/* group_on_hosts - and a group of them. */
void group_on_hosts(enum family family, int *fds, size_t count, uint16_t port, int backlog)
{
	listen_on_hosts(family, fds, count, port, backlog);
	errno = -form(fds, count);
	if (errno)
		die("forming a group of %zu listeners", count);
}

/* unchanged - whether a socket that was just made is as it was. */
bool unchanged(int fd)
{
	return !group_of(fd) && has_ulp(fd, "") && !port_of(fd) &&
	       !get_option(fd, SOL_SOCKET, SO_REUSEPORT) && state_of(fd) == STATE_CLOSE;
}

/*
 * refusal - what a request says that has this descriptor among sound ones, the
 * first, in the middle and the last; a different answer each time is an error.
 */
int refusal(const int good[2], int bad, const struct address *address, uint16_t port)
{
	struct request request;
	int result = 0;

	for (int place = 0; place < 3; place++) {
		int fds[3] = { good[0], good[1], good[1] };
		int now;

		fds[2] = place == 2 ? bad : good[1];
		fds[1] = place == 1 ? bad : place == 0 ? good[0] : good[1];
		fds[0] = place == 0 ? bad : good[0];
		describe(&request, fds, 3, port);
		if (address)
			describe_address(&request, place, address);
		now = send_request(good[0], &request);
		if (place && now != result) {
			fprintf(stderr, "# place %d: %d, before: %d\n", place, now, result);
			return 1;
		}
		result = now;
		for (int i = 0; i < 2; i++)
			if (!unchanged(good[i])) {
				fprintf(stderr, "# place %d: socket %d was changed\n", place, i);
				return 2;
			}
	}
	return result;
}
