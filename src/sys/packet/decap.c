// SPDX-License-Identifier: GPL-2.0
/*
 * Packets from another node, out of their tunnels.
 */
#include <linux/if_ether.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "internal.h"
#include "packet.h"

/*
 * What ip_rcv() sees to. What was merged of more than a length can say (BIG
 * TCP) says none, in both of its IP headers.
 */
static _Bool svcg_check_ipv4(struct sk_buff *skb)
{
	const struct iphdr *iph;
	unsigned int len;

	if (!pskb_network_may_pull(skb, sizeof(*iph)))
		return false;
	iph = ip_hdr(skb);
	if (iph->version != 4 || iph->ihl < 5 ||
	    !pskb_network_may_pull(skb, iph->ihl * 4))
		return false;
	iph = ip_hdr(skb);
	len = iph_totlen(skb, iph);
	if (ip_fast_csum(iph, iph->ihl) || skb->len < len ||
	    len < iph->ihl * 4 || pskb_trim_rcsum(skb, len))
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
static _Bool svcg_check_ipv6(struct sk_buff *skb)
{
	const struct ipv6hdr *ip6h;
	unsigned int len;

	if (!pskb_network_may_pull(skb, sizeof(*ip6h)))
		return false;
	ip6h = ipv6_hdr(skb);
	len = sizeof(*ip6h) + ipv6_payload_len(skb, ip6h);
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

/* The one that it came by, also where its VRF has taken that one's place. */
static struct net_device *svcg_ingress(struct net *net,
				       const struct sk_buff *skb, _Bool ipv6)
{
	int index = 0;

	if (ipv6 ? IP6CB(skb)->flags & IP6SKB_L3SLAVE :
		   IPCB(skb)->flags & IPSKB_L3SLAVE)
		index = ipv6 ? IP6CB(skb)->iif : IPCB(skb)->iif;
	return index ? dev_get_by_index_rcu(net, index) : skb->dev;
}

static _Bool svcg_leads_to_ipv4(struct net *net, const struct sk_buff *skb,
				const struct net_device *dev)
{
	const struct in_device *in_dev = __in_dev_get_rcu(dev);
	const struct iphdr *iph = ip_hdr(skb);
	struct fib_result res;
	struct flowi4 fl4 = {
		.daddr = iph->saddr,
		.saddr = iph->daddr,
		.flowi4_iif = LOOPBACK_IFINDEX,
		.flowi4_l3mdev = l3mdev_master_ifindex_rcu(dev),
		.flowi4_mark = in_dev && IN_DEV_SRC_VMARK(in_dev) ? skb->mark :
								    0,
		.flowi4_dscp = ip4h_dscp(iph),
		.flowi4_scope = RT_SCOPE_UNIVERSE,
		.flowi4_uid = sock_net_uid(net, NULL),
	};

	return !fib_lookup(net, &fl4, &res, FIB_LOOKUP_IGNORE_LINKSTATE) &&
	       res.type == RTN_UNICAST && fib_info_nh_uses_dev(res.fi, dev);
}

static _Bool svcg_leads_to_ipv6(struct net *net, const struct sk_buff *skb,
				const struct net_device *dev)
{
	const struct ipv6hdr *ip6h = ipv6_hdr(skb);
	struct flowi6 fl6 = {
		.daddr = ip6h->saddr,
		.saddr = ip6h->daddr,
		.flowi6_iif = LOOPBACK_IFINDEX,
		/* Of several that lead there, this one. */
		.flowi6_oif = dev->ifindex,
		.flowi6_l3mdev = l3mdev_master_ifindex_rcu(dev),
		.flowi6_uid = sock_net_uid(net, NULL),
	};
	struct dst_entry *dst = ip6_route_lookup(net, &fl6, skb,
						 RT6_LOOKUP_F_HAS_SADDR);
	const struct rt6_info *rt = dst_rt6_info(dst);
	_Bool leads = !dst->error && rt->rt6i_idev &&
		      rt->rt6i_idev->dev == dev &&
		      !(rt->rt6i_flags &
			(RTF_REJECT | RTF_ANYCAST | RTF_LOCAL));

	dst_release(dst);
	return leads;
}

_Bool svcg_skb_came_by_way_back(struct net *net, struct sk_buff *skb,
				_Bool ipv6)
{
	const struct net_device *dev = svcg_ingress(net, skb, ipv6);

	/* IPsec has proved more; __fib_validate_source() asks no more either. */
	if (secpath_exists(skb))
		return true;
	if (!dev)
		return false;
	return ipv6 ? svcg_leads_to_ipv6(net, skb, dev) :
		      svcg_leads_to_ipv4(net, skb, dev);
}

_Bool svcg_skb_passes_ipsec(struct sk_buff *skb, _Bool ipv6)
{
	return ipv6 ? xfrm6_policy_check(NULL, XFRM_POLICY_IN, skb) :
		      xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb);
}

/*
 * The tunnel ends here, and conntrack is to know that it was let in: as with a
 * tunnel of the kernel's, which is confirmed behind this hook.
 */
static _Bool svcg_confirm(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	static_assert(__same_type(((struct nf_ct_hook *)0)->confirm,
				  int (*)(struct sk_buff *skb)));
	const struct nf_ct_hook *ct_hook = rcu_dereference(nf_ct_hook);
	const struct nf_conntrack *nfct = skb_nfct(skb);
	const struct nf_conn *ct;

	if (!nfct || !ct_hook)
		return true;
	ct = container_of(nfct, struct nf_conn, ct_general);
	if (!nf_ct_is_confirmed(ct))
		return ct_hook->confirm(skb) == NF_ACCEPT;
#endif
	return true;
}

_Bool svcg_skb_decap(struct net *net, struct sk_buff *skb, unsigned int headers,
		     _Bool outer6, _Bool inner6)
{
	struct net_device *dev = svcg_ingress(net, skb, outer6);
	u8 outer = outer6 ? ipv6_get_dsfield(ipv6_hdr(skb)) :
			    ipv4_get_dsfield(ip_hdr(skb));
	u8 inner;

	if (!dev || !svcg_confirm(skb))
		return false;
	if (__iptunnel_pull_header(skb, headers,
				   htons(inner6 ? ETH_P_IPV6 : ETH_P_IP), true,
				   false))
		return false;
	/* It still is a packet of the device that it came by. */
	skb->dev = dev;
	skb->skb_iif = dev->ifindex;
	skb_reset_mac_header(skb);
	skb_reset_network_header(skb);
	skb_reset_mac_len(skb);
	if (inner6 ? !svcg_check_ipv6(skb) : !svcg_check_ipv4(skb))
		return false;
	inner = inner6 ? ipv6_get_dsfield(ipv6_hdr(skb)) :
			 ipv4_get_dsfield(ip_hdr(skb));
	return INET_ECN_decapsulate(skb, outer, inner) <= 1;
}

static int svcg_deliver_ipv4(struct net *net, struct sock *sk,
			     struct sk_buff *skb)
{
	const struct iphdr *iph;
	enum skb_drop_reason reason;

	skb = l3mdev_ip_rcv(skb);
	if (!skb)
		return NET_RX_SUCCESS;
	iph = ip_hdr(skb);
	reason = ip_route_input_noref(skb, iph->daddr, iph->saddr,
				      ip4h_dscp(iph), skb->dev);
	if (reason) {
		/* As ip_rcv_finish_core() counts it. */
		if (reason == SKB_DROP_REASON_IP_RPFILTER)
			__NET_INC_STATS(net, LINUX_MIB_IPRPFILTER);
		kfree_skb_reason(skb, reason);
		return NET_RX_DROP;
	}
	return dst_input(skb);
}

static int svcg_deliver_ipv6(struct net *net, struct sock *sk,
			     struct sk_buff *skb)
{
	skb = l3mdev_ip6_rcv(skb);
	if (!skb)
		return NET_RX_SUCCESS;
	ip6_route_input(skb);
	return dst_input(skb);
}

void svcg_skb_receive(struct net *net, struct sk_buff *skb, _Bool last)
{
	/* Others are to see it; this module saw it in its tunnel. */
	u16 flags = SVCG_SKB_DECIDED | (last ? SVCG_SKB_LAST : 0);

	if (skb->protocol == htons(ETH_P_IPV6)) {
		IP6CB(skb)->flags |= flags;
		NF_HOOK(NFPROTO_IPV6, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, svcg_deliver_ipv6);
	} else {
		IPCB(skb)->flags |= flags;
		NF_HOOK(NFPROTO_IPV4, NF_INET_PRE_ROUTING, net, NULL, skb,
			skb->dev, NULL, svcg_deliver_ipv4);
	}
}

void svcg_update_pmtu(struct net *net, struct sk_buff *skb, unsigned int at,
		      _Bool ipv6, unsigned int mtu)
{
	int vrf = l3mdev_master_ifindex_rcu(skb->dev);

	/* It is looked for where the packet begins. */
	__skb_pull(skb, at);
	if (ipv6)
		ip6_update_pmtu(skb, net, htonl(mtu), vrf, 0,
				sock_net_uid(net, NULL));
	else
		ipv4_update_pmtu(skb, net, mtu, vrf, IPPROTO_IPIP);
	__skb_push(skb, at);
}
