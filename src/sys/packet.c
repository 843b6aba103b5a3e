// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that netfilter shows, in namespaces that serve cluster IPs.
 *
 * They are shown behind conntrack's defragmentation and before anything that
 * remembers flows, so that a packet of another machine leaves no trace here.
 */
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/slab.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>
#include <net/tcp.h>

#include "shim.h"
#include "sys.h"

/* Behind NF_IP_PRI_CONNTRACK_DEFRAG, before NF_IP_PRI_RAW; the same for IPv6. */
#define SG_PRIORITY	(-350)
/* Whose fragments they are: told apart from those of conntrack and others. */
#define SG_DEFRAG_USER	0x53470000

static unsigned int sg_verdict(enum sg_verdict verdict)
{
	return verdict == SG_VERDICT_ACCEPT ? NF_ACCEPT : NF_STOLEN;
}

/*
 * Bottom halves are off where packets come in, but for those that user space
 * has looked at, see nf_reinject().
 */
static unsigned int sg_come_in(void *state, struct sk_buff *skb, __be32 tail)
{
	enum sg_verdict verdict;
	_Bool on;

	/* Most packets are none of ours. */
	if (likely(!sg_packet_concerns(state, ntohl(tail))))
		return NF_ACCEPT;
	on = !in_softirq();
	if (unlikely(on))
		local_bh_disable();
	verdict = sg_packet_in(state, skb);
	if (unlikely(on))
		local_bh_enable();
	return sg_verdict(verdict);
}

static unsigned int sg_hook_ipv4(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	if (unlikely(IPCB(skb)->flags & SG_SKB_DECIDED)) {
		IPCB(skb)->flags &= ~SG_SKB_DECIDED;
		return NF_ACCEPT;
	}
	return sg_come_in(priv, skb, ip_hdr(skb)->daddr);
}

static unsigned int sg_hook_ipv6(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	if (unlikely(IP6CB(skb)->flags & SG_SKB_DECIDED)) {
		IP6CB(skb)->flags &= ~SG_SKB_DECIDED;
		return NF_ACCEPT;
	}
	return sg_come_in(priv, skb, ipv6_hdr(skb)->daddr.s6_addr32[3]);
}

static unsigned int sg_hook_icmpv6_out(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	struct net_device *dev = skb->dev;
	enum sg_verdict verdict;

	/* What mends an announcement needs to see nothing else. */
	if (ipv6_hdr(skb)->nexthdr != IPPROTO_ICMPV6)
		return NF_ACCEPT;
	/* Not known before ip6_output(), unless the sender has told it. */
	skb->dev = state->out;
	verdict = sg_icmpv6_out(priv, skb);
	if (verdict == SG_VERDICT_ACCEPT)
		skb->dev = dev;
	return sg_verdict(verdict);
}

#ifdef CONFIG_NETFILTER_FAMILY_ARP
static unsigned int sg_hook_arp_in(void *priv, struct sk_buff *skb,
				   const struct nf_hook_state *state)
{
	return sg_verdict(sg_arp_in(priv, skb));
}

static unsigned int sg_hook_arp_out(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	return sg_verdict(sg_arp_out(priv, skb));
}
#endif

static const struct nf_hook_ops sg_hook_ops[] = {
	{
		.hook		= sg_hook_ipv4,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= SG_PRIORITY,
	},
	{
		.hook		= sg_hook_ipv6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= SG_PRIORITY,
	},
	{
		.hook		= sg_hook_icmpv6_out,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP6_PRI_LAST,
	},
#ifdef CONFIG_NETFILTER_FAMILY_ARP
	{
		.hook		= sg_hook_arp_in,
		.pf		= NFPROTO_ARP,
		.hooknum	= NF_ARP_IN,
	},
	{
		.hook		= sg_hook_arp_out,
		.pf		= NFPROTO_ARP,
		.hooknum	= NF_ARP_OUT,
	},
#endif
};

/**
 * struct sg_hooks - the hooks of a namespace
 * @net: the namespace
 * @rcu: netfilter shows its hooks to readers
 * @ops: what was registered
 */
struct sg_hooks {
	struct net *net;
	struct rcu_head rcu;
	struct nf_hook_ops ops[ARRAY_SIZE(sg_hook_ops)];
};

struct sg_hooks *sg_hooks_register(struct net *net, void *state)
{
	struct sg_hooks *hooks = kzalloc(sizeof(*hooks), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!hooks)
		return NULL;
	hooks->net = net;
	memcpy(hooks->ops, sg_hook_ops, sizeof(sg_hook_ops));
	for (i = 0; i < ARRAY_SIZE(hooks->ops); i++)
		hooks->ops[i].priv = state;
	if (nf_register_net_hooks(net, hooks->ops, ARRAY_SIZE(hooks->ops))) {
		kfree_rcu(hooks, rcu);
		return NULL;
	}
	return hooks;
}

void sg_hooks_unregister(struct sg_hooks *hooks)
{
	nf_unregister_net_hooks(hooks->net, hooks->ops, ARRAY_SIZE(hooks->ops));
	kfree_rcu(hooks, rcu);
}

const unsigned char *sg_skb_bytes(const struct sk_buff *skb, unsigned int *len,
				  unsigned int *total)
{
	int offset = skb_network_offset(skb);

	*len = skb_headlen(skb) - offset;
	*total = skb->len - offset;
	return skb_network_header(skb);
}

_Bool sg_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, skb_network_offset(skb) + len);
}

_Bool sg_skb_write(struct sk_buff *skb, unsigned int at, const void *from,
		   unsigned int len)
{
	if (skb_ensure_writable(skb, skb_network_offset(skb) + at + len))
		return false;
	memcpy(skb_network_header(skb) + at, from, len);
	return true;
}

unsigned int sg_skb_device(const struct sk_buff *skb)
{
	return skb->dev->ifindex;
}

_Bool sg_skb_is_for_many(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_MULTICAST ||
	       skb->pkt_type == PACKET_BROADCAST;
}

void sg_skb_set_for_host(struct sk_buff *skb)
{
	skb->pkt_type = PACKET_HOST;
}

void sg_skb_drop(struct sk_buff *skb)
{
	kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP);
}

void sg_skb_consume(struct sk_buff *skb)
{
	consume_skb(skb);
}

/*
 * A module of its own, which ours must not need to be loaded. It is kept as
 * long as IPv6 cluster IPs are served anywhere.
 */
static DEFINE_MUTEX(sg_gather_mutex);
static unsigned int sg_gather_users;
static typeof(&nf_ct_frag6_gather) sg_gather_ipv6;

int sg_gather_get(void)
{
	int err = 0;

	/* With ipv6.disable=1 there is no routing of it either. */
	if (!ipv6_mod_enabled())
		return -EOPNOTSUPP;
	mutex_lock(&sg_gather_mutex);
	if (!sg_gather_users) {
		typeof(&nf_ct_frag6_gather) gather;

		gather = symbol_get(nf_ct_frag6_gather);
		if (!gather) {
			request_module("nf_defrag_ipv6");
			gather = symbol_get(nf_ct_frag6_gather);
		}
		/* Before any hook can see it. */
		WRITE_ONCE(sg_gather_ipv6, gather);
		err = gather ? 0 : -EOPNOTSUPP;
	}
	if (!err)
		sg_gather_users++;
	mutex_unlock(&sg_gather_mutex);
	return err;
}

void sg_gather_put(void)
{
	mutex_lock(&sg_gather_mutex);
	if (!--sg_gather_users) {
		WRITE_ONCE(sg_gather_ipv6, NULL);
		/* Packets that are on their way have read it. */
		synchronize_rcu();
		symbol_put(nf_ct_frag6_gather);
	}
	mutex_unlock(&sg_gather_mutex);
}

enum sg_gathered sg_gather(struct net *net, struct sk_buff *skb, _Bool ipv6)
{
	typeof(&nf_ct_frag6_gather) gather = READ_ONCE(sg_gather_ipv6);
	int err;

	if (!ipv6) {
		if (ip_defrag(net, skb, SG_DEFRAG_USER))
			return SG_GATHERED_KEPT;
		/* It is cut again if it is sent on. */
		skb->ignore_df = 1;
		return SG_GATHERED_WHOLE;
	}
	err = gather ? gather(net, skb, SG_DEFRAG_USER) : -EOPNOTSUPP;
	if (err == -EINPROGRESS)
		return SG_GATHERED_KEPT;
	return err ? SG_GATHERED_NOT : SG_GATHERED_WHOLE;
}

static struct sock *sg_established(struct net *net, const struct sg_flow *flow,
				   unsigned int device)
{
	struct in6_addr local6, peer6;
	__be32 local, peer;

	if (flow->family == AF_INET6) {
		memcpy(&local6, flow->local, sizeof(local6));
		memcpy(&peer6, flow->peer, sizeof(peer6));
		return __inet6_lookup_established(net, &peer6,
						  htons(flow->peer_port),
						  &local6, flow->local_port,
						  device, 0);
	}
	memcpy(&local, flow->local, sizeof(local));
	memcpy(&peer, flow->peer, sizeof(peer));
	return __inet_lookup_established(net, peer, htons(flow->peer_port),
					 local, flow->local_port, device, 0);
}

/*
 * Whether it acknowledges a SYN cookie of this machine's; of those the kernel
 * remembers nothing else. One of 2^29 other packets does by chance.
 */
static _Bool sg_has_cookie(struct sk_buff *skb, const struct sg_flow *flow)
{
	unsigned int at = flow->family == AF_INET ? ip_hdrlen(skb) :
						    sizeof(struct ipv6hdr);
	struct tcphdr _th;
	const struct tcphdr *th = skb_header_pointer(
		skb, skb_network_offset(skb) + at, sizeof(_th), &_th);

	if (!th || !th->ack || th->syn || th->rst)
		return false;
	if (flow->family == AF_INET)
		return ip_hdr(skb)->protocol == IPPROTO_TCP &&
		       __cookie_v4_check(ip_hdr(skb), th) > 0;
	/* Behind extension headers there is something else. */
	return ipv6_hdr(skb)->nexthdr == IPPROTO_TCP &&
	       __cookie_v6_check(ipv6_hdr(skb), th) > 0;
}

enum sg_connection sg_connection(struct net *net, struct sk_buff *skb,
				 const struct sg_flow *flow,
				 unsigned int *sent, unsigned int *received)
{
	struct sock *sk = sg_established(net, flow, skb->dev->ifindex);
	enum sg_connection connection = SG_CONNECTION_WHOLE;

	if (!sk)
		return sg_has_cookie(skb, flow) ? SG_CONNECTION_WHOLE :
						  SG_CONNECTION_NONE;
	if (sk->sk_state == TCP_NEW_SYN_RECV) {
		const struct tcp_request_sock *req = tcp_rsk(inet_reqsk(sk));

		*sent = req->snt_isn;
		*received = req->rcv_isn;
		connection = SG_CONNECTION_HALF_OPEN;
	}
	sock_gen_put(sk);
	return connection;
}

/* TCP keeps the control block of IP, see tcp_v4_fill_cb(). */
static _Bool sg_came_as_last(const struct sk_buff *skb)
{
	u16 flags = skb->protocol == htons(ETH_P_IPV6) ?
			    TCP_SKB_CB(skb)->header.h6.flags :
			    TCP_SKB_CB(skb)->header.h4.flags;

	return flags & SG_SKB_LAST;
}

struct sk_buff *sg_skb_copy_syn(struct net *net, struct sk_buff *skb)
{
	struct sk_buff *copy = NULL;
	struct net_device *dev;

	if (sg_came_as_last(skb))
		return NULL;
	dev = dev_get_by_index_rcu(net, skb->skb_iif);
	if (dev)
		copy = skb_clone(skb, GFP_ATOMIC);
	if (!copy)
		return NULL;
	/* TCP has it at its own header, and has forgotten the device. */
	copy->dev = dev;
	__skb_push(copy, -skb_network_offset(copy));
	memset(copy->cb, 0, sizeof(copy->cb));
	skb_dst_drop(copy);
	nf_reset_ct(copy);
	return copy;
}

struct sk_buff *sg_skb_copy(struct sk_buff *skb)
{
	return skb_clone(skb, GFP_ATOMIC);
}
