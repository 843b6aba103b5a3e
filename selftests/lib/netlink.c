// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink read-out, as far as C tests need it: totals and counters. The
 * interface itself is tested by netlink.py, with the kernel's own library.
 */

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "message.h"

int netlink_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	if (fd < 0)
		die("opening netlink");
	return fd;
}

static void read_family(const struct nlattr *first, int left, void *to)
{
	for_each_attribute(attribute, first, left)
		if (type_of(attribute) == CTRL_ATTR_FAMILY_ID)
			*(int *)to = number_of(attribute);
}

/* Asks for what the kernel knows of our family. */
static int ask_for_family(int fd, reader read_answer, void *to)
{
	struct message message = new_message(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);

	add(&message, CTRL_ATTR_FAMILY_NAME, SERVICE_GROUP_FAMILY_NAME,
	    sizeof(SERVICE_GROUP_FAMILY_NAME));
	return ask(fd, &message, read_answer, to);
}

/* netlink_family - the number of our family, or -ENOENT without the module. */
int netlink_family(int fd)
{
	int family = -ENOENT;
	int error = ask_for_family(fd, read_family, &family);

	return error ? error : family;
}

/* The number of the only group of multicast, which is in a nest of a nest. */
static void read_events_group(const struct nlattr *first, int left, void *to)
{
	for_each_attribute(attribute, first, left) {
		const struct nlattr *group = data_of(attribute);
		int inside = attribute->nla_len - 2 * NLA_HDRLEN;

		if (type_of(attribute) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		for_each_attribute(part, data_of(group), inside)
			if (type_of(part) == CTRL_ATTR_MCAST_GRP_ID)
				*(int *)to = number_of(part);
	}
}

/* netlink_subscribe - a socket that notifications are sent to, whether or not it reads them. */
int netlink_subscribe(void)
{
	int fd = netlink_open();
	int group = 0;

	if (ask_for_family(fd, read_events_group, &group) || !group ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		die("subscribing to notifications");
	return fd;
}

int netlink_dump_all(int fd, int family, int command)
{
	struct message message = new_message(family, command, NLM_F_DUMP);

	return ask(fd, &message, NULL, NULL);
}

/* netlink_ask - a request for one thing; @id 0 names none. */
int netlink_ask(int fd, int family, int command, uint32_t id)
{
	struct message message = new_message(family, command, 0);

	if (id)
		add(&message, SERVICE_GROUP_A_GROUP_ID, &id, sizeof(id));
	return ask(fd, &message, NULL, NULL);
}

struct diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

static struct diag_request diag_request(int type, int flags, int family)
{
	return (struct diag_request) {
		.header = {
			.nlmsg_len = sizeof(struct diag_request),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.body = { .sdiag_family = family, .sdiag_protocol = IPPROTO_TCP },
	};
}

/* diag_dump_all - what `ss -tani` reads, through a socket of NETLINK_SOCK_DIAG. */
int diag_dump_all(int fd, int family)
{
	struct diag_request request = diag_request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);

	request.body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
	request.body.idiag_states = ~0u;
	return receive(fd, &request, sizeof(request), NULL, NULL);
}

/* destroy - what `ss -K` does to a listener; 0 or -errno. */
int destroy(int listener)
{
	struct address name = name_of(listener);
	bool ipv4 = name.any.sa_family == AF_INET;
	struct diag_request request = diag_request(SOCK_DESTROY, NLM_F_ACK, name.any.sa_family);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int result;

	if (fd < 0)
		die("opening netlink");
	request.body.idiag_states = 1 << STATE_LISTEN;
	request.body.id = (struct inet_diag_sockid) {
		.idiag_sport = name.in.sin_port,
		.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	memcpy(request.body.id.idiag_src,
	       ipv4 ? (void *)&name.in.sin_addr : (void *)&name.in6.sin6_addr, ipv4 ? 4 : 16);
	result = receive(fd, &request, sizeof(request), NULL, NULL);
	close(fd);
	return result;
}

static void read_stats_answer(const struct nlattr *first, int left, void *to)
{
	struct stats *stats = to;

	for_each_attribute(attribute, first, left) {
		uint64_t number = number_of(attribute);

		switch (type_of(attribute)) {
		case SERVICE_GROUP_A_STATS_GROUPS:
			stats->groups = number;
			break;
		case SERVICE_GROUP_A_STATS_MEMBERS:
			stats->members = number;
			break;
		case SERVICE_GROUP_A_STATS_REFUSED_LIMIT:
			stats->refused_limit = number;
			break;
		case SERVICE_GROUP_A_STATS_REFUSED_PERMISSION:
			stats->refused_permission = number;
			break;
		case SERVICE_GROUP_A_STATS_REFUSED_OTHER:
			stats->refused_other = number;
			break;
		}
	}
}

int read_stats(struct stats *stats)
{
	int fd = netlink_open();
	int family = netlink_family(fd);
	struct message message = new_message(family, SERVICE_GROUP_CMD_STATS_GET, 0);
	int error = family;

	memset(stats, 0xee, sizeof(*stats));
	if (family > 0)
		error = ask(fd, &message, read_stats_answer, stats);
	close(fd);
	return error;
}

struct stats stats_now(void)
{
	struct stats stats;

	errno = -read_stats(&stats);
	if (errno)
		die("reading the totals");
	return stats;
}

/* Counters of the answer whose @key attribute has the value @value. */
struct wanted {
	int key;
	uint64_t value;
	int nest;
	bool found;
	uint64_t *counters;
};

static void read_counters(const struct nlattr *first, int left, void *to)
{
	struct wanted *wanted = to;
	const struct nlattr *nest = NULL;
	bool match = false;
	int inside;

	for_each_attribute(attribute, first, left) {
		if (type_of(attribute) == wanted->key)
			match = number_of(attribute) == wanted->value;
		if (type_of(attribute) == wanted->nest)
			nest = attribute;
	}
	if (!match || !nest)
		return;
	wanted->found = true;
	inside = nest->nla_len - NLA_HDRLEN;
	for_each_attribute(counter, data_of(nest), inside)
		if (type_of(counter) < COUNTERS)
			wanted->counters[type_of(counter)] = number_of(counter);
}

static int find_counters(int command, struct wanted *wanted)
{
	int fd = netlink_open();
	int family = netlink_family(fd);
	struct message message = new_message(family, command, NLM_F_DUMP);
	int error = family;

	memset(wanted->counters, 0, COUNTERS * sizeof(*wanted->counters));
	if (family > 0)
		error = ask(fd, &message, read_counters, wanted);
	close(fd);
	return error || wanted->found ? error : -ENOENT;
}

int group_counters(uint32_t id, uint64_t counters[COUNTERS])
{
	struct wanted wanted = {
		.key = SERVICE_GROUP_A_GROUP_ID,
		.value = id,
		.nest = SERVICE_GROUP_A_GROUP_COUNTERS,
		.counters = counters,
	};

	return find_counters(SERVICE_GROUP_CMD_GROUP_GET, &wanted);
}

int member_counters(int member, uint64_t counters[COUNTERS])
{
	struct wanted wanted = {
		.key = SERVICE_GROUP_A_MEMBER_COOKIE,
		.value = cookie_of(member),
		.nest = SERVICE_GROUP_A_MEMBER_COUNTERS,
		.counters = counters,
	};

	return find_counters(SERVICE_GROUP_CMD_MEMBER_GET, &wanted);
}

uint64_t group_counter(uint32_t id, int counter)
{
	uint64_t counters[COUNTERS];

	errno = -group_counters(id, counters);
	if (errno)
		die("reading the counters of group %u", id);
	return counters[counter];
}

uint64_t member_counter(int member, int counter)
{
	uint64_t counters[COUNTERS];

	errno = -member_counters(member, counters);
	if (errno)
		die("reading the counters of a member");
	return counters[counter];
}
