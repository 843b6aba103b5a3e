// SPDX-License-Identifier: GPL-2.0
/*
 * The upper layer protocol (ULP) of a socket: it counts references to the
 * module, carries the context, and says when the socket goes.
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
	if (!svcg_hooked(sk) && !svcg_af_ops_make(icsk->icsk_af_ops))
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
	/* The call that gave it the ULP may be waiting still. */
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
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_of(sk);

	sock_owned_by_me(sk);
	if (!ctx || svcg_ulp_ctx_waits(ctx))
		return -EBUSY;
	svcg_af_ops_install(sk);
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
	 * Pairs with svcg_member_detach(): a former member has lost its
	 * operations.
	 */
	if (svcg_ulp_ctx_member(ctx))
		return -EALREADY;
	return svcg_hooked(sk) ? 0 : -EBUSY;
}

_Bool svcg_member_attach(struct sock *sk, const void *member)
{
	struct svcg_ulp_ctx *ctx = svcg_ulp_ctx_rcu(sk);

	/* Releases what is in the member. */
	return ctx && !cmpxchg(&ctx->member, NULL, member);
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
	svcg_ready_uninstall(sk);
	svcg_af_ops_uninstall(sk);
	/* Pairs with svcg_arm_check(). */
	member = xchg(&ctx->member, NULL);
	svcg_point("detached");
	return member;
}

/*
 * The child is no member, and has taken no reference to the module. No other
 * context has found it yet.
 */
static void svcg_ulp_clone(const struct request_sock *req, struct sock *child,
			   const gfp_t priority)
{
	svcg_child_strip(child);
}

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
	svcg_ready_uninstall(sk);
	svcg_af_ops_uninstall(sk);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	if (WARN_ON_ONCE(!ctx))
		return;
	member = xchg(&ctx->member, NULL);
	/* It was closed by the operations of somebody else, who put nothing. */
	if (ctx->proto_ops)
		module_put(THIS_MODULE);
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
