/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, in /sys/kernel/tracing/events/service_group. Addresses are there
 * twice: as bytes, for BPF, and as a struct sockaddr, for text.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM service_group

#if !defined(_SERVICE_GROUP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SERVICE_GROUP_TRACE_H

#include <linux/in6.h>
#include <linux/tracepoint.h>
#include <net/sock.h>

#include "socket.h"

#ifndef _SERVICE_GROUP_TRACE_ONCE
#define _SERVICE_GROUP_TRACE_ONCE
static inline void svcg_trace_address(void *to, unsigned short family,
				      unsigned short port, const void *bytes)
{
	struct sockaddr_in *in = to;
	struct sockaddr_in6 *in6 = to;

	memset(to, 0, sizeof(*in6));
	if (family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, bytes, sizeof(in->sin_addr));
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, bytes, sizeof(in6->sin6_addr));
	}
}
#endif

#define svcg_show_reason(reason)					\
	__print_symbolic(reason,					\
		{ SERVICE_GROUP_REASON_QUEUE_FULL, "queue-full" },	\
		{ SERVICE_GROUP_REASON_PROMISED, "promised" },		\
		{ SERVICE_GROUP_REASON_STALLED, "stalled" },		\
		{ SERVICE_GROUP_REASON_BALANCED, "balanced" },		\
		{ SERVICE_GROUP_REASON_LEAVING, "leaving" },		\
		{ SERVICE_GROUP_REASON_OVERFLOW, "overflow" },		\
		{ SERVICE_GROUP_REASON_FULL, "full" },			\
		{ SERVICE_GROUP_REASON_UNFIT, "unfit" })

DECLARE_EVENT_CLASS(service_group_decision,

	TP_PROTO(const struct svcg_record *record, unsigned long long from),

	TP_ARGS(record, from),

	TP_STRUCT__entry(
		__field(__u32, group)
		__field(__u32, reason)
		__field(__u64, from)
		__field(__u64, to)
		__field(__u16, family)
		__field(__u16, local_port)
		__field(__u16, peer_port)
		__array(__u8, local_address, 16)
		__array(__u8, peer_address, 16)
		__array(__u8, local, sizeof(struct sockaddr_in6))
		__array(__u8, peer, sizeof(struct sockaddr_in6))
	),

	TP_fast_assign(
		const struct svcg_flow *flow = &record->flow;

		__entry->group = record->group;
		__entry->reason = record->reason;
		__entry->from = from;
		__entry->to = record->target;
		__entry->family = flow->family;
		__entry->local_port = flow->local_port;
		__entry->peer_port = flow->peer_port;
		memcpy(__entry->local_address, flow->local, 16);
		memcpy(__entry->peer_address, flow->peer, 16);
		svcg_trace_address(__entry->local, flow->family,
				   flow->local_port, flow->local);
		svcg_trace_address(__entry->peer, flow->family,
				   flow->peer_port, flow->peer);
	),

	TP_printk("group=%u reason=%s local=%pISpc peer=%pISpc from=%llu to=%llu",
		  __entry->group, svcg_show_reason(__entry->reason),
		  __entry->local, __entry->peer, __entry->from, __entry->to)
);

/* A sibling took a SYN. */
DEFINE_EVENT(service_group_decision, service_group_redirect,
	TP_PROTO(const struct svcg_record *record, unsigned long long from),
	TP_ARGS(record, from));

/* A sibling took over a half-open request. */
DEFINE_EVENT(service_group_decision, service_group_hand_over,
	TP_PROTO(const struct svcg_record *record, unsigned long long from),
	TP_ARGS(record, from));

/* A sibling took over a complete connection. */
DEFINE_EVENT(service_group_decision, service_group_rescue,
	TP_PROTO(const struct svcg_record *record, unsigned long long from),
	TP_ARGS(record, from));

/* Another machine of the cluster was given a SYN. */
DEFINE_EVENT(service_group_decision, service_group_spill,
	TP_PROTO(const struct svcg_record *record, unsigned long long from),
	TP_ARGS(record, from));

/* A SYN was dropped, or answered with a reset. */
DEFINE_EVENT(service_group_decision, service_group_drop,
	TP_PROTO(const struct svcg_record *record, unsigned long long from),
	TP_ARGS(record, from));

DECLARE_EVENT_CLASS(service_group_stall,

	TP_PROTO(unsigned int group, unsigned long long member,
		 unsigned int queued),

	TP_ARGS(group, member, queued),

	TP_STRUCT__entry(
		__field(__u32, group)
		__field(__u64, member)
		__field(__u32, queued)
	),

	TP_fast_assign(
		__entry->group = group;
		__entry->member = member;
		__entry->queued = queued;
	),

	TP_printk("group=%u member=%llu queued=%u", __entry->group,
		  __entry->member, __entry->queued)
);

/* A member was found stalled. */
DEFINE_EVENT(service_group_stall, service_group_stall_begin,
	TP_PROTO(unsigned int group, unsigned long long member,
		 unsigned int queued),
	TP_ARGS(group, member, queued));

/* It accepts again. */
DEFINE_EVENT(service_group_stall, service_group_stall_end,
	TP_PROTO(unsigned int group, unsigned long long member,
		 unsigned int queued),
	TP_ARGS(group, member, queued));

#endif /* _SERVICE_GROUP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH socket
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
