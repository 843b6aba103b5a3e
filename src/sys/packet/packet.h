/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim about packets; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_PACKET_H
#define _SERVICE_GROUP_PACKET_H

#include <linux/service_group_netlink.h>

struct net;
struct net_device;
struct svcg_device;
struct svcg_flow;
struct svcg_nf_hooks;
struct sk_buff;

/* ---- hooks.c: packets that netfilter shows ---- */

/*
 * Has the packets of the namespace shown to the callbacks below, with @state;
 * NULL if that fails. Process context.
 */
struct svcg_nf_hooks *svcg_nf_hooks_register(struct net *net, void *state);
/* Callbacks may still run until a grace period has passed. Process context. */
void svcg_nf_hooks_unregister(struct svcg_nf_hooks *hooks);

/*
 * Keeps the module from being unloaded; false if it is being unloaded. Whoever
 * calls either goes on with the module's code, and is waited for by something that
 * unloading does, see netns.c.
 */
_Bool svcg_module_get(void);
void svcg_module_put(void);

/* What netfilter does with a packet: it goes on, or it is gone. */
enum svcg_verdict { SVCG_VERDICT_ACCEPT, SVCG_VERDICT_STOLEN };

/* ---- skb.c: what is done with the packets; RCU read section ---- */

/*
 * The first bytes of a packet, how many there are in one piece, and how many in
 * all. It begins with its network header; places are counted from there.
 */
const unsigned char *svcg_skb_bytes(const struct sk_buff *skb,
				    unsigned int *len, unsigned int *total);
/* Has so many bytes be in one piece; false without memory, or if there are less. */
_Bool svcg_skb_pull(struct sk_buff *skb, unsigned int len);
/* Overwrites bytes that are in one piece; false without memory. */
_Bool svcg_skb_write(struct sk_buff *skb, unsigned int at, const void *from,
		     unsigned int len);
/* Index of its device. */
unsigned int svcg_skb_device(const struct sk_buff *skb);
/*
 * Whether it came by another device than the one with this index, and not by a
 * loopback device, but in the same VRF, or also in none. False if there is no
 * device with this index.
 */
_Bool svcg_skb_came_beside(struct net *net, const struct sk_buff *skb,
			   unsigned int index);
/*
 * Whether this machine would receive it: its routes lead here, and the validation
 * of the source (rp_filter, IPv4) lets it pass.
 */
_Bool svcg_skb_would_be_received(struct sk_buff *skb, _Bool ipv6);
/* Whether its frame was for many machines. */
_Bool svcg_skb_is_l2_multicast(const struct sk_buff *skb);
/* It is for this machine, whatever its MAC address. */
void svcg_skb_set_for_host(struct sk_buff *skb);
void svcg_skb_drop(struct sk_buff *skb);
/* The same for one that nothing is wrong with. */
void svcg_skb_consume(struct sk_buff *skb);

/* Fragments are put together: */
enum svcg_defragged {
	SVCG_DEFRAG_DONE,	/* the packet is whole now */
	SVCG_DEFRAG_KEPT,	/* the fragment is kept, or was dropped */
	SVCG_DEFRAG_FAILED,	/* it is no good, or without memory */
};

/* Has the module that does it for IPv6 be there. Process context. */
int svcg_defrag_get(void);
void svcg_defrag_put(void);
/* Bottom halves off, in one of these two. */
enum svcg_defragged svcg_defrag(struct net *net, struct sk_buff *skb,
				_Bool ipv6);

/* What there is of a TCP connection: */
enum svcg_connection {
	SVCG_CONNECTION_NONE,
	SVCG_CONNECTION_HALF_OPEN,
	SVCG_CONNECTION_WHOLE, /* TIME-WAIT included */
};

/*
 * What the packet's flow has here. Of a half-open one it tells the first
 * sequence numbers, here and there; one that a SYN cookie stands for is whole.
 */
enum svcg_connection svcg_connection(struct net *net, struct sk_buff *skb,
				     const struct svcg_flow *flow,
				     unsigned int *sent,
				     unsigned int *received);

/* One more of a packet that is not written to; NULL without memory. */
struct sk_buff *svcg_skb_copy(struct sk_buff *skb);
/*
 * The same for one that is at its TCP header; this one is at its IP header.
 * Also NULL if the device that it came by is gone, or if it was received as the
 * last one. RCU read section.
 */
struct sk_buff *svcg_skb_copy_syn(struct net *net, struct sk_buff *skb);

/* ---- conntrack.c: flows of services behind NAT ---- */

/* One end of a TCP flow: what it has sent, and its widest window; 0: not known. */
struct svcg_tracked_end {
	unsigned int	next;
	unsigned int	window;
};

/**
 * struct svcg_tracked - what conntrack knows of a TCP flow
 * @translated: its packets are sent to another address or port (DNAT)
 * @answered: the service has sent something
 * @liberal: sequence numbers are not followed, or are changed on the way
 * @state: enum tcp_conntrack
 * @client: the end that began it
 * @server: the end that was reached
 */
struct svcg_tracked {
	_Bool		translated;
	_Bool		answered;
	_Bool		liberal;
	unsigned char	state;
	struct svcg_tracked_end client;
	struct svcg_tracked_end server;
};

/* As long as a caller asks, conntrack stays if it is there. Never loads it. Process context. */
void svcg_conntrack_get(void);
/* A grace period passes, if it was the last one. Process context. */
void svcg_conntrack_put(void);
/* Has conntrack be asked as well that is loaded later. Process context. */
int svcg_conntrack_watch(void);
void svcg_conntrack_unwatch(void);
/*
 * What it knows of a flow whose first packet went the same way, in the zone that the
 * raw tables gave the packet, which is none if it came in a tunnel; false if nothing,
 * or without conntrack. RCU read section.
 */
_Bool svcg_conntrack_find(struct net *net, const struct sk_buff *skb,
			  const struct svcg_flow *flow,
			  struct svcg_tracked *tracked);

/* ---- device.c: what a device does for a cluster IP; process context ---- */

void svcg_rtnl_lock(void);
void svcg_rtnl_unlock(void);
/* Packets that a device has merged by itself cannot be sent on. RTNL. */
void svcg_device_disable_lro(struct net *net, unsigned int index);
/* Whether it is there, up, and has a carrier. Any context. */
_Bool svcg_device_is_up(struct net *net, unsigned int index);

/*
 * A device with Ethernet addresses of this index, whose reference is kept; or an
 * error pointer: -ENODEV, -ENOMEM, -EMEDIUMTYPE of a VRF. RTNL.
 */
struct svcg_device *svcg_device_get(struct net *net, unsigned int index);
void svcg_device_put(struct svcg_device *device);
/* Has it receive a multicast MAC address; RTNL, as for the others. */
int svcg_device_join_mac(struct svcg_device *device, const unsigned char *mac);
/* Has it receive solicitations for an IPv6 address of 16 bytes. */
int svcg_device_join_solicited(struct svcg_device *device,
			       const unsigned char *address);
/* Makes good what the device has forgotten of that. */
void svcg_device_rejoin(struct svcg_device *device);
/* Tells the segment which machine has the address. */
void svcg_device_announce_ipv4(const struct svcg_device *device,
			       const unsigned char *address);
void svcg_device_announce_ipv6(const struct svcg_device *device,
			       const unsigned char *address);

int svcg_devices_watch(void);
/* Tells that all devices go, before it returns. */
void svcg_devices_unwatch(void);

/* ---- address.c: addresses of this machine ---- */

/*
 * Where the machine has an address of 4 or 16 bytes: on the device with this
 * index, elsewhere, or not, as enum service_group_cluster_local has it; of IPv6,
 * one that may be used already. @unsettled: that may change, and no notifier will
 * tell. Any context.
 */
unsigned int svcg_address_local(struct net *net, unsigned int index,
				const unsigned char *address, _Bool ipv6,
				_Bool *unsettled);

int svcg_addresses_watch(void);
void svcg_addresses_unwatch(void);
/* Has svcg_addresses_look() called, in process context. Any context. */
void svcg_addresses_look_soon(const struct net *net);

/* ---- neighbour.c: ARP and neighbour discovery; RCU read section ---- */

/* The MAC address that the packet was sent from, as a number; 0 if there is none. */
unsigned long long svcg_skb_source_mac(const struct sk_buff *skb);
/* The same of a neighbour on the packet's device. */
unsigned long long svcg_skb_neighbour_mac(const struct sk_buff *skb,
					  const unsigned char *address,
					  _Bool ipv6);
/*
 * Answers an ARP request from @peer for @address with the device's own MAC. What
 * the peer's is it learns if the kernel would.
 */
void svcg_arp_answer(struct sk_buff *skb, const unsigned char *address,
		     const unsigned char *peer, const unsigned char *peer_mac);
/*
 * The same for a neighbour solicitation. One without a sender's MAC address is
 * answered as well; one from no address is answered to all nodes.
 */
void svcg_nd_answer(const struct sk_buff *skb, const unsigned char *address,
		    const unsigned char *peer, const unsigned char *peer_mac);
/* An IPv4 address of the packet's device; false if it has no more. */
_Bool svcg_arp_source(const struct sk_buff *skb, unsigned int index,
		      unsigned char *address);
/*
 * Index of the device by which a machine is a neighbour, as routes say: the one
 * with this index if it is, else another one of the same VRF; that one if there is
 * no such route. RCU read section.
 */
unsigned int svcg_neighbour_device(struct net *net, unsigned int index,
				   const unsigned char *address, _Bool ipv6);
/*
 * Whether the checksum of an ICMP packet is right, or of an ICMPv6 packet without
 * extension headers.
 */
_Bool svcg_icmp_valid(struct sk_buff *skb, _Bool ipv6);
/* A link-local address of the packet's device. */
_Bool svcg_nd_source(const struct sk_buff *skb, unsigned char *address);
/*
 * Overwrites bytes of an ICMPv6 packet, or of its addresses, and mends its
 * checksum. @at and @len are even. False without memory.
 */
_Bool svcg_nd_write(struct sk_buff *skb, unsigned int at, const void *from,
		    unsigned int len);

/* ---- route.c: ways to other nodes; bottom halves off ---- */

/**
 * struct svcg_hop - where a packet is to go
 * @ipv6: of which family the addresses are
 * @protocol: what stands behind the IP header
 * @device: index of the one that packets come by, in whose VRF the node is
 * @to: the node's address
 * @from: this machine's, or zero
 */
struct svcg_hop {
	_Bool		ipv6;
	unsigned char	protocol;
	unsigned int	device;
	unsigned char	to[16];
	unsigned char	from[16];
};

struct dst_entry;
struct svcg_route;

/* Process context; NULL without memory. */
struct svcg_route *svcg_route_new(void);
/* It is not used any more; any context. */
void svcg_route_free(struct svcg_route *route);
/*
 * The path to always the same hop, with a reference, and this machine's address
 * on it; or NULL if there is none to another machine, or IPsec forbids it.
 */
struct dst_entry *svcg_route_find(struct svcg_route *route, struct net *net,
				  const struct svcg_hop *hop,
				  unsigned char *source);
unsigned int svcg_path_mtu(const struct dst_entry *dst);
void svcg_path_put(struct dst_entry *dst);

/* ---- forward.c: to other nodes; bottom halves off ---- */

/* Whether its device has merged it of several (LRO), which a warning tells. */
_Bool svcg_skb_is_merged(const struct sk_buff *skb);
/* Whether its sender allows routers to fragment it. */
_Bool svcg_skb_may_fragment(const struct sk_buff *skb, _Bool ipv6);
/* Whether it was put together of fragments, and is cut again as it was. */
_Bool svcg_skb_was_defragmented(const struct sk_buff *skb, _Bool ipv6);
/* Whether it fits into another packet, which may be fragmented. */
_Bool svcg_skb_may_encap(const struct sk_buff *skb);
/* Whether it, or what it is to be cut into, is longer. */
_Bool svcg_skb_exceeds(const struct sk_buff *skb, _Bool ipv6, unsigned int mtu);
/* Tells its sender so. */
void svcg_icmp_frag_needed(struct sk_buff *skb, _Bool ipv6, unsigned int mtu);
/* The same for one that had so many hops as it may. */
void svcg_icmp_time_exceeded(struct sk_buff *skb, _Bool ipv6);
/*
 * How long a packet may be that is sent by the device with this index, or by its
 * own if there is none.
 */
unsigned int svcg_skb_device_mtu(struct net *net, const struct sk_buff *skb,
				 unsigned int index);
/*
 * Sends it by the device with this index, to the MAC address of a neighbour,
 * with one hop less. The packet is gone.
 */
void svcg_xmit_neigh(struct net *net, struct sk_buff *skb, _Bool ipv6,
		     unsigned int device, const unsigned char *to);

/**
 * struct svcg_tunnel - what is put around a packet
 * @ipv6: of which family the addresses are
 * @gre: with a GRE header between the IP headers
 * @df: it is not to be fragmented on its way; IPv4
 * @ttl: how many hops it may take; without GRE it is one less for the packet
 * @from: this machine's address
 * @to: the node's
 */
struct svcg_tunnel {
	_Bool		ipv6;
	_Bool		gre;
	_Bool		df;
	unsigned char	ttl;
	unsigned char	from[16];
	unsigned char	to[16];
};

/* Sends it in another packet; the packet and the reference are gone. */
void svcg_xmit_tunnel(struct net *net, struct sk_buff *skb,
		      struct dst_entry *dst, const struct svcg_tunnel *tunnel);

/* ---- decap.c: from other nodes; bottom halves off ---- */

/*
 * Whether the packet came by a device by which this machine would send to its
 * source, or out of IPsec.
 */
_Bool svcg_skb_came_by_way_back(struct net *net, struct sk_buff *skb,
				_Bool ipv6);
/* Whether IPsec's policies allow the packet to come in. */
_Bool svcg_skb_passes_ipsec(struct sk_buff *skb, _Bool ipv6);
/*
 * Takes so many bytes of headers off; false if what is in it is no IP packet,
 * without memory, or if conntrack has no room for the tunnel.
 */
_Bool svcg_skb_decap(struct net *net, struct sk_buff *skb, unsigned int headers,
		     _Bool outer6, _Bool inner6);
/*
 * Has this machine receive it, as if it had come by its device; if it is the
 * @last, it has no copy made by svcg_skb_copy_syn().
 */
void svcg_skb_receive(struct net *net, struct sk_buff *skb, _Bool last);
/* Notes what an ICMP error says of the path of the packet that stands there. */
void svcg_update_pmtu(struct net *net, struct sk_buff *skb, unsigned int at,
		      _Bool ipv6, unsigned int mtu);

#endif /* _SERVICE_GROUP_PACKET_H */
