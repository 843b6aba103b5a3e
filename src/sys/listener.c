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
 * first; it gets the hook and the operations a grace period later, if it has
 * ever listened. So a child that is copied from a live listener either has the
 * flag, and is stripped of everything, or has nothing. Leaving takes the
 * operations and the hook, but not the flag: what reads icsk_ulp_ops on a live
 * socket without its lock, as getsockopt(TCP_ULP) does, does not expect it to
 * go.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/skmsg.h>
#include <linux/slab.h>
#include <net/inet_connection_sock.h>
#include <net/netlink.h>
#include <net/tcp.h>

#include "shim.h"
#include "sys.h"

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

_Bool sg_hook_has_calls(const struct sg_hook *hook)
{
	return READ_ONCE(hook->calls);
}

const void *sg_hooked_member(const struct sock *sk, struct sg_load *load)
{
	const struct sg_hook *hook;

	if (!sg_af_ops_of(sk))
		return NULL;
	load->queued = READ_ONCE(sk->sk_ack_backlog);
	load->half_open = inet_csk_reqsk_queue_len(sk);
	load->backlog = READ_ONCE(sk->sk_max_ack_backlog);
	/* NULL if the socket has left or ended since; never another protocol's. */
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	return hook ? hook->member : NULL;
}

const void *sg_flagged_member(const struct sock *sk)
{
	return sg_member_of(sk);
}

struct sg_hook *sg_attached_hook(const struct sock *sk)
{
	if (!sg_flagged(sk))
		return NULL;
	return rcu_dereference_protected(inet_csk(sk)->icsk_ulp_data,
					 lockdep_sock_is_held(sk));
}

const void *sg_attached_member(const struct sock *sk)
{
	const struct sg_hook *hook = sg_attached_hook(sk);

	return hook ? hook->member : NULL;
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
	if (sg_in_sockmap(sk) || !sg_ops_make(icsk->icsk_af_ops) ||
	    !sg_calls_fit(sk))
		return -EEXIST;
	return 0;
}

int sg_flag(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	int err = sg_flag_check(sk);
	bool listened;

	if (err || icsk->icsk_ulp_ops)
		return err;
	/* Set by listen(), and never cleared. */
	listened = sock_flag(sk, SOCK_RCU_FREE);
	/* As in __tcp_set_ulp(); tcp_cleanup_ulp() puts it. */
	__module_get(THIS_MODULE);
	/* Whatever another protocol left there is no hook. */
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	smp_store_release(&icsk->icsk_ulp_ops, &sg_ulp);
	/* listen() does it too; siblings may look at the socket before. */
	sock_set_flag(sk, SOCK_RCU_FREE);
	return listened;
}

void sg_hook_install(struct sock *sk, struct sg_hook *hook)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	const struct sg_ops *ops;

	sock_owned_by_me(sk);
	if (WARN_ON_ONCE(icsk->icsk_ulp_ops != &sg_ulp))
		return;
	rcu_assign_pointer(icsk->icsk_ulp_data, hook);
	ops = sg_ops_find(icsk->icsk_af_ops);
	if (ops)
		smp_store_release(&icsk->icsk_af_ops, &ops->ops);
	sg_calls_install(sk);
}

/* Only if they are ours still: IPv6 connect() and IPV6_ADDRFORM set others. */
static void sg_hook_uninstall(struct sock *sk)
{
	const struct sg_ops *ops = sg_af_ops_of(sk);

	if (ops)
		WRITE_ONCE(inet_csk(sk)->icsk_af_ops, ops->orig);
}

void sg_hook_detach(struct sock *sk)
{
	sock_owned_by_me(sk);
	if (WARN_ON_ONCE(inet_csk(sk)->icsk_ulp_ops != &sg_ulp))
		return;
	sg_calls_uninstall(sk);
	sg_hook_uninstall(sk);
	RCU_INIT_POINTER(inet_csk(sk)->icsk_ulp_data, NULL);
}

static const struct inet_connection_sock_af_ops *
sg_original_ops(const struct sock *sk)
{
	const struct sg_ops *ops = sg_af_ops_of(sk);

	return ops ? ops->orig : READ_ONCE(inet_csk(sk)->icsk_af_ops);
}

int sg_original_conn_request(struct sock *sk, struct sk_buff *skb)
{
	return sg_original_ops(sk)->conn_request(sk, skb);
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
}

/* RCU read section. */
static __always_inline struct sock *
sg_syn_received(const struct sock *sk, struct sk_buff *skb,
		struct request_sock *req, struct dst_entry *dst,
		struct request_sock *req_unhash, bool *own_req,
		void (*opt_child_init)(struct sock *newsk,
				       const struct sock *sk))
{
	struct sock *parent, *child;

	/* A SYN makes a socket with Fast Open only. */
	parent = sg_connection_comes((struct sock *)sk, skb, tcp_hdr(skb)->syn);
	child = sg_original_ops(parent)->syn_recv_sock(parent, skb, req, dst,
						       req_unhash, own_req,
						       opt_child_init);
	/* Copied while its parent ended: the operations, but no flag. */
	if (child && unlikely(sg_af_ops_of(child)))
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
	sg_hook_uninstall(sk);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	/* It may have left before. */
	if (hook)
		sg_member_gone(sk, hook->member);
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

struct tcp_ulp_ops sg_ulp __read_mostly = {
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
	 * it when it has gone to sleep or to user space.
	 */
	synchronize_rcu_tasks();
	/* And those who sleep in it without holding the module. */
	sg_faces_drain();
}

MODULE_ALIAS_TCP_ULP("service_group");
