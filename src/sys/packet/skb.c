// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that netfilter has shown: their bytes, fragments and connections.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <net/dst_metadata.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6_frag.h>
#include <net/l3mdev.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>
#include <net/route.h>
#include <net/tcp.h>

#include "socket/socket.h"
#include "internal.h"
#include "packet.h"

/* Whose fragments they are: told apart from those of conntrack and others. */
#define SVCG_DEFRAG_USER 0x53470000
static_assert(SVCG_DEFRAG_USER > IP_DEFRAG_MACVLAN);
static_assert(SVCG_DEFRAG_USER > __IP6_DEFRAG_CONNTRACK_BRIDGE_IN);

/* The kernel's flags end below the module's, and TCP keeps all of them. */
static_assert(SVCG_SKB_LAST > IPSKB_MCROUTE && SVCG_SKB_LAST > IP6SKB_MCROUTE &&
	      SVCG_SKB_DECIDED > SVCG_SKB_LAST);
static_assert(__same_type(((struct inet_skb_parm *)0)->flags, u16) &&
	      __same_type(((struct inet6_skb_parm *)0)->flags, u16) &&
	      SVCG_SKB_DECIDED <= U16_MAX);
static_assert(__same_type(((struct tcp_skb_cb *)0)->header.h4,
			  struct inet_skb_parm));
static_assert(__same_type(((struct tcp_skb_cb *)0)->header.h6,
			  struct inet6_skb_parm));

const unsigned char *svcg_skb_bytes(const struct sk_buff *skb,
				    unsigned int *len, unsigned int *total)
{
	int offset = skb_network_offset(skb);

	*len = skb_headlen(skb) - offset;
	*total = skb->len - offset;
	return skb_network_header(skb);
}

_Bool svcg_skb_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, skb_network_offset(skb) + len);
}

_Bool svcg_skb_write(struct sk_buff *skb, unsigned int at, const void *from,
		     unsigned int len)
{
	if (skb_ensure_writable(skb, skb_network_offset(skb) + at + len))
		return false;
	memcpy(skb_network_header(skb) + at, from, len);
	return true;
}

unsigned int svcg_skb_device(const struct sk_buff *skb)
{
	return skb->dev->ifindex;
}

_Bool svcg_skb_came_beside(struct net *net, const struct sk_buff *skb,
			   unsigned int index)
{
	const struct net_device *dev = dev_get_by_index_rcu(net, index);

	return dev && dev != skb->dev && !(skb->dev->flags & IFF_LOOPBACK) &&
	       l3mdev_master_ifindex_rcu(dev) ==
		       l3mdev_master_ifindex_rcu(skb->dev);
}

static _Bool svcg_has_local_route(const struct sk_buff *skb, _Bool ipv6)
{
	const struct dst_entry *dst = skb_dst(skb);

	if (dst->error)
		return false;
	return ipv6 ? dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL :
		      skb_rtable(skb)->rt_type == RTN_LOCAL;
}

_Bool svcg_skb_would_be_received(struct sk_buff *skb, _Bool ipv6)
{
	const struct iphdr *iph = ip_hdr(skb);
	_Bool is_local;

	/* What a bridge gave to this machine has been routed. */
	if (skb_valid_dst(skb))
		return svcg_has_local_route(skb, ipv6);
	if (ipv6)
		ip6_route_input(skb);
	else if (ip_route_input_noref(skb, iph->daddr, iph->saddr,
				      ip4h_dscp(iph), skb->dev))
		return false;
	is_local = svcg_has_local_route(skb, ipv6);
	skb_dst_drop(skb);
	return is_local;
}

_Bool svcg_skb_is_l2_multicast(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_MULTICAST ||
	       skb->pkt_type == PACKET_BROADCAST;
}

void svcg_skb_set_for_host(struct sk_buff *skb)
{
	skb->pkt_type = PACKET_HOST;
}

void svcg_skb_drop(struct sk_buff *skb)
{
	kfree_skb_reason(skb, SKB_DROP_REASON_NETFILTER_DROP);
}

void svcg_skb_consume(struct sk_buff *skb)
{
	consume_skb(skb);
}

/*
 * A module of its own, which ours must not need to be loaded. It is kept as
 * long as IPv6 cluster IPs are served anywhere.
 */
static DEFINE_MUTEX(svcg_defrag_mutex);
static unsigned int svcg_defrag_users;
static typeof(&nf_ct_frag6_gather) svcg_defrag_ipv6;

int svcg_defrag_get(void)
{
	int err = 0;

	/* With ipv6.disable=1 there is no routing of it either. */
	if (!ipv6_mod_enabled())
		return -EOPNOTSUPP;
	mutex_lock(&svcg_defrag_mutex);
	if (!svcg_defrag_users) {
		typeof(&nf_ct_frag6_gather) gather;

		gather = symbol_get(nf_ct_frag6_gather);
		if (!gather) {
			request_module("nf_defrag_ipv6");
			gather = symbol_get(nf_ct_frag6_gather);
		}
		/* Before any hook can see it. */
		WRITE_ONCE(svcg_defrag_ipv6, gather);
		err = gather ? 0 : -EOPNOTSUPP;
	}
	if (!err)
		svcg_defrag_users++;
	mutex_unlock(&svcg_defrag_mutex);
	return err;
}

void svcg_defrag_put(void)
{
	mutex_lock(&svcg_defrag_mutex);
	if (!--svcg_defrag_users) {
		WRITE_ONCE(svcg_defrag_ipv6, NULL);
		/* Packets that are on their way have read it. */
		synchronize_rcu();
		symbol_put(nf_ct_frag6_gather);
	}
	mutex_unlock(&svcg_defrag_mutex);
}

enum svcg_defragged svcg_defrag(struct net *net, struct sk_buff *skb,
				_Bool ipv6)
{
	typeof(&nf_ct_frag6_gather) gather = READ_ONCE(svcg_defrag_ipv6);
	_Bool was_routed = skb_dst(skb);
	int err;

	if (!ipv6) {
		if (ip_defrag(net, skb, SVCG_DEFRAG_USER))
			return SVCG_DEFRAG_KEPT;
		/* Routers may cut it once more, even with DF: as it was. */
		skb->ignore_df = 1;
		return SVCG_DEFRAG_DONE;
	}
	err = gather ? gather(net, skb, SVCG_DEFRAG_USER) : -EOPNOTSUPP;
	if (err == -EINPROGRESS)
		return SVCG_DEFRAG_KEPT;
	if (err)
		return SVCG_DEFRAG_FAILED;
	/* It has the route of the fragment that came last, or is to have one. */
	if (was_routed && !skb_dst(skb))
		ip6_route_input(skb);
	return SVCG_DEFRAG_DONE;
}

static struct sock *svcg_established(struct net *net,
				     const struct svcg_flow *flow,
				     const struct net_device *dev)
{
	/* What comes by a device of a VRF is the VRF's, see inet_sdif(). */
	int master = l3mdev_master_ifindex_rcu(dev);
	int dif = master ?: dev->ifindex, sdif = master ? dev->ifindex : 0;
	struct in6_addr local6, peer6;
	__be32 local, peer;

	if (flow->family == AF_INET6) {
		memcpy(&local6, flow->local, sizeof(local6));
		memcpy(&peer6, flow->peer, sizeof(peer6));
		return __inet6_lookup_established(net, &peer6,
						  htons(flow->peer_port),
						  &local6, flow->local_port,
						  dif, sdif);
	}
	memcpy(&local, flow->local, sizeof(local));
	memcpy(&peer, flow->peer, sizeof(peer));
	return __inet_lookup_established(net, peer, htons(flow->peer_port),
					 local, flow->local_port, dif, sdif);
}

/*
 * Whether it acknowledges a SYN cookie of this machine's; of those the kernel
 * remembers nothing else. One of 2^29 other packets does by chance.
 */
static _Bool svcg_has_cookie(struct sk_buff *skb, const struct svcg_flow *flow)
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

enum svcg_connection svcg_connection(struct net *net, struct sk_buff *skb,
				     const struct svcg_flow *flow,
				     unsigned int *sent, unsigned int *received)
{
	struct sock *sk = svcg_established(net, flow, skb->dev);
	enum svcg_connection connection = SVCG_CONNECTION_WHOLE;

	if (!sk)
		return svcg_has_cookie(skb, flow) ? SVCG_CONNECTION_WHOLE :
						    SVCG_CONNECTION_NONE;
	if (sk->sk_state == TCP_NEW_SYN_RECV) {
		const struct tcp_request_sock *req = tcp_rsk(inet_reqsk(sk));

		*sent = req->snt_isn;
		*received = req->rcv_isn;
		connection = SVCG_CONNECTION_HALF_OPEN;
	}
	sock_gen_put(sk);
	return connection;
}

/* TCP keeps the control block of IP, see tcp_v4_fill_cb(). */
static _Bool svcg_came_as_last(const struct sk_buff *skb)
{
	u16 flags = skb->protocol == htons(ETH_P_IPV6) ?
			    TCP_SKB_CB(skb)->header.h6.flags :
			    TCP_SKB_CB(skb)->header.h4.flags;

	return flags & SVCG_SKB_LAST;
}

/* Index of the device that it came by, whose place its VRF has taken since. */
static int svcg_syn_device(const struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IPV6)) {
		if (TCP_SKB_CB(skb)->header.h6.flags & IP6SKB_L3SLAVE)
			return TCP_SKB_CB(skb)->header.h6.iif;
	} else if (TCP_SKB_CB(skb)->header.h4.flags & IPSKB_L3SLAVE) {
		return TCP_SKB_CB(skb)->header.h4.iif;
	}
	return skb->skb_iif;
}

struct sk_buff *svcg_skb_copy_syn(struct net *net, struct sk_buff *skb)
{
	struct sk_buff *copy = NULL;
	struct net_device *dev;

	if (svcg_came_as_last(skb))
		return NULL;
	dev = dev_get_by_index_rcu(net, svcg_syn_device(skb));
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

struct sk_buff *svcg_skb_copy(struct sk_buff *skb)
{
	return skb_clone(skb, GFP_ATOMIC);
}
