// SPDX-License-Identifier: GPL-2.0
/*
 * Forming, joining, leaving and reading a group: what succeeds.
 *
 * What is refused is in option_errors.c and option_sizes.c, what a group does
 * with connections in listen.c.
 */

#include "test.h"

FAMILIES(option);

TEST_F(option, sockets_as_they_are)
{
	int fds[3] = {
		listener(variant->family, 1, 0, 5),
		bound(variant->family, 2, 0),
		tcp_socket(variant->family),
	};
	struct service_group_info info;

	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-ESRCH, get_info(fds[i], &info));
	EXPECT_EQ(0, stats_now().groups);

	/* Without a port nothing is bound, and different ports are welcome. */
	EXPECT_EQ(0, port_of(fds[2]));
	ASSERT_EQ(0, form(fds, 1));
	ASSERT_EQ(0, join(fds[2], group_of(fds[0])));
	EXPECT_EQ(0, port_of(fds[2]));

	info = info_of(fds[0]);
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_NE(0, info.id);
	EXPECT_EQ(2, info.members);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info.state);
	EXPECT_EQ(5, info.backlog);
	EXPECT_EQ(0, info.queued);
	EXPECT_EQ(0, info.half_open);
	EXPECT_EQ(0, info.reserved);
	EXPECT_EQ(0, info.home | info.redirected_in | info.redirected_out);
	EXPECT_EQ(0, info.dropped | info.rescued_in | info.rescued_out);
	EXPECT_EQ(info.id, info_of(fds[2]).id);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_UNBOUND, info_of(fds[2]).state);

	/* Another group has another id. */
	ASSERT_EQ(0, form(&fds[1], 1));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_BOUND, info_of(fds[1]).state);
	EXPECT_NE(info.id, group_of(fds[1]));
	EXPECT_EQ(2, stats_now().groups);
	EXPECT_EQ(3, stats_now().members);
}

/* Each unbound socket at the address of its entry. */
TEST_F(option, binds_each_to_its_address)
{
	int fds[3];
	struct request request;
	struct address address;

	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(variant->family);
	describe(&request, fds, 3, 8080);
	for (int i = 0; i < 3; i++) {
		address = listener_address(variant->family, i + 1, 8080);
		describe_address(&request, i, &address);
	}
	ASSERT_EQ(0, send_request(fds[0], &request));
	for (int i = 0; i < 3; i++) {
		struct address name = name_of(fds[i]);

		address = listener_address(variant->family, i + 1, 8080);
		EXPECT_TRUE(same_address(&address, &name));
		EXPECT_EQ(0, get_option(fds[i], SOL_SOCKET, SO_REUSEPORT));
		EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_BOUND, info_of(fds[i]).state);
		EXPECT_EQ(3, info_of(fds[i]).members);
		EXPECT_EQ(0, listen(fds[i], 1));
		EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[i]).state);
	}
}

/* All have this address together, and can listen. */
static void expect_bound(struct __test_metadata *_metadata, const int *fds, int count,
			 const struct address *address)
{
	for (int i = 0; i < count; i++) {
		struct address name = name_of(fds[i]);

		EXPECT_TRUE(same_address(address, &name));
		EXPECT_EQ(1, get_option(fds[i], SOL_SOCKET, SO_REUSEPORT));
		EXPECT_EQ(0, listen(fds[i], 1));
	}
}

/* The same address: SO_REUSEPORT is set. */
TEST_F(option, binds_all_to_one_address)
{
	int fds[3];
	struct request request;
	struct address address = listener_address(variant->family, 1, 8080);

	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(variant->family);
	describe(&request, fds, 3, 8080);
	for (int i = 0; i < 3; i++)
		describe_address(&request, i, &address);
	ASSERT_EQ(0, send_request(fds[0], &request));
	expect_bound(_metadata, fds, 3, &address);
}

/* No address is the wildcard, for all of them. */
TEST_F(option, binds_to_the_wildcard)
{
	int fds[2] = { tcp_socket(variant->family), tcp_socket(variant->family) };
	struct address address = listener_address(variant->family, 0, 8080);

	ASSERT_EQ(0, form_bound(fds, 2, 8080));
	expect_bound(_metadata, fds, 2, &address);
}

/* A single socket needs no SO_REUSEPORT. */
TEST_F(option, one_socket)
{
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, form_bound(&fd, 1, 8080));
	EXPECT_EQ(8080, port_of(fd));
	EXPECT_EQ(0, get_option(fd, SOL_SOCKET, SO_REUSEPORT));
	EXPECT_EQ(1, info_of(fd).members);
}

/* SERVICE_GROUP_BIND with no port: one that the kernel chooses. */
TEST_F(option, kernel_chooses_the_port)
{
	int fds[3];
	struct request request;

	for (int i = 0; i < 3; i++)
		fds[i] = tcp_socket(variant->family);
	describe(&request, fds, 3, 0);
	request.header.flags = SERVICE_GROUP_BIND;
	for (int i = 0; i < 3; i++) {
		struct address address = listener_address(variant->family, i + 1, 0);

		describe_address(&request, i, &address);
	}
	ASSERT_EQ(0, send_request(fds[0], &request));
	EXPECT_NE(0, port_of(fds[0]));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(port_of(fds[0]), port_of(fds[i]));
		EXPECT_EQ(0, listen(fds[i], 1));
	}
	/* It is the group's port now. */
	EXPECT_EQ(-ERANGE, join(bound(variant->family, 1, port_of(fds[0]) ^ 1), group_of(fds[0])));
}

/* SERVICE_GROUP_BIND with no port, when one is bound: to the port of that one. */
TEST_F(option, binds_to_the_port_there_is)
{
	int fds[3] = {
		tcp_socket(variant->family),
		listener(variant->family, 1, 8080, 1),
		tcp_socket(variant->family),
	};
	struct request request;

	describe(&request, fds, 3, 0);
	request.header.flags = SERVICE_GROUP_BIND;
	for (int i = 0; i < 3; i += 2) {
		struct address address = listener_address(variant->family, i + 2, 0);

		describe_address(&request, i, &address);
	}
	ASSERT_EQ(0, send_request(fds[0], &request));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(8080, port_of(fds[i]));
}

/* Bound and listening sockets that have the port stay what they are. */
TEST_F(option, takes_what_is_bound_already)
{
	int fds[3] = {
		listener(variant->family, 1, 8080, 1),
		bound(variant->family, 2, 8080),
		tcp_socket(variant->family),
	};
	struct request request;
	struct address at_one = listener_address(variant->family, 1, 8080);
	struct address at_three = listener_address(variant->family, 3, 8080);

	describe(&request, fds, 3, 8080);
	describe_address(&request, 0, &at_one);
	describe_address(&request, 2, &at_three);
	ASSERT_EQ(0, send_request(fds[0], &request));
	EXPECT_EQ(STATE_LISTEN, state_of(fds[0]));
	EXPECT_EQ(STATE_CLOSE, state_of(fds[1]));
	EXPECT_EQ(8080, port_of(fds[2]));
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_LISTENING, info_of(fds[0]).state);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_BOUND, info_of(fds[1]).state);
	EXPECT_EQ(SERVICE_GROUP_MEMBER_STATE_BOUND, info_of(fds[2]).state);
}

/* The socket that the option is set on need not be in the list. */
TEST_F(option, through_another_socket)
{
	int fds[2] = { tcp_socket(variant->family), tcp_socket(variant->family) };
	int other = tcp_socket(variant->family);
	struct request request;

	describe(&request, fds, 2, 0);
	ASSERT_EQ(0, send_request(other, &request));
	EXPECT_EQ(0, group_of(other));
	EXPECT_EQ(2, info_of(fds[0]).members);
}

TEST_F(option, join_and_leave)
{
	int fds[3];
	uint32_t id;

	for (int i = 0; i < 3; i++)
		fds[i] = listener(variant->family, i + 1, 8080, 1);
	ASSERT_EQ(0, form(fds, 1));
	id = group_of(fds[0]);
	ASSERT_EQ(0, join(fds[1], id));
	ASSERT_EQ(0, join(fds[2], id));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(id, info_of(fds[i]).id);
		EXPECT_EQ(3, info_of(fds[i]).members);
		EXPECT_TRUE(has_ulp(fds[i], "service_group"));
	}
	/* The first may go as well as any other. */
	ASSERT_EQ(0, leave(fds[0], 0));
	EXPECT_EQ(0, group_of(fds[0]));
	EXPECT_EQ(STATE_LISTEN, state_of(fds[0]));
	EXPECT_EQ(2, info_of(fds[1]).members);
	/* And come back. */
	ASSERT_EQ(0, join(fds[0], id));
	EXPECT_EQ(3, info_of(fds[1]).members);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, leave(fds[i], i == 1 ? SERVICE_GROUP_LEAVE_DRAIN : 0));
	EXPECT_EQ(-ENOENT, join(fds[0], id));
	EXPECT_EQ(0, stats_now().groups);
	EXPECT_EQ(0, stats_now().members);
}

/* getsockopt cuts the answer to the length that the caller has room for. */
TEST_F(option, short_and_long_info)
{
	int fd = tcp_socket(variant->family);
	struct service_group_info whole;
	char room[2 * sizeof(whole)];

	ASSERT_EQ(0, form(&fd, 1));
	whole = info_of(fd);
	for (socklen_t asked = 0; asked <= sizeof(room); asked++) {
		socklen_t len = asked;
		socklen_t expected = asked < sizeof(whole) ? asked : sizeof(whole);

		memset(room, 0xee, sizeof(room));
		if (getsockopt(fd, SOL_IP, SO_SERVICE_GROUP, room, &len)) {
			/* Too short to be anything. */
			EXPECT_EQ(EINVAL, errno);
			EXPECT_GT(4, asked);
			continue;
		}
		EXPECT_EQ(expected, len);
		EXPECT_EQ(0, memcmp(room, &whole, expected));
		for (size_t i = expected; i < sizeof(room); i++)
			ASSERT_EQ((char)0xee, room[i]);
	}
}

ONE_FAMILY(mixed);

/* IPv4, IPv6 and dual-stack sockets in one group, bound by one call. */
TEST_F(mixed, families_in_one_group)
{
	int fds[3] = { tcp_socket(IPV4), tcp_socket(IPV6), tcp_socket(MAPPED) };
	struct request request;
	struct address addresses[3] = {
		listener_address(IPV4, 1, 8080),
		listener_address(IPV6, 1, 8080),
		listener_address(MAPPED, 2, 8080),
	};

	describe(&request, fds, 3, 8080);
	for (int i = 0; i < 3; i++)
		describe_address(&request, i, &addresses[i]);
	ASSERT_EQ(0, send_request(fds[2], &request));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(8080, port_of(fds[i]));
		EXPECT_EQ(3, info_of(fds[i]).members);
		EXPECT_EQ(0, listen(fds[i], 1));
	}
}

/* A user can see the flag, but not set it: only the option does. */
TEST_F(mixed, flag_is_not_for_users)
{
	int fd = listener(IPV4, 1, 0, 1);

	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_ULP, "service_group", 13));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_TRUE(has_ulp(fd, ""));
	EXPECT_EQ(0, stats_now().members);
}

/* As many as there may be, in one call. */
TEST_F(mixed, most_members)
{
	int fds[SERVICE_GROUP_MAX_MEMBERS + 1];
	uint32_t id;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = tcp_socket(IPV4);
	ASSERT_EQ(0, form_bound(fds, SERVICE_GROUP_MAX_MEMBERS, 8080));
	id = group_of(fds[0]);
	EXPECT_EQ(SERVICE_GROUP_MAX_MEMBERS, info_of(fds[0]).members);
	EXPECT_EQ(8080, port_of(fds[SERVICE_GROUP_MAX_MEMBERS - 1]));
	EXPECT_EQ(-ENOSPC, join(fds[SERVICE_GROUP_MAX_MEMBERS], id));
	ASSERT_EQ(0, leave(fds[17], 0));
	EXPECT_EQ(0, join(fds[SERVICE_GROUP_MAX_MEMBERS], id));
	EXPECT_EQ(1, stats_now().refused_limit);
}

/* As many groups as a user may have. */
TEST_F(mixed, most_groups)
{
	int fds[SERVICE_GROUP_MAX_GROUPS + 1];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = tcp_socket(IPV4);
	for (size_t i = 0; i < SERVICE_GROUP_MAX_GROUPS; i++)
		ASSERT_EQ(0, form(&fds[i], 1));
	EXPECT_EQ(-EUSERS, form(&fds[SERVICE_GROUP_MAX_GROUPS], 1));
	EXPECT_EQ(1, stats_now().refused_limit);
	EXPECT_EQ(SERVICE_GROUP_MAX_GROUPS, stats_now().groups);
	ASSERT_EQ(0, leave(fds[5], 0));
	EXPECT_EQ(0, form(&fds[SERVICE_GROUP_MAX_GROUPS], 1));
}

/* All of it is charged to the caller: a container has a limit. */
TEST_F(mixed, memory_is_accounted)
{
	int result = count_memory(), fds[SERVICE_GROUP_MAX_MEMBERS];
	char path[128], current[160];
	long before;

	result = result ?: enter_cgroup(path, sizeof(path));
	if (result < 0)
		SKIP(return, "memory is not counted: %s", strerror(-result));
	close(result);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = tcp_socket(IPV4);
	snprintf(current, sizeof(current), "%s/memory.current", path);
	before = read_number(current);
	ASSERT_EQ(0, form(fds, ARRAY_SIZE(fds)));
	/* A member, and what a socket has of it. */
	EXPECT_LE(128L * SERVICE_GROUP_MAX_MEMBERS, read_number(current) - before);
	leave_cgroup();
}

TEST_HARNESS_MAIN
