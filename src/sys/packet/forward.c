// SPDX-License-Identifier: GPL-2.0
/*
 * Packets on their way to another node: to its MAC address, or in a tunnel.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/gre.h>
#include <net/gso.h>
#include <net/icmp.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "internal.h"
#include "packet.h"

_Bool svcg_skb_is_merged(const struct sk_buff *skb)
{
	return skb_warn_if_lro(skb);
}

_Bool svcg_skb_may_fragment(const struct sk_buff *skb, _Bool ipv6)
{
	return !ipv6 && !(ip_hdr(skb)->frag_off & htons(IP_DF));
}

_Bool svcg_skb_may_encap(const struct sk_buff *skb)
{
	unsigned int headers = sizeof(struct ipv6hdr) +
			       sizeof(struct gre_base_hdr);

	return skb_is_gso(skb) || skb->len + headers <= IP_MAX_MTU;
}

/* Of the longest fragment that it was put together of; 0 if it was not. */
static unsigned int svcg_frag_max(const struct sk_buff *skb, _Bool ipv6)
{
	return ipv6 ? IP6CB(skb)->frag_max_size : IPCB(skb)->frag_max_size;
}

_Bool svcg_skb_was_defragmented(const struct sk_buff *skb, _Bool ipv6)
{
	return svcg_frag_max(skb, ipv6) != 0;
}

_Bool svcg_skb_exceeds(const struct sk_buff *skb, _Bool ipv6, unsigned int mtu)
{
	unsigned int max = svcg_frag_max(skb, ipv6);

	if (max)
		return max > mtu;
	if (skb_is_gso(skb))
		return !skb_gso_validate_network_len(skb, mtu);
	return skb->len > mtu;
}

static struct net_device *
svcg_out_device(struct net *net, const struct sk_buff *skb, unsigned int index)
{
	if (likely(skb->dev->ifindex == index))
		return skb->dev;
	return dev_get_by_index_rcu(net, index);
}

unsigned int svcg_skb_device_mtu(struct net *net, const struct sk_buff *skb,
				 unsigned int index)
{
	const struct net_device *dev = svcg_out_device(net, skb, index);

	return READ_ONCE((dev ?: skb->dev)->mtu);
}

/* Whether it leaves by its device as it is. */
static _Bool svcg_is_one_frame(const struct sk_buff *skb, _Bool ipv6)
{
	return !svcg_skb_was_defragmented(skb, ipv6) &&
	       !svcg_skb_exceeds(skb, ipv6, READ_ONCE(skb->dev->mtu));
}

/* An error is sent from where the packet would have gone. */
static _Bool svcg_can_tell(struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);

	return skb_dst(skb) ||
	       !ip_route_input_noref(skb, iph->daddr, iph->saddr,
				     ip4h_dscp(iph), skb->dev);
}

void svcg_icmp_frag_needed(struct sk_buff *skb, _Bool ipv6, unsigned int mtu)
{
	if (ipv6)
		icmpv6_send(skb, ICMPV6_PKT_TOOBIG, 0, mtu);
	else if (svcg_can_tell(skb))
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
}

void svcg_icmp_time_exceeded(struct sk_buff *skb, _Bool ipv6)
{
	if (ipv6)
		icmpv6_send(skb, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT, 0);
	else if (svcg_can_tell(skb))
		icmp_send(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
}

/* As a packet that is sent, and was not received. Consumes it without memory. */
static _Bool svcg_prepare(struct sk_buff *skb, unsigned int headers)
{
	skb_orphan(skb);
	nf_reset_ct(skb);
	skb_forward_csum(skb);
	skb_clear_tstamp(skb);
	if (!skb_cow_head(skb, headers))
		return true;
	kfree_skb_reason(skb, SKB_DROP_REASON_NOMEM);
	return false;
}

/* The packet is this machine's own, see svcg_prepare(). */
static void svcg_spend_hop(struct sk_buff *skb, _Bool ipv6)
{
	if (ipv6)
		ipv6_hdr(skb)->hop_limit--;
	else
		ip_decrease_ttl(ip_hdr(skb));
}

/* It was put together, or may be cut: like a packet that is sent from here. */
static void svcg_xmit_neigh_fragments(struct net *net, struct sk_buff *skb,
				      _Bool ipv6, const unsigned char *to)
{
	/* A route of this kind holds its device: it is not kept. */
	struct flowi4 fl4 = {
		.flowi4_oif = skb->dev->ifindex,
		.flowi4_flags = FLOWI_FLAG_KNOWN_NH,
	};
	struct flowi6 fl6 = {
		.flowi6_oif = skb->dev->ifindex,
		.flowi6_flags = FLOWI_FLAG_KNOWN_NH,
	};
	struct dst_entry *dst;

	if (ipv6) {
		memcpy(&fl6.daddr, to, sizeof(fl6.daddr));
		dst = svcg_look_up_ipv6(net, &fl6);
	} else {
		memcpy(&fl4.daddr, to, sizeof(fl4.daddr));
		dst = svcg_look_up_ipv4(net, &fl4);
	}
	if (!dst) {
		kfree_skb_reason(skb, SKB_DROP_REASON_IP_OUTNOROUTES);
		return;
	}
	skb_dst_drop(skb);
	skb_dst_set(skb, dst);
	/* Its sender was told if it is too big. */
	skb->ignore_df = 1;
	dst_output(net, NULL, skb);
}

void svcg_xmit_neigh(struct net *net, struct sk_buff *skb, _Bool ipv6,
		     unsigned int device, const unsigned char *to)
{
	struct net_device *dev = svcg_out_device(net, skb, device);
	struct in6_addr ip6;
	_Bool one_frame;
	__be32 ip;

	if (!dev) {
		kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
		return;
	}
	skb->dev = dev;
	one_frame = svcg_is_one_frame(skb, ipv6);
	if (!svcg_prepare(skb, LL_RESERVED_SPACE(skb->dev)))
		return;
	svcg_spend_hop(skb, ipv6);
	if (!one_frame) {
		svcg_xmit_neigh_fragments(net, skb, ipv6, to);
		return;
	}
	skb_dst_drop(skb);
	if (ipv6) {
		memcpy(&ip6, to, sizeof(ip6));
		neigh_xmit(NEIGH_ND_TABLE, skb->dev, &ip6, skb);
	} else {
		memcpy(&ip, to, sizeof(ip));
		neigh_xmit(NEIGH_ARP_TABLE, skb->dev, &ip, skb);
	}
}

static void svcg_push_ipv6(struct sk_buff *skb,
			   const struct svcg_tunnel *tunnel, u8 protocol,
			   u8 dsfield)
{
	struct ipv6hdr *iph;

	memset(IP6CB(skb), 0, sizeof(*IP6CB(skb)));
	skb_push(skb, sizeof(*iph));
	skb_reset_network_header(skb);
	iph = ipv6_hdr(skb);
	ip6_flow_hdr(iph, dsfield, 0);
	iph->nexthdr = protocol;
	iph->hop_limit = tunnel->ttl;
	memcpy(&iph->saddr, tunnel->from, sizeof(iph->saddr));
	memcpy(&iph->daddr, tunnel->to, sizeof(iph->daddr));
}

/* Without a key, a checksum or a sequence number. */
static_assert(sizeof(struct gre_base_hdr) == 4);

static void svcg_push_gre(struct sk_buff *skb)
{
	struct gre_base_hdr *gre = skb_push(skb, sizeof(*gre));

	gre->flags = 0;
	gre->protocol = skb->protocol;
	skb_set_inner_protocol(skb, skb->protocol);
}

static int svcg_gso_type(const struct svcg_tunnel *tunnel)
{
	if (tunnel->gre)
		return SKB_GSO_GRE;
	return tunnel->ipv6 ? SKB_GSO_IPXIP6 : SKB_GSO_IPXIP4;
}

static void svcg_tunnel_out(struct net *net, struct sk_buff *skb,
			    struct dst_entry *dst,
			    const struct svcg_tunnel *tunnel, u8 protocol,
			    u8 dsfield)
{
	__be32 from, to;

	/* It is counted for no tunnel device. */
	skb->dev = NULL;
	if (!tunnel->ipv6) {
		memcpy(&from, tunnel->from, sizeof(from));
		memcpy(&to, tunnel->to, sizeof(to));
		iptunnel_xmit(NULL, dst_rtable(dst), skb, from, to, protocol,
			      dsfield, tunnel->ttl,
			      tunnel->df ? htons(IP_DF) : 0, false, 0);
		return;
	}
	skb_scrub_packet(skb, false);
	skb_clear_hash_if_not_l4(skb);
	skb_dst_set(skb, dst);
	svcg_push_ipv6(skb, tunnel, protocol, dsfield);
	skb->ignore_df = 1;
	ip6_local_out(net, NULL, skb);
}

void svcg_xmit_tunnel(struct net *net, struct sk_buff *skb,
		      struct dst_entry *dst, const struct svcg_tunnel *tunnel)
{
	_Bool inner6 = skb->protocol == htons(ETH_P_IPV6);
	u8 protocol = inner6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	u8 dsfield;

	dsfield = inner6 ? ipv6_get_dsfield(ipv6_hdr(skb)) :
			   ipv4_get_dsfield(ip_hdr(skb));
	if (!svcg_prepare(skb, LL_RESERVED_SPACE(dst->dev) + dst->header_len +
				       sizeof(struct ipv6hdr) +
				       sizeof(struct gre_base_hdr))) {
		dst_release(dst);
		return;
	}
	if (!tunnel->gre)
		svcg_spend_hop(skb, inner6);
	if (iptunnel_handle_offloads(skb, svcg_gso_type(tunnel))) {
		dst_release(dst);
		kfree_skb_reason(skb, SKB_DROP_REASON_NOMEM);
		return;
	}
	skb_set_inner_ipproto(skb, protocol);
	skb_set_inner_mac_header(skb, skb_inner_network_offset(skb));
	if (tunnel->gre) {
		protocol = IPPROTO_GRE;
		svcg_push_gre(skb);
	}
	skb_reset_transport_header(skb);
	svcg_tunnel_out(net, skb, dst, tunnel, protocol,
			INET_ECN_encapsulate(dsfield, dsfield));
}
