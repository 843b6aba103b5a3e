/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this folder have from each other; Rust does not see it. */
#ifndef _SERVICE_GROUP_SOCKET_INTERNAL_H
#define _SERVICE_GROUP_SOCKET_INTERNAL_H

#include <linux/ipv6.h>
#include <linux/rcupdate.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>

#include "socket.h"

struct proto_ops;
struct tcp_ulp_ops;

/* ---- ulp.c ---- */

/**
 * struct svcg_ulp_ctx - what a socket carries from when it was given the ULP to
 * its end
 * @rcu: it is found under RCU, and freed a grace period after its socket's end
 * @member: the Rust side's member, which is owned, or NULL; set by what changes
 *	memberships, cleared under the socket lock
 * @lift: held while the backlog is lifted, see SVCG_LIFTED
 * @waits: a grace period is to pass after @attached before it is armed; socket
 *	lock
 * @attached: when it was given the ULP, of get_state_synchronize_rcu_full(),
 *	whose type has several names
 * @proto_ops: whether the socket was given the operations of proto_ops.c, and
 *	counts a reference to the module for them; socket lock
 * @left: whether it was taken out of a group by a call; socket lock
 */
struct svcg_ulp_ctx {
	struct rcu_head rcu;
	const void *member;
	spinlock_t lift;
	_Bool waits;
	unsigned long attached[2];
	_Bool proto_ops;
	_Bool left;
};

/* In sk_max_ack_backlog, while the accept queue takes one more than it should. */
#define SVCG_LIFTED BIT(31)
/* listen() cannot set the bit, and the kernel compares without a sign. */
static_assert(SVCG_LIFTED > INT_MAX);
static_assert(__same_type(((struct sock *)0)->sk_max_ack_backlog, u32));
static_assert(__same_type(((struct sock *)0)->sk_ack_backlog, u32));

/* What listen() asked for. */
static inline u32 svcg_backlog(const struct sock *sk)
{
	return READ_ONCE(sk->sk_max_ack_backlog) & ~SVCG_LIFTED;
}

/* How full a listener is. */
static inline void svcg_load_read(const struct sock *sk, struct svcg_load *load)
{
	load->queued = READ_ONCE(sk->sk_ack_backlog);
	load->reqsk_qlen = inet_csk_reqsk_queue_len(sk);
	load->backlog = svcg_backlog(sk);
}

/* Which packets a listener is looked up for, as compute_score() has it. */
static inline bool svcg_serves_ipv4(const struct sock *sk)
{
	return sk->sk_family != AF_INET6 || !ipv6_only_sock(sk);
}

static inline bool svcg_serves_ipv6(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	return sk->sk_family == AF_INET6 &&
	       !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr);
#else
	return false;
#endif
}

/* The upper layer protocol. */
extern struct tcp_ulp_ops svcg_ulp;

/*
 * Whether a listener can have what came for the other one: requests and
 * connections are of their listener's family, and so are accepted sockets.
 */
static inline bool svcg_can_replace(const struct sock *to,
				    const struct sock *from)
{
	return to->sk_family == from->sk_family &&
	       net_eq(sock_net(to), sock_net(from));
}

/* Whether the socket has the module's upper layer protocol. */
static inline bool svcg_has_ulp(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_ulp_ops) == &svcg_ulp;
}

/* The context that the socket carries, or NULL. Socket lock. */
static inline struct svcg_ulp_ctx *svcg_ulp_ctx_of(const struct sock *sk)
{
	if (!svcg_has_ulp(sk))
		return NULL;
	return rcu_dereference_protected(inet_csk(sk)->icsk_ulp_data,
					 lockdep_sock_is_held(sk));
}

/* The same without the lock. RCU read section. */
static inline struct svcg_ulp_ctx *svcg_ulp_ctx_rcu(const struct sock *sk)
{
	if (!svcg_has_ulp(sk))
		return NULL;
	return rcu_dereference(inet_csk(sk)->icsk_ulp_data);
}

/* The member of a context, or NULL, also of none. */
static inline const void *svcg_ulp_ctx_member(const struct svcg_ulp_ctx *ctx)
{
	return ctx ? smp_load_acquire(&ctx->member) : NULL;
}

/* The member that the socket is, or NULL. RCU read section. */
static inline const void *svcg_member_of(const struct sock *sk)
{
	return svcg_ulp_ctx_member(svcg_ulp_ctx_rcu(sk));
}

/* ---- af_ops.c ---- */

/*
 * Makes sure that the module has operations that stand for these; false if they are
 * not TCP's own. Process context.
 */
_Bool svcg_af_ops_make(const struct inet_connection_sock_af_ops *orig);
/* Has the socket use them, if there are any. Socket lock. */
void svcg_af_ops_install(struct sock *sk);
/*
 * Gives the socket its own back, if it has the module's still. The socket lock,
 * or nothing else has found the socket.
 */
void svcg_af_ops_uninstall(struct sock *sk);
/* Takes off a child what it was copied with, before anything else finds it. */
void svcg_child_strip(struct sock *child);

/* ---- proto_ops.c; the first three under the socket lock ---- */

/* Whether its operations are TCP's own, or the module's. */
_Bool svcg_proto_ops_fit(const struct sock *sk);
/* It carries a context. */
void svcg_proto_ops_install(struct sock *sk);
/*
 * A reference to its file holds the socket open: close() reads which module to put
 * before it has the lock. Likewise for svcg_proto_ops_install().
 */
void svcg_proto_ops_uninstall(struct sock *sk);
/* When the module is loaded. */
void svcg_proto_ops_init(void);

/* ---- ops.c ---- */

/* TCP's own operations of a socket of its family. Each accept() and poll() asks. */
static inline const struct proto_ops *svcg_orig_proto_ops(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return &inet6_stream_ops;
#endif
	return &inet_stream_ops;
}

/* A new socket has operations that are TCP's own. When the module is loaded. */
void svcg_af_ops_learn(const struct sock *sk);
/*
 * Whether these are TCP's own, which are there for ever. Those of SMC and MPTCP have
 * another syn_recv_sock, and may be part of what ends.
 */
_Bool svcg_af_ops_known(const struct inet_connection_sock_af_ops *orig);
/* Whether the option makes the socket another one, with other operations. */
_Bool svcg_replaces_proto_ops(int level, int name);
/*
 * Has the socket use what its operations were made of, if they are the module's
 * still, which is told, and puts their reference to it. The caller has another one.
 */
_Bool svcg_proto_ops_give_back(struct socket *sock,
			       const struct proto_ops *orig);

/* ---- ready.c ---- */

/* When the module is loaded. */
int svcg_ready_init(void);
/* The socket lock, or nothing else has found the socket. */
void svcg_ready_install(struct sock *sk);
void svcg_ready_uninstall(struct sock *sk);
_Bool svcg_ready_installed(const struct sock *sk);

/* ---- requests.c ---- */

/* Whether its packets are of one of the families, SVCG_IPV4 and SVCG_IPV6. */
_Bool svcg_request_is_of(const struct request_sock *req, unsigned int families);

/* ---- sockname.c; process context ---- */

struct svcg_sockname;

/* When the module is loaded. */
void svcg_socknames_init(void);
/* NULL without memory. */
struct svcg_sockname *svcg_sockname_new(void);
void svcg_sockname_free(struct svcg_sockname *sockname);
/*
 * Has getsockname() of a socket that was just accepted tell the listener's
 * address. False if there is no need: the name is the caller's still.
 */
_Bool svcg_sockname_give(struct svcg_sockname *sockname,
			 const struct sock *listener, struct socket *sock);

#endif /* _SERVICE_GROUP_SOCKET_INTERNAL_H */
