// SPDX-License-Identifier: GPL-2.0
/* Which operations are TCP's own, and giving a socket those without the module's back. */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>

#include "internal.h"

/* What new sockets of IPv4 and of IPv6 have. Set when the module is loaded. */
static const struct inet_connection_sock_af_ops *svcg_af_ops_new[2]
	__ro_after_init;

void svcg_af_ops_learn(const struct sock *sk)
{
	svcg_af_ops_new[sk->sk_family == AF_INET6] = inet_csk(sk)->icsk_af_ops;
}

_Bool svcg_af_ops_known(const struct inet_connection_sock_af_ops *orig)
{
	const struct inet_connection_sock_af_ops *known;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(svcg_af_ops_new); i++) {
		known = svcg_af_ops_new[i];
		if (known && orig->conn_request == known->conn_request &&
		    orig->syn_recv_sock == known->syn_recv_sock)
			return true;
	}
	return false;
}

_Bool svcg_replaces_proto_ops(int level, int name)
{
	return (level == SOL_TCP && name == TCP_ULP) ||
	       (level == SOL_IPV6 && name == IPV6_ADDRFORM);
}

_Bool svcg_proto_ops_give_back(struct socket *sock,
			       const struct proto_ops *orig)
{
	struct sock *sk = sock->sk;
	bool ours;

	lock_sock(sk);
	ours = sock->ops->owner == THIS_MODULE;
	if (ours) {
		__module_get(orig->owner);
		WRITE_ONCE(sock->ops, orig);
		module_put(THIS_MODULE);
	}
	release_sock(sk);
	return ours;
}
