/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this folder have from each other; Rust does not see it. */
#ifndef _SERVICE_GROUP_SOCKET_INTERNAL_H
#define _SERVICE_GROUP_SOCKET_INTERNAL_H

#include <linux/rcupdate.h>
#include <net/inet_connection_sock.h>

struct proto_ops;
struct tcp_ulp_ops;

/* ---- listener.c ---- */

/**
 * struct sg_hook - what a socket carries from when it was flagged to its end
 * @rcu: it is found under RCU, and freed a grace period after its socket's end
 * @member: the Rust side's member, which is owned, or NULL; set by who changes
 *	memberships, cleared under the socket lock
 * @lift: held while the backlog is lifted, see SG_LIFTED
 * @waits: a grace period is to pass after @flagged before it is armed; socket lock
 * @flagged: when it was flagged, of get_state_synchronize_rcu_full(), whose type
 *	has several names
 * @calls: whether the socket was given the operations of calls.c, and counts a
 *	reference to the module for them; socket lock
 * @left: whether it was taken out of a group by a call; socket lock
 */
struct sg_hook {
	struct rcu_head rcu;
	const void *member;
	spinlock_t lift;
	_Bool waits;
	unsigned long flagged[2];
	_Bool calls;
	_Bool left;
};

/* In sk_max_ack_backlog, while the accept queue takes one more than it should. */
#define SG_LIFTED BIT(31)
/* listen() cannot set the bit, and the kernel compares without a sign. */
static_assert(SG_LIFTED > INT_MAX);
static_assert(__same_type(((struct sock *)0)->sk_max_ack_backlog, u32));
static_assert(__same_type(((struct sock *)0)->sk_ack_backlog, u32));

/* What listen() asked for. */
static inline u32 sg_backlog(const struct sock *sk)
{
	return READ_ONCE(sk->sk_max_ack_backlog) & ~SG_LIFTED;
}

/* The flag. */
extern struct tcp_ulp_ops sg_ulp;

/*
 * Whether a listener can have what came for the other one: requests and
 * connections are of their listener's family, and so is who accepts them.
 */
static inline bool sg_can_replace(const struct sock *to, const struct sock *from)
{
	return to->sk_family == from->sk_family &&
	       net_eq(sock_net(to), sock_net(from));
}

/* Whether the socket has the module's upper layer protocol. */
static inline bool sg_flagged(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_ulp_ops) == &sg_ulp;
}

/* The hook that the socket carries, or NULL. Socket lock. */
static inline struct sg_hook *sg_attached_hook(const struct sock *sk)
{
	if (!sg_flagged(sk))
		return NULL;
	return rcu_dereference_protected(inet_csk(sk)->icsk_ulp_data,
					 lockdep_sock_is_held(sk));
}

/* The member that the socket is, or NULL. RCU read section. */
static inline const void *sg_member_of(const struct sock *sk)
{
	const struct sg_hook *hook;

	if (!sg_flagged(sk))
		return NULL;
	hook = rcu_dereference(inet_csk(sk)->icsk_ulp_data);
	return hook ? smp_load_acquire(&hook->member) : NULL;
}

/* ---- calls.c; the first three under the socket lock ---- */

/* Whether its operations are TCP's own, or the module's. */
_Bool sg_calls_fit(const struct sock *sk);
/* It carries a hook. */
void sg_calls_install(struct sock *sk);
/*
 * A reference to its file holds the socket open: who closes it has read which module
 * to put before he has the lock. Likewise for sg_calls_install().
 */
void sg_calls_uninstall(struct sock *sk);
/* When the module is loaded. */
void sg_calls_init(void);
/* ---- ops.c ---- */

/* TCP's own operations of a socket of its family. */
const struct proto_ops *sg_ops_of(const struct sock *sk);

/* Whether the option makes the socket another one, with other operations. */
_Bool sg_replaces_ops(int level, int name);
/*
 * Has the socket use what its operations were made of, if they are the module's
 * still, and puts their reference to it. The caller has another one.
 */
void sg_ops_give_back(struct socket *sock, const struct proto_ops *orig);

/* ---- ready.c ---- */

/* When the module is loaded. */
int sg_ready_init(void);
/* The socket lock, or nobody else sees the socket. */
void sg_ready_install(struct sock *sk);
void sg_ready_uninstall(struct sock *sk);
_Bool sg_ready_installed(const struct sock *sk);

/* ---- requests.c ---- */

/* Whether its packets are of one of the families, SG_IPV4 and SG_IPV6. */
_Bool sg_request_is_of(const struct request_sock *req, unsigned int families);

/* ---- face.c; process context ---- */

struct sg_face;

/* When the module is loaded. */
void sg_faces_init(void);
/* NULL without memory. */
struct sg_face *sg_face_new(void);
void sg_face_free(struct sg_face *face);
/*
 * Has getsockname() of a socket that was just accepted tell the listener's
 * address. False if there is no need: the face is the caller's still.
 */
_Bool sg_face_give(struct sg_face *face, const struct sock *listener,
		   struct socket *sock);

#endif /* _SERVICE_GROUP_SOCKET_INTERNAL_H */
