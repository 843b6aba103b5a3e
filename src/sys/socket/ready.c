// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel calls when a connection was queued with a listener.
 *
 * Most connections come by a member's syn_recv_sock(), and are known before they are
 * queued. One does not: when a listener of the same SO_REUSEPORT set ends and
 * net.ipv4.tcp_migrate_req is set, the kernel queues what waited there with another
 * listener of the set, and nothing of that is seen but the call of sk_data_ready().
 *
 * As sunrpc does, a member has a sk_data_ready() of its own, and so would have each
 * child, which is a copy: it is taken off there with the ULP.
 */
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "callbacks/group.h"
#include "internal.h"
#include "socket.h"

/* What a socket is made with; it is not exported. Set when the module is loaded. */
static void (*svcg_default_ready)(struct sock *sk) __ro_after_init;

static void svcg_data_ready(struct sock *sk)
{
	/* Handshakes end in the softirq of their ACK; listeners end in a call. */
	if (!in_serving_softirq()) {
		rcu_read_lock();
		svcg_connection_queued(sk);
		rcu_read_unlock();
	}
	svcg_default_ready(sk);
}

/*
 * What a new socket of the family has. -EOPNOTSUPP if sockets are not made with the
 * operations that proto_ops.c copies.
 */
static int svcg_ready_of(int family, void (**ready)(struct sock *sk))
{
	struct socket *sock;
	int err;

	err = sock_create_kern(&init_net, family, SOCK_STREAM, IPPROTO_TCP,
			       &sock);
	if (err)
		return err;
	*ready = sock->sk->sk_data_ready;
	svcg_af_ops_learn(sock->sk);
	if (sock->ops != svcg_orig_proto_ops(sock->sk)) {
		pr_err("service_group: TCP sockets of family %d have other operations than the module copies\n",
		       family);
		err = -EOPNOTSUPP;
	}
	sock_release(sock);
	return err;
}

int svcg_ready_init(void)
{
	void (*ready)(struct sock *sk);
	int err;

	err = svcg_ready_of(AF_INET, &svcg_default_ready);
	if (err || !ipv6_mod_enabled())
		return err;
	err = svcg_ready_of(AF_INET6, &ready);
	if (!err && ready != svcg_default_ready) {
		pr_err("service_group: IPv4 and IPv6 sockets have different sk_data_ready()\n");
		err = -EOPNOTSUPP;
	}
	return err;
}

void svcg_ready_install(struct sock *sk)
{
	/* Whatever set another one knows what to do about connections. */
	cmpxchg(&sk->sk_data_ready, svcg_default_ready, svcg_data_ready);
}

void svcg_ready_uninstall(struct sock *sk)
{
	cmpxchg(&sk->sk_data_ready, svcg_data_ready, svcg_default_ready);
}

_Bool svcg_ready_installed(const struct sock *sk)
{
	return READ_ONCE(sk->sk_data_ready) == svcg_data_ready;
}

void svcg_sock_wake(struct sock *sk)
{
	/* What this module moves, or only tells of, it knows. */
	if (svcg_ready_installed(sk))
		svcg_default_ready(sk);
	else
		READ_ONCE(sk->sk_data_ready)(sk);
}
