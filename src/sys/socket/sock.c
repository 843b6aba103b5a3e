// SPDX-License-Identifier: GPL-2.0
/*
 * What a socket is: its kind, its owner, and what decisions ask of it.
 *
 * The facts are read without the socket's lock, each by itself: a decision is
 * made on what was true a moment ago, as the kernel's own are.
 */
#include <linux/bpf.h>
#include <linux/bpf-cgroup.h>
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/sched/signal.h>
#include <linux/sock_diag.h>
#include <linux/wait.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/tcp.h>

#include "core/hold.h"
#include "internal.h"
#include "socket.h"

/*
 * Whether a descriptor stands for this very socket: SMC passes options on to a
 * TCP socket of its own, which no other code may touch.
 */
static bool svcg_has_descriptor(const struct sock *sk)
{
	const struct socket *sock = READ_ONCE(sk->sk_socket);
	struct file *file = sock ? READ_ONCE(sock->file) : NULL;

	return file && sock_from_file(file) == sock;
}

enum svcg_kind svcg_sock_kind(const struct sock *sk)
{
	if (sk_is_tcp(sk)) {
		if (sk_is_mptcp(sk))
			return SVCG_KIND_MPTCP;
		return svcg_has_descriptor(sk) ? SVCG_KIND_TCP :
						 SVCG_KIND_OTHER;
	}
	if (sk_is_inet(sk) && sk->sk_protocol == IPPROTO_MPTCP)
		return SVCG_KIND_MPTCP;
	return SVCG_KIND_OTHER;
}

struct net *svcg_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

unsigned int svcg_sock_uid(const struct sock *sk)
{
	return __kuid_val(sk_uid(sk));
}

void svcg_sock_put(struct sock *sk)
{
	sock_put(sk);
	svcg_point("put");
}

_Bool svcg_sock_get_unless_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

void svcg_sock_lock(struct sock *sk)
{
	lock_sock(sk);
}

/* As tcp_set_state() does when it stops listening, which may do it again. */
void svcg_sock_unhash(struct sock *sk)
{
	sk->sk_prot->unhash(sk);
}

unsigned int svcg_sock_queued(const struct sock *sk)
{
	return READ_ONCE(sk->sk_ack_backlog);
}

_Bool svcg_sock_has_room(const struct sock *sk)
{
	return READ_ONCE(sk->sk_ack_backlog) <= svcg_backlog(sk);
}

static_assert(__same_type(((struct sock *)0)->sk_lock.owned, int));

/* What lock_sock_nested() does when the lock is free. */
_Bool svcg_sock_try_lock(struct sock *sk)
{
	bool locked;

	svcg_point("lock");
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
 * The owner may have it for ever: a page under an option may be one that never
 * comes. A task that is killed does not wait either.
 */
_Bool svcg_sock_lock_until(struct sock *sk, unsigned long long until)
{
	while (!svcg_sock_try_lock(sk)) {
		if (ktime_get_ns() >= until || fatal_signal_pending(current))
			return false;
		schedule_timeout_killable(1);
	}
	return true;
}

/*
 * inet_csk_wait_for_connect() waits so; epoll, poll() and io_uring, which look
 * again when they come back, do not.
 */
unsigned int svcg_sock_waiters(const struct sock *sk, _Bool *accepts)
{
	struct socket_wq *wq = rcu_dereference(sk->sk_wq);
	struct wait_queue_entry *entry;
	unsigned int waiters = 0;
	unsigned long flags;

	*accepts = false;
	if (!wq)
		return 0;
	spin_lock_irqsave(&wq->wait.lock, flags);
	list_for_each_entry(entry, &wq->wait.head, entry) {
		waiters++;
		*accepts |= entry->func == autoremove_wake_function;
	}
	spin_unlock_irqrestore(&wq->wait.lock, flags);
	return waiters;
}

_Bool svcg_sock_is_owned(const struct sock *sk)
{
	return READ_ONCE(sk->sk_lock.owned);
}

void svcg_sock_unlock(struct sock *sk)
{
	release_sock(sk);
}

/*
 * What a packet's receive path and the SYN-ACK's route ask of a listener, and a
 * redirected connection would pass by. First what no socket that has it may share:
 *
 *	sk_filter	tcp_filter()
 *	md5sig_info	tcp_inbound_hash()
 *	ao_info		tcp_inbound_hash()
 *	sk_policy	xfrm4_policy_check(), xfrm6_policy_check()
 *	psp_assoc	psp_sk_rx_policy_check()
 *	opt		inet6_csk_route_req(): sticky options of IPv6
 *
 * and then, in svcg_sock_facts(), what is to be equal. What a security module
 * thinks of it (security_sock_rcv_skb(), security_inet_conn_request()) cannot
 * be asked.
 */
static bool svcg_has_rx_policy(const struct sock *sk)
{
	if (rcu_access_pointer(sk->sk_filter))
		return true;
#if IS_ENABLED(CONFIG_INET_PSP)
	if (rcu_access_pointer(sk->psp_assoc))
		return true;
#endif
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && rcu_access_pointer(inet6_sk(sk)->opt))
		return true;
#endif
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

/*
 * Which programs of its cgroup see its packets (sk_filter_trim_cap(),
 * ip_finish_output(), tcp_call_bpf()), and in which order; 0 for none.
 */
static unsigned long long svcg_programs(const struct sock *sk)
{
	unsigned long long programs = 0;
#ifdef CONFIG_CGROUP_BPF
	static const enum cgroup_bpf_attach_type types[] = {
		CGROUP_INET_INGRESS, CGROUP_INET_EGRESS, CGROUP_SOCK_OPS,
	};
	static_assert(ARRAY_SIZE(((struct cgroup_bpf *)0)->effective) ==
		      MAX_CGROUP_BPF_ATTACH_TYPE);
	const struct bpf_prog_array_item *item;
	const struct bpf_prog_array *array;
	struct cgroup *cgroup;
	unsigned int i;

	if (!cgroup_bpf_enabled(CGROUP_INET_INGRESS) &&
	    !cgroup_bpf_enabled(CGROUP_INET_EGRESS) &&
	    !cgroup_bpf_enabled(CGROUP_SOCK_OPS))
		return 0;
	rcu_read_lock();
	cgroup = sock_cgroup_ptr((struct sock_cgroup_data *)&sk->sk_cgrp_data);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		array = rcu_dereference(cgroup->bpf.effective[types[i]]);
		for (item = array->items; READ_ONCE(item->prog); item++)
			programs = (programs ^ (i + 1) ^ (uintptr_t)READ_ONCE(item->prog)) *
				   GOLDEN_RATIO_64;
	}
	rcu_read_unlock();
#endif
	return programs;
}

/* ip_sock_rt_scope(), and inet_sk_flowi_flags(), which tcp_conn_request() asks too. */
static unsigned char svcg_route(const struct sock *sk)
{
	return (inet_test_bit(TRANSPARENT, sk) ? SVCG_ROUTE_TRANSPARENT : 0) |
	       (sock_flag(sk, SOCK_LOCALROUTE) ? SVCG_ROUTE_LOCAL : 0);
}

void svcg_sock_facts(const struct sock *sk, struct svcg_facts *facts)
{
	const unsigned char state = inet_sk_state_load(sk);

	svcg_load_read(sk, &facts->load);
	facts->port = READ_ONCE(inet_sk(sk)->inet_num);
	/* compute_score(), inet_request_bound_dev_if() */
	facts->device = READ_ONCE(sk->sk_bound_dev_if);
	/* tcp_v4_rcv(), tcp_v6_rcv() */
	facts->min_ttl = READ_ONCE(inet_sk(sk)->min_ttl);
	/* inet_request_mark() */
	facts->mark = READ_ONCE(sk->sk_mark);
	/* inet_csk_route_req(): ip_sock_rt_tos() */
	facts->tos = READ_ONCE(inet_sk(sk)->tos);
	facts->route = svcg_route(sk);
	facts->programs = svcg_programs(sk);
	facts->closed = state == TCP_CLOSE;
	/* tcp_abort() leaves the descriptor, and listen() what is shut down. */
	facts->listening = state == TCP_LISTEN && !READ_ONCE(sk->sk_shutdown);
	facts->hooked = svcg_hooked(sk);
	facts->has_rx_policy = svcg_has_rx_policy(sk);
	facts->ipv6_socket = sk->sk_family == AF_INET6;
	facts->serves_ipv4 = svcg_serves_ipv4(sk);
	facts->serves_ipv6 = svcg_serves_ipv6(sk);
#if IS_ENABLED(CONFIG_IPV6)
	if (facts->ipv6_socket)
		facts->min_ttl |= READ_ONCE(inet6_sk(sk)->min_hopcount) << 8;
#endif
}

/* The address that it is bound to; one of IPv4 has four bytes. */
static void svcg_sock_address(const struct sock *sk, unsigned char *address)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		memcpy(address, &sk->sk_v6_rcv_saddr, 16);
		return;
	}
#endif
	memcpy(address, &inet_sk(sk)->inet_rcv_saddr, 4);
}

void svcg_sock_place(const struct sock *sk, struct svcg_place *place)
{
	memset(place, 0, sizeof(*place));
	place->device = READ_ONCE(sk->sk_bound_dev_if);
	place->family = sk->sk_family;
	place->port = READ_ONCE(inet_sk(sk)->inet_num);
	place->serves_ipv4 = svcg_serves_ipv4(sk);
	svcg_sock_address(sk, place->address);
}

unsigned long long svcg_sock_cookie(struct sock *sk)
{
	u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	return (u64)cookie[1] << 32 | cookie[0];
}

void svcg_sock_identity(struct sock *sk, struct svcg_identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->cookie = svcg_sock_cookie(sk);
	identity->inode = sock_i_ino(sk);
	identity->family = sk->sk_family;
	identity->port = READ_ONCE(inet_sk(sk)->inet_num);
	svcg_sock_address(sk, identity->address);
}
