// SPDX-License-Identifier: GPL-2.0
/*
 * An accepted socket is an ordinary one, however it came to its listener: it
 * has nothing of the group, and everything else.
 */

#include <fcntl.h>
#include <linux/tls.h>

#include "test.h"

#define PORT 8080

enum way { AT_HOME, REDIRECTED, RESCUED, DRAINED };

FIXTURE(accepted) {
	int fds[2];
	int client;
	int server;
};

FIXTURE_VARIANT(accepted) {
	enum family family;
	enum way way;
};

FIXTURE_VARIANT_ADD(accepted, ipv4_at_home) { IPV4, AT_HOME };
FIXTURE_VARIANT_ADD(accepted, ipv4_redirected) { IPV4, REDIRECTED };
FIXTURE_VARIANT_ADD(accepted, ipv4_rescued) { IPV4, RESCUED };
FIXTURE_VARIANT_ADD(accepted, ipv4_drained) { IPV4, DRAINED };
FIXTURE_VARIANT_ADD(accepted, ipv6_at_home) { IPV6, AT_HOME };
FIXTURE_VARIANT_ADD(accepted, ipv6_redirected) { IPV6, REDIRECTED };
FIXTURE_VARIANT_ADD(accepted, ipv6_rescued) { IPV6, RESCUED };
FIXTURE_VARIANT_ADD(accepted, ipv6_drained) { IPV6, DRAINED };
FIXTURE_VARIANT_ADD(accepted, mapped_at_home) { MAPPED, AT_HOME };
FIXTURE_VARIANT_ADD(accepted, mapped_redirected) { MAPPED, REDIRECTED };
FIXTURE_VARIANT_ADD(accepted, mapped_rescued) { MAPPED, RESCUED };
FIXTURE_VARIANT_ADD(accepted, mapped_drained) { MAPPED, DRAINED };

FIXTURE_SETUP(accepted)
{
	struct address home = client_address(variant->family, 1, PORT);
	int at = variant->way == AT_HOME ? 0 : 1;

	int late = -1;

	enter_namespace();
	group_on_hosts(variant->family, self->fds, 2, PORT, 1);
	switch (variant->way) {
	case REDIRECTED:
		fill(&home, 2);
		break;
	case RESCUED:
		late = start_half_open(&home);
		if (!wait_for(info_of(self->fds[0]).half_open == 1))
			die("waiting for a request");
		self->client = connect_to(&home);
		if (listen(self->fds[0], 0) || finish_handshake(late))
			die("finishing a handshake");
		break;
	case AT_HOME:
	case DRAINED:
		break;
	}
	if (variant->way != RESCUED)
		self->client = connect_to(&home);
	if (variant->way == DRAINED &&
	    (!wait_for(queue_length(self->fds[0]) == 1) ||
	     leave(self->fds[0], SERVICE_GROUP_LEAVE_DRAIN)))
		die("draining");
	if (!wait_for(queue_length(self->fds[at]) >= 1))
		die("waiting for a connection");
	self->server = accept(self->fds[at], NULL, NULL);
	if (self->server < 0)
		die("accepting");
	/* Which connection was rescued is the kernel's choice. */
	if (late >= 0 && peer_of(self->server).in.sin_port == name_of(late).in.sin_port) {
		self->client = late;
		fcntl(late, F_SETFL, 0);
	}
}

FIXTURE_TEARDOWN(accepted) { }

TEST_F(accepted, has_nothing_of_the_group)
{
	struct service_group_info info;
	struct address asked = listener_address(variant->family, 1, PORT);
	struct address name = name_of(self->server);
	struct address client = name_of(self->client);
	struct address peer = peer_of(self->server);

	EXPECT_EQ(-ESRCH, get_info(self->server, &info));
	EXPECT_EQ(-ESRCH, leave(self->server, 0));
	EXPECT_EQ(-EISCONN, join(self->server, group_of(self->fds[1])));
	EXPECT_TRUE(has_ulp(self->server, ""));
	EXPECT_EQ(variant->way == DRAINED ? 1 : 2, stats_now().members);
	EXPECT_TRUE(same_address(&asked, &name));
	EXPECT_EQ(client.in.sin_port, peer.in.sin_port);
	EXPECT_EQ(STATE_ESTABLISHED, state_of(self->server));
	EXPECT_EQ(0, get_option(self->server, SOL_SOCKET, SO_ACCEPTCONN));
	EXPECT_NE(0, cookie_of(self->server));
	EXPECT_NE(cookie_of(self->fds[0]), cookie_of(self->server));
	EXPECT_NE(cookie_of(self->fds[1]), cookie_of(self->server));
}

TEST_F(accepted, takes_kernel_tls)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 },
	};
	unsigned char record[5];

	ASSERT_EQ(0, setsockopt(self->server, IPPROTO_TCP, TCP_ULP, "tls", 3)) {
		TH_LOG("TCP_ULP tls: %s", strerror(errno));
	}
	EXPECT_TRUE(has_ulp(self->server, "tls"));
	ASSERT_EQ(0, setsockopt(self->server, SOL_TLS, TLS_TX, &keys, sizeof(keys)));
	ASSERT_EQ(6, send(self->server, "secret", 6, 0));
	ASSERT_TRUE(wait_for(recv(self->client, record, 5, MSG_PEEK) == 5));
	ASSERT_EQ(5, recv(self->client, record, 5, 0));
	/* Application data of TLS 1.2: nonce, what was sent, tag. */
	EXPECT_EQ(0x17, record[0]);
	EXPECT_EQ(8 + 6 + 16, record[3] * 256 + record[4]);
}

/* The connection outlives the group and its listeners. */
TEST_F(accepted, outlives_the_group)
{
	char seen[5];

	close_all(self->fds, 2);
	EXPECT_TRUE(wait_for(stats_now().groups == 0));
	ASSERT_EQ(5, send(self->client, "hello", 5, 0));
	ASSERT_EQ(5, recv(self->server, seen, 5, MSG_WAITALL));
	ASSERT_EQ(0, shutdown(self->server, SHUT_WR));
	ASSERT_TRUE(wait_for(recv(self->client, seen, 5, MSG_DONTWAIT) == 0));
	close(self->client);
	EXPECT_EQ(0, recv(self->server, seen, 5, 0));
}

/* Taken apart, it is a socket like any other: it can listen and be grouped. */
TEST_F(accepted, becomes_a_listener)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct address to = client_address(variant->family, 1, PORT);

	ASSERT_EQ(0, connect(self->server, &nobody, sizeof(nobody)));
	EXPECT_EQ(STATE_CLOSE, state_of(self->server));
	close_all(self->fds, 2);
	ASSERT_EQ(0, listen(self->server, 1));
	to.in.sin_port = htons(port_of(self->server));
	fill(&to, 1);
	EXPECT_LE(0, accept(self->server, NULL, NULL));
	ASSERT_EQ(0, form(&self->server, 1));
	fill(&to, 1);
	EXPECT_LE(0, accept(self->server, NULL, NULL));
	EXPECT_EQ(1, info_of(self->server).home);
}

TEST_HARNESS_MAIN
