/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim about listening sockets; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_SOCKET_H
#define _SERVICE_GROUP_SOCKET_H

#include <linux/service_group.h>
#include <linux/service_group_netlink.h>

struct net;
struct request_sock;
struct sg_hook;
struct sg_trail;
struct sk_buff;
struct sock;
struct socket;

/* ---- sock.c: what a socket is ---- */

/* What kind of socket it is. */
enum sg_kind { SG_KIND_TCP, SG_KIND_MPTCP, SG_KIND_OTHER };

/* What the route of a SYN-ACK asks of a listener, beside its mark and its TOS. */
#define SG_ROUTE_TRANSPARENT	1
#define SG_ROUTE_LOCAL		2

struct sg_facts {
	unsigned long long programs;
	unsigned int	mark;
	unsigned int	queued;
	unsigned int	half_open;
	unsigned int	backlog;
	unsigned int	device;
	unsigned short	port;
	unsigned short	min_ttl;
	unsigned char	tos;
	unsigned char	route;
	_Bool		closed;
	_Bool		listening;
	_Bool		hooked;
	_Bool		guarded;
	_Bool		ipv6_socket;
	_Bool		serves_ipv4;
	_Bool		serves_ipv6;
};

struct sg_identity {
	unsigned long long cookie;
	unsigned long long inode;
	unsigned short	family;
	unsigned short	port;
	unsigned char	address[16];
};

enum sg_kind sg_sock_kind(const struct sock *sk);
struct net *sg_sock_net(const struct sock *sk);
/* The owner's user id in the initial user namespace. */
unsigned int sg_sock_uid(const struct sock *sk);
void sg_sock_put(struct sock *sk);
/* RCU read section; false if the last reference is gone. */
_Bool sg_sock_get_unless_zero(struct sock *sk);
/* Process context. */
void sg_sock_lock(struct sock *sk);
/* The same without waiting for who has it; false if somebody has. */
_Bool sg_sock_try_lock(struct sock *sk);
/* Waits for who has it until then, of sg_clock(), or until the caller is killed. */
_Bool sg_sock_lock_until(struct sock *sk, unsigned long long until);
void sg_sock_unlock(struct sock *sk);
/* Has it be found by packets no more; it goes on listening. Socket lock. */
void sg_sock_hide(struct sock *sk);
/**
 * struct sg_load - how full a listener is
 * @queued: connections in its accept queue
 * @half_open: request sockets that wait for the final ACK
 * @backlog: what listen() asked for
 */
struct sg_load {
	unsigned int queued;
	unsigned int half_open;
	unsigned int backlog;
};

/* Connections in its accept queue; whether that takes another one. */
unsigned int sg_sock_queued(const struct sock *sk);
_Bool sg_sock_has_room(const struct sock *sk);
/*
 * How many wait for its connections; whether one of them sleeps in accept().
 * RCU read section.
 */
unsigned int sg_sock_waiters(const struct sock *sk, _Bool *accepts);
/* Whether some task has it locked at the moment. */
_Bool sg_sock_is_owned(const struct sock *sk);
/* Wakes whoever waits for connections. RCU read section. */
void sg_sock_wake(struct sock *sk);
void sg_sock_facts(const struct sock *sk, struct sg_facts *facts);
void sg_sock_identity(struct sock *sk, struct sg_identity *identity);
unsigned long long sg_sock_cookie(struct sock *sk);

/* ---- listener.c: the flag on a socket, and the hook in its operations ---- */

/* Whether it has been a member, and left by itself. Socket lock. */
_Bool sg_has_left(const struct sock *sk);
/* Whether what its program calls is seen. RCU read section. */
_Bool sg_has_calls(const struct sock *sk);
/* Whether the socket's operations are the module's. */
_Bool sg_hooked(const struct sock *sk);
/*
 * The member of the hook in the socket's operations, and how full the socket is;
 * or NULL if there is none. RCU read section.
 */
const void *sg_hooked_member(const struct sock *sk, struct sg_load *load);
/* The member of the hook that the socket carries, or NULL. Socket lock. */
const void *sg_attached_member(const struct sock *sk);
/* The same without the lock: RCU read section. */
const void *sg_flagged_member(const struct sock *sk);
/*
 * Whether the socket can be flagged: -EALREADY if it is a member, -EEXIST if it
 * has another upper layer protocol, is in a sockmap, or has operations that
 * are not the kernel's own. Socket lock.
 */
int sg_flag_check(struct sock *sk);
/*
 * Flag the socket, with the module's upper layer protocol. The flag stays until
 * the socket ends, and means nothing without a member. 1 if a grace period is to
 * pass before it is armed, 0 if not; errors as above. `hook` is what the socket
 * carries from then on; NULL is left there if it was taken. Socket lock.
 */
int sg_flag(struct sock *sk, struct sg_hook **hook);
/* What a socket is to carry; NULL if there is no memory. May sleep. */
struct sg_hook *sg_hook_new(void);
/* Free one that no socket has taken, or NULL. */
void sg_hook_free(struct sg_hook *hook);
/*
 * Have a socket that was flagged ready to be a member: -EBUSY if it was not, or if a
 * grace period is still to pass. Socket lock.
 */
int sg_arm(struct sock *sk);
/*
 * Whether it is: -EALREADY if it is a member, -EBUSY if not. RCU read section; it
 * stays so as long as nobody else changes memberships.
 */
int sg_arm_check(const struct sock *sk);
/*
 * Make the socket, which is open and armed, a member, and have it own that. False if
 * it was not flagged, or is one. No lock of the socket; RCU read section.
 */
_Bool sg_attach(struct sock *sk, const void *member);
/*
 * Undo that, and the arming, and give the member back, or NULL. RCU readers may still
 * see it. Socket lock.
 */
const void *sg_detach(struct sock *sk);
/*
 * What @taker would do with a SYN for @home if it had no hook; or what @home would,
 * if @taker does not serve the packet's family. RCU read section.
 */
int sg_original_conn_request(struct sock *home, struct sock *taker,
			     struct sk_buff *skb);
int sg_ulp_register(void);
/* Waits for a grace period. */
void sg_ulp_unregister(void);
int sg_info_put_id(struct sk_buff *skb, unsigned int id);

/* ---- syn.c: what else becomes of a SYN ---- */

/* After @taker has answered a SYN for @home. RCU read section. */
void sg_cookies_follow(struct sock *home, const struct sock *taker);
/* Count a SYN of the listener that is not served, as the kernel does. */
void sg_count_drop(struct sock *sk);
/* Answer it with a reset. Bottom halves off. */
void sg_send_reset(const struct sock *sk, struct sk_buff *skb);
_Bool sg_skb_is_ipv6(const struct sk_buff *skb);

/* ---- requests.c: half-open requests; process context ---- */

enum sg_moved {
	SG_MOVED,
	SG_MOVED_GONE,	/* it was not there any more */
	SG_MOVED_NOT,	/* without memory, or the other one ends or is no match */
};

/* Of which families requests are looked for. */
#define SG_IPV4 1
#define SG_IPV6 2

/*
 * A request of the listener, with a reference to it, or NULL. @bucket is zero at
 * first, and is where the search goes on.
 */
struct request_sock *sg_request_next(const struct sock *from,
				     unsigned int families,
				     unsigned int *bucket);
/* Moves the request to another listener of its family. RCU read section. */
enum sg_moved sg_request_move(struct request_sock *req, struct sock *from,
			      struct sock *to);
void sg_request_put(struct request_sock *req);

/* ---- adopt.c: sockets that begin to listen ---- */

/* Finds the tracepoint, when the module is loaded. */
void sg_listen_init(void);
/* When this returns nobody is told any more, and nobody is being told. */
void sg_listen_exit(void);
/*
 * Has sg_listen_begins() called, until sg_listen_unwatch() was called as often.
 * -EOPNOTSUPP if the kernel has no tracepoints, -ENOMEM. Process context.
 */
int sg_listen_watch(void);
void sg_listen_unwatch(void);
/*
 * Has sg_listen_begun() called, with no lock held and before the calling task
 * returns to its program. -ENOMEM, or -ESRCH if it does not. Process context.
 */
int sg_adopt_later(struct sock *sk, void *group);
/* What makes it one of several that can stand for each other. */
struct sg_place {
	unsigned int	device;
	unsigned short	family;
	unsigned short	port;
	unsigned char	address[16];
	_Bool		serves_ipv4;
};

void sg_sock_place(const struct sock *sk, struct sg_place *place);

/* ---- trail.c: what became of connections ---- */

/* A connection; ports in host byte order, addresses in network byte order. */
struct sg_flow {
	unsigned short	family;		/* AF_INET, AF_INET6: of its packets */
	unsigned short	local_port;
	unsigned short	peer_port;
	unsigned char	local[16];	/* an IPv4 address has four bytes */
	unsigned char	peer[16];
};

/* What became of one; all zero: nothing is known. */
struct sg_record {
	struct sg_flow	flow;
	unsigned int	group;
	unsigned int	outcome;	/* enum service_group_outcome */
	unsigned int	reason;		/* enum service_group_reason */
	unsigned int	moves;
	unsigned long long home;	/* cookies */
	unsigned long long taker;
	unsigned long long time;	/* sg_now() */
};

#define SG_TRAIL_SLOTS 256

/* Process context; NULL without memory. */
struct sg_trail *sg_trail_new(void);
void sg_trail_free(struct sg_trail *trail);
/* @slot is below SG_TRAIL_SLOTS. No other slot is locked. */
struct sg_record *sg_trail_lock(struct sg_trail *trail, unsigned int slot);
void sg_trail_unlock(struct sg_trail *trail, unsigned int slot);

/* The packet is at its TCP header. */
void sg_flow_of_packet(const struct sk_buff *skb, struct sg_flow *flow);
void sg_flow_of_request(const struct request_sock *req, struct sg_flow *flow);

/* ---- trace.c: tracepoints ---- */

/* @from is the cookie of the member that had the connection until now. */
void sg_trace_decision(const struct sg_record *record, unsigned long long from);
void sg_trace_stall(_Bool begins, unsigned int group, unsigned long long member,
		    unsigned int queued);

/* ---- queue.c: accept queues ---- */

/*
 * Moves the oldest connection of these families that can be moved from one
 * accept queue to another, tells which, and wakes its new owner, who gets it
 * @first or last. With @home it is the oldest that is looked up for that one,
 * among the first of the queue. False if there is none, or if @to does not listen
 * any more, or is of another family or namespace. Process context, socket lock of @from, RCU read section.
 */
_Bool sg_queue_move(struct sock *from, struct sock *to, unsigned int families,
		    const struct sock *home, _Bool first, struct sg_flow *flow);
/* Which connection would be moved next; false if there is none. */
_Bool sg_queue_next_flow(struct sock *from, unsigned int families,
			 struct sg_flow *flow);

/*
 * When the handshake of the connection began that would be moved so, in
 * microseconds; ULLONG_MAX if there is none, 0 if it is not known, as with SYN
 * cookies. With a home listener, as many connections are asked for theirs as there
 * are @lookups left; it is not read without one. RCU read section.
 */
unsigned long long sg_queue_since(struct sock *sk, unsigned int families,
				  const struct sock *home,
				  unsigned int *lookups);

/* ---- option.c: the socket options; all of it process context ---- */

int sg_option_register(void);
void sg_option_unregister(void);
/* @from is the sockptr_t of the option. 0 or -EFAULT. */
int sg_option_copy_from(void *to, const void *from, unsigned int len);
int sg_option_copy_to(void *to, const void *from, unsigned int len);

/* A reference to the socket, or an error pointer: -EBADF, -ENOTSOCK. */
struct socket *sg_socket_from_fd(int fd);
void sg_socket_put(struct socket *sock);
struct sock *sg_socket_sock(const struct socket *sock);

struct sg_address {
	unsigned short	family;		/* AF_INET, AF_INET6 */
	unsigned short	port;		/* 0: the kernel chooses one */
	unsigned int	scope_id;
	unsigned char	address[16];	/* network byte order */
};

/* What binding changes, to put it back. */
struct sg_unbound {
	unsigned int	device;
	unsigned int	userlocks;
	_Bool		reuseport;
	_Bool		ipv6only;
};

unsigned short sg_sock_family(const struct sock *sk);
/*
 * Takes the socket lock itself, if it can until then: else -EBUSY. On an error
 * nothing has changed, but for SO_REUSEPORT of a socket that somebody has locked since.
 */
int sg_socket_bind(struct socket *sock, const struct sg_address *address,
		   _Bool reuseport, unsigned long long until,
		   struct sg_unbound *before);
/*
 * Takes the socket lock itself. A socket that listens by now stays bound, and so does
 * one that somebody has locked.
 */
void sg_socket_unbind(struct socket *sock, const struct sg_unbound *before,
		      unsigned long long until);

#endif /* _SERVICE_GROUP_SOCKET_H */
