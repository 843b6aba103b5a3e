// SPDX-License-Identifier: GPL-2.0
/*
 * The upper layer protocol of a socket, and a listener's operations.
 *
 * As net/smc/af_smc.c does, a member gets a copy of its
 * inet_connection_sock_af_ops, with conn_request and syn_recv_sock replaced.
 * Unlike there, the copies are the module's own and shared by all sockets that
 * had the same original: setsockopt() reads icsk_af_ops without a lock and
 * outside of RCU, so a copy that went with its socket's membership could be
 * freed under it. The TCP upper layer protocol (ULP) counts
 * references to the module, carries the context, and says when the socket goes.
 *
 * Order of the fields, which lockless readers rely on. A socket is given the
 * ULP first, and carries a context from then on; it is armed, with the
 * operations, a grace period later, if it has ever listened. So a child that is
 * copied from a live listener either has the ULP, and is stripped of
 * everything, or has no operations of ours. What is armed behaves as any other
 * socket until the context is given a member, which takes no lock of the
 * socket: so forming a group cannot fail, or wait, half-way. Leaving takes the
 * operations and the member, but not the flag: what reads icsk_ulp_ops on a
 * live socket without its lock, as getsockopt(TCP_ULP) does, does not expect it
 * to go.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/skmsg.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/inet_connection_sock.h>
#include <net/netlink.h>
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

_Bool svcg_has_left(const struct sock *sk)
{
	const struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);

	return ctx && ctx->left;
}

_Bool svcg_has_proto_ops(const struct sock *sk)
{
	const struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_rcu(sk);

	return ctx && READ_ONCE(ctx->proto_ops);
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

const void *svcg_ulp_member(const struct sock *sk)
{
	return svcg_member_of(sk);
}

const void *svcg_attached_member(const struct sock *sk)
{
	return svcg_ulp_ctx_member(svcg_ulp_ctx_of(sk));
}

static bool svcg_in_sockmap(const struct sock *sk)
{
	bool found = false;

#ifdef CONFIG_NET_SOCK_MSG
	rcu_read_lock();
	found = sk_psock(sk);
	rcu_read_unlock();
#endif
	return found;
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

/* Makes sure that there are; false if there is no room. Process context. */
static bool svcg_af_ops_make(const struct inet_connection_sock_af_ops *orig)
{
	struct svcg_af_ops *ops;

	guard(mutex)(&svcg_af_ops_mutex);
	if (svcg_af_ops_find(orig))
		return true;
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

int svcg_ulp_check(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	sock_owned_by_me(sk);
	if (svcg_attached_member(sk))
		return -EALREADY;
	if (icsk->icsk_ulp_ops && icsk->icsk_ulp_ops != &svcg_ulp)
		return -EEXIST;
	if (svcg_in_sockmap(sk) || !svcg_proto_ops_fit(sk))
		return -EEXIST;
	/* It may be armed already. */
	if (!svcg_af_ops_of(sk) && !svcg_af_ops_make(icsk->icsk_af_ops))
		return -EEXIST;
	return 0;
}

struct svcg_ulp_ctx *svcg_ulp_ctx_new(void)
{
	struct svcg_ulp_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (ctx)
		spin_lock_init(&ctx->lift);
	return ctx;
}

void svcg_ulp_ctx_free(struct svcg_ulp_ctx *ctx)
{
	kfree(ctx);
}

/* Whether a child may still be on its way that was copied without the ULP. */
static bool svcg_ulp_ctx_waits(struct svcg_ulp_ctx *ctx)
{
	if (ctx->waits &&
	    poll_state_synchronize_rcu_full((void *)ctx->attached))
		ctx->waits = false;
	return ctx->waits;
}

int svcg_ulp_attach(struct sock *sk, struct svcg_ulp_ctx **new)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	int err = svcg_ulp_check(sk);
	struct svcg_ulp_ctx *ctx;
	if (err)
		return err;
	/* Who has given it the ULP may be waiting still. */
	ctx = svcg_ulp_ctx_of(sk);
	if (ctx)
		return svcg_ulp_ctx_waits(ctx);
	ctx = *new;
	*new = NULL;
	/* Set by listen(), and never cleared. */
	ctx->waits = sock_flag(sk, SOCK_RCU_FREE);
	/* As in __tcp_set_ulp(); tcp_cleanup_ulp() puts it. */
	__module_get(THIS_MODULE);
	/* Without the ULP, as a child may copy it, it means nothing. */
	rcu_assign_pointer(icsk->icsk_ulp_data, ctx);
	smp_store_release(&icsk->icsk_ulp_ops, &svcg_ulp);
	/* listen() does it too; siblings may look at the socket before. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	/* From now on it is copied with the ULP. */
	get_state_synchronize_rcu_full((void *)ctx->attached);
	return ctx->waits;
}

int svcg_arm(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);
	const struct svcg_af_ops *ops;

	sock_owned_by_me(sk);
	if (!ctx || svcg_ulp_ctx_waits(ctx))
		return -EBUSY;
	ops = svcg_af_ops_find(icsk->icsk_af_ops);
	if (ops)
		smp_store_release(&icsk->icsk_af_ops, &ops->ops);
	svcg_point("arm");
	svcg_proto_ops_install(sk);
	svcg_ready_install(sk);
	return 0;
}

int svcg_arm_check(const struct sock *sk)
{
	const struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_rcu(sk);

	if (!ctx)
		return -EBUSY;
	/*
	 * Pairs with svcg_member_detach(): who was a member has lost its
	 * operations.
	 */
	if (svcg_ulp_ctx_member(ctx))
		return -EALREADY;
	return svcg_af_ops_of(sk) ? 0 : -EBUSY;
}

_Bool svcg_member_attach(struct sock *sk, const void *member)
{
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_rcu(sk);

	/* Releases what is in the member. */
	return ctx && !cmpxchg(&ctx->member, NULL, member);
}

/* Only if they are ours still: IPv6 connect() and IPV6_ADDRFORM set others. */
static void svcg_af_ops_uninstall(struct sock *sk)
{
	const struct svcg_af_ops *ops = svcg_af_ops_of(sk);

	svcg_ready_uninstall(sk);
	if (ops)
		WRITE_ONCE(inet_csk(sk)->icsk_af_ops, ops->orig);
}

const void *svcg_member_detach(struct sock *sk)
{
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);
	const void *member;

	sock_owned_by_me(sk);
	if (!ctx)
		return NULL;
	ctx->left |= !!ctx->member;
	svcg_proto_ops_uninstall(sk);
	svcg_af_ops_uninstall(sk);
	/* Pairs with svcg_arm_check(). */
	member = xchg(&ctx->member, NULL);
	svcg_point("detached");
	return member;
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

/*
 * The child is nobody's member, and took no reference to the module. Nobody
 * else sees it yet.
 */
static void svcg_ulp_clone(const struct request_sock *req, struct sock *child,
			   const gfp_t priority)
{
	struct inet_connection_sock *icsk = inet_csk(child);

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

	/* Who else changes it leaves it without the bit. */
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
		svcg_ulp_clone(req, child, GFP_ATOMIC);
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

/* setsockopt(TCP_ULP): a group needs more than a name. */
static int svcg_ulp_init(struct sock *sk)
{
	return -EOPNOTSUPP;
}

/* tcp_cleanup_ulp(): the socket is dead, and puts the module when we return. */
static void svcg_ulp_release(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct svcg_ulp_ctx *ctx;
	const void *member;

	svcg_point("ended");
	ctx = rcu_dereference_protected(icsk->icsk_ulp_data, 1);
	svcg_af_ops_uninstall(sk);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	if (WARN_ON_ONCE(!ctx))
		return;
	member = xchg(&ctx->member, NULL);
	kfree_rcu(ctx, rcu);
	/* It may have left before. */
	if (member)
		svcg_member_gone(sk, member);
}

static int svcg_ulp_get_info(struct sock *sk, struct sk_buff *skb,
			     bool net_admin)
{
	const void *member;
	int err = 0;

	rcu_read_lock();
	member = svcg_member_of(sk);
	if (member)
		err = svcg_member_info(member, skb);
	rcu_read_unlock();
	return err;
}

static size_t svcg_ulp_get_info_size(const struct sock *sk, bool net_admin)
{
	return nla_total_size(sizeof(u32));
}

int svcg_info_put_id(struct sk_buff *skb, unsigned int id)
{
	return nla_put_u32(skb, SERVICE_GROUP_ULP_INFO_ID, id);
}

struct tcp_ulp_ops svcg_ulp __read_mostly = {
	.name		= "service_group",
	.owner		= THIS_MODULE,
	.init		= svcg_ulp_init,
	.release	= svcg_ulp_release,
	.clone		= svcg_ulp_clone,
	.get_info	= svcg_ulp_get_info,
	.get_info_size	= svcg_ulp_get_info_size,
};

/*
 * Whether the kernel writes no more than svcg_ulp_ctx::attached has room for,
 * when it notes a grace period.
 */
static bool svcg_cookie_fits(void)
{
	unsigned long noted[8];
	const u8 *at;

	memset(noted, 0xa5, sizeof(noted));
	get_state_synchronize_rcu_full((void *)noted);
	at = (const u8 *)noted + sizeof_field(struct svcg_ulp_ctx, attached);
	return !memchr_inv(at, 0xa5, (const u8 *)(noted + ARRAY_SIZE(noted)) - at);
}

int svcg_ulp_register(void)
{
	int err;

	if (!svcg_cookie_fits()) {
		pr_err("service_group: the kernel notes more of a grace period than the module keeps\n");
		return -EOPNOTSUPP;
	}
	err = svcg_ready_init();
	if (err)
		return err;
	svcg_proto_ops_init();
	svcg_socknames_init();
	return tcp_register_ulp(&svcg_ulp);
}

void svcg_ulp_unregister(void)
{
	tcp_unregister_ulp(&svcg_ulp);
	/*
	 * No socket has the operations any more. A task that was preempted
	 * between reading icsk_af_ops and using it in setsockopt() has left
	 * it when it has gone to sleep or to user space; and so has one that
	 * has put the module, and is about to return from a call.
	 */
	synchronize_rcu_tasks();
}

MODULE_ALIAS_TCP_ULP("service_group");
