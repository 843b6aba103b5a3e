// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that netfilter shows, in namespaces that serve cluster IPs.
 *
 * They are shown behind conntrack's defragmentation and the raw tables, where a
 * firewall can drop what is for any machine, and before anything that remembers
 * flows, so that a packet of another machine leaves no trace here. Tunnels are
 * shown where the kernel's own end: behind routing, which validates the source,
 * and the firewall's input.
 */
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/slab.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "callbacks/cluster.h"
#include "internal.h"
#include "packet.h"

/* Behind the raw tables, before NF_IP_PRI_CONNTRACK; the same for IPv6. */
#define SVCG_PRIORITY	(NF_IP_PRI_RAW + 1)
/* Before NF_IP_PRI_CONNTRACK_CONFIRM, see svcg_confirm(). */
#define SVCG_PRIORITY_RECEIVED	(NF_IP_PRI_LAST - 1)
static_assert(NF_IP_PRI_CONNTRACK_DEFRAG < SVCG_PRIORITY &&
	      NF_IP_PRI_RAW < SVCG_PRIORITY &&
	      SVCG_PRIORITY < NF_IP_PRI_CONNTRACK);
static_assert(NF_IP6_PRI_CONNTRACK_DEFRAG < SVCG_PRIORITY &&
	      NF_IP6_PRI_RAW < SVCG_PRIORITY &&
	      SVCG_PRIORITY < NF_IP6_PRI_CONNTRACK);
/* conntrack confirms IPv6 with this one as well. */
static_assert(SVCG_PRIORITY_RECEIVED < NF_IP_PRI_CONNTRACK_CONFIRM);

static unsigned int svcg_verdict(enum svcg_verdict verdict)
{
	return verdict == SVCG_VERDICT_ACCEPT ? NF_ACCEPT : NF_STOLEN;
}

/*
 * Bottom halves are off where packets come in, but for those that user space
 * has looked at, see nf_reinject().
 */
static unsigned int
svcg_come_in(void *state, struct sk_buff *skb, __be32 daddr_low32,
	     enum svcg_verdict (*show)(void *state, struct sk_buff *skb))
{
	enum svcg_verdict verdict;
	_Bool on;

	/* Most packets are none of ours. */
	if (likely(!svcg_maybe_ours(state, ntohl(daddr_low32))))
		return NF_ACCEPT;
	on = !in_softirq();
	if (unlikely(on))
		local_bh_disable();
	verdict = show(state, skb);
	if (unlikely(on))
		local_bh_enable();
	return svcg_verdict(verdict);
}

/*
 * br_netfilter shows frames here that are at a bridge, as if they had come by
 * the bridge and for this machine. Most are for others, to whom the bridge
 * passes them on.
 */
static _Bool svcg_is_at_bridge(const struct sk_buff *skb)
{
	return nf_bridge_in_prerouting(skb);
}

/*
 * Whether a frame is one of those that the bridge then gave to this machine,
 * and that came to PRE_ROUTING no more, see ip_sabotage_in(). (They do where the
 * bridge is one of a VRF's devices.)
 */
static _Bool svcg_was_at_bridge(const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	const struct nf_bridge_info *nf_bridge = nf_bridge_info_get(skb);

	return nf_bridge && nf_bridge->sabotage_in_done;
#else
	return false;
#endif
}

/*
 * Whether it is decided about elsewhere: what is at a bridge, when this machine
 * is given it; and what a VRF shows once more, when the VRF's device showed it.
 */
static _Bool svcg_is_shown_twice(const struct sk_buff *skb)
{
	return svcg_is_at_bridge(skb) || netif_is_l3_master(skb->dev);
}

static unsigned int svcg_nf_ipv4(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	if (unlikely(svcg_is_shown_twice(skb)))
		return NF_ACCEPT;
	if (unlikely(IPCB(skb)->flags & SVCG_SKB_DECIDED)) {
		IPCB(skb)->flags &= ~SVCG_SKB_DECIDED;
		return NF_ACCEPT;
	}
	return svcg_come_in(priv, skb, ip_hdr(skb)->daddr, svcg_packet_in);
}

static unsigned int svcg_nf_ipv6(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	if (unlikely(svcg_is_shown_twice(skb)))
		return NF_ACCEPT;
	if (unlikely(IP6CB(skb)->flags & SVCG_SKB_DECIDED)) {
		IP6CB(skb)->flags &= ~SVCG_SKB_DECIDED;
		return NF_ACCEPT;
	}
	return svcg_come_in(priv, skb, ipv6_hdr(skb)->daddr.s6_addr32[3],
			    svcg_packet_in);
}

static unsigned int svcg_nf_ipv4_local(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	if (likely(!svcg_was_at_bridge(skb)))
		return NF_ACCEPT;
	return svcg_come_in(priv, skb, ip_hdr(skb)->daddr, svcg_packet_in);
}

static unsigned int svcg_nf_ipv6_local(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	if (likely(!svcg_was_at_bridge(skb)))
		return NF_ACCEPT;
	return svcg_come_in(priv, skb, ipv6_hdr(skb)->daddr.s6_addr32[3],
			    svcg_packet_in);
}

/* Whether there may be a tunnel, or an error about one. */
static _Bool svcg_may_be_tunnel(u8 protocol)
{
	switch (protocol) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
	case IPPROTO_GRE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case NEXTHDR_FRAGMENT:
		return true;
	default:
		return false;
	}
}

static unsigned int svcg_nf_ipv4_received(void *priv, struct sk_buff *skb,
					  const struct nf_hook_state *state)
{
	if (likely(!svcg_may_be_tunnel(ip_hdr(skb)->protocol)))
		return NF_ACCEPT;
	return svcg_come_in(priv, skb, ip_hdr(skb)->daddr,
			    svcg_packet_received);
}

static unsigned int svcg_nf_ipv6_received(void *priv, struct sk_buff *skb,
					  const struct nf_hook_state *state)
{
	if (likely(!svcg_may_be_tunnel(ipv6_hdr(skb)->nexthdr)))
		return NF_ACCEPT;
	return svcg_come_in(priv, skb, ipv6_hdr(skb)->daddr.s6_addr32[3],
			    svcg_packet_received);
}

static unsigned int svcg_nf_icmpv6_out(void *priv, struct sk_buff *skb,
				       const struct nf_hook_state *state)
{
	struct net_device *dev = skb->dev;
	enum svcg_verdict verdict;

	/* What mends an announcement needs to see nothing else. */
	if (ipv6_hdr(skb)->nexthdr != IPPROTO_ICMPV6)
		return NF_ACCEPT;
	/* Not known before ip6_output(), unless the sender has told it. */
	skb->dev = state->out;
	verdict = svcg_icmpv6_out(priv, skb);
	if (verdict == SVCG_VERDICT_ACCEPT)
		skb->dev = dev;
	return svcg_verdict(verdict);
}

#ifdef CONFIG_NETFILTER_FAMILY_ARP
static unsigned int svcg_nf_arp_in(void *priv, struct sk_buff *skb,
				   const struct nf_hook_state *state)
{
	return svcg_verdict(svcg_arp_in(priv, skb));
}

static unsigned int svcg_nf_arp_out(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	return svcg_verdict(svcg_arp_out(priv, skb));
}
#endif

static const struct nf_hook_ops svcg_nf_ops[] = {
	{
		.hook		= svcg_nf_ipv4,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= SVCG_PRIORITY,
	},
	{
		.hook		= svcg_nf_ipv6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= SVCG_PRIORITY,
	},
	{
		.hook		= svcg_nf_ipv4_local,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= NF_IP_PRI_FIRST,
	},
	{
		.hook		= svcg_nf_ipv6_local,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= NF_IP6_PRI_FIRST,
	},
	{
		.hook		= svcg_nf_ipv4_received,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= SVCG_PRIORITY_RECEIVED,
	},
	{
		.hook		= svcg_nf_ipv6_received,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= SVCG_PRIORITY_RECEIVED,
	},
	{
		.hook		= svcg_nf_icmpv6_out,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP6_PRI_LAST,
	},
#ifdef CONFIG_NETFILTER_FAMILY_ARP
	{
		.hook		= svcg_nf_arp_in,
		.pf		= NFPROTO_ARP,
		.hooknum	= NF_ARP_IN,
	},
	{
		.hook		= svcg_nf_arp_out,
		.pf		= NFPROTO_ARP,
		.hooknum	= NF_ARP_OUT,
	},
#endif
};

/**
 * struct svcg_nf_hooks - the hooks of a namespace
 * @net: the namespace
 * @rcu: netfilter shows its hooks to readers
 * @ops: what was registered
 */
struct svcg_nf_hooks {
	struct net *net;
	struct rcu_head rcu;
	struct nf_hook_ops ops[ARRAY_SIZE(svcg_nf_ops)];
};

struct svcg_nf_hooks *svcg_nf_hooks_register(struct net *net, void *state)
{
	struct svcg_nf_hooks *hooks =
		kzalloc(sizeof(*hooks), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!hooks)
		return NULL;
	hooks->net = net;
	memcpy(hooks->ops, svcg_nf_ops, sizeof(svcg_nf_ops));
	for (i = 0; i < ARRAY_SIZE(hooks->ops); i++)
		hooks->ops[i].priv = state;
	if (nf_register_net_hooks(net, hooks->ops, ARRAY_SIZE(hooks->ops))) {
		kfree_rcu(hooks, rcu);
		return NULL;
	}
	return hooks;
}

void svcg_nf_hooks_unregister(struct svcg_nf_hooks *hooks)
{
	nf_unregister_net_hooks(hooks->net, hooks->ops, ARRAY_SIZE(hooks->ops));
	kfree_rcu(hooks, rcu);
}

_Bool svcg_module_get(void)
{
	return try_module_get(THIS_MODULE);
}

void svcg_module_put(void)
{
	module_put(THIS_MODULE);
}
