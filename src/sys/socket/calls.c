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
 * their protocol's module does: whoever has them counts a reference to the
 * module.
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
static struct proto_ops sg_calls[2];

static const struct proto_ops *sg_calls_of(const struct sock *sk)
{
	return &sg_calls[sk->sk_family == AF_INET6];
}

/* One of the two: the socket's family may have changed. */
static bool sg_calls_ours(const struct proto_ops *ops)
{
	return ops == &sg_calls[0] || ops == &sg_calls[1];
}

static int sg_accept(struct socket *sock, struct socket *newsock,
		     struct proto_accept_arg *arg)
{
	struct sock *sk = sock->sk;
	const struct proto_ops *orig = sg_ops_of(sk);
	struct sg_face *face = NULL;
	const void *member;
	bool given;
	int err;

	/* Before a connection is taken that would be lost without memory. */
	if (sg_member_accepts(sk, !(arg->flags & O_NONBLOCK)) &&
	    newsock->file) {
		face = sg_face_new();
		if (!face)
			return -ENOMEM;
	}
	/* do_accept() has copied them; the new socket is an ordinary one. */
	if (sg_calls_ours(newsock->ops)) {
		if (orig->owner)
			__module_get(orig->owner);
		WRITE_ONCE(newsock->ops, orig);
		module_put(THIS_MODULE);
	}
	sg_point("accept");
	err = orig->accept(sock, newsock, arg);
	given = !err && face && sg_face_give(face, sk, newsock);
	if (!err) {
		rcu_read_lock();
		member = sg_member_of(sk);
		if (member)
			sg_member_accepted(member, sk, given);
		rcu_read_unlock();
	}
	if (face && !given)
		sg_face_free(face);
	return err;
}

static __poll_t sg_poll(struct file *file, struct socket *sock,
			struct poll_table_struct *wait)
{
	const __poll_t input = EPOLLIN | EPOLLRDNORM;
	struct sock *sk = sock->sk;
	__poll_t mask;

	/* First: who is woken from now on looks again. */
	mask = sg_ops_of(sk)->poll(file, sock, wait);
	sg_point("poll");
	if (poll_requested_events(wait) & input &&
	    sg_member_polls(sk, mask & EPOLLIN))
		mask |= input;
	return mask;
}

static int sg_listen(struct socket *sock, int backlog)
{
	int err = sg_ops_of(sock->sk)->listen(sock, backlog);

	if (!err)
		sg_member_listens(sock->sk);
	return err;
}

/* Both stop a listener without closing it. */
static int sg_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	bool stops = how == SHUT_RD || how == SHUT_RDWR;
	int err;

	if (stops)
		sg_member_leaves(sk, false);
	err = sg_ops_of(sk)->shutdown(sock, how);
	if (stops)
		sg_member_stopped(sk);
	return err;
}

static int sg_connect(struct socket *sock, struct sockaddr_unsized *address,
		      int len, int flags)
{
	struct sock *sk = sock->sk;
	bool stops = len >= (int)sizeof(address->sa_family) &&
		     address->sa_family == AF_UNSPEC;
	int err;

	if (stops)
		sg_member_leaves(sk, false);
	err = sg_ops_of(sk)->connect(sock, address, len, flags);
	if (stops)
		sg_member_stopped(sk);
	return err;
}

/*
 * Options that replace the operations: kTLS, which copies those that it finds for
 * good, and IPV6_ADDRFORM. A member has a protocol already, and takes its
 * operations back afterwards. What kernel_accept() gave ours to, and nobody has
 * counted, becomes an ordinary socket first.
 */
static int sg_setsockopt(struct socket *sock, int level, int name,
			 sockptr_t value, unsigned int len)
{
	const struct proto_ops *orig;
	struct sock *sk = sock->sk;
	int err;

	__module_get(THIS_MODULE);
	orig = sg_ops_of(sk);
	if (sg_replaces_ops(level, name) && !sg_flagged(sk))
		sg_ops_give_back(sock, orig);
	err = orig->setsockopt(sock, level, name, value, len);
	if (!err && sg_replaces_ops(level, name) && sg_flagged(sk)) {
		lock_sock(sk);
		if (!sg_calls_ours(READ_ONCE(sock->ops)))
			sg_calls_uninstall(sk);
		release_sock(sk);
	}
	module_put(THIS_MODULE);
	return err;
}

static int sg_release(struct socket *sock)
{
	const struct proto_ops *orig;
	struct sock *sk = sock->sk;
	bool member;
	int err;

	/* accept() gave up before there was one. */
	if (!sk)
		return 0;
	orig = sg_ops_of(sk);
	/* Not on what kernel_accept() gave them to. */
	member = sg_flagged(sk);
	sg_member_leaves(sk, true);
	sg_point("release");
	err = orig->release(sock);
	/* __sock_release() puts the module for it. */
	if (member)
		module_put(orig->owner);
	return err;
}

_Bool sg_calls_fit(const struct sock *sk)
{
	const struct proto_ops *ops = READ_ONCE(sk->sk_socket->ops);

	return ops == sg_ops_of(sk) || ops == sg_calls_of(sk);
}

static void sg_calls_fill(struct proto_ops *ops, const struct proto_ops *orig)
{
	*ops = *orig;
	ops->owner = THIS_MODULE;
	ops->accept = sg_accept;
	ops->poll = sg_poll;
	ops->listen = sg_listen;
	ops->shutdown = sg_shutdown;
	ops->connect = sg_connect;
	ops->release = sg_release;
	ops->setsockopt = sg_setsockopt;
}

void sg_calls_init(void)
{
	sg_calls_fill(&sg_calls[0], &inet_stream_ops);
#if IS_ENABLED(CONFIG_IPV6)
	sg_calls_fill(&sg_calls[1], &inet6_stream_ops);
#endif
}

void sg_calls_install(struct sock *sk)
{
	struct sg_hook *hook = sg_attached_hook(sk);

	if (sk->sk_socket->ops != sg_ops_of(sk))
		return;
	__module_get(THIS_MODULE);
	WRITE_ONCE(hook->calls, true);
	/* Pairs with the dependency of who reads the pointer. */
	smp_store_release(&sk->sk_socket->ops, sg_calls_of(sk));
}

void sg_calls_uninstall(struct sock *sk)
{
	struct sg_hook *hook = sg_attached_hook(sk);

	/* Who has closed it puts the module himself. */
	if (!hook || !hook->calls || !sk->sk_socket)
		return;
	/* Unless they were replaced by others. */
	if (sg_calls_ours(sk->sk_socket->ops))
		WRITE_ONCE(sk->sk_socket->ops, sg_ops_of(sk));
	WRITE_ONCE(hook->calls, false);
	/* The flag has a reference as long as somebody may be in a call. */
	module_put(THIS_MODULE);
}
