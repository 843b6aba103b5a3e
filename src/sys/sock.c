// SPDX-License-Identifier: GPL-2.0
/*
 * What a socket is: its kind, its owner, and what decisions ask of it.
 *
 * The facts are read without the socket's lock, each by itself: a decision is
 * made on what was true a moment ago, as the kernel's own are.
 */
#include <linux/file.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/sock_diag.h>
#include <linux/wait.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/tcp.h>

#include "shim.h"

/*
 * Whether a descriptor stands for this very socket: SMC passes options on to a
 * TCP socket of its own, which nobody else may touch.
 */
static bool sg_has_descriptor(const struct sock *sk)
{
	const struct socket *sock = READ_ONCE(sk->sk_socket);
	struct file *file = sock ? READ_ONCE(sock->file) : NULL;

	return file && sock_from_file(file) == sock;
}

enum sg_kind sg_sock_kind(const struct sock *sk)
{
	if (sk_is_tcp(sk)) {
		if (sk_is_mptcp(sk))
			return SG_KIND_MPTCP;
		return sg_has_descriptor(sk) ? SG_KIND_TCP : SG_KIND_OTHER;
	}
	if (sk_is_inet(sk) && sk->sk_protocol == IPPROTO_MPTCP)
		return SG_KIND_MPTCP;
	return SG_KIND_OTHER;
}

struct net *sg_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

unsigned int sg_sock_uid(const struct sock *sk)
{
	return __kuid_val(sk_uid(sk));
}

void sg_sock_put(struct sock *sk)
{
	sock_put(sk);
}

_Bool sg_sock_get_unless_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

void sg_sock_lock(struct sock *sk)
{
	lock_sock(sk);
}

/* As tcp_set_state() does when it stops listening, which may do it again. */
void sg_sock_hide(struct sock *sk)
{
	sk->sk_prot->unhash(sk);
}

unsigned int sg_sock_queued(const struct sock *sk)
{
	return READ_ONCE(sk->sk_ack_backlog);
}

_Bool sg_sock_has_room(const struct sock *sk)
{
	return !sk_acceptq_is_full(sk);
}

/* What lock_sock_nested() does when nobody has it. */
_Bool sg_sock_try_lock(struct sock *sk)
{
	bool locked;

	spin_lock_bh(&sk->sk_lock.slock);
	locked = !sock_owned_by_user_nocheck(sk);
	if (locked)
		sk->sk_lock.owned = 1;
	spin_unlock_bh(&sk->sk_lock.slock);
	if (locked)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return locked;
}

/*
 * inet_csk_wait_for_connect() waits so; epoll, poll() and io_uring, which look
 * again when they come back, do not.
 */
_Bool sg_sock_has_acceptor(const struct sock *sk)
{
	struct socket_wq *wq = rcu_dereference(sk->sk_wq);
	struct wait_queue_entry *entry;
	unsigned long flags;
	bool found = false;

	if (!wq)
		return false;
	spin_lock_irqsave(&wq->wait.lock, flags);
	list_for_each_entry(entry, &wq->wait.head, entry)
		found |= entry->func == autoremove_wake_function;
	spin_unlock_irqrestore(&wq->wait.lock, flags);
	return found;
}

void sg_sock_unlock(struct sock *sk)
{
	release_sock(sk);
}

/* Checks of the socket's own that a redirected connection would pass by. */
static bool sg_guarded(const struct sock *sk)
{
	if (rcu_access_pointer(sk->sk_filter))
		return true;
#ifdef CONFIG_TCP_MD5SIG
	if (rcu_access_pointer(tcp_sk(sk)->md5sig_info))
		return true;
#endif
#ifdef CONFIG_TCP_AO
	if (rcu_access_pointer(tcp_sk(sk)->ao_info))
		return true;
#endif
#ifdef CONFIG_XFRM
	if (rcu_access_pointer(sk->sk_policy[0]) ||
	    rcu_access_pointer(sk->sk_policy[1]))
		return true;
#endif
	return false;
}

void sg_sock_facts(const struct sock *sk, struct sg_facts *facts)
{
	const unsigned char state = inet_sk_state_load(sk);

	facts->queued = READ_ONCE(sk->sk_ack_backlog);
	facts->half_open = inet_csk_reqsk_queue_len(sk);
	facts->backlog = READ_ONCE(sk->sk_max_ack_backlog);
	facts->device = READ_ONCE(sk->sk_bound_dev_if);
	facts->port = READ_ONCE(inet_sk(sk)->inet_num);
	facts->min_ttl = READ_ONCE(inet_sk(sk)->min_ttl);
	facts->closed = state == TCP_CLOSE;
	facts->listening = state == TCP_LISTEN;
	facts->hooked = sg_hooked(sk);
	facts->guarded = sg_guarded(sk);
	facts->ipv6_socket = sk->sk_family == AF_INET6;
	facts->serves_ipv4 = true;
	facts->serves_ipv6 = false;
#if IS_ENABLED(CONFIG_IPV6)
	if (facts->ipv6_socket) {
		facts->min_ttl |= READ_ONCE(inet6_sk(sk)->min_hopcount) << 8;
		facts->serves_ipv4 = !ipv6_only_sock(sk);
		facts->serves_ipv6 = !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr);
	}
#endif
}

unsigned long long sg_sock_cookie(struct sock *sk)
{
	u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	return (u64)cookie[1] << 32 | cookie[0];
}

void sg_sock_identity(struct sock *sk, struct sg_identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->cookie = sg_sock_cookie(sk);
	identity->inode = sock_i_ino(sk);
	identity->family = sk->sk_family;
	identity->port = READ_ONCE(inet_sk(sk)->inet_num);
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		memcpy(identity->address, &sk->sk_v6_rcv_saddr, 16);
		return;
	}
#endif
	memcpy(identity->address, &inet_sk(sk)->inet_rcv_saddr, 4);
}
