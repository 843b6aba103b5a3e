// SPDX-License-Identifier: GPL-2.0
/*
 * What programs call on a member: accept(), poll(), listen(), shutdown(),
 * connect(), and the close() that is the last.
 *
 * As MPTCP does with its subflows, a member's struct socket gets a copy of its
 * proto_ops. That a worker accepts, or looks whether it can, is what tells a busy
 * one from a hung one, and no other place sees it; and before the kernel resets
 * what waits in a queue, the member is to pass it on.
 *
 * The copies are the module's own, one for each family, and own their sockets as
 * their protocol's module does: each socket that has them counts a reference to
 * the module.
 */
#include <linux/in6.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "callbacks/group.h"
#include "core/hold.h"
#include "internal.h"

/* What the sockets use, by family: IPv4, IPv6. */
static struct proto_ops svcg_proto_ops[2];

static const struct proto_ops *svcg_proto_ops_of(const struct sock *sk)
{
	return &svcg_proto_ops[sk->sk_family == AF_INET6];
}

/* One of the two: the socket's family may have changed. */
static bool svcg_proto_ops_ours(const struct proto_ops *ops)
{
	return ops == &svcg_proto_ops[0] || ops == &svcg_proto_ops[1];
}

static int svcg_accept(struct socket *sock, struct socket *newsock,
		       struct proto_accept_arg *arg)
{
	struct sock *sk = sock->sk;
	const struct proto_ops *orig = svcg_orig_proto_ops(sk);
	struct svcg_sockname *sockname = NULL;
	const void *member;
	bool given;
	int err;

	/* Before a connection is taken that would be lost without memory. */
	if (svcg_member_accepts(sk, !(arg->flags & O_NONBLOCK)) &&
	    newsock->file) {
		sockname = svcg_sockname_new();
		if (!sockname)
			return -ENOMEM;
	}
	/* do_accept() has copied them; the new socket is an ordinary one. */
	if (svcg_proto_ops_ours(newsock->ops)) {
		if (orig->owner)
			__module_get(orig->owner);
		WRITE_ONCE(newsock->ops, orig);
		module_put(THIS_MODULE);
	}
	svcg_point("accept");
	err = orig->accept(sock, newsock, arg);
	given = !err && sockname && svcg_sockname_give(sockname, sk, newsock);
	if (!err) {
		rcu_read_lock();
		member = svcg_member_of(sk);
		if (member)
			svcg_member_accepted(member, sk, given);
		rcu_read_unlock();
	}
	if (sockname && !given)
		svcg_sockname_free(sockname);
	return err;
}

static __poll_t svcg_poll(struct file *file, struct socket *sock,
			  struct poll_table_struct *wait)
{
	const __poll_t input = EPOLLIN | EPOLLRDNORM;
	struct sock *sk = sock->sk;
	__poll_t mask;

	/* First: a task that is woken from now on looks again. */
	mask = svcg_orig_proto_ops(sk)->poll(file, sock, wait);
	svcg_point("poll");
	if (poll_requested_events(wait) & input &&
	    svcg_member_polls(sk, mask & EPOLLIN))
		mask |= input;
	return mask;
}

static int svcg_listen(struct socket *sock, int backlog)
{
	int err = svcg_orig_proto_ops(sock->sk)->listen(sock, backlog);

	if (!err)
		svcg_member_listens(sock->sk);
	return err;
}

/* Both stop a listener without closing it. */
static int svcg_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	bool stops = how == SHUT_RD || how == SHUT_RDWR;
	int err;

	if (stops)
		svcg_member_leaves(sk, false);
	err = svcg_orig_proto_ops(sk)->shutdown(sock, how);
	if (stops)
		svcg_member_stopped(sk);
	return err;
}

static int svcg_connect(struct socket *sock, struct sockaddr_unsized *address,
			int len, int flags)
{
	struct sock *sk = sock->sk;
	bool stops = len >= (int)sizeof(address->sa_family) &&
		     address->sa_family == AF_UNSPEC;
	int err;

	if (stops)
		svcg_member_leaves(sk, false);
	err = svcg_orig_proto_ops(sk)->connect(sock, address, len, flags);
	if (stops)
		svcg_member_stopped(sk);
	return err;
}

/*
 * Options that replace the operations: kTLS, which copies those that it finds for
 * good, and IPV6_ADDRFORM. A member has a protocol already, and takes its
 * operations back afterwards. What kernel_accept() gave ours to, and nobody has
 * counted, becomes an ordinary socket first.
 */
static int svcg_setsockopt(struct socket *sock, int level, int name,
			   sockptr_t value, unsigned int len)
{
	const struct proto_ops *orig;
	struct sock *sk = sock->sk;
	int err;

	__module_get(THIS_MODULE);
	orig = svcg_orig_proto_ops(sk);
	if (svcg_replaces_proto_ops(level, name) && !svcg_has_ulp(sk))
		svcg_proto_ops_give_back(sock, orig);
	err = orig->setsockopt(sock, level, name, value, len);
	if (!err && svcg_replaces_proto_ops(level, name) && svcg_has_ulp(sk)) {
		lock_sock(sk);
		if (!svcg_proto_ops_ours(READ_ONCE(sock->ops)))
			svcg_proto_ops_uninstall(sk);
		release_sock(sk);
	}
	module_put(THIS_MODULE);
	return err;
}

static int svcg_release(struct socket *sock)
{
	const struct proto_ops *orig;
	struct svcg_ulp_ctx *ctx;
	struct sock *sk = sock->sk;
	bool member;
	int err;

	/* accept() gave up before there was one. */
	if (!sk)
		return 0;
	orig = svcg_orig_proto_ops(sk);
	/* Not on what kernel_accept() gave them to. */
	member = svcg_has_ulp(sk);
	svcg_member_leaves(sk, true);
	svcg_point("release");
	if (member) {
		/* __sock_release() puts the module for it. */
		lock_sock(sk);
		ctx = svcg_ulp_ctx_of(sk);
		if (ctx)
			WRITE_ONCE(ctx->proto_ops, false);
		release_sock(sk);
	}
	err = orig->release(sock);
	if (member)
		module_put(orig->owner);
	return err;
}

_Bool svcg_proto_ops_fit(const struct sock *sk)
{
	const struct proto_ops *ops = READ_ONCE(sk->sk_socket->ops);

	return ops == svcg_orig_proto_ops(sk) || ops == svcg_proto_ops_of(sk);
}

static void svcg_proto_ops_fill(struct proto_ops *ops,
				const struct proto_ops *orig)
{
	*ops = *orig;
	ops->owner = THIS_MODULE;
	ops->accept = svcg_accept;
	ops->poll = svcg_poll;
	ops->listen = svcg_listen;
	ops->shutdown = svcg_shutdown;
	ops->connect = svcg_connect;
	ops->release = svcg_release;
	ops->setsockopt = svcg_setsockopt;
}

void svcg_proto_ops_init(void)
{
	svcg_proto_ops_fill(&svcg_proto_ops[0], &inet_stream_ops);
#if IS_ENABLED(CONFIG_IPV6)
	svcg_proto_ops_fill(&svcg_proto_ops[1], &inet6_stream_ops);
#endif
}

void svcg_proto_ops_install(struct sock *sk)
{
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);

	if (sk->sk_socket->ops != svcg_orig_proto_ops(sk))
		return;
	__module_get(THIS_MODULE);
	WRITE_ONCE(ctx->proto_ops, true);
	/* Pairs with the address dependency of readers of the pointer. */
	smp_store_release(&sk->sk_socket->ops, svcg_proto_ops_of(sk));
}

void svcg_proto_ops_uninstall(struct sock *sk)
{
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);
	const struct proto_ops *ops, *orig;

	/* A close() that has begun puts the module itself. */
	if (!ctx || !ctx->proto_ops || !sk->sk_socket)
		return;
	ops = READ_ONCE(sk->sk_socket->ops);
	orig = svcg_orig_proto_ops(sk);
	/* Who has replaced them (ovpn does) may give them back as they were. */
	if (!svcg_proto_ops_ours(ops) && ops != orig)
		return;
	WRITE_ONCE(sk->sk_socket->ops, orig);
	WRITE_ONCE(ctx->proto_ops, false);
	/* The ULP has a reference as long as a task may be in a call. */
	module_put(THIS_MODULE);
}
