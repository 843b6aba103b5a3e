// SPDX-License-Identifier: GPL-2.0
/*
 * Remembers what became of connections, in a fixed number of slots; and names
 * the connection that a packet, a request or a queue's head belongs to.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/inet_connection_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "socket.h"

/**
 * struct sg_trail - records by slot
 * @slots: so many as were asked for
 * @slots.lock: protects the record
 */
struct sg_trail {
	struct {
		spinlock_t lock;
		struct sg_record record;
	} slots[SG_TRAIL_SLOTS];
};

struct sg_trail *sg_trail_new(void)
{
	struct sg_trail *trail = kvzalloc(sizeof(*trail), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!trail)
		return NULL;
	for (i = 0; i < SG_TRAIL_SLOTS; i++)
		spin_lock_init(&trail->slots[i].lock);
	return trail;
}

void sg_trail_free(struct sg_trail *trail)
{
	kvfree(trail);
}

struct sg_record *sg_trail_lock(struct sg_trail *trail, unsigned int slot)
{
	spin_lock_bh(&trail->slots[slot].lock);
	return &trail->slots[slot].record;
}

void sg_trail_unlock(struct sg_trail *trail, unsigned int slot)
{
	spin_unlock_bh(&trail->slots[slot].lock);
}

static void sg_flow_ipv4(struct sg_flow *flow, __be32 local, __be32 peer)
{
	flow->family = AF_INET;
	memcpy(flow->local, &local, sizeof(local));
	memcpy(flow->peer, &peer, sizeof(peer));
}

static void sg_flow_ipv6(struct sg_flow *flow, const struct in6_addr *local,
			 const struct in6_addr *peer)
{
	/* What an IPv6 socket serves as IPv4 is IPv4 to everybody else. */
	if (ipv6_addr_v4mapped(peer)) {
		sg_flow_ipv4(flow, local->s6_addr32[3], peer->s6_addr32[3]);
		return;
	}
	flow->family = AF_INET6;
	memcpy(flow->local, local, sizeof(*local));
	memcpy(flow->peer, peer, sizeof(*peer));
}

void sg_flow_of_packet(const struct sk_buff *skb, struct sg_flow *flow)
{
	const struct tcphdr *th = tcp_hdr(skb);

	memset(flow, 0, sizeof(*flow));
	flow->local_port = ntohs(th->dest);
	flow->peer_port = ntohs(th->source);
	if (sg_skb_is_ipv6(skb))
		sg_flow_ipv6(flow, &ipv6_hdr(skb)->daddr,
			     &ipv6_hdr(skb)->saddr);
	else
		sg_flow_ipv4(flow, ip_hdr(skb)->daddr, ip_hdr(skb)->saddr);
}

void sg_flow_of_request(const struct request_sock *req, struct sg_flow *flow)
{
	const struct inet_request_sock *ireq = inet_rsk(req);

	memset(flow, 0, sizeof(*flow));
	flow->local_port = ireq->ir_num;
	flow->peer_port = ntohs(ireq->ir_rmt_port);
#if IS_ENABLED(CONFIG_IPV6)
	if (ireq->ireq_family == AF_INET6) {
		sg_flow_ipv6(flow, &ireq->ir_v6_loc_addr,
			     &ireq->ir_v6_rmt_addr);
		return;
	}
#endif
	sg_flow_ipv4(flow, ireq->ir_loc_addr, ireq->ir_rmt_addr);
}
