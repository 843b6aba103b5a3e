// SPDX-License-Identifier: GPL-2.0
/*
 * The hook in a listener's operations, and the flag on the socket.
 *
 * As net/smc/af_smc.c does, a member gets a copy of its
 * inet_connection_sock_af_ops, with conn_request and syn_recv_sock replaced.
 * Unlike there, the copies are the module's own and shared by all sockets that
 * had the same original: setsockopt() reads icsk_af_ops without a lock and
 * outside of RCU, so a copy that went with its socket's membership could be
 * freed under it. The flag is a TCP upper layer protocol (ULP): it counts
 * references to the module, carries the hook, and says when the socket goes.
 *
 * Order of the fields, which lockless readers rely on. A socket is flagged
 * first, and carries a hook from then on; it is armed, with the operations, a
 * grace period later, if it has ever listened. So a child that is copied from a
 * live listener either has the flag, and is stripped of everything, or has no
 * operations of ours. What is armed behaves as any other socket until the hook is
 * given a member, which takes no lock of the socket: so forming a group cannot
 * fail, or wait, half-way. Leaving takes the operations and the member, but not the
 * flag: what reads icsk_ulp_ops on a live socket without its lock, as
 * getsockopt(TCP_ULP) does, does not expect it to go.
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
 * struct sg_ops - operations of members
 * @ops: what the sockets use
 * @orig: what they were made of, and stand for; does not change once set
 */
struct sg_ops {
	struct inet_connection_sock_af_ops ops;
	const struct inet_connection_sock_af_ops *orig;
};

/*
 * The kernel has three that a TCP socket may have: of IPv4, of IPv6, and of
 * IPv4 on an IPv6 socket. Protects the filling; entries are never emptied.
 */
static struct sg_ops sg_ops[3];
static DEFINE_MUTEX(sg_ops_mutex);


/*
 * The module's operations, if it is those that the socket has. Not by what is in
 * them: others copy operations as well.
 */
static const struct sg_ops *sg_af_ops_of(const struct sock *sk)
{
	const struct inet_connection_sock_af_ops *ops;

	ops = READ_ONCE(inet_csk(sk)->icsk_af_ops);
	if ((unsigned long)ops - (unsigned long)sg_ops >= sizeof(sg_ops))
		return NULL;
	return container_of_const(ops, struct sg_ops, ops);
}

_Bool sg_hooked(const struct sock *sk)
{
	return sg_af_ops_of(sk);
}

_Bool sg_has_left(const struct sock *sk)
{
	const struct sg_hook *hook = sg_attached_hook(sk);

	return hook && hook->left;
}

_Bool sg_has_calls(const struct sock *sk)
{
	const struct sg_hook *hook;

	if (!sg_flagged(sk))
		return false;
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	return hook && READ_ONCE(hook->calls);
}

const void *sg_hooked_member(const struct sock *sk, struct sg_load *load)
{
	const struct sg_hook *hook;

	if (!sg_af_ops_of(sk))
		return NULL;
	load->queued = READ_ONCE(sk->sk_ack_backlog);
	load->half_open = inet_csk_reqsk_queue_len(sk);
	load->backlog = sg_backlog(sk);
	/* NULL if the socket has ended since; never another protocol's. */
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	/* NULL if it has left, or is not in its group yet. */
	return hook ? smp_load_acquire(&hook->member) : NULL;
}

const void *sg_flagged_member(const struct sock *sk)
{
	return sg_member_of(sk);
}

const void *sg_attached_member(const struct sock *sk)
{
	const struct sg_hook *hook = sg_attached_hook(sk);

	return hook ? smp_load_acquire(&hook->member) : NULL;
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

static struct sock *
sg_syn_recv_sock(const struct sock *sk, struct sk_buff *skb,
		 struct request_sock *req, struct dst_entry *dst,
		 struct request_sock *req_unhash, bool *own_req,
		 void (*opt_child_init)(struct sock *newsk,
					const struct sock *sk));

/* The module's operations that stand for these, if there are any yet. */
static const struct sg_ops *
sg_ops_find(const struct inet_connection_sock_af_ops *orig)
{
	const struct sg_ops *ops;

	for (ops = sg_ops; ops < sg_ops + ARRAY_SIZE(sg_ops); ops++) {
		/* Pairs with smp_store_release() in sg_ops_make(). */
		if (smp_load_acquire(&ops->orig) == orig)
			return ops;
	}
	return NULL;
}

/* Makes sure that there are; false if there is no room. Process context. */
static bool sg_ops_make(const struct inet_connection_sock_af_ops *orig)
{
	struct sg_ops *ops;

	guard(mutex)(&sg_ops_mutex);
	if (sg_ops_find(orig))
		return true;
	for (ops = sg_ops; ops < sg_ops + ARRAY_SIZE(sg_ops); ops++) {
		if (ops->orig)
			continue;
		ops->ops = *orig;
		ops->ops.conn_request = sg_conn_request;
		ops->ops.syn_recv_sock = sg_syn_recv_sock;
		smp_store_release(&ops->orig, orig);
		return true;
	}
	return false;
}

int sg_flag_check(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	sock_owned_by_me(sk);
	if (sg_attached_member(sk))
		return -EALREADY;
	if (icsk->icsk_ulp_ops && icsk->icsk_ulp_ops != &sg_ulp)
		return -EEXIST;
	if (sg_in_sockmap(sk) || !sg_calls_fit(sk))
		return -EEXIST;
	/* It may be armed already. */
	if (!sg_af_ops_of(sk) && !sg_ops_make(icsk->icsk_af_ops))
		return -EEXIST;
	return 0;
}

struct sg_hook *sg_hook_new(void)
{
	struct sg_hook *hook = kzalloc(sizeof(*hook), GFP_KERNEL_ACCOUNT);

	if (hook)
		spin_lock_init(&hook->lift);
	return hook;
}

void sg_hook_free(struct sg_hook *hook)
{
	kfree(hook);
}

/* Whether a child may still be on its way that was copied without the flag. */
static bool sg_hook_waits(struct sg_hook *hook)
{
	if (hook->waits && poll_state_synchronize_rcu_full((void *)hook->flagged))
		hook->waits = false;
	return hook->waits;
}

int sg_flag(struct sock *sk, struct sg_hook **new)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	int err = sg_flag_check(sk);
	struct sg_hook *hook;
	if (err)
		return err;
	/* Who has flagged it may be waiting still. */
	hook = sg_attached_hook(sk);
	if (hook)
		return sg_hook_waits(hook);
	hook = *new;
	*new = NULL;
	/* Set by listen(), and never cleared. */
	hook->waits = sock_flag(sk, SOCK_RCU_FREE);
	/* As in __tcp_set_ulp(); tcp_cleanup_ulp() puts it. */
	__module_get(THIS_MODULE);
	/* Without the flag, as a child may copy it, it means nothing. */
	rcu_assign_pointer(icsk->icsk_ulp_data, hook);
	smp_store_release(&icsk->icsk_ulp_ops, &sg_ulp);
	/* listen() does it too; siblings may look at the socket before. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	/* From now on it is copied with the flag. */
	get_state_synchronize_rcu_full((void *)hook->flagged);
	return hook->waits;
}

int sg_arm(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct sg_hook *hook = sg_attached_hook(sk);
	const struct sg_ops *ops;

	sock_owned_by_me(sk);
	if (!hook || sg_hook_waits(hook))
		return -EBUSY;
	ops = sg_ops_find(icsk->icsk_af_ops);
	if (ops)
		smp_store_release(&icsk->icsk_af_ops, &ops->ops);
	sg_point("arm");
	sg_calls_install(sk);
	sg_ready_install(sk);
	return 0;
}

int sg_arm_check(const struct sock *sk)
{
	const struct sg_hook *hook;

	if (!sg_flagged(sk))
		return -EBUSY;
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	if (!hook)
		return -EBUSY;
	/* Pairs with sg_detach(): who was a member has lost its operations. */
	if (smp_load_acquire(&hook->member))
		return -EALREADY;
	return sg_af_ops_of(sk) ? 0 : -EBUSY;
}

_Bool sg_attach(struct sock *sk, const void *member)
{
	struct sg_hook *hook;

	if (!sg_flagged(sk))
		return false;
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	/* Releases what is in the member. */
	return hook && !cmpxchg(&hook->member, NULL, member);
}

/* Only if they are ours still: IPv6 connect() and IPV6_ADDRFORM set others. */
static void sg_hook_uninstall(struct sock *sk)
{
	const struct sg_ops *ops = sg_af_ops_of(sk);

	sg_ready_uninstall(sk);
	if (ops)
		WRITE_ONCE(inet_csk(sk)->icsk_af_ops, ops->orig);
}

const void *sg_detach(struct sock *sk)
{
	struct sg_hook *hook = sg_attached_hook(sk);
	const void *member;

	sock_owned_by_me(sk);
	if (!hook)
		return NULL;
	hook->left |= !!hook->member;
	sg_calls_uninstall(sk);
	sg_hook_uninstall(sk);
	/* Pairs with sg_arm_check(). */
	member = xchg(&hook->member, NULL);
	sg_point("detached");
	return member;
}

static const struct inet_connection_sock_af_ops *
sg_original_ops(const struct sock *sk)
{
	const struct sg_ops *ops = sg_af_ops_of(sk);

	return ops ? ops->orig : READ_ONCE(inet_csk(sk)->icsk_af_ops);
}

/* Whether packets of this one's family can be given to the listener. */
static bool sg_serves(const struct sock *sk, const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return sg_skb_is_ipv6(skb) ?
			       !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr) :
			       !ipv6_only_sock(sk);
#endif
	return !sg_skb_is_ipv6(skb);
}

int sg_original_conn_request(struct sock *home, struct sock *taker,
			     struct sk_buff *skb)
{
	int result;

	sg_point("syn");
	if (taker != home && !sg_serves(taker, skb))
		taker = home;
	result = sg_original_ops(taker)->conn_request(taker, skb);
	sg_point("syn_done");
	return result;
}

/*
 * The child is nobody's member, and took no reference to the module. Nobody
 * else sees it yet.
 */
static void sg_ulp_clone(const struct request_sock *req, struct sock *child,
			 const gfp_t priority)
{
	struct inet_connection_sock *icsk = inet_csk(child);

	sg_hook_uninstall(child);
	icsk->icsk_ulp_ops = NULL;
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	/* The parent's may be lifted. */
	child->sk_max_ack_backlog &= ~SG_LIFTED;
}

/*
 * The kernel makes no socket of a listener whose accept queue is full. For the
 * one that a sibling takes off again the backlog is lifted meanwhile, so that the
 * listener that the connection is queued with is its parent, as everywhere else:
 * a sibling that ends would leave its end to the child (SOCK_DEAD).
 *
 * The bit is none that listen() can set, and a listen() meanwhile clears it. All
 * others pass it by, see sg_backlog(); for the kernel, and for ss, the backlog is
 * larger for as long as this takes. The lock keeps the bit until the child is
 * there, when several are made at once.
 *
 * RCU read section. NULL if the socket is no member any more.
 */
static struct sg_hook *sg_backlog_lift(struct sock *sk)
{
	struct sg_hook *hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	u32 backlog;

	if (!hook)
		return NULL;
	spin_lock_bh(&hook->lift);
	backlog = READ_ONCE(sk->sk_max_ack_backlog);
	while (!try_cmpxchg(&sk->sk_max_ack_backlog, &backlog,
			    backlog | SG_LIFTED))
		;
	return hook;
}

static void sg_backlog_restore(struct sock *sk, struct sg_hook *hook)
{
	u32 backlog = READ_ONCE(sk->sk_max_ack_backlog);

	/* Who else changes it leaves it without the bit. */
	if (backlog & SG_LIFTED)
		cmpxchg(&sk->sk_max_ack_backlog, backlog, backlog & ~SG_LIFTED);
	spin_unlock_bh(&hook->lift);
}

/* RCU read section. */
static __always_inline struct sock *
sg_syn_received(const struct sock *sk, struct sk_buff *skb,
		struct request_sock *req, struct dst_entry *dst,
		struct request_sock *req_unhash, bool *own_req,
		void (*opt_child_init)(struct sock *newsk,
				       const struct sock *sk))
{
	struct sg_hook *backlog;
	struct sock *child;
	bool over;

	/* A SYN makes a socket with Fast Open only. */
	over = sg_connection_comes((struct sock *)sk, skb, tcp_hdr(skb)->syn);
	backlog = over ? sg_backlog_lift((struct sock *)sk) : NULL;
	sg_point("ack");
	child = sg_original_ops(sk)->syn_recv_sock(sk, skb, req, dst,
						   req_unhash, own_req,
						   opt_child_init);
	sg_point("ack_done");
	if (backlog)
		sg_backlog_restore((struct sock *)sk, backlog);
	/* Copied while its parent ended: the operations, but no flag. */
	if (child && unlikely(sg_af_ops_of(child) || sg_ready_installed(child)))
		sg_ulp_clone(req, child, GFP_ATOMIC);
	return child;
}

/*
 * From the backlog of a socket that did not listen yet when the packet came: the
 * one way here that is not within tcp_v4_rcv() or tcp_v6_rcv().
 */
static noinline struct sock *
sg_syn_received_late(const struct sock *sk, struct sk_buff *skb,
		     struct request_sock *req, struct dst_entry *dst,
		     struct request_sock *req_unhash, bool *own_req,
		     void (*opt_child_init)(struct sock *newsk,
					    const struct sock *sk))
{
	struct sock *child;

	rcu_read_lock();
	child = sg_syn_received(sk, skb, req, dst, req_unhash, own_req,
				opt_child_init);
	rcu_read_unlock();
	return child;
}

static struct sock *
sg_syn_recv_sock(const struct sock *sk, struct sk_buff *skb,
		 struct request_sock *req, struct dst_entry *dst,
		 struct request_sock *req_unhash, bool *own_req,
		 void (*opt_child_init)(struct sock *newsk,
					const struct sock *sk))
{
	if (unlikely(!in_softirq()))
		return sg_syn_received_late(sk, skb, req, dst, req_unhash,
					    own_req, opt_child_init);
	return sg_syn_received(sk, skb, req, dst, req_unhash, own_req,
			       opt_child_init);
}

/* What takes the place of the kernel's. */
static_assert(__same_type(((struct inet_connection_sock_af_ops *)0)->conn_request,
			  &sg_conn_request));
static_assert(__same_type(((struct inet_connection_sock_af_ops *)0)->syn_recv_sock,
			  &sg_syn_recv_sock));

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
	const void *member;

	sg_point("ended");
	hook = rcu_dereference_protected(icsk->icsk_ulp_data, 1);
	sg_hook_uninstall(sk);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	if (WARN_ON_ONCE(!hook))
		return;
	member = xchg(&hook->member, NULL);
	kfree_rcu(hook, rcu);
	/* It may have left before. */
	if (member)
		sg_member_gone(sk, member);
}

static int sg_ulp_get_info(struct sock *sk, struct sk_buff *skb, bool net_admin)
{
	const void *member;
	int err = 0;

	rcu_read_lock();
	member = sg_member_of(sk);
	if (member)
		err = sg_member_info(member, skb);
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

struct tcp_ulp_ops sg_ulp __read_mostly = {
	.name		= "service_group",
	.owner		= THIS_MODULE,
	.init		= sg_ulp_init,
	.release	= sg_ulp_release,
	.clone		= sg_ulp_clone,
	.get_info	= sg_ulp_get_info,
	.get_info_size	= sg_ulp_get_info_size,
};

/*
 * Whether the kernel writes no more than sg_hook::flagged has room for, when it notes
 * a grace period.
 */
static bool sg_cookie_fits(void)
{
	unsigned long noted[8];
	const u8 *at;

	memset(noted, 0xa5, sizeof(noted));
	get_state_synchronize_rcu_full((void *)noted);
	at = (const u8 *)noted + sizeof_field(struct sg_hook, flagged);
	return !memchr_inv(at, 0xa5, (const u8 *)(noted + ARRAY_SIZE(noted)) - at);
}

int sg_ulp_register(void)
{
	int err;

	if (!sg_cookie_fits()) {
		pr_err("service_group: the kernel notes more of a grace period than the module keeps\n");
		return -EOPNOTSUPP;
	}
	err = sg_ready_init();
	if (err)
		return err;
	sg_calls_init();
	sg_faces_init();
	return tcp_register_ulp(&sg_ulp);
}

void sg_ulp_unregister(void)
{
	tcp_unregister_ulp(&sg_ulp);
	/*
	 * No socket has the operations any more. A task that was preempted
	 * between reading icsk_af_ops and using it in setsockopt() has left
	 * it when it has gone to sleep or to user space; and so has one that
	 * has put the module, and is about to return from a call.
	 */
	synchronize_rcu_tasks();
}

MODULE_ALIAS_TCP_ULP("service_group");
