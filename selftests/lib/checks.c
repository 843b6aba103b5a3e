// SPDX-License-Identifier: GPL-2.0
/* Checks of its own that a socket may have, other than those of one call. */

#include <linux/in6.h>
#include <linux/xfrm.h>

#include "lib.h"

/* set_ao - a key of TCP-AO for another peer; 0, or -1 with errno. */
int set_ao(int fd, enum family family)
{
	struct address peer = listener_address(family, 5, 0);
	struct tcp_ao_add key = {
		.alg_name = "hmac(sha1)", .keylen = 3, .key = "key", .sndid = 1, .rcvid = 1,
		.prefix = family == IPV6 ? 128 : 32,
	};

	memcpy(&key.addr, &peer.any, peer.len);
	return setsockopt(fd, IPPROTO_TCP, TCP_AO_ADD_KEY, &key, sizeof(key));
}

/* set_ipsec - a policy that allows all; 0, or -1 with errno. */
int set_ipsec(int fd, enum family family)
{
	struct xfrm_userpolicy_info policy = {
		.lft = { XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF },
		.sel.family = family == IPV4 ? AF_INET : AF_INET6,
		.dir = XFRM_POLICY_IN,
		.action = XFRM_POLICY_ALLOW,
	};
	int level = family == IPV4 ? SOL_IP : SOL_IPV6;
	int option = family == IPV4 ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;

	/* It is this module that reads the policy, where it is one. */
	if (system("modprobe -q xfrm_user 2>/dev/null"))
		fprintf(stderr, "# xfrm_user is built in or missing\n");
	return setsockopt(fd, level, option, &policy, sizeof(policy));
}
