// SPDX-License-Identifier: GPL-2.0
/*
 * Moves connections from one accept queue to another.
 *
 * inet_csk_accept() checks that its queue is not empty and then takes from it
 * without looking again, under the listener's lock; so whoever else takes from
 * a queue holds that lock. Adding needs the queue's own lock only, and the
 * check of the state that inet_csk_reqsk_queue_add() makes under it.
 *
 * The request keeps its reference to the listener that it came for. Nothing
 * reads it for an accepted or forgotten connection, except for TCP Fast Open
 * ones whose handshake is not complete, and those are left where they are.
 */
#include <linux/rcupdate.h>
#include <net/inet6_hashtables.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/tcp.h>

#include "core/hold.h"
#include "internal.h"
#include "socket.h"

/* So many of a queue are looked at for one of a certain home listener. */
#define SVCG_DEPTH 64U
/*
 * And so many for one that can be moved at all. A queue may be as long as its owner
 * likes, as net.core.somaxconn is a namespace's own, and others' packets wait
 * meanwhile: bottom halves are off.
 */
#define SVCG_REACH 256U

/*
 * Whether the kernel would look the listener up for the connection now. A BPF
 * program of a reuseport group is not asked, as there is no packet.
 */
static bool svcg_request_is_at_home(const struct request_sock *req,
				    const struct sock *home)
{
	const struct inet_request_sock *ireq = inet_rsk(req);
	const struct net *net = sock_net(home);

	if (req->rsk_listener == home)
		return true;
	/* Not the request's family, which is that of its listener. */
	if (req->rsk_ops->family == AF_INET)
		return home == __inet_lookup_listener(net, NULL, 0,
						      ireq->ir_rmt_addr,
						      ireq->ir_rmt_port,
						      ireq->ir_loc_addr,
						      ireq->ir_num,
						      ireq->ir_iif, 0);
#if IS_ENABLED(CONFIG_IPV6)
	return home == inet6_lookup_listener(net, NULL, 0,
					     &ireq->ir_v6_rmt_addr,
					     ireq->ir_rmt_port,
					     &ireq->ir_v6_loc_addr,
					     ireq->ir_num, ireq->ir_iif, 0);
#else
	return false;
#endif
}

/*
 * The oldest request that can be moved, of this home listener if there is one,
 * and the request before it. At most @left are looked at, and counted in @looks.
 * What is behind the first ones is found when those are gone. RCU read section.
 */
static struct request_sock *svcg_queue_oldest(struct request_sock_queue *queue,
					      unsigned int families,
					      const struct sock *home,
					      unsigned int left,
					      unsigned long long *looks,
					      struct request_sock **before)
{
	struct request_sock *req;

	*before = NULL;
	for (req = queue->rskq_accept_head; req && left; req = req->dl_next) {
		left--;
		++*looks;
		if (!tcp_rsk(req)->tfo_listener &&
		    svcg_request_is_of(req, families) &&
		    (!home || svcg_request_is_at_home(req, home)))
			return req;
		*before = req;
	}
	return NULL;
}

/* An accept queue is a list of requests by their dl_next, with both ends. */
static_assert(__same_type(((struct request_sock_queue *)0)->rskq_accept_head,
			  struct request_sock *));
static_assert(__same_type(((struct request_sock_queue *)0)->rskq_accept_tail,
			  struct request_sock *));
static_assert(__same_type(((struct request_sock *)0)->dl_next,
			  struct request_sock *));

static struct request_sock *svcg_queue_take(struct sock *sk,
					    unsigned int families,
					    const struct sock *home,
					    unsigned long long *looks)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	unsigned int left = home ? SVCG_DEPTH : SVCG_REACH;
	struct request_sock *req, *before;

	sock_owned_by_me(sk);
	spin_lock_bh(&queue->rskq_lock);
	req = svcg_queue_oldest(queue, families, home, left, looks, &before);
	if (req) {
		if (before)
			before->dl_next = req->dl_next;
		else
			WRITE_ONCE(queue->rskq_accept_head, req->dl_next);
		if (queue->rskq_accept_tail == req)
			queue->rskq_accept_tail = before;
		sk_acceptq_removed(sk);
	}
	spin_unlock_bh(&queue->rskq_lock);
	return req;
}

static bool svcg_queue_add(struct sock *sk, struct request_sock *req,
			   bool first)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	bool listening;

	spin_lock_bh(&queue->rskq_lock);
	listening = sk->sk_state == TCP_LISTEN;
	if (listening) {
		first |= !queue->rskq_accept_head;
		req->dl_next = first ? queue->rskq_accept_head : NULL;
		if (!req->dl_next) {
			if (!first)
				queue->rskq_accept_tail->dl_next = req;
			queue->rskq_accept_tail = req;
		}
		if (first)
			WRITE_ONCE(queue->rskq_accept_head, req);
		sk_acceptq_added(sk);
	}
	spin_unlock_bh(&queue->rskq_lock);
	return listening;
}

_Bool svcg_queue_move(struct sock *from, struct sock *to, unsigned int families,
		      const struct sock *home, _Bool first,
		      struct svcg_flow *flow, unsigned long long *looks)
{
	struct request_sock *req;

	/* A listener whose lock is held here cannot stop: it can go back. */
	if (from->sk_state != TCP_LISTEN || !svcg_can_replace(to, from))
		return false;
	req = svcg_queue_take(from, families, home, looks);
	if (!req)
		return false;
	/* As soon as it is queued it may be accepted and gone. */
	svcg_flow_of_request(req, flow);
	svcg_point("move");
	if (!svcg_queue_add(to, req, first)) {
		svcg_queue_add(from, req, true);
		/* A program that has looked meanwhile has seen nothing. */
		svcg_sock_wake(from);
		return false;
	}
	svcg_sock_wake(to);
	svcg_point("move_done");
	return true;
}

_Bool svcg_queue_next_flow(struct sock *from, unsigned int families,
			   struct svcg_flow *flow, unsigned long long *looks)
{
	struct request_sock_queue *queue = &inet_csk(from)->icsk_accept_queue;
	struct request_sock *req, *before;

	spin_lock_bh(&queue->rskq_lock);
	req = svcg_queue_oldest(queue, families, NULL, SVCG_REACH, looks,
				&before);
	/* It has kept what it was when it was half-open. */
	if (req)
		svcg_flow_of_request(req, flow);
	spin_unlock_bh(&queue->rskq_lock);
	return req;
}

/* Microseconds need all of it. */
static_assert(__same_type(((struct tcp_request_sock *)0)->snt_synack, u64));

unsigned long long svcg_queue_since(struct sock *sk, unsigned int families,
				    const struct sock *home,
				    unsigned int lookups,
				    unsigned long long *looks)
{
	struct request_sock_queue *queue = &inet_csk(sk)->icsk_accept_queue;
	unsigned int left = home ? min(lookups, SVCG_DEPTH) : SVCG_REACH;
	struct request_sock *req, *before;
	unsigned long long since;

	svcg_point("seen");
	spin_lock_bh(&queue->rskq_lock);
	req = svcg_queue_oldest(queue, families, home, left, looks, &before);
	since = req ? tcp_rsk(req)->snt_synack : ULLONG_MAX;
	spin_unlock_bh(&queue->rskq_lock);
	return since;
}
