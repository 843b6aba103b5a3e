/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim that all others stand on; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_CORE_H
#define _SERVICE_GROUP_CORE_H

struct genl_info;
struct net;
struct netlink_callback;
struct nlattr;
struct svcg_stall_timer;
struct sk_buff;
struct user_namespace;
struct workqueue_struct;

/* ---- stall_timer.c: a timer of each account of a network namespace ---- */

/**
 * struct svcg_tick - when it is to tick again
 * @rest: not before so many nanoseconds have passed, ten seconds at most
 * @next: then, if nothing wants it sooner; ULLONG_MAX: not at all
 */
struct svcg_tick {
	unsigned long long rest;
	unsigned long long next;
};

/* For svcg_tick(). Process context; NULL without memory. */
struct svcg_stall_timer *svcg_stall_timer_new(const void *state,
					      unsigned long long account);
/* Waits until nothing runs, and lets nothing start. Process context. */
void svcg_stall_timer_stop(struct svcg_stall_timer *stall_timer);
/* It was stopped, or never armed. */
void svcg_stall_timer_free(struct svcg_stall_timer *stall_timer);
/* Has it tick in so many nanoseconds, or before; but not while it rests. */
void svcg_stall_timer_arm(struct svcg_stall_timer *stall_timer,
			  unsigned long long ns);
/* Nanoseconds of a clock that only goes forward, a tick at a time. */
unsigned long long svcg_now(void);
/* Nanoseconds of a clock that only goes forward, exactly. */
unsigned long long svcg_clock(void);
/* Nanoseconds of a tick. */
unsigned long long svcg_tick_ns(void);

/* ---- work.c: the work queue, RCU readers, and letting others run ---- */

/* The module's work queue: made, and got rid of when its work is done. */
int svcg_workqueue_register(void);
void svcg_workqueue_unregister(void);
struct workqueue_struct *svcg_workqueue(void);
/*
 * Waits until every RCU read section that there is has ended; @expedited: soon,
 * at the expense of all CPUs. Process context.
 */
void svcg_synchronize_rcu(_Bool expedited);
/*
 * The same without waiting: what svcg_poll_rcu() is asked with until those
 * that there are now have ended.
 */
unsigned long svcg_start_poll_rcu(void);
_Bool svcg_poll_rcu(unsigned long readers);
/*
 * Has @free called with @head in process context. @head is an rcu_head, whose callback
 * this is called by.
 */
void svcg_free_later(void *head, void (*free)(void *head));
/* Waits until all is freed for which RCU was called before. Process context. */
void svcg_free_wait(void);
/* Lets others run; waits for a fifth of a millisecond at most. Process context. */
void svcg_cond_resched(void);
void svcg_usleep(void);

/* ---- caller.c: whose call it is; all of it process context ---- */

/* When the module is loaded. */
void svcg_caller_init(void);
_Bool svcg_caller_in_net(const struct net *net);
_Bool svcg_caller_is_admin(const struct net *net);
_Bool svcg_caller_is_privileged(void);
_Bool svcg_caller_is_confined(void);
/* The caller's effective user id in the initial user namespace. */
unsigned int svcg_caller_uid(void);
/* Whose account what it does in its network namespace is counted to. */
unsigned long long svcg_caller_account(const struct net *net);
/* The same of whoever has made the namespace, whoever calls. */
unsigned long long svcg_net_account(const struct net *net);
/* The caller's process. */
unsigned int svcg_caller_process(void);

/* ---- netns.c: what each network namespace has ---- */

int svcg_netns_register(void);
void svcg_netns_unregister(void);
/* What svcg_netns_new() made. */
const void *svcg_netns_state(const struct net *net);

/* What svcg_clusters_new() made. */
const void *svcg_netns_clusters(const struct net *net);

/* What svcg_links_new() made. */
const void *svcg_netns_links(const struct net *net);
/* Has svcg_links_tick() called in so many nanoseconds, or before. Any context. */
void svcg_netns_tick(const struct net *net, unsigned long long ns);
void svcg_random(void *to, unsigned int len);

/* ---- netlink.c: messages of the generic netlink family ---- */

int svcg_netlink_register(void);
void svcg_netlink_unregister(void);
struct net *svcg_info_net(const struct genl_info *info);
struct user_namespace *svcg_request_userns(const struct sk_buff *request);
/* The request's u32 attribute; if it is not there, false, and the reader is told. */
_Bool svcg_info_u32(const struct genl_info *info, int attribute,
		    unsigned int *value);
_Bool svcg_info_u64(const struct genl_info *info, int attribute,
		    unsigned long long *value);
/* A port in network byte order, told in host byte order. */
_Bool svcg_info_port(const struct genl_info *info, int attribute,
		     unsigned short *value);
_Bool svcg_info_u16(const struct genl_info *info, int attribute,
		    unsigned short *value);
/* An address of exactly so many bytes, at most 16. */
_Bool svcg_info_address(const struct genl_info *info, int attribute,
			unsigned char *to, unsigned int len);
/* The same for one that may be left out. */
_Bool svcg_info_optional_u32(const struct genl_info *info, int attribute,
			     unsigned int *value);
/*
 * The same of one that may be there several times: the one at this position, which
 * goes on; 0 at first. False if there are no more.
 */
_Bool svcg_info_next_u32(const struct genl_info *info, int attribute,
			 unsigned int *position, unsigned int *value);
/* The bytes of an attribute, or NULL if it is not there. */
const void *svcg_info_data(const struct genl_info *info, int attribute,
			   unsigned int *len);

/* Says with the error that what the sender has read has changed. */
void svcg_info_say_changed(const struct genl_info *info);

/* A node of a cluster IP, as it is given. */
struct svcg_node {
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
int svcg_info_node(const struct genl_info *info, unsigned int *position,
		   struct svcg_node *node);
/*
 * A message of this command as the reply to a request, or NULL. It has room for
 * so many bytes, or for what is usual.
 */
struct sk_buff *svcg_reply_new(const struct genl_info *info, unsigned char cmd,
			       unsigned int size, void **header);
int svcg_reply_send(const struct genl_info *info, struct sk_buff *skb,
		    void *header);
struct sk_buff *svcg_event_new(unsigned char cmd, unsigned int size,
			       _Bool atomic, void **header);
void svcg_event_send(struct net *net, struct sk_buff *skb, void *header,
		     _Bool atomic);
_Bool svcg_event_wanted(struct net *net);
/* An event has many readers; they are told what the namespace's owner sees. */
struct user_namespace *svcg_event_userns(const struct net *net);
void svcg_message_free(struct sk_buff *skb);

/* Whether the sender has CAP_NET_ADMIN in the namespace of the request. */
_Bool svcg_request_may_change(const struct sk_buff *request,
			      const struct net *net);
/* Whether it has that in the initial user namespace. */
_Bool svcg_request_is_privileged(const struct sk_buff *request);
_Bool svcg_dump_may_change(const struct netlink_callback *cb);
struct net *svcg_dump_net(const struct netlink_callback *cb);
struct user_namespace *svcg_dump_userns(const struct netlink_callback *cb);
/*
 * An object of this size is to fit into each message that is made from now on, also
 * without memory for long ones. Before the first one: in the start operation.
 */
void svcg_dump_need(struct netlink_callback *cb, unsigned int size);
_Bool svcg_dump_u32(const struct netlink_callback *cb, int attribute,
		    unsigned int *value);
/* Where the dump goes on; both zero at its beginning. */
unsigned long *svcg_dump_position(struct netlink_callback *cb);
/* The generation of what comes next. */
void svcg_dump_is_of(struct netlink_callback *cb, unsigned int generation);
/* A message of the dump, or NULL if there is no room for one. */
void *svcg_dump_begin(struct netlink_callback *cb, struct sk_buff *skb,
		      unsigned char cmd);
void svcg_dump_end(struct sk_buff *skb, void *header);
void svcg_dump_cancel(struct sk_buff *skb, void *header);

int svcg_put_u16(struct sk_buff *skb, int attribute, unsigned short value);
int svcg_put_be16(struct sk_buff *skb, int attribute, unsigned short value);
int svcg_put_u32(struct sk_buff *skb, int attribute, unsigned int value);
/* A user id as it is called in the user namespace. */
int svcg_put_uid(struct sk_buff *skb, int attribute, unsigned int uid,
		 struct user_namespace *userns);
int svcg_put_u64(struct sk_buff *skb, int attribute, unsigned long long value,
		 int pad);
int svcg_put_bytes(struct sk_buff *skb, int attribute, const void *from,
		   unsigned int len);
struct nlattr *svcg_nest_begin(struct sk_buff *skb, int attribute);
void svcg_nest_end(struct sk_buff *skb, struct nlattr *nest);

#endif /* _SERVICE_GROUP_CORE_H */
