// SPDX-License-Identifier: GPL-2.0
/*
 * Packets from another node, out of their tunnels.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "shim.h"
#include "sys.h"

/* What ip_rcv() sees to. */
static _Bool sg_check_ipv4(struct sk_buff *skb)
{
	const struct iphdr *iph;

	if (!pskb_network_may_pull(skb, sizeof(*iph)))
		return false;
	iph = ip_hdr(skb);
	if (iph->version != 4 || iph->ihl < 5 ||
	    !pskb_network_may_pull(skb, iph->ihl * 4))
		return false;
	iph = ip_hdr(skb);
	if (ip_fast_csum(iph, iph->ihl) ||
	    skb->len < ntohs(iph->tot_len) ||
	    ntohs(iph->tot_len) < iph->ihl * 4 ||
	    pskb_trim_rcsum(skb, ntohs(iph->tot_len)))
		return false;
	skb_set_transport_header(skb, ip_hdrlen(skb));
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	IPCB(skb)->iif = skb->dev->ifindex;
	return true;
}

/*
 * What ipv6_rcv() sees to, which would take hop-by-hop options as well. No
 * packet of a service has any.
 */
static _Bool sg_check_ipv6(struct sk_buff *skb)
{
	const struct ipv6hdr *ip6h;
	unsigned int len;

	if (!pskb_network_may_pull(skb, sizeof(*ip6h)))
		return false;
	ip6h = ipv6_hdr(skb);
	len = sizeof(*ip6h) + ntohs(ip6h->payload_len);
	if (ip6h->version != 6 || ip6h->nexthdr == NEXTHDR_HOP ||
	    ipv6_addr_is_multicast(&ip6h->saddr) ||
	    ipv6_addr_loopback(&ip6h->saddr) || skb->len < len ||
	    pskb_trim_rcsum(skb, len))
		return false;
	skb_set_transport_header(skb, sizeof(struct ipv6hdr));
	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	IP6CB(skb)->iif = skb->dev->ifindex;
	IP6CB(skb)->nhoff = offsetof(struct ipv6hdr, nexthdr);
	return true;
}

_Bool sg_skb_passes_ipsec(struct sk_buff *skb, _Bool ipv6)
{
	return ipv6 ? xfrm6_policy_check(NULL, XFRM_POLICY_IN, skb) :
		      xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb);
}

_Bool sg_skb_unwrap(struct sk_buff *skb, unsigned int headers, _Bool outer6,
		    _Bool inner6)
{
	u8 outer = outer6 ? ipv6_get_dsfield(ipv6_hdr(skb)) :
			    ipv4_get_dsfield(ip_hdr(skb));
	u8 inner;

	if (__iptunnel_pull_header(skb, headers,
				   htons(inner6 ? ETH_P_IPV6 : ETH_P_IP), true,
				   false))
		return false;
	/* It still is a packet of the device that it came by. */
	skb->skb_iif = skb->dev->ifindex;
	skb_reset_mac_header(skb);
	skb_reset_network_header(skb);
	if (inner6 ? !sg_check_ipv6(skb) : !sg_check_ipv4(skb))
		return false;
	inner = inner6 ? ipv6_get_dsfield(ipv6_hdr(skb)) :
			 ipv4_get_dsfield(ip_hdr(skb));
	return INET_ECN_decapsulate(skb, outer, inner) <= 1;
}

static int sg_deliver_ipv4(struct net *net, struct sock *sk,
			   struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);
	enum skb_drop_reason reason;

	reason = ip_route_input_noref(skb, iph->daddr, iph->saddr,
				      ip4h_dscp(iph), skb->dev);
	if (reason) {
		kfree_skb_reason(skb, reason);
		return NET_RX_DROP;
	}
	return dst_input(skb);
}

static int sg_deliver_ipv6(struct net *net, struct sock *sk,
			   struct sk_buff *skb)
{
	ip6_route_input(skb);
	return dst_input(skb);
}

void sg_skb_receive(struct net *net, struct sk_buff *skb, _Bool last)
{
	/* Others are to see it; this module saw it in its tunnel. */
	u16 flags = SG_SKB_DECIDED | (last ? SG_SKB_LAST : 0);

	if (skb->protocol == htons(ETH_P_IPV6)) {
		IP6CB(skb)->flags |= flags;
		NF_HOOK(NFPROTO_IPV6, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, sg_deliver_ipv6);
	} else {
		IPCB(skb)->flags |= flags;
		NF_HOOK(NFPROTO_IPV4, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, sg_deliver_ipv4);
	}
}
