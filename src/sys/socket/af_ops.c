// SPDX-License-Identifier: GPL-2.0
/*
 * A listener's operations: which listener answers a SYN, and what is made of a
 * complete handshake.
 *
 * As net/smc/af_smc.c does, a member gets a copy of its
 * inet_connection_sock_af_ops, with conn_request and syn_recv_sock replaced.
 * Unlike there, the copies are the module's own and shared by all sockets that
 * had the same original: setsockopt() reads icsk_af_ops without a lock and
 * outside of RCU, so a copy that went with its socket's membership could be
 * freed under it.
 */
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <net/inet_connection_sock.h>
#include <net/tcp.h>

#include "callbacks/group.h"
#include "core/hold.h"
#include "internal.h"
#include "socket.h"

/**
 * struct svcg_af_ops - operations of members
 * @ops: what the sockets use
 * @orig: what they were made of, and stand for; does not change once set
 */
struct svcg_af_ops {
	struct inet_connection_sock_af_ops ops;
	const struct inet_connection_sock_af_ops *orig;
};

/*
 * The kernel has three that a TCP socket may have: of IPv4, of IPv6, and of
 * IPv4 on an IPv6 socket. Protects the filling; entries are never emptied.
 */
static struct svcg_af_ops svcg_af_ops[3];
static DEFINE_MUTEX(svcg_af_ops_mutex);

/*
 * The module's operations, if it is those that the socket has. Not by what is in
 * them: others copy operations as well.
 */
static const struct svcg_af_ops *svcg_af_ops_of(const struct sock *sk)
{
	const struct inet_connection_sock_af_ops *ops;

	ops = READ_ONCE(inet_csk(sk)->icsk_af_ops);
	if ((unsigned long)ops - (unsigned long)svcg_af_ops >=
	    sizeof(svcg_af_ops))
		return NULL;
	return container_of_const(ops, struct svcg_af_ops, ops);
}

_Bool svcg_hooked(const struct sock *sk)
{
	return svcg_af_ops_of(sk);
}

const void *svcg_hooked_member(const struct sock *sk, struct svcg_load *load)
{
	const struct svcg_ulp_ctx *ctx;

	if (!svcg_af_ops_of(sk))
		return NULL;
	svcg_load_read(sk, load);
	/* NULL if the socket has ended since; never another protocol's. */
	ctx = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	/* NULL if it has left, or is not in its group yet. */
	return svcg_ulp_ctx_member(ctx);
}

static struct sock *svcg_syn_recv_sock(
	const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req,
	void (*opt_child_init)(struct sock *newsk, const struct sock *sk));

/* The module's operations that stand for these, if there are any yet. */
static const struct svcg_af_ops *
svcg_af_ops_find(const struct inet_connection_sock_af_ops *orig)
{
	const struct svcg_af_ops *ops;

	for (ops = svcg_af_ops; ops < svcg_af_ops + ARRAY_SIZE(svcg_af_ops);
	     ops++) {
		/* Pairs with smp_store_release() in svcg_af_ops_make(). */
		if (smp_load_acquire(&ops->orig) == orig)
			return ops;
	}
	return NULL;
}

_Bool svcg_af_ops_make(const struct inet_connection_sock_af_ops *orig)
{
	struct svcg_af_ops *ops;

	guard(mutex)(&svcg_af_ops_mutex);
	if (svcg_af_ops_find(orig))
		return true;
	if (!svcg_af_ops_known(orig))
		return false;
	for (ops = svcg_af_ops; ops < svcg_af_ops + ARRAY_SIZE(svcg_af_ops);
	     ops++) {
		if (ops->orig)
			continue;
		ops->ops = *orig;
		ops->ops.conn_request = svcg_conn_request;
		ops->ops.syn_recv_sock = svcg_syn_recv_sock;
		smp_store_release(&ops->orig, orig);
		return true;
	}
	return false;
}

void svcg_af_ops_install(struct sock *sk)
{
	const struct svcg_af_ops *ops = svcg_af_ops_find(inet_csk(sk)->icsk_af_ops);

	if (ops)
		smp_store_release(&inet_csk(sk)->icsk_af_ops, &ops->ops);
}

void svcg_af_ops_uninstall(struct sock *sk)
{
	const struct svcg_af_ops *ops = svcg_af_ops_of(sk);

	/* IPv6 connect() and IPV6_ADDRFORM set others. */
	if (ops)
		WRITE_ONCE(inet_csk(sk)->icsk_af_ops, ops->orig);
}

static const struct inet_connection_sock_af_ops *
svcg_orig_af_ops(const struct sock *sk)
{
	const struct svcg_af_ops *ops = svcg_af_ops_of(sk);

	return ops ? ops->orig : READ_ONCE(inet_csk(sk)->icsk_af_ops);
}

/* Whether packets of this one's family can be given to the listener. */
static bool svcg_serves(const struct sock *sk, const struct sk_buff *skb)
{
	return svcg_skb_is_ipv6(skb) ? svcg_serves_ipv6(sk) :
				       svcg_serves_ipv4(sk);
}

int svcg_original_conn_request(struct sock *home, struct sock *target,
			       struct sk_buff *skb)
{
	int result;

	svcg_point("syn");
	if (target != home && !svcg_serves(target, skb))
		target = home;
	result = svcg_orig_af_ops(target)->conn_request(target, skb);
	svcg_point("syn_done");
	return result;
}

void svcg_child_strip(struct sock *child)
{
	struct inet_connection_sock *icsk = inet_csk(child);

	svcg_ready_uninstall(child);
	svcg_af_ops_uninstall(child);
	icsk->icsk_ulp_ops = NULL;
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	/* The parent's may be lifted. */
	child->sk_max_ack_backlog &= ~SVCG_LIFTED;
}

/*
 * The kernel makes no socket of a listener whose accept queue is full. For the
 * one that a sibling takes off again the backlog is lifted meanwhile, so that the
 * listener that the connection is queued with is its parent, as everywhere else:
 * a sibling that ends would leave its end to the child (SOCK_DEAD).
 *
 * The bit is none that listen() can set, and a listen() meanwhile clears it. All
 * others pass it by, see svcg_backlog(); for the kernel, and for ss, the
 * backlog is larger for as long as this takes. The lock keeps the bit until the
 * child is there, when several are made at once.
 *
 * RCU read section. NULL if the socket is no member any more.
 */
static struct svcg_ulp_ctx *svcg_backlog_lift(struct sock *sk)
{
	struct svcg_ulp_ctx *ctx = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	u32 backlog;

	if (!ctx)
		return NULL;
	spin_lock_bh(&ctx->lift);
	backlog = READ_ONCE(sk->sk_max_ack_backlog);
	while (!try_cmpxchg(&sk->sk_max_ack_backlog, &backlog,
			    backlog | SVCG_LIFTED))
		;
	return ctx;
}

static void svcg_backlog_restore(struct sock *sk, struct svcg_ulp_ctx *ctx)
{
	u32 backlog = READ_ONCE(sk->sk_max_ack_backlog);

	/* listen(), which may have changed it, leaves it without the bit. */
	if (backlog & SVCG_LIFTED)
		cmpxchg(&sk->sk_max_ack_backlog, backlog,
			backlog & ~SVCG_LIFTED);
	spin_unlock_bh(&ctx->lift);
}

/* RCU read section. */
static __always_inline struct sock *svcg_syn_received(
	const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req,
	void (*opt_child_init)(struct sock *newsk, const struct sock *sk))
{
	struct svcg_ulp_ctx *backlog;
	struct sock *child;
	bool over;

	/* A SYN makes a socket with Fast Open only. */
	over = svcg_connection_comes((struct sock *)sk, skb, tcp_hdr(skb)->syn);
	backlog = over ? svcg_backlog_lift((struct sock *)sk) : NULL;
	svcg_point("ack");
	child = svcg_orig_af_ops(sk)->syn_recv_sock(
		sk, skb, req, dst, req_unhash, own_req, opt_child_init);
	svcg_point("ack_done");
	if (backlog)
		svcg_backlog_restore((struct sock *)sk, backlog);
	/* Copied while its parent ended: the operations, but no ULP. */
	if (child &&
	    unlikely(svcg_af_ops_of(child) || svcg_ready_installed(child)))
		svcg_child_strip(child);
	return child;
}

/*
 * From the backlog of a socket that did not listen yet when the packet came: the
 * one way here that is not within tcp_v4_rcv() or tcp_v6_rcv().
 */
static noinline struct sock *svcg_syn_received_late(
	const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req,
	void (*opt_child_init)(struct sock *newsk, const struct sock *sk))
{
	struct sock *child;

	rcu_read_lock();
	child = svcg_syn_received(sk, skb, req, dst, req_unhash, own_req,
				  opt_child_init);
	rcu_read_unlock();
	return child;
}

static struct sock *svcg_syn_recv_sock(
	const struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	struct dst_entry *dst, struct request_sock *req_unhash, bool *own_req,
	void (*opt_child_init)(struct sock *newsk, const struct sock *sk))
{
	if (unlikely(!in_softirq()))
		return svcg_syn_received_late(sk, skb, req, dst, req_unhash,
					      own_req, opt_child_init);
	return svcg_syn_received(sk, skb, req, dst, req_unhash, own_req,
				 opt_child_init);
}

/* What takes the place of the kernel's. */
static_assert(
	__same_type(((struct inet_connection_sock_af_ops *)0)->conn_request,
		    &svcg_conn_request));
static_assert(
	__same_type(((struct inet_connection_sock_af_ops *)0)->syn_recv_sock,
		    &svcg_syn_recv_sock));
