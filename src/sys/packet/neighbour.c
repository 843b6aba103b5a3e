// SPDX-License-Identifier: GPL-2.0
/*
 * ARP and neighbour discovery for cluster IPs.
 */
#include <linux/etherdevice.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/inetdevice.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ip_fib.h>
#include <net/l3mdev.h>
#include <net/ndisc.h>
#include <net/neighbour.h>
#include <net/route.h>

#include "packet.h"

/* The peer is about to be answered to, and then sent to. */
static void svcg_learn(struct neigh_table *table, struct net_device *dev,
		       const void *peer, const unsigned char *peer_mac)
{
	struct neighbour *neigh;

	neigh = neigh_event_ns(table, (u8 *)peer_mac, (void *)peer, dev);
	if (neigh)
		neigh_release(neigh);
}

/* A cluster IP's device was one, but another one may have its index by now. */
static bool svcg_is_ethernet(const struct net_device *dev)
{
	return dev->type == ARPHRD_ETHER && dev->addr_len == ETH_ALEN;
}

unsigned long long svcg_skb_source_mac(const struct sk_buff *skb)
{
	if (!svcg_is_ethernet(skb->dev) || !skb_mac_header_was_set(skb) ||
	    skb_network_header(skb) - skb_mac_header(skb) < ETH_HLEN)
		return 0;
	return ether_addr_to_u64(eth_hdr(skb)->h_source);
}

unsigned long long svcg_skb_neighbour_mac(const struct sk_buff *skb,
					  const unsigned char *address,
					  _Bool ipv6)
{
	unsigned char mac[ETH_ALEN] __aligned(2);
	struct neighbour *neigh;
	struct in6_addr ip6;
	__be32 ip;

	if (!svcg_is_ethernet(skb->dev))
		return 0;
	if (ipv6) {
		memcpy(&ip6, address, sizeof(ip6));
		neigh = __ipv6_neigh_lookup_noref(skb->dev, &ip6);
	} else {
		memcpy(&ip, address, sizeof(ip));
		neigh = __ipv4_neigh_lookup_noref(skb->dev, (__force u32)ip);
	}
	if (!neigh || !(READ_ONCE(neigh->nud_state) & NUD_VALID))
		return 0;
	neigh_ha_snapshot(mac, neigh, skb->dev);
	return ether_addr_to_u64(mac);
}

/*
 * Index of the device of a route that needs no router, of this device only or of
 * any of its VRF; 0 if there is none.
 */
static unsigned int svcg_on_link_ipv4(struct net *net,
				      const struct net_device *dev, _Bool only,
				      const unsigned char *to)
{
	struct flowi4 fl4 = {
		.flowi4_iif = LOOPBACK_IFINDEX,
		.flowi4_oif = only ? dev->ifindex : 0,
		.flowi4_l3mdev = l3mdev_master_ifindex_rcu(dev),
		.flowi4_scope = RT_SCOPE_UNIVERSE,
		.flowi4_uid = sock_net_uid(net, NULL),
	};
	struct fib_result res;

	memcpy(&fl4.daddr, to, sizeof(fl4.daddr));
	if (fib_lookup(net, &fl4, &res, FIB_LOOKUP_IGNORE_LINKSTATE) ||
	    res.type != RTN_UNICAST || res.nhc->nhc_gw_family ||
	    !res.nhc->nhc_dev || !svcg_is_ethernet(res.nhc->nhc_dev))
		return 0;
	return res.nhc->nhc_dev->ifindex;
}

static unsigned int svcg_on_link_ipv6(struct net *net,
				      const struct net_device *dev, _Bool only,
				      const unsigned char *to)
{
	struct flowi6 fl6 = {
		.flowi6_iif = LOOPBACK_IFINDEX,
		.flowi6_oif = only ? dev->ifindex : 0,
		.flowi6_l3mdev = l3mdev_master_ifindex_rcu(dev),
		.flowi6_uid = sock_net_uid(net, NULL),
	};
	const struct rt6_info *rt;
	struct dst_entry *dst;
	unsigned int index = 0;

	memcpy(&fl6.daddr, to, sizeof(fl6.daddr));
	dst = ip6_route_lookup(net, &fl6, NULL, only ? RT6_LOOKUP_F_IFACE : 0);
	rt = dst_rt6_info(dst);
	if (!dst->error &&
	    !(rt->rt6i_flags &
	      (RTF_REJECT | RTF_ANYCAST | RTF_LOCAL | RTF_GATEWAY)) &&
	    rt->rt6i_idev && svcg_is_ethernet(rt->rt6i_idev->dev))
		index = rt->rt6i_idev->dev->ifindex;
	dst_release(dst);
	return index;
}

unsigned int svcg_neighbour_device(struct net *net, unsigned int index,
				   const unsigned char *address, _Bool ipv6)
{
	const struct net_device *dev = dev_get_by_index_rcu(net, index);
	unsigned int found;

	if (!dev)
		return index;
	if (ipv6)
		found = svcg_on_link_ipv6(net, dev, true, address) ?:
				svcg_on_link_ipv6(net, dev, false, address);
	else
		found = svcg_on_link_ipv4(net, dev, true, address) ?:
				svcg_on_link_ipv4(net, dev, false, address);
	/* It may be on the segment all the same, without a route. */
	return found ?: index;
}

/* Whether arp_process() would learn from the sender. */
static bool svcg_is_believed(struct sk_buff *skb, __be32 ip, __be32 peer)
{
	bool is_believed = !ip_route_input_noref(skb, ip, peer, 0, skb->dev) &&
			   skb_rtable(skb)->rt_type == RTN_LOCAL;

	skb_dst_drop(skb);
	return is_believed;
}

void svcg_arp_answer(struct sk_buff *skb, const unsigned char *address,
		     const unsigned char *peer, const unsigned char *peer_mac)
{
	struct net_device *dev = skb->dev;
	__be32 ip, to;

	if (!svcg_is_ethernet(dev))
		return;
	memcpy(&ip, address, sizeof(ip));
	memcpy(&to, peer, sizeof(to));
	if (to && svcg_is_believed(skb, ip, to))
		svcg_learn(&arp_tbl, dev, &to, peer_mac);
	arp_send(ARPOP_REPLY, ETH_P_ARP, to, dev, ip, peer_mac, dev->dev_addr,
		 peer_mac);
}

void svcg_nd_answer(const struct sk_buff *skb, const unsigned char *address,
		    const unsigned char *peer, const unsigned char *peer_mac)
{
	struct net_device *dev = skb->dev;
	struct in6_addr ip, to;

	memcpy(&ip, address, sizeof(ip));
	memcpy(&to, peer, sizeof(to));
	if (ipv6_addr_any(&to)) {
		ndisc_send_na(dev, &in6addr_linklocal_allnodes, &ip, false,
			      false, true, true);
		return;
	}
	if (peer_mac && svcg_is_ethernet(dev))
		svcg_learn(&nd_tbl, dev, &to, peer_mac);
	ndisc_send_na(dev, &to, &ip, false, true, true, true);
}

_Bool svcg_arp_source(const struct sk_buff *skb, unsigned int index,
		      unsigned char *address)
{
	const struct in_device *in_dev = __in_dev_get_rcu(skb->dev);
	const struct in_ifaddr *ifa;

	if (!in_dev)
		return false;
	in_dev_for_each_ifa_rcu(ifa, in_dev) {
		if (index--)
			continue;
		memcpy(address, &ifa->ifa_local, sizeof(ifa->ifa_local));
		return true;
	}
	return false;
}

_Bool svcg_icmp_valid(struct sk_buff *skb, _Bool ipv6)
{
	if (!ipv6)
		return !nf_ip_checksum(skb, NF_INET_PRE_ROUTING,
				       ip_hdrlen(skb), IPPROTO_ICMP);
	return !nf_ip6_checksum(skb, NF_INET_PRE_ROUTING,
				sizeof(struct ipv6hdr), IPPROTO_ICMPV6);
}

_Bool svcg_nd_source(const struct sk_buff *skb, unsigned char *address)
{
	struct in6_addr ip;

	/* Of the scope that neighbour discovery has. */
	if (ipv6_dev_get_saddr(dev_net(skb->dev), skb->dev,
			       &in6addr_linklocal_allnodes, 0, &ip))
		return false;
	memcpy(address, &ip, sizeof(ip));
	return true;
}

_Bool svcg_nd_write(struct sk_buff *skb, unsigned int at, const void *from,
		    unsigned int len)
{
	unsigned int headers = sizeof(struct ipv6hdr) + sizeof(struct icmp6hdr);
	struct icmp6hdr *icmp6h;
	unsigned char *to;
	__wsum change;

	if (skb_ensure_writable(skb, skb_network_offset(skb) +
				     max(at + len, headers)))
		return false;
	to = skb_network_header(skb) + at;
	icmp6h = (struct icmp6hdr *)(ipv6_hdr(skb) + 1);
	change = csum_sub(csum_partial(from, len, 0), csum_partial(to, len, 0));
	memcpy(to, from, len);
	csum_replace_by_diff(&icmp6h->icmp6_cksum, change);
	return true;
}
