/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C calls in Rust for groups: group.rs has all of it, but for the commands of
 * netlink, which the generated netlink_gen.h declares.
 */
#ifndef _SERVICE_GROUP_CALLBACKS_GROUP_H
#define _SERVICE_GROUP_CALLBACKS_GROUP_H

#include "socket/socket.h"

struct net;
struct svcg_tick;
struct sk_buff;
struct sock;
struct socket;

/* ---- af_ops.c, ulp.c, ready.c ---- */

/* A SYN for @sk, which is armed; RCU read section, bottom halves off. */
int svcg_conn_request(struct sock *sk, struct sk_buff *skb);
/*
 * A connection is about to be queued with @sk; with @fast_open, before its handshake
 * is complete. True if the accept queue is full, and is to take one more, which a
 * sibling will take off. RCU read section, bottom halves off.
 */
_Bool svcg_connection_comes(struct sock *sk, struct sk_buff *skb,
			    _Bool fast_open);
/* A connection was queued, in a call that has ended another listener. RCU read section. */
void svcg_connection_queued(struct sock *sk);
/* The socket is about to be freed, and gives @member up. Atomic. */
void svcg_member_gone(struct sock *sk, const void *member);
/* For sock_diag: attributes of the member. RCU read section. */
int svcg_member_info(const void *member, struct sk_buff *skb);

/* ---- proto_ops.c: process context; @sk may be no member by now ---- */

/*
 * Its program polls for connections, and sees one if it is @readable. Whether
 * there is one for it elsewhere, which an accept() would get.
 */
_Bool svcg_member_polls(struct sock *sk, _Bool readable);
/*
 * Its program is about to accept, and to sleep if there is nothing: is given a
 * connection if it has none. Whether the program is to be shown the member's
 * address. Not locked.
 */
_Bool svcg_member_accepts(struct sock *sk, _Bool sleeps);
/* It has called listen(). */
void svcg_member_listens(struct sock *sk);
/* The program of @member, whose socket is @sk, has accepted. RCU read section. */
void svcg_member_accepted(const void *member, struct sock *sk, _Bool rewritten);
/* It is about to be closed for good, or to stop listening; and it has. */
void svcg_member_leaves(struct sock *sk, _Bool closes);
void svcg_member_stopped(struct sock *sk);

/* ---- adopt.c: process context ---- */

/* A TCP socket is about to listen, and is not found yet. Socket lock. */
void svcg_listen_begins(struct sock *sk);
/*
 * It does, or could not. @sock comes with a reference to its file, and is NULL if it
 * was closed; @group is what svcg_adopt_later() was given.
 */
void svcg_listen_begun(struct socket *sock, void *group);

/* ---- stall_timer.c: process context ---- */

void svcg_tick(const void *state, unsigned long long account,
	       struct svcg_tick *tick);

/* ---- option.c: @option is a sockptr_t, @to a user's pointer ---- */

int svcg_option_set(struct sock *sk, int name, const void *option,
		    unsigned int len);
int svcg_option_get(struct sock *sk, int name, void *to, int *len);

/* ---- netns.c: process context ---- */

void *svcg_netns_new(struct net *net);
void svcg_netns_free(void *state);

#endif /* _SERVICE_GROUP_CALLBACKS_GROUP_H */
