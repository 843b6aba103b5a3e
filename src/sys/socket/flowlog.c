// SPDX-License-Identifier: GPL-2.0
/*
 * Remembers what became of connections, in a fixed number of slots; and names
 * the connection that a packet, a request, a queue's head or a socket belongs to.
 */
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/inet_connection_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "socket.h"

/**
 * struct svcg_flowlog - records by slot
 * @slots: so many as were asked for
 * @slots.lock: protects the record
 */
struct svcg_flowlog {
	struct {
		spinlock_t lock;
		struct svcg_record record;
	} slots[SVCG_FLOWLOG_SLOTS];
};

struct svcg_flowlog *svcg_flowlog_new(void)
{
	struct svcg_flowlog *flowlog =
		kvzalloc(sizeof(*flowlog), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!flowlog)
		return NULL;
	for (i = 0; i < SVCG_FLOWLOG_SLOTS; i++)
		spin_lock_init(&flowlog->slots[i].lock);
	return flowlog;
}

void svcg_flowlog_free(struct svcg_flowlog *flowlog)
{
	kvfree(flowlog);
}

struct svcg_record *svcg_flowlog_lock(struct svcg_flowlog *flowlog,
				      unsigned int slot)
{
	spin_lock_bh(&flowlog->slots[slot].lock);
	return &flowlog->slots[slot].record;
}

void svcg_flowlog_unlock(struct svcg_flowlog *flowlog, unsigned int slot)
{
	spin_unlock_bh(&flowlog->slots[slot].lock);
}

static void svcg_flow_ipv4(struct svcg_flow *flow, __be32 local, __be32 peer)
{
	flow->family = AF_INET;
	memcpy(flow->local, &local, sizeof(local));
	memcpy(flow->peer, &peer, sizeof(peer));
}

static void svcg_flow_ipv6(struct svcg_flow *flow, const struct in6_addr *local,
			   const struct in6_addr *peer)
{
	/* What an IPv6 socket serves as IPv4 is IPv4 to everybody else. */
	if (ipv6_addr_v4mapped(peer)) {
		svcg_flow_ipv4(flow, local->s6_addr32[3], peer->s6_addr32[3]);
		return;
	}
	flow->family = AF_INET6;
	memcpy(flow->local, local, sizeof(*local));
	memcpy(flow->peer, peer, sizeof(*peer));
}

void svcg_flow_of_packet(const struct sk_buff *skb, struct svcg_flow *flow)
{
	const struct tcphdr *th = tcp_hdr(skb);

	memset(flow, 0, sizeof(*flow));
	flow->local_port = ntohs(th->dest);
	flow->peer_port = ntohs(th->source);
	if (svcg_skb_is_ipv6(skb))
		svcg_flow_ipv6(flow, &ipv6_hdr(skb)->daddr,
			       &ipv6_hdr(skb)->saddr);
	else
		svcg_flow_ipv4(flow, ip_hdr(skb)->daddr, ip_hdr(skb)->saddr);
}

void svcg_flow_of_request(const struct request_sock *req,
			  struct svcg_flow *flow)
{
	const struct inet_request_sock *ireq = inet_rsk(req);

	memset(flow, 0, sizeof(*flow));
	flow->local_port = ireq->ir_num;
	flow->peer_port = ntohs(ireq->ir_rmt_port);
#if IS_ENABLED(CONFIG_IPV6)
	if (ireq->ireq_family == AF_INET6) {
		svcg_flow_ipv6(flow, &ireq->ir_v6_loc_addr,
			       &ireq->ir_v6_rmt_addr);
		return;
	}
#endif
	svcg_flow_ipv4(flow, ireq->ir_loc_addr, ireq->ir_rmt_addr);
}

void svcg_flow_of_socket(const struct sock *sk, struct svcg_flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->local_port = READ_ONCE(inet_sk(sk)->inet_num);
	flow->peer_port = ntohs(READ_ONCE(sk->sk_dport));
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		svcg_flow_ipv6(flow, &sk->sk_v6_rcv_saddr, &sk->sk_v6_daddr);
		return;
	}
#endif
	svcg_flow_ipv4(flow, sk->sk_rcv_saddr, sk->sk_daddr);
}
