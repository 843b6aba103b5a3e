/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust side of the module calls in C, and what C calls in Rust.
 *
 * bindgen reads this file, so there are only forward declarations and plain
 * integers in it: no layout of a kernel structure ever reaches Rust. Each
 * function wraps one inline function or macro of the kernel, or does list
 * surgery for which the kernel exports nothing. None of them decides anything.
 *
 * Unless said otherwise a function may be called in any context, errors are
 * negative errno values, and numbers are in host byte order.
 */
#ifndef _SERVICE_GROUP_SHIM_H
#define _SERVICE_GROUP_SHIM_H

#include <linux/service_group.h>
#include <linux/service_group_netlink.h>

struct genl_info;
struct net;
struct netlink_callback;
struct nlattr;
struct request_sock;
struct sg_hook;
struct sg_ticker;
struct sg_trail;
struct sk_buff;
struct sock;
struct socket;
struct user_namespace;
struct workqueue_struct;

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

/* Callbacks in Rust. */

/* A SYN for @sk, which has a hook; RCU read section, bottom halves off. */
int sg_conn_request(struct sock *sk, struct sk_buff *skb);
/*
 * A connection is about to be queued with @sk; with @fast_open, before its handshake
 * is complete. True if the accept queue is full, and is to take one more, which a
 * sibling will take off. RCU read section, bottom halves off.
 */
_Bool sg_connection_comes(struct sock *sk, struct sk_buff *skb,
			  _Bool fast_open);
/* A connection was queued, in a call that has ended another listener. RCU read section. */
void sg_connection_queued(struct sock *sk);
/* The socket is about to be freed, and gives @member up. Atomic. */
void sg_member_gone(struct sock *sk, const void *member);
/* For sock_diag: attributes of the member. RCU read section. */
int sg_member_info(const void *member, struct sk_buff *skb);

/* ---- syn.c: what else becomes of a SYN ---- */

/* After @taker has answered a SYN for @home. RCU read section. */
void sg_cookies_follow(struct sock *home, const struct sock *taker);
/* Count a SYN of the listener that is not served, as the kernel does. */
void sg_count_drop(struct sock *sk);
/* Answer it with a reset. Bottom halves off. */
void sg_send_reset(const struct sock *sk, struct sk_buff *skb);
_Bool sg_skb_is_ipv6(const struct sk_buff *skb);

/* ---- calls.c: what programs call on a member ---- */

/* Callbacks in Rust, process context; @sk may be no member by now. */

/*
 * Its program polls for connections, and sees one if it is @readable. Whether
 * there is one for it elsewhere, which an accept() would get.
 */
_Bool sg_member_polls(struct sock *sk, _Bool readable);
/*
 * Its program is about to accept, and to sleep if there is nothing: is given a
 * connection if it has none. Whether the program is to be shown the member's
 * address. Not locked.
 */
_Bool sg_member_accepts(struct sock *sk, _Bool sleeps);
/* It has called listen(). */
void sg_member_listens(struct sock *sk);
/* The program of @member, whose socket is @sk, has accepted. RCU read section. */
void sg_member_accepted(const void *member, struct sock *sk, _Bool rewritten);
/* It is about to be closed for good, or to stop listening; and it has. */
void sg_member_leaves(struct sock *sk, _Bool closes);
void sg_member_stopped(struct sock *sk);

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

/* Callbacks in Rust, process context. */

/* A TCP socket is about to listen, and is not found yet. Socket lock. */
void sg_listen_begins(struct sock *sk);
/*
 * It does, or could not. @sock comes with a reference to its file, and is NULL if it
 * was closed; @group is what sg_adopt_later() was given.
 */
void sg_listen_begun(struct socket *sock, void *group);

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

/* ---- ticker.c: a timer of each account of a network namespace ---- */

/**
 * struct sg_tick - when it is to tick again
 * @rest: not before so many nanoseconds have passed, ten seconds at most
 * @next: then, if nobody wants it sooner; ULLONG_MAX: not at all
 */
struct sg_tick {
	unsigned long long rest;
	unsigned long long next;
};

/* For sg_tick(). Process context; NULL without memory. */
struct sg_ticker *sg_ticker_new(const void *state, unsigned long long account);
/* Waits until nothing runs, and lets nothing start. Process context. */
void sg_ticker_stop(struct sg_ticker *ticker);
/* It was stopped, or never armed. */
void sg_ticker_free(struct sg_ticker *ticker);
/* Has it tick in so many nanoseconds, or before; but not while it rests. */
void sg_ticker_arm(struct sg_ticker *ticker, unsigned long long ns);
/* Nanoseconds of a clock that only goes forward, a tick at a time. */
unsigned long long sg_now(void);
/* Nanoseconds of a clock that only goes forward, exactly. */
unsigned long long sg_clock(void);
/* Nanoseconds of a tick. */
unsigned long long sg_tick_ns(void);

/* Callback in Rust; process context. */
void sg_tick(const void *state, unsigned long long account,
	     struct sg_tick *tick);

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

/* The module's work queue: made, and got rid of when its work is done. */
int sg_workqueue_register(void);
void sg_workqueue_unregister(void);
struct workqueue_struct *sg_workqueue(void);
/*
 * Waits until every RCU read section that there is has ended; in a hurry, at the
 * expense of all CPUs. Process context.
 */
void sg_readers_end(_Bool hurry);
/*
 * The same without waiting: what sg_readers_ended() is asked with until those that
 * there are now have ended.
 */
unsigned long sg_readers_now(void);
_Bool sg_readers_ended(unsigned long readers);
/* Lets others run; waits for a fifth of a millisecond at most. Process context. */
void sg_yield(void);
void sg_breathe(void);

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

_Bool sg_caller_in_net(const struct net *net);
_Bool sg_caller_is_admin(const struct net *net);
_Bool sg_caller_is_privileged(void);
_Bool sg_caller_is_confined(void);
/* The caller's effective user id in the initial user namespace. */
unsigned int sg_caller_uid(void);
/* Whose account what it does in its network namespace is counted to. */
unsigned long long sg_caller_account(const struct net *net);
/* The caller's process. */
unsigned int sg_caller_process(void);

/* Callbacks in Rust; @option is a sockptr_t, @to a user's pointer. */
int sg_option_set(struct sock *sk, int name, const void *option,
		  unsigned int len);
int sg_option_get(struct sock *sk, int name, void *to, int *len);

/* ---- netns.c: what each network namespace has ---- */

int sg_netns_register(void);
void sg_netns_unregister(void);
/* What sg_netns_new() made. */
const void *sg_netns_state(const struct net *net);

/* Callbacks in Rust; process context. */
void *sg_netns_new(struct net *net);
void sg_netns_free(void *state);

/* ---- netlink.c: messages of the generic netlink family ---- */

int sg_netlink_register(void);
void sg_netlink_unregister(void);
struct net *sg_info_net(const struct genl_info *info);
struct user_namespace *sg_request_userns(const struct sk_buff *request);
/* The request's u32 attribute; if it is not there, false, and the reader is told. */
_Bool sg_info_u32(const struct genl_info *info, int attribute,
		  unsigned int *value);
_Bool sg_info_u64(const struct genl_info *info, int attribute,
		  unsigned long long *value);
/* A port in network byte order, told in host byte order. */
_Bool sg_info_port(const struct genl_info *info, int attribute,
		   unsigned short *value);
_Bool sg_info_u16(const struct genl_info *info, int attribute,
		  unsigned short *value);
/* An address of exactly so many bytes, at most 16. */
_Bool sg_info_address(const struct genl_info *info, int attribute,
		      unsigned char *to, unsigned int len);
/* The same for one that may be left out. */
_Bool sg_info_optional_u32(const struct genl_info *info, int attribute,
			   unsigned int *value);
/* The bytes of an attribute, or NULL if it is not there. */
const void *sg_info_data(const struct genl_info *info, int attribute,
			 unsigned int *len);

/* Says with the error that what the sender has read has changed. */
void sg_info_say_changed(const struct genl_info *info);

/* A node of a cluster IP, as it is given. */
struct sg_node {
	unsigned int	id;
	unsigned int	weight;
	unsigned int	state;
	unsigned int	way;
	unsigned int	address_len;
	unsigned char	address[16];
};

/*
 * The request's node at this position, which goes on; 0 at first. -ENOENT if
 * there are no more, -EINVAL if part of it is missing.
 */
int sg_info_node(const struct genl_info *info, unsigned int *position,
		 struct sg_node *node);
/*
 * A message of this command as the reply to a request, or NULL. It has room for
 * so many bytes, or for what is usual.
 */
struct sk_buff *sg_reply_new(const struct genl_info *info, unsigned char cmd,
			     unsigned int size, void **header);
int sg_reply_send(const struct genl_info *info, struct sk_buff *skb,
		  void *header);
struct sk_buff *sg_event_new(unsigned char cmd, unsigned int size,
			     _Bool atomic, void **header);
void sg_event_send(struct net *net, struct sk_buff *skb, void *header,
		   _Bool atomic);
_Bool sg_event_wanted(struct net *net);
/* An event has many readers; they are told what the namespace's owner sees. */
struct user_namespace *sg_event_userns(const struct net *net);
void sg_message_free(struct sk_buff *skb);

/* Whether the sender has CAP_NET_ADMIN in the namespace of the request. */
_Bool sg_request_may_change(const struct sk_buff *request,
			    const struct net *net);
/* Whether he has it in the initial user namespace. */
_Bool sg_request_is_privileged(const struct sk_buff *request);
_Bool sg_dump_may_change(const struct netlink_callback *cb);
struct net *sg_dump_net(const struct netlink_callback *cb);
struct user_namespace *sg_dump_userns(const struct netlink_callback *cb);
/*
 * An object of this size is to fit into each message that is made from now on, also
 * without memory for long ones. Before the first one: in the start operation.
 */
void sg_dump_need(struct netlink_callback *cb, unsigned int size);
_Bool sg_dump_u32(const struct netlink_callback *cb, int attribute,
		  unsigned int *value);
/* Where the dump goes on; both zero at its beginning. */
unsigned long *sg_dump_position(struct netlink_callback *cb);
/* The generation of what comes next. */
void sg_dump_is_of(struct netlink_callback *cb, unsigned int generation);
/* A message of the dump, or NULL if there is no room for one. */
void *sg_dump_begin(struct netlink_callback *cb, struct sk_buff *skb,
		    unsigned char cmd);
void sg_dump_end(struct sk_buff *skb, void *header);
void sg_dump_cancel(struct sk_buff *skb, void *header);

int sg_put_u16(struct sk_buff *skb, int attribute, unsigned short value);
int sg_put_be16(struct sk_buff *skb, int attribute, unsigned short value);
int sg_put_u32(struct sk_buff *skb, int attribute, unsigned int value);
/* A user id as it is called in the user namespace. */
int sg_put_uid(struct sk_buff *skb, int attribute, unsigned int uid,
	       struct user_namespace *userns);
int sg_put_u64(struct sk_buff *skb, int attribute, unsigned long long value,
	       int pad);
int sg_put_bytes(struct sk_buff *skb, int attribute, const void *from,
		 unsigned int len);
struct nlattr *sg_nest_begin(struct sk_buff *skb, int attribute);
void sg_nest_end(struct sk_buff *skb, struct nlattr *nest);

/* Callbacks in Rust, declared by the generated netlink_gen.h; process context. */
int service_group_nl_group_get_doit(struct sk_buff *skb,
				    struct genl_info *info);
int service_group_nl_group_get_dumpit(struct sk_buff *skb,
				      struct netlink_callback *cb);
int service_group_nl_member_get_dumpit(struct sk_buff *skb,
				       struct netlink_callback *cb);
int service_group_nl_group_set_doit(struct sk_buff *skb,
				    struct genl_info *info);
int service_group_nl_member_set_doit(struct sk_buff *skb,
				     struct genl_info *info);
int service_group_nl_decision_get_doit(struct sk_buff *skb,
				       struct genl_info *info);
int service_group_nl_stats_get_doit(struct sk_buff *skb,
				    struct genl_info *info);

int service_group_nl_cluster_get_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_cluster_get_dumpit(struct sk_buff *skb,
					struct netlink_callback *cb);
int service_group_nl_cluster_set_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_cluster_del_doit(struct sk_buff *skb,
				      struct genl_info *info);

#include "cluster.h"

#endif /* _SERVICE_GROUP_SHIM_H */
