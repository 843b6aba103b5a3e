/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the shim have from each other; Rust does not see it. */
#ifndef _SERVICE_GROUP_SYS_H
#define _SERVICE_GROUP_SYS_H

struct sock;

/* ---- listener.c ---- */

/**
 * struct sg_hook - what a member carries
 * @sk: the socket; a hook that can be found under RCU has a live one, as a
 *	member is SOCK_RCU_FREE
 * @member: the Rust side's member
 * @calls: whether the socket was given the operations of calls.c, and counts a
 *	reference to the module for them; socket lock
 */
struct sg_hook {
	struct sock *sk;
	const void *member;
	_Bool calls;
};

/* The hook that the socket carries, or NULL. Socket lock. */
struct sg_hook *sg_attached_hook(const struct sock *sk);

/* Whether the socket has the module's upper layer protocol. */
_Bool sg_flagged(const struct sock *sk);

/* ---- calls.c; all of it under the socket lock ---- */

/* Makes sure that there are operations for it; false if it has strange ones. */
_Bool sg_calls_make(const struct sock *sk);
/* It carries a hook. */
void sg_calls_install(struct sock *sk);
/* A descriptor holds the socket open. */
void sg_calls_uninstall(struct sock *sk);

/* ---- face.c; process context ---- */

struct sg_face;
struct socket;

/* NULL without memory. */
struct sg_face *sg_face_new(void);
void sg_face_free(struct sg_face *face);
/*
 * Has getsockname() of a socket that was just accepted tell the listener's
 * address. False if there is no need: the face is the caller's still.
 */
_Bool sg_face_give(struct sg_face *face, const struct sock *listener,
		   struct socket *sock);

#endif /* _SERVICE_GROUP_SYS_H */
