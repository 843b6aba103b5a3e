// SPDX-License-Identifier: GPL-2.0
/*
 * What programs call on a member: accept(), poll(), shutdown(), connect(), and
 * the close() that is the last.
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
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>

#include "shim.h"
#include "sys.h"

/**
 * struct sg_calls - what programs call on members of one family
 * @ops: what the sockets use
 * @orig: what they were made of, and stand for; does not change once set
 */
struct sg_calls {
	struct proto_ops ops;
	const struct proto_ops *orig;
};

/* IPv4, IPv6. Protects the filling; entries are never emptied. */
static struct sg_calls sg_calls[2];
static DEFINE_MUTEX(sg_calls_mutex);

static struct sg_calls *sg_calls_of(const struct sock *sk)
{
	return &sg_calls[sk->sk_family == AF_INET6];
}

/* One of the two: the other's socket may come along with accept(). */
static bool sg_calls_ours(const struct proto_ops *ops)
{
	return ops == &sg_calls[0].ops || ops == &sg_calls[1].ops;
}

static int sg_accept(struct socket *sock, struct socket *newsock,
		     struct proto_accept_arg *arg)
{
	struct sock *sk = sock->sk;
	const struct proto_ops *orig = sg_calls_of(sk)->orig;
	struct sg_face *face = NULL;
	int err;

	/* Before there is a connection that would be lost without memory. */
	if (newsock->file && sg_member_rewrites(sk)) {
		face = sg_face_new();
		if (!face)
			return -ENOMEM;
	}
	/* do_accept() has copied them; the new socket is an ordinary one. */
	if (sg_calls_ours(newsock->ops)) {
		__module_get(orig->owner);
		WRITE_ONCE(newsock->ops, orig);
		module_put(THIS_MODULE);
	}
	if (reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue))
		sg_member_waits(sk);
	err = orig->accept(sock, newsock, arg);
	if (!err && face && sg_face_give(face, sk, newsock)) {
		face = NULL;
		sg_member_accepted(sk, true);
	} else if (!err) {
		sg_member_accepted(sk, false);
	}
	sg_face_free(face);
	return err;
}

static __poll_t sg_poll(struct file *file, struct socket *sock,
			struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = sg_calls_of(sk)->orig->poll(file, sock, wait);

	if (!(mask & EPOLLIN))
		sg_member_waits(sk);
	return mask;
}

/* Both stop a listener without closing it. */
static int sg_shutdown(struct socket *sock, int how)
{
	struct sock *sk = sock->sk;
	bool stops = how == SHUT_RD || how == SHUT_RDWR;
	int err;

	if (stops)
		sg_member_leaves(sk);
	err = sg_calls_of(sk)->orig->shutdown(sock, how);
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
		sg_member_leaves(sk);
	err = sg_calls_of(sk)->orig->connect(sock, address, len, flags);
	if (stops)
		sg_member_stopped(sk);
	return err;
}

/* IPV6_ADDRFORM makes it an IPv4 socket, with the operations of one. */
static int sg_setsockopt(struct socket *sock, int level, int name,
			 sockptr_t value, unsigned int len)
{
	struct sock *sk = sock->sk;
	int err = sg_calls_of(sk)->orig->setsockopt(sock, level, name, value,
						    len);

	if (!err && level == SOL_IPV6 && name == IPV6_ADDRFORM) {
		lock_sock(sk);
		if (!sg_calls_ours(READ_ONCE(sock->ops)))
			sg_calls_uninstall(sk);
		release_sock(sk);
	}
	return err;
}

static int sg_release(struct socket *sock)
{
	const struct proto_ops *orig;
	struct sock *sk = sock->sk;
	bool member;
	int err;

	/* do_accept() gave up before it called us. */
	if (!sk)
		return 0;
	orig = sg_calls_of(sk)->orig;
	/* Not on what kernel_accept() gave them to. */
	member = sg_flagged(sk);
	sg_member_leaves(sk);
	err = orig->release(sock);
	/* __sock_release() puts the module for it. */
	if (member)
		module_put(orig->owner);
	return err;
}

_Bool sg_calls_make(const struct sock *sk)
{
	const struct proto_ops *ops = READ_ONCE(sk->sk_socket->ops);
	struct sg_calls *calls = sg_calls_of(sk);

	guard(mutex)(&sg_calls_mutex);
	if (calls->orig)
		return ops == calls->orig || ops == &calls->ops;
	calls->ops = *ops;
	calls->ops.owner = THIS_MODULE;
	calls->ops.accept = sg_accept;
	calls->ops.poll = sg_poll;
	calls->ops.shutdown = sg_shutdown;
	calls->ops.connect = sg_connect;
	calls->ops.release = sg_release;
	calls->ops.setsockopt = sg_setsockopt;
	calls->orig = ops;
	return true;
}

void sg_calls_install(struct sock *sk)
{
	struct sg_hook *hook = sg_attached_hook(sk);
	struct sg_calls *calls = sg_calls_of(sk);

	if (sk->sk_socket->ops != calls->orig)
		return;
	__module_get(THIS_MODULE);
	hook->calls = true;
	/* Pairs with the dependency of who reads the pointer. */
	smp_store_release(&sk->sk_socket->ops, &calls->ops);
}

void sg_calls_uninstall(struct sock *sk)
{
	struct sg_hook *hook = sg_attached_hook(sk);
	struct sg_calls *calls = sg_calls_of(sk);

	if (!hook || !hook->calls)
		return;
	/* Unless they were replaced by others. */
	if (sk->sk_socket->ops == &calls->ops)
		WRITE_ONCE(sk->sk_socket->ops, calls->orig);
	hook->calls = false;
	/* The flag has a reference as long as somebody may be in a call. */
	module_put(THIS_MODULE);
}
