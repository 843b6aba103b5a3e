// SPDX-License-Identifier: GPL-2.0
/*
 * Moves half-open requests from one listener to another.
 *
 * As reqsk_timer_handler() does for SO_REUSEPORT, the request is not changed,
 * since others may be looking at it, but replaced by a copy that names the other
 * listener. Nothing of that is exported, and so it is done once more here:
 * inet_reqsk_clone() and reqsk_queue_migrated() of
 * net/ipv4/inet_connection_sock.c. Unlike there, the two have nothing in common: what
 * has found the request, as the client's next SYN does, may be reading its options
 * when a reset frees the copy.
 *
 * The bucket's lock decides which listener has the request. A handshake that completes while
 * it is replaced finds it gone, and is looked up anew.
 */
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "core/hold.h"
#include "internal.h"
#include "socket.h"

/* Buckets that are looked at without letting other tasks run. */
#define SVCG_BUCKETS_AT_ONCE 1024

_Bool svcg_request_is_of(const struct request_sock *req, unsigned int families)
{
	struct svcg_flow flow;

	svcg_flow_of_request(req, &flow);
	return families & (flow.family == AF_INET6 ? SVCG_IPV6 : SVCG_IPV4);
}

static struct request_sock *svcg_request_in(struct inet_hashinfo *hashinfo,
					    unsigned int bucket,
					    const struct sock *from,
					    unsigned int families)
{
	struct hlist_nulls_head *chain = &hashinfo->ehash[bucket].chain;
	spinlock_t *lock = inet_ehash_lockp(hashinfo, bucket);
	struct request_sock *found = NULL;
	struct hlist_nulls_node *node;
	struct sock *sk;

	if (hlist_nulls_empty(chain))
		return NULL;
	spin_lock_bh(lock);
	sk_nulls_for_each(sk, node, chain) {
		if (sk->sk_state == TCP_NEW_SYN_RECV &&
		    inet_reqsk(sk)->rsk_listener == from &&
		    svcg_request_is_of(inet_reqsk(sk), families) &&
		    refcount_inc_not_zero(&sk->sk_refcnt)) {
			found = inet_reqsk(sk);
			break;
		}
	}
	spin_unlock_bh(lock);
	return found;
}

struct request_sock *svcg_request_next(const struct sock *from,
				       unsigned int families,
				       unsigned int *bucket)
{
	struct inet_hashinfo *hashinfo = tcp_get_hashinfo(from);
	struct request_sock *req;

	for (; *bucket <= hashinfo->ehash_mask; ++*bucket) {
		if (!inet_csk_reqsk_queue_len(from))
			return NULL;
		req = svcg_request_in(hashinfo, *bucket, from, families);
		if (req)
			return req;
		if (!(*bucket % SVCG_BUCKETS_AT_ONCE))
			cond_resched();
	}
	return NULL;
}

/*
 * Not with timer_setup(): its lock class would be this module's, which the
 * request may outlive.
 */
static void svcg_request_timer_init(struct request_sock *copy,
				    const struct request_sock *req)
{
	struct lock_class_key *key = NULL;
	const char *name = NULL;

#ifdef CONFIG_LOCKDEP
	key = req->rsk_timer.lockdep_map.key;
	name = req->rsk_timer.lockdep_map.name;
#endif
	timer_init_key(&copy->rsk_timer, req->rsk_timer.function, TIMER_PINNED,
		       name, key);
}

/* What a request owns; of a copy that does not own it. */
static void svcg_request_forget(struct request_sock *req)
{
	req->saved_syn = NULL;
#if IS_ENABLED(CONFIG_IPV6)
	inet_rsk(req)->ipv6_opt = NULL;
	inet_rsk(req)->pktopts = NULL;
#else
	inet_rsk(req)->ireq_opt = NULL;
#endif
}

static bool svcg_request_dup_ipv4(struct inet_request_sock *copy,
				  const struct inet_request_sock *ireq)
{
	struct ip_options_rcu *opt = rcu_dereference_protected(ireq->ireq_opt, 1);

	if (!opt)
		return true;
	opt = kmemdup(opt, sizeof(*opt) + opt->opt.optlen,
		      GFP_ATOMIC | __GFP_NOWARN);
	RCU_INIT_POINTER(copy->ireq_opt, opt);
	return opt;
}

static bool svcg_request_dup_ipv6(struct sock *sk,
				  struct inet_request_sock *copy,
				  const struct inet_request_sock *ireq)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (ireq->pktopts)
		copy->pktopts = skb_get(ireq->pktopts);
	if (ireq->ipv6_opt) {
		copy->ipv6_opt = ipv6_dup_options(sk, ireq->ipv6_opt);
		if (!copy->ipv6_opt)
			return false;
		/* The request's end frees it, and takes nothing off there. */
		atomic_sub(copy->ipv6_opt->tot_len, &sk->sk_omem_alloc);
	}
#endif
	return true;
}

/*
 * Gives the copy its own of what the request owns; the one has it until it ends, as
 * the other does. Under the lock of the bucket that has the request: a child that
 * takes what it owns takes the request out first.
 */
static bool svcg_request_dup(struct request_sock *copy,
			     const struct request_sock *req)
{
	const struct saved_syn *syn = req->saved_syn;

	if (syn) {
		copy->saved_syn = kmemdup(syn,
					  sizeof(*syn) + tcp_saved_syn_len(syn),
					  GFP_ATOMIC | __GFP_NOWARN);
		if (!copy->saved_syn)
			return false;
	}
	/* Not the request's family, which is that of its listener. */
	if (req->rsk_ops->family == AF_INET)
		return svcg_request_dup_ipv4(inet_rsk(copy), inet_rsk(req));
	return svcg_request_dup_ipv6(copy->rsk_listener, inet_rsk(copy),
				     inet_rsk(req));
}

/* A request begins as a sock does, and what is not copied as it is is in that part. */
static_assert(!offsetof(struct request_sock, __req_common) &&
	      !offsetof(struct inet_request_sock, req) &&
	      !offsetof(struct tcp_request_sock, req));
static_assert(offsetof(struct sock, sk_dontcopy_begin) <
	      offsetof(struct sock, sk_dontcopy_end));
static_assert(offsetof(struct sock, sk_dontcopy_end) <= sizeof(struct sock_common));

/* A copy that is in no table, for another listener, which it holds. */
static struct request_sock *svcg_request_copy(struct request_sock *req,
					      struct sock *listener)
{
	const struct sock *from = req_to_sk(req);
	struct request_sock *copy;
	struct sock *to;

	if (!refcount_inc_not_zero(&listener->sk_refcnt))
		return NULL;
	copy = kmem_cache_alloc(req->rsk_ops->slab, GFP_ATOMIC | __GFP_NOWARN);
	if (!copy) {
		sock_put(listener);
		return NULL;
	}
	to = req_to_sk(copy);
	memcpy(to, from, offsetof(struct sock, sk_dontcopy_begin));
	unsafe_memcpy(&to->sk_dontcopy_end, &from->sk_dontcopy_end,
		      req->rsk_ops->obj_size -
			      offsetof(struct sock, sk_dontcopy_end),
		      /* a request is larger than the sock in it */);
	sk_node_init(&to->sk_node);
	to->sk_tx_queue_mapping = from->sk_tx_queue_mapping;
#ifdef CONFIG_SOCK_RX_QUEUE_MAPPING
	to->sk_rx_queue_mapping = from->sk_rx_queue_mapping;
#endif
	to->sk_incoming_cpu = from->sk_incoming_cpu;
	copy->rsk_listener = listener;
	svcg_request_forget(copy);
	/* One of the table, one of the timer, and one of ours. */
	refcount_set(&copy->rsk_refcnt, 3);
	svcg_request_timer_init(copy, req);
	return copy;
}

static_assert(__same_type(((struct request_sock_queue *)0)->young, atomic_t));
static_assert(__same_type(((struct request_sock_queue *)0)->qlen, atomic_t));

static void svcg_request_added(struct sock *sk, const struct request_sock *req)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;

	if (!req->num_timeout)
		atomic_inc(&queue->young);
	atomic_inc(&queue->qlen);
}

static void svcg_request_removed(struct sock *sk,
				 const struct request_sock *req)
{
	reqsk_queue_removed(&inet_csk(sk)->icsk_accept_queue, req);
}

static enum svcg_moved svcg_request_replace(struct request_sock *req,
					    struct request_sock *copy)
{
	struct inet_hashinfo *hashinfo = tcp_get_hashinfo(copy->rsk_listener);
	spinlock_t *lock = inet_ehash_lockp(hashinfo, req->rsk_hash);
	enum svcg_moved moved = SVCG_MOVED_GONE;

	spin_lock_bh(lock);
	if (sk_hashed(req_to_sk(req)))
		moved = svcg_request_dup(copy, req) ? SVCG_MOVED :
						      SVCG_MOVED_FAILED;
	if (moved == SVCG_MOVED) {
		sk_nulls_replace_node_init_rcu(req_to_sk(req), req_to_sk(copy));
		/*
		 * An ACK that completes the handshake needs the lock, and stops
		 * the timer.
		 */
		mod_timer(&copy->rsk_timer, req->rsk_timer.expires);
	}
	spin_unlock_bh(lock);
	return moved;
}

enum svcg_moved svcg_request_move(struct request_sock *req, struct sock *from,
				  struct sock *to)
{
	struct request_sock *copy = NULL;
	enum svcg_moved moved;

	if (svcg_can_replace(to, from))
		copy = svcg_request_copy(req, to);
	if (!copy)
		return SVCG_MOVED_FAILED;
	svcg_point("hand_over");
	/* First, or it might be taken away before it was counted. */
	svcg_request_added(to, copy);
	moved = svcg_request_replace(req, copy);
	if (moved != SVCG_MOVED) {
		svcg_request_removed(to, copy);
		/* It was never found. */
		refcount_set(&copy->rsk_refcnt, 1);
		svcg_request_put(copy);
		return moved;
	}
	if (timer_delete_sync(&req->rsk_timer))
		svcg_request_put(req);
	svcg_request_removed(from, req);
	svcg_request_put(copy);
	svcg_point("hand_done");
	return SVCG_MOVED;
}

void svcg_request_put(struct request_sock *req)
{
	sock_gen_put(req_to_sk(req));
}
