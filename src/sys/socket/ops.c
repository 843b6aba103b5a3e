// SPDX-License-Identifier: GPL-2.0
/* Giving a socket its operations without the module's back. */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/sock.h>

#include "internal.h"

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
