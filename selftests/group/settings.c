// SPDX-License-Identifier: GPL-2.0
/*
 * SO_SERVICE_GROUP_SETTINGS and the netlink commands that change a group, and
 * what policy, weight and a full group make of connections.
 */

#include "test.h"

#define PORT 8080

FAMILIES(settings);

TEST_F(settings, defaults)
{
	struct service_group_settings seen;
	struct request request;
	int fd = tcp_socket(variant->family);

	EXPECT_EQ(-ESRCH, get_settings(fd, &seen));
	describe(&request, &fd, 1, 0);
	ASSERT_EQ(0, send_request(fd, &request));
	ASSERT_EQ(0, get_settings(fd, &seen));
	EXPECT_EQ(sizeof(seen), seen.size);
	EXPECT_EQ(63, seen.set);
	EXPECT_EQ(SERVICE_GROUP_POLICY_OVERFLOW, seen.policy);
	EXPECT_EQ(SERVICE_GROUP_WHEN_FULL_DROP, seen.when_full);
	EXPECT_EQ(SERVICE_GROUP_DEFAULT_STALL, seen.stall);
	EXPECT_EQ(1, seen.weight);
	EXPECT_EQ(0, seen.rewrite);
	EXPECT_EQ(0, seen.adopt);
}

/* The weight is the member's, the rest its group's. */
TEST_F(settings, set_and_get)
{
	struct service_group_settings settings = {
		.size = sizeof(settings), .set = 63, .policy = SERVICE_GROUP_POLICY_BALANCE,
		.when_full = SERVICE_GROUP_WHEN_FULL_RESET, .stall = SERVICE_GROUP_MAX_STALL,
		.weight = SERVICE_GROUP_MAX_WEIGHT, .rewrite = 1,
		.adopt = SERVICE_GROUP_MAX_ADOPT,
	};
	struct service_group_settings seen;
	int fds[2] = { tcp_socket(variant->family), tcp_socket(variant->family) };

	ASSERT_EQ(0, form(fds, 2));
	ASSERT_EQ(0, set_settings(fds[0], &settings));
	ASSERT_EQ(0, get_settings(fds[0], &seen));
	EXPECT_EQ(0, memcmp(&settings, &seen, sizeof(seen)));
	ASSERT_EQ(0, get_settings(fds[1], &seen));
	settings.weight = 1;
	EXPECT_EQ(0, memcmp(&settings, &seen, sizeof(seen)));

	/* One at a time leaves the others. */
	ASSERT_EQ(0, set_one(fds[1], SERVICE_GROUP_SET_STALL, 1));
	ASSERT_EQ(0, get_settings(fds[1], &seen));
	settings.stall = 1;
	EXPECT_EQ(0, memcmp(&settings, &seen, sizeof(seen)));
	/* And nothing at all is nothing. */
	ASSERT_EQ(0, set_one(fds[1], 0, 0));
	ASSERT_EQ(0, get_settings(fds[1], &seen));
	EXPECT_EQ(0, memcmp(&settings, &seen, sizeof(seen)));
}

/* Each refusal changes nothing, although the other fields are sound. */
TEST_F(settings, refusals)
{
	static const struct {
		struct service_group_settings settings;
		int error;
	} table[] = {
		{ { .size = 27, .set = 4, .stall = 7 }, EINVAL },
		{ { .size = 33, .set = 4, .stall = 7 }, EINVAL },
		{ { .size = 32, .set = 64 | 4, .stall = 7 }, EOPNOTSUPP },
		{ { .size = 32, .set = 4, .policy = 1, .stall = 7 }, EBADMSG },
		{ { .size = 32, .set = 4, .stall = 7, .weight = 2 }, EBADMSG },
		{ { .size = 32, .set = 5, .policy = 2, .stall = 7 }, EDOM },
		{ { .size = 32, .set = 6, .when_full = 2, .stall = 7 }, EDOM },
		{ { .size = 32, .set = 4, .stall = SERVICE_GROUP_MAX_STALL + 1 }, EDOM },
		{ { .size = 32, .set = 12, .stall = 7, .weight = 0 }, EDOM },
		{ { .size = 32, .set = 12, .stall = 7, .weight = SERVICE_GROUP_MAX_WEIGHT + 1 },
		  EDOM },
		{ { .size = 32, .set = 20, .stall = 7, .rewrite = 2 }, EDOM },
		{ { .size = 32, .set = 4, .stall = 7, .adopt = 1 }, EBADMSG },
		{ { .size = 32, .set = 36, .stall = 7, .adopt = SERVICE_GROUP_MAX_ADOPT + 1 },
		  EDOM },
		/* A program of the first version does not know the field. */
		{ { .size = 28, .set = 36, .stall = 7 }, EINVAL },
	};
	struct service_group_settings before, after;
	int fd = tcp_socket(variant->family);

	EXPECT_EQ(-ESRCH, set_one(fd, SERVICE_GROUP_SET_STALL, 7));
	ASSERT_EQ(0, form(&fd, 1));
	ASSERT_EQ(0, get_settings(fd, &before));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		EXPECT_EQ(-table[i].error, set_settings(fd, &table[i].settings))
			TH_LOG("line %zu", i);
		ASSERT_EQ(0, get_settings(fd, &after));
		EXPECT_EQ(0, memcmp(&before, &after, sizeof(after)));
	}
	EXPECT_EQ(-1, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, NULL, sizeof(before)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &before, 4));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &before, 5000));
	EXPECT_EQ(EINVAL, errno);
}

/* And an older one's, of the first version. */
TEST_F(settings, older)
{
	struct service_group_settings wish = { .size = 28, .set = 4, .stall = 7 }, seen;
	int fd = tcp_socket(variant->family);
	socklen_t len = 28;

	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_EQ(0, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &wish, 28));
	ASSERT_EQ(0, getsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &seen, &len));
	EXPECT_EQ(28, len);
	EXPECT_EQ(7, seen.stall);
}

/* A newer program's structure is taken as long as it asks for nothing new. */
TEST_F(settings, newer)
{
	struct {
		struct service_group_settings settings;
		uint32_t newer;
	} wish = { .settings = { .size = sizeof(wish), .set = 4, .stall = 7 } };
	struct service_group_settings seen;
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_EQ(0, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &wish, sizeof(wish)));
	ASSERT_EQ(0, get_settings(fd, &seen));
	EXPECT_EQ(7, seen.stall);
	wish.newer = 1;
	EXPECT_EQ(-1, setsockopt(fd, SOL_IP, SO_SERVICE_GROUP_SETTINGS, &wish, sizeof(wish)));
	EXPECT_EQ(E2BIG, errno);
}

/* A caller that may not join the group may not change it, with a member's descriptor or without. */
TEST_F(settings, permission)
{
	struct service_group_settings seen;
	int fd = tcp_socket(variant->family);

	ASSERT_EQ(0, form(&fd, 1));
	if (setresuid(NOBODY, NOBODY, NOBODY))
		die("becoming nobody");
	EXPECT_EQ(-EPERM, set_one(fd, SERVICE_GROUP_SET_STALL, 7));
	EXPECT_EQ(-EPERM, set_one(fd, SERVICE_GROUP_SET_WEIGHT, 7));
	ASSERT_EQ(0, get_settings(fd, &seen));
	EXPECT_EQ(0, seen.stall);
	EXPECT_EQ(1, seen.weight);
	/* Its own it may. */
	fd = tcp_socket(variant->family);
	ASSERT_EQ(0, form(&fd, 1));
	EXPECT_EQ(0, set_one(fd, SERVICE_GROUP_SET_STALL, SERVICE_GROUP_MIN_STALL));
}

/* Connections one after the other, all for the same home: as the weights are. */
TEST_F(settings, balance)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[3];

	group_on_hosts(variant->family, fds, 3, PORT, 100);
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_BALANCE));
	ASSERT_EQ(0, set_one(fds[2], SERVICE_GROUP_SET_WEIGHT, 4));
	for (unsigned int i = 1; i <= 12; i++) {
		fill(&home, 1);
		ASSERT_TRUE(wait_for(queue_length(fds[0]) + queue_length(fds[1]) +
				     queue_length(fds[2]) == i));
	}
	EXPECT_EQ(2, queue_length(fds[0]));
	EXPECT_EQ(2, queue_length(fds[1]));
	EXPECT_EQ(8, queue_length(fds[2]));
	EXPECT_EQ(2, info_of(fds[0]).home);
	EXPECT_EQ(10, member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_REDIRECTED_BALANCED));

	/* And back: home has room, and keeps all. */
	ASSERT_EQ(0, set_one(fds[0], SERVICE_GROUP_SET_POLICY, SERVICE_GROUP_POLICY_OVERFLOW));
	fill(&home, 5);
	EXPECT_TRUE(wait_for(queue_length(fds[0]) == 7));
}

TEST_F(settings, reset_when_full)
{
	struct address home = client_address(variant->family, 1, PORT);
	int fds[2];

	group_on_hosts(variant->family, fds, 2, PORT, 0);
	ASSERT_EQ(0, set_one(fds[1], SERVICE_GROUP_SET_WHEN_FULL, SERVICE_GROUP_WHEN_FULL_RESET));
	fill(&home, 2);
	ASSERT_TRUE(wait_for(queue_length(fds[0]) + queue_length(fds[1]) == 2));
	EXPECT_EQ(-ECONNREFUSED, connect_to(&home));
	EXPECT_EQ(1, info_of(fds[0]).dropped);
	EXPECT_EQ(1, member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_RESET));
	EXPECT_EQ(0, member_counter(fds[0], SERVICE_GROUP_A_COUNTERS_DROPPED_FULL));
	/* With room again it is served. */
	ASSERT_LE(0, accept(fds[1], NULL, NULL));
	fill(&home, 1);
	EXPECT_TRUE(wait_for(queue_length(fds[1]) == 1));
}

TEST_HARNESS_MAIN
