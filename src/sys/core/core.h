/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim that all others stand on; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_CORE_H
#define _SERVICE_GROUP_CORE_H

struct genl_info;
struct net;
struct netlink_callback;
struct nlattr;
struct sg_ticker;
struct sk_buff;
struct user_namespace;
struct workqueue_struct;

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

/* ---- work.c: the work queue, RCU readers, and letting others run ---- */

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

/* ---- caller.c: whose call it is; all of it process context ---- */

/* When the module is loaded. */
void sg_caller_init(void);
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

/* ---- netns.c: what each network namespace has ---- */

int sg_netns_register(void);
void sg_netns_unregister(void);
/* What sg_netns_new() made. */
const void *sg_netns_state(const struct net *net);

/* What sg_clusters_new() made. */
const void *sg_netns_clusters(const struct net *net);

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

#endif /* _SERVICE_GROUP_CORE_H */
