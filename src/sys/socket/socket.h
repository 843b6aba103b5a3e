/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim about listening sockets; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_SOCKET_H
#define _SERVICE_GROUP_SOCKET_H

#include <linux/service_group.h>
#include <linux/service_group_netlink.h>

struct net;
struct request_sock;
struct svcg_link;
struct svcg_ulp_ctx;
struct svcg_flowlog;
struct sk_buff;
struct sock;
struct socket;

/* ---- sock.c: what a socket is ---- */

/* What kind of socket it is. */
enum svcg_kind { SVCG_KIND_TCP, SVCG_KIND_MPTCP, SVCG_KIND_OTHER };

/* What the route of a SYN-ACK asks of a listener, beside its mark and its TOS. */
#define SVCG_ROUTE_TRANSPARENT	1
#define SVCG_ROUTE_LOCAL	2

/**
 * struct svcg_load - how full a listener is
 * @queued: connections in its accept queue
 * @reqsk_qlen: request sockets that wait for the final ACK
 * @backlog: what listen() asked for
 */
struct svcg_load {
	unsigned int queued;
	unsigned int reqsk_qlen;
	unsigned int backlog;
};

struct svcg_facts {
	unsigned long long programs;
	struct svcg_load load;
	unsigned int	mark;
	unsigned int	device;
	unsigned short	port;
	unsigned short	min_ttl;
	unsigned char	tos;
	unsigned char	route;
	_Bool		closed;
	_Bool		listening;
	_Bool		hooked;
	_Bool		has_rx_policy;
	_Bool		ipv6_socket;
	_Bool		serves_ipv4;
	_Bool		serves_ipv6;
};

struct svcg_identity {
	unsigned long long cookie;
	unsigned long long inode;
	unsigned short	family;
	unsigned short	port;
	unsigned char	address[16];
};

enum svcg_kind svcg_sock_kind(const struct sock *sk);
struct net *svcg_sock_net(const struct sock *sk);
/* The owner's user id in the initial user namespace. */
unsigned int svcg_sock_uid(const struct sock *sk);
void svcg_sock_put(struct sock *sk);
/* RCU read section; false if the last reference is gone. */
_Bool svcg_sock_get_unless_zero(struct sock *sk);
/* Process context. */
void svcg_sock_lock(struct sock *sk);
/* The same without waiting; false if it is locked. */
_Bool svcg_sock_try_lock(struct sock *sk);
/*
 * Waits for the lock until then, of svcg_clock(), or until the caller is
 * killed.
 */
_Bool svcg_sock_lock_until(struct sock *sk, unsigned long long until);
void svcg_sock_unlock(struct sock *sk);
/* Has it be found by packets no more; it goes on listening. Socket lock. */
void svcg_sock_unhash(struct sock *sk);
/* Connections in its accept queue; whether that takes another one. */
unsigned int svcg_sock_queued(const struct sock *sk);
_Bool svcg_sock_has_room(const struct sock *sk);
/*
 * How many wait for its connections; whether one of them sleeps in accept().
 * RCU read section.
 */
unsigned int svcg_sock_waiters(const struct sock *sk, _Bool *accepts);
/* Whether some task has it locked at the moment. */
_Bool svcg_sock_is_owned(const struct sock *sk);
/* Wakes the tasks that wait for connections. RCU read section. */
void svcg_sock_wake(struct sock *sk);
void svcg_sock_facts(const struct sock *sk, struct svcg_facts *facts);
void svcg_sock_identity(struct sock *sk, struct svcg_identity *identity);
unsigned long long svcg_sock_cookie(struct sock *sk);

/* ---- af_ops.c: the hook in the operations ---- */

/* Whether the socket's operations are the module's. */
_Bool svcg_hooked(const struct sock *sk);
/*
 * The member of the hook in the socket's operations, and how full the socket is;
 * or NULL if there is none. RCU read section.
 */
const void *svcg_hooked_member(const struct sock *sk, struct svcg_load *load);
/*
 * What @target would do with a SYN for @home if it had no hook; or what @home
 * would, if @target does not serve the packet's family. RCU read section.
 */
int svcg_original_conn_request(struct sock *home, struct sock *target,
			       struct sk_buff *skb);

/* ---- ulp.c: the ULP ---- */

/* Whether it has been a member, and left by itself. Socket lock. */
_Bool svcg_has_left(const struct sock *sk);
/* Whether what its program calls is seen. RCU read section. */
_Bool svcg_has_proto_ops(const struct sock *sk);
/* The member of the context that the socket carries, or NULL. Socket lock. */
const void *svcg_attached_member(const struct sock *sk);
/* The same without the lock: RCU read section. */
const void *svcg_ulp_member(const struct sock *sk);
/*
 * Whether the socket can be given the ULP: -EALREADY if it is a member, -EEXIST
 * if it has another upper layer protocol, is in a sockmap, or has operations
 * that are not the kernel's own. Socket lock.
 */
int svcg_ulp_check(struct sock *sk);
/*
 * Give the socket the module's upper layer protocol (ULP), which stays until
 * the socket ends, and means nothing without a member. 1 if a grace period is to
 * pass before it is armed, 0 if not; errors as above. `ctx` is what the socket
 * carries from then on; NULL is left there if it was taken. Socket lock.
 */
int svcg_ulp_attach(struct sock *sk, struct svcg_ulp_ctx **ctx);
/* What a socket is to carry; NULL if there is no memory. May sleep. */
struct svcg_ulp_ctx *svcg_ulp_ctx_new(void);
/* Free one that no socket has taken, or NULL. */
void svcg_ulp_ctx_free(struct svcg_ulp_ctx *ctx);
/*
 * Have a socket that was given the ULP ready to be a member: -EBUSY if it was
 * not, or if a grace period is still to pass. Socket lock.
 */
int svcg_arm(struct sock *sk);
/*
 * Whether it is: -EALREADY if it is a member, -EBUSY if not. RCU read section; it
 * stays so as long as nobody else changes memberships.
 */
int svcg_arm_check(const struct sock *sk);
/*
 * Make the socket, which is open and armed, a member, and have it own that. False if
 * it has no ULP, or is one. No lock of the socket; RCU read section.
 */
_Bool svcg_member_attach(struct sock *sk, const void *member);
/*
 * Undo that, and the arming, and give the member back, or NULL. RCU readers may still
 * see it. Socket lock.
 */
const void *svcg_member_detach(struct sock *sk);
int svcg_ulp_register(void);
/* Waits for a grace period. */
void svcg_ulp_unregister(void);
int svcg_info_put_id(struct sk_buff *skb, unsigned int id);

/* ---- syn.c: what else becomes of a SYN ---- */

/* After @target has answered a SYN for @home. RCU read section. */
void svcg_cookies_follow(struct sock *home, const struct sock *target);
/* Count a SYN of the listener that is not served, as the kernel does. */
void svcg_count_drop(struct sock *sk);
/* Answer it with a reset. Bottom halves off. */
void svcg_send_reset(const struct sock *sk, struct sk_buff *skb);
_Bool svcg_skb_is_ipv6(const struct sk_buff *skb);

/* ---- requests.c: half-open requests; process context ---- */

enum svcg_moved {
	SVCG_MOVED,
	SVCG_MOVED_GONE, /* it was not there any more */
	SVCG_MOVED_FAILED, /* without memory, or the other one ends or is no match */
};

/* Of which families requests are looked for. */
#define SVCG_IPV4 1
#define SVCG_IPV6 2

/*
 * A request of the listener, with a reference to it, or NULL. @bucket is zero at
 * first, and is where the search goes on.
 */
struct request_sock *svcg_request_next(const struct sock *from,
				       unsigned int families,
				       unsigned int *bucket);
/* Moves the request to another listener of its family. RCU read section. */
enum svcg_moved svcg_request_move(struct request_sock *req, struct sock *from,
				  struct sock *to);
void svcg_request_put(struct request_sock *req);

/* ---- adopt.c: sockets that begin to listen ---- */

/* Finds the tracepoint, when the module is loaded. */
void svcg_listen_init(void);
/* When this returns no callback comes any more, and none is running. */
void svcg_listen_exit(void);
/*
 * Has svcg_listen_begins() called, until svcg_listen_unwatch() was called as
 * often. -EOPNOTSUPP if the kernel has no tracepoints, -ENOMEM. Process
 * context.
 */
int svcg_listen_watch(void);
void svcg_listen_unwatch(void);
/*
 * Has svcg_listen_begun() called, with no lock held and before the calling task
 * returns to its program. -ENOMEM, or -ESRCH if it does not. Process context.
 */
int svcg_adopt_later(struct sock *sk, void *group);
/* What makes it one of several that can stand for each other. */
struct svcg_place {
	unsigned int	device;
	unsigned short	family;
	unsigned short	port;
	unsigned char	address[16];
	_Bool		serves_ipv4;
};

void svcg_sock_place(const struct sock *sk, struct svcg_place *place);

/* ---- flowlog.c: what became of connections ---- */

/* A connection; ports in host byte order, addresses in network byte order. */
struct svcg_flow {
	unsigned short	family;		/* AF_INET, AF_INET6: of its packets */
	unsigned short	local_port;
	unsigned short	peer_port;
	unsigned char	local[16];	/* an IPv4 address has four bytes */
	unsigned char	peer[16];
};

/* What became of one; all zero: nothing is known. */
struct svcg_record {
	struct svcg_flow flow;
	unsigned int	group;
	unsigned int	outcome;	/* enum service_group_outcome */
	unsigned int	reason;		/* enum service_group_reason */
	unsigned int	moves;
	unsigned long long home;	/* cookies */
	unsigned long long target;
	unsigned long long time;	/* svcg_now() */
};

#define SVCG_FLOWLOG_SLOTS 256

/* Process context; NULL without memory. */
struct svcg_flowlog *svcg_flowlog_new(void);
void svcg_flowlog_free(struct svcg_flowlog *flowlog);
/* @slot is below SVCG_FLOWLOG_SLOTS. No other slot is locked. */
struct svcg_record *svcg_flowlog_lock(struct svcg_flowlog *flowlog,
				      unsigned int slot);
void svcg_flowlog_unlock(struct svcg_flowlog *flowlog, unsigned int slot);

/* The packet is at its TCP header. */
void svcg_flow_of_packet(const struct sk_buff *skb, struct svcg_flow *flow);
void svcg_flow_of_request(const struct request_sock *req,
			  struct svcg_flow *flow);
/* The socket is connected. */
void svcg_flow_of_socket(const struct sock *sk, struct svcg_flow *flow);

/* ---- lookup.c ---- */

/*
 * Whether a listener is found for such a connection that comes by this device, and
 * how full that one is. A BPF program of a reuseport group is not asked.
 */
_Bool svcg_listens(struct net *net, const struct svcg_flow *flow,
		   unsigned int device, struct svcg_load *load);

/* ---- link.c: sockets that are links ---- */

/*
 * Takes a socket over, with a reference to its file: a connected TCP socket of the
 * namespace. -EBADF, -ENOTSOCK, -EPROTONOSUPPORT, -EXDEV, -ENOTCONN, in this
 * order; -ENOMEM. Process context.
 */
int svcg_link_take(const struct net *net, int fd, struct svcg_link **taken);
/*
 * Gives it back. The last user of a link that has begun is its thread, which the
 * socket may have wait for as long as its owner likes. Process context.
 */
void svcg_link_put(struct svcg_link *link);
/* Whether both are the same socket. */
_Bool svcg_link_is_same(const struct svcg_link *one,
			const struct svcg_link *other);
_Bool svcg_link_is_secure(const struct svcg_link *link);
struct net *svcg_link_net(const struct svcg_link *link);
void svcg_link_flow(const struct svcg_link *link, struct svcg_flow *flow);
/*
 * Whether the namespace is kept by its links only, of which there are so many:
 * then nobody is left in it.
 */
_Bool svcg_link_is_abandoned(const struct svcg_link *link, unsigned int links);
/*
 * Has a thread call svcg_link_run() with @data, which it owns then. -ENOENT if
 * the module is being loaded or unloaded. Process context.
 */
int svcg_link_start(void *data, unsigned int peer);
/* Has the thread look what there is to do. Any context. */
void svcg_link_kick(struct svcg_link *link);

/*
 * What follows is for the link's own thread, as it waits for the socket's lock,
 * which a user may hold for ever. But svcg_link_wait() does not: it waits until
 * something has come, or for a kick, for so long at most.
 */
void svcg_link_begin(struct svcg_link *link);
void svcg_link_wait(struct svcg_link *link, unsigned long long ns);
/*
 * Both move what can be moved now, and tell how much; -EAGAIN for nothing.
 * Receiving: 0 at the end, -EBADMSG for a record that is no data.
 */
int svcg_link_receive(struct svcg_link *link, void *to, unsigned int len);
int svcg_link_send(struct svcg_link *link, const void *from, unsigned int len);
/* Ends the connection. */
void svcg_link_shut(struct svcg_link *link);

/* ---- trace.c: tracepoints ---- */

/* @from is the cookie of the member that had the connection until now. */
void svcg_trace_decision(const struct svcg_record *record,
			 unsigned long long from);
void svcg_trace_stall(_Bool begins, unsigned int group,
		      unsigned long long member, unsigned int queued);

/* ---- queue.c: accept queues; how many requests are looked at is added to @looks ---- */

/*
 * Moves the oldest connection of these families that can be moved from one
 * accept queue to another, tells which, and wakes its new owner, who gets it
 * @first or last. With @home it is the oldest that is looked up for that one,
 * among the first of the queue. False if there is none, or if @to does not listen
 * any more, or is of another family or namespace. Process context, socket lock of @from, RCU read section.
 */
_Bool svcg_queue_move(struct sock *from, struct sock *to, unsigned int families,
		      const struct sock *home, _Bool first,
		      struct svcg_flow *flow, unsigned long long *looks);
/* Which connection would be moved next; false if there is none. */
_Bool svcg_queue_next_flow(struct sock *from, unsigned int families,
			   struct svcg_flow *flow, unsigned long long *looks);

/*
 * When the handshake of the connection began that would be moved so, in
 * microseconds; ULLONG_MAX if there is none, 0 if it is not known, as with SYN
 * cookies. With a home listener, at most @lookups connections are asked for theirs.
 * Only the first ones of a long queue are looked at. RCU read section.
 */
unsigned long long svcg_queue_since(struct sock *sk, unsigned int families,
				    const struct sock *home,
				    unsigned int lookups,
				    unsigned long long *looks);

/* ---- option.c: the socket options; all of it process context ---- */

int svcg_option_register(void);
void svcg_option_unregister(void);
/* @from is the sockptr_t of the option. 0 or -EFAULT. */
int svcg_option_copy_from(void *to, const void *from, unsigned int len);
int svcg_option_copy_to(void *to, const void *from, unsigned int len);

/* A reference to the socket, or an error pointer: -EBADF, -ENOTSOCK. */
struct socket *svcg_socket_from_fd(int fd);
void svcg_socket_put(struct socket *sock);
struct sock *svcg_socket_sock(const struct socket *sock);

struct svcg_address {
	unsigned short	family;		/* AF_INET, AF_INET6 */
	unsigned short	port;		/* 0: the kernel chooses one */
	unsigned int	scope_id;
	unsigned char	address[16];	/* network byte order */
};

/* What binding changes, to put it back. */
struct svcg_saved_bind {
	unsigned int	device;
	unsigned int	userlocks;
	_Bool		reuseport;
	_Bool		ipv6only;
};

unsigned short svcg_sock_family(const struct sock *sk);
/*
 * Takes the socket lock itself, if it can until then: else -EBUSY. On an error
 * nothing has changed, but for SO_REUSEPORT of a socket that somebody has locked since.
 */
int svcg_socket_bind(struct socket *sock, const struct svcg_address *address,
		     _Bool reuseport, unsigned long long until,
		     struct svcg_saved_bind *before);
/*
 * Takes the socket lock itself. A socket that listens by now stays bound, and so does
 * one that somebody has locked.
 */
void svcg_socket_unbind(struct socket *sock,
			const struct svcg_saved_bind *before,
			unsigned long long until);

#endif /* _SERVICE_GROUP_SOCKET_H */
