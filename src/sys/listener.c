// SPDX-License-Identifier: GPL-2.0
/*
 * The hook in a listener's operations, and the flag on the socket.
 *
 * As net/smc/af_smc.c does, a member gets a private copy of its
 * inet_connection_sock_af_ops, with conn_request and syn_recv_sock replaced.
 * The flag is a TCP upper layer protocol (ULP): it counts references to the
 * module, carries the hook, and says when the socket goes.
 *
 * Order of the fields, which lockless readers rely on: a socket has the ULP
 * before it has the operations, and a grace period lies between; likewise in
 * reverse. So a child that is copied from a listener at any moment either has
 * the parent's operations and ULP, and is stripped of both, or has neither.
 */
#include <linux/bpf.h>
#include <linux/inet_diag.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/skmsg.h>
#include <linux/slab.h>
#include <linux/sock_diag.h>
#include <net/inet_connection_sock.h>
#include <net/mptcp.h>
#include <net/netlink.h>
#include <net/tcp.h>

#include "shim.h"

/**
 * struct sg_hook - what a member carries
 * @ops: the private copy that the socket uses
 * @orig: the operations that it was made of and that it stands for
 * @sk: the socket; a hook that can be found under RCU has a live one, as a
 *	member is SOCK_RCU_FREE
 * @member: the Rust side's member
 */
struct sg_hook {
	struct inet_connection_sock_af_ops ops;
	const struct inet_connection_sock_af_ops *orig;
	struct sock *sk;
	const void *member;
};

static struct tcp_ulp_ops sg_ulp;

enum sg_kind sg_sock_kind(const struct sock *sk)
{
	if (sk_is_tcp(sk))
		return sk_is_mptcp(sk) ? SG_KIND_MPTCP : SG_KIND_TCP;
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

void sg_sock_hold(struct sock *sk)
{
	sock_hold(sk);
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

static struct sg_hook *sg_hook_of_ops(const struct sock *sk)
{
	const struct inet_connection_sock_af_ops *ops;

	ops = READ_ONCE(inet_csk(sk)->icsk_af_ops);
	if (ops->conn_request != sg_conn_request)
		return NULL;
	return container_of((struct inet_connection_sock_af_ops *)ops,
			    struct sg_hook, ops);
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
	facts->hooked = sg_hook_of_ops(sk);
	facts->guarded = sg_guarded(sk);
	facts->serves_ipv4 = true;
	facts->serves_ipv6 = false;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		facts->min_ttl |= READ_ONCE(inet6_sk(sk)->min_hopcount) << 8;
		facts->serves_ipv4 = !ipv6_only_sock(sk);
		facts->serves_ipv6 = !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr);
	}
#endif
}

void sg_sock_identity(struct sock *sk, struct sg_identity *identity)
{
	u32 cookie[2];

	memset(identity, 0, sizeof(*identity));
	sock_diag_save_cookie(sk, cookie);
	identity->cookie = (u64)cookie[1] << 32 | cookie[0];
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

struct sg_hook *sg_hook_alloc(struct sock *sk)
{
	struct sg_hook *hook = kzalloc(sizeof(*hook), GFP_KERNEL_ACCOUNT);

	if (hook)
		hook->sk = sk;
	return hook;
}

void sg_hook_set_member(struct sg_hook *hook, const void *member)
{
	hook->member = member;
}

void sg_hook_free(struct sg_hook *hook)
{
	kfree(hook);
}

struct sock *sg_hook_sock(const struct sg_hook *hook)
{
	return hook->sk;
}

const void *sg_hooked_member(const struct sock *sk)
{
	const struct sg_hook *hook = sg_hook_of_ops(sk);

	return hook ? hook->member : NULL;
}

const void *sg_attached_member(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct sg_hook *hook;

	if (icsk->icsk_ulp_ops != &sg_ulp)
		return NULL;
	hook = rcu_dereference_protected(icsk->icsk_ulp_data,
					 lockdep_sock_is_held(sk));
	return hook->member;
}

static bool sg_in_sockmap(const struct sock *sk)
{
	bool found = false;

#ifdef CONFIG_NET_SOCK_MSG
	rcu_read_lock();
	found = sk_psock(sk);
	rcu_read_unlock();
#endif
	return found;
}

int sg_hook_attach(struct sock *sk, struct sg_hook *hook)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	sock_owned_by_me(sk);
	if (icsk->icsk_ulp_ops == &sg_ulp)
		return -EALREADY;
	if (icsk->icsk_ulp_ops || sg_in_sockmap(sk))
		return -EEXIST;
	/* As in __tcp_set_ulp(); tcp_cleanup_ulp() puts it. */
	__module_get(THIS_MODULE);
	rcu_assign_pointer(icsk->icsk_ulp_data, hook);
	icsk->icsk_ulp_ops = &sg_ulp;
	/* listen() does it too; siblings may look at the socket before. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	return 0;
}

/* In the kernel's own operations, and in those that wrap them. */
static struct sock *
sg_syn_recv_sock(const struct sock *sk, struct sk_buff *skb,
		 struct request_sock *req, struct dst_entry *dst,
		 struct request_sock *req_unhash, bool *own_req,
		 void (*opt_child_init)(struct sock *newsk,
					const struct sock *sk));

void sg_hook_install(struct sock *sk, struct sg_hook *hook)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	sock_owned_by_me(sk);
	if (icsk->icsk_ulp_ops != &sg_ulp)
		return;
	hook->orig = icsk->icsk_af_ops;
	hook->ops = *hook->orig;
	hook->ops.conn_request = sg_conn_request;
	hook->ops.syn_recv_sock = sg_syn_recv_sock;
	/* Pairs with READ_ONCE() in sg_hook_of_ops(): ops before pointer. */
	smp_store_release(&icsk->icsk_af_ops, &hook->ops);
}

/* Only if they are still ours: IPv6 connect() and IPV6_ADDRFORM set others. */
static bool sg_hook_uninstall(struct sock *sk, struct sg_hook *hook)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	if (icsk->icsk_af_ops != &hook->ops)
		return false;
	WRITE_ONCE(icsk->icsk_af_ops, hook->orig);
	return true;
}

void sg_hook_detach(struct sock *sk, struct sg_hook *hook)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	sock_owned_by_me(sk);
	if (sg_hook_uninstall(sk, hook))
		synchronize_rcu();
	icsk->icsk_ulp_ops = NULL;
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	module_put(THIS_MODULE);
}

static const struct inet_connection_sock_af_ops *
sg_original_ops(const struct sock *sk)
{
	const struct sg_hook *hook = sg_hook_of_ops(sk);

	return hook ? hook->orig : READ_ONCE(inet_csk(sk)->icsk_af_ops);
}

int sg_original_conn_request(struct sock *sk, struct sk_buff *skb)
{
	return sg_original_ops(sk)->conn_request(sk, skb);
}

static struct sock *
sg_syn_recv_sock(const struct sock *sk, struct sk_buff *skb,
		 struct request_sock *req, struct dst_entry *dst,
		 struct request_sock *req_unhash, bool *own_req,
		 void (*opt_child_init)(struct sock *newsk,
					const struct sock *sk))
{
	struct sock *parent = (struct sock *)sk;
	struct sg_hook *hook;
	struct sock *child;

	/* Neither a request nor a cookie: Fast Open, which is bound to @sk. */
	if (req_unhash || req->syncookie)
		parent = sg_handshake_complete(parent, skb);

	child = sg_original_ops(parent)->syn_recv_sock(parent, skb, req, dst,
						       req_unhash, own_req,
						       opt_child_init);
	if (child) {
		/*
		 * sg_ulp_clone() has done it, unless the child was copied
		 * while the parent left; v4-mapped children have other ones.
		 */
		hook = sg_hook_of_ops(child);
		if (unlikely(hook))
			inet_csk(child)->icsk_af_ops = hook->orig;
	}
	return child;
}

_Bool sg_skb_is_ipv6(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IPV6);
}

/* setsockopt(TCP_ULP): a group needs more than a name. */
static int sg_ulp_init(struct sock *sk)
{
	return -EOPNOTSUPP;
}

/* tcp_cleanup_ulp(): the socket is dead, and puts the module when we return. */
static void sg_ulp_release(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct sg_hook *hook;

	hook = rcu_dereference_protected(icsk->icsk_ulp_data, 1);
	sg_hook_uninstall(sk, hook);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	sg_member_gone(sk, hook->member);
}

/* The child is nobody's member, and took no reference to the module. */
static void sg_ulp_clone(const struct request_sock *req, struct sock *child,
			 const gfp_t priority)
{
	struct inet_connection_sock *icsk = inet_csk(child);
	struct sg_hook *hook = sg_hook_of_ops(child);

	if (hook)
		icsk->icsk_af_ops = hook->orig;
	icsk->icsk_ulp_ops = NULL;
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
}

static int sg_ulp_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	const struct sg_hook *hook;
	int err = 0;

	rcu_read_lock();
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	if (hook)
		err = sg_member_info(hook->member, skb);
	rcu_read_unlock();
	return err;
}

static size_t sg_ulp_get_info_size(const struct sock *sk, bool net_admin)
{
	return nla_total_size(sizeof(u32));
}

int sg_info_put_id(struct sk_buff *skb, unsigned int id)
{
	return nla_put_u32(skb, SERVICE_GROUP_ULP_INFO_ID, id);
}

static struct tcp_ulp_ops sg_ulp __read_mostly = {
	.name		= "service_group",
	.owner		= THIS_MODULE,
	.init		= sg_ulp_init,
	.release	= sg_ulp_release,
	.clone		= sg_ulp_clone,
	.get_info	= sg_ulp_get_info,
	.get_info_size	= sg_ulp_get_info_size,
};

int sg_ulp_register(void)
{
	return tcp_register_ulp(&sg_ulp);
}

void sg_ulp_unregister(void)
{
	tcp_unregister_ulp(&sg_ulp);
}

MODULE_ALIAS_TCP_ULP("service_group");
