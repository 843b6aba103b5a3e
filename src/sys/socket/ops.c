// SPDX-License-Identifier: GPL-2.0
/* What a socket's operations are without the module's, and giving it these back. */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "internal.h"

const struct proto_ops *svcg_orig_proto_ops(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return &inet6_stream_ops;
#endif
	return &inet_stream_ops;
}

_Bool svcg_replaces_proto_ops(int level, int name)
{
	return (level == SOL_TCP && name == TCP_ULP) ||
	       (level == SOL_IPV6 && name == IPV6_ADDRFORM);
}

void svcg_proto_ops_give_back(struct socket *sock, const struct proto_ops *orig)
{
	struct sock *sk = sock->sk;

	lock_sock(sk);
	if (sock->ops->owner == THIS_MODULE) {
		__module_get(orig->owner);
		WRITE_ONCE(sock->ops, orig);
		module_put(THIS_MODULE);
	}
	release_sock(sk);
}
