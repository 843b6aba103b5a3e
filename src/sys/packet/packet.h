/* SPDX-License-Identifier: GPL-2.0 */
/* The part of the shim about packets; shim.h says what holds for it. */
#ifndef _SERVICE_GROUP_PACKET_H
#define _SERVICE_GROUP_PACKET_H

#include <linux/service_group_netlink.h>

struct net;
struct net_device;
struct sg_device;
struct sg_flow;
struct sg_hooks;
struct sk_buff;

/* ---- hooks.c: packets that netfilter shows ---- */

/*
 * Has the packets of the namespace shown to the callbacks below, with @state;
 * NULL if that fails. Process context.
 */
struct sg_hooks *sg_hooks_register(struct net *net, void *state);
/* Callbacks may still run until a grace period has passed. Process context. */
void sg_hooks_unregister(struct sg_hooks *hooks);

/*
 * Keeps the module from being unloaded; false if it is being unloaded. Whoever
 * calls either goes on with the module's code, and is waited for by something that
 * unloading does, see netns.c.
 */
_Bool sg_module_get(void);
void sg_module_put(void);

/* What netfilter does with a packet: it goes on, or it is gone. */
enum sg_verdict { SG_VERDICT_ACCEPT, SG_VERDICT_STOLEN };

/* ---- skb.c: what is done with the packets; RCU read section ---- */

/*
 * The first bytes of a packet, how many there are in one piece, and how many in
 * all. It begins with its network header; places are counted from there.
 */
const unsigned char *sg_skb_bytes(const struct sk_buff *skb, unsigned int *len,
				  unsigned int *total);
/* Has so many bytes be in one piece; false without memory, or if there are less. */
_Bool sg_skb_pull(struct sk_buff *skb, unsigned int len);
/* Overwrites bytes that are in one piece; false without memory. */
_Bool sg_skb_write(struct sk_buff *skb, unsigned int at, const void *from,
		   unsigned int len);
/* Index of its device. */
unsigned int sg_skb_device(const struct sk_buff *skb);
/*
 * Whether it came by another device than the one with this index, and not by a
 * loopback device, but in the same VRF, or also in none. False if there is no
 * device with this index.
 */
_Bool sg_skb_came_beside(struct net *net, const struct sk_buff *skb,
			 unsigned int index);
/*
 * Whether this machine would receive it: its routes lead here, and the validation
 * of the source (rp_filter, IPv4) lets it pass.
 */
_Bool sg_skb_would_be_received(struct sk_buff *skb, _Bool ipv6);
/* Whether its frame was for many machines. */
_Bool sg_skb_is_for_many(const struct sk_buff *skb);
/* It is for this machine, whatever its MAC address. */
void sg_skb_set_for_host(struct sk_buff *skb);
void sg_skb_drop(struct sk_buff *skb);
/* The same for one that nothing is wrong with. */
void sg_skb_consume(struct sk_buff *skb);

/* Fragments are put together: */
enum sg_gathered {
	SG_GATHERED_WHOLE,	/* the packet is whole now */
	SG_GATHERED_KEPT,	/* the fragment is kept, or was dropped */
	SG_GATHERED_NOT,	/* it is no good, or without memory */
};

/* Has the module that does it for IPv6 be there. Process context. */
int sg_gather_get(void);
void sg_gather_put(void);
/* Bottom halves off, in one of these two. */
enum sg_gathered sg_gather(struct net *net, struct sk_buff *skb, _Bool ipv6);

/* What there is of a TCP connection: */
enum sg_connection {
	SG_CONNECTION_NONE,
	SG_CONNECTION_HALF_OPEN,
	SG_CONNECTION_WHOLE,	/* TIME-WAIT included */
};

/*
 * What the packet's flow has here. Of a half-open one it tells the first
 * sequence numbers, here and there; one that a SYN cookie stands for is whole.
 */
enum sg_connection sg_connection(struct net *net, struct sk_buff *skb,
				 const struct sg_flow *flow,
				 unsigned int *sent, unsigned int *received);

/* One more of a packet that is not written to; NULL without memory. */
struct sk_buff *sg_skb_copy(struct sk_buff *skb);
/*
 * The same for one that is at its TCP header; this one is at its IP header.
 * Also NULL if the device that it came by is gone, or if it was received as the
 * last one. RCU read section.
 */
struct sk_buff *sg_skb_copy_syn(struct net *net, struct sk_buff *skb);

/* ---- conntrack.c: flows of services behind NAT ---- */

/* One end of a TCP flow: what it has sent, and its widest window; 0: not known. */
struct sg_tracked_end {
	unsigned int	next;
	unsigned int	window;
};

/**
 * struct sg_tracked - what conntrack knows of a TCP flow
 * @translated: its packets are sent to another address or port (DNAT)
 * @answered: the service has sent something
 * @liberal: sequence numbers are not followed, or are changed on the way
 * @state: enum tcp_conntrack
 * @client: who has begun it
 * @server: who was reached
 */
struct sg_tracked {
	_Bool		translated;
	_Bool		answered;
	_Bool		liberal;
	unsigned char	state;
	struct sg_tracked_end client;
	struct sg_tracked_end server;
};

/* As long as somebody asks, conntrack stays if it is there. Never loads it. Process context. */
void sg_conntrack_get(void);
/* A grace period passes, if it was the last one. Process context. */
void sg_conntrack_put(void);
/* Has conntrack be asked as well that is loaded later. Process context. */
int sg_conntrack_watch(void);
void sg_conntrack_unwatch(void);
/*
 * What it knows of a flow whose first packet went the same way, in the zone that the
 * raw tables gave the packet, which is none if it came in a tunnel; false if nothing,
 * or without conntrack. RCU read section.
 */
_Bool sg_conntrack_find(struct net *net, const struct sk_buff *skb,
			const struct sg_flow *flow, struct sg_tracked *tracked);

/* ---- device.c: what a device does for a cluster IP; process context ---- */

void sg_rtnl_lock(void);
void sg_rtnl_unlock(void);
/* Packets that a device has merged by itself cannot be sent on. RTNL. */
void sg_device_disable_lro(struct net *net, unsigned int index);

/*
 * A device with Ethernet addresses of this index, whose reference is kept; or an
 * error pointer: -ENODEV, -ENOMEM, -EMEDIUMTYPE of a VRF. RTNL.
 */
struct sg_device *sg_device_get(struct net *net, unsigned int index);
void sg_device_put(struct sg_device *device);
/* Has it receive a multicast MAC address; RTNL, as for the others. */
int sg_device_join_mac(struct sg_device *device, const unsigned char *mac);
/* Has it receive solicitations for an IPv6 address of 16 bytes. */
int sg_device_join_solicited(struct sg_device *device,
			     const unsigned char *address);
/* Makes good what the device has forgotten of that. */
void sg_device_rejoin(struct sg_device *device);
/* Tells the segment who has the address. */
void sg_device_announce_ipv4(const struct sg_device *device,
			     const unsigned char *address);
void sg_device_announce_ipv6(const struct sg_device *device,
			     const unsigned char *address);

int sg_devices_watch(void);
/* Tells that all devices go, before it returns. */
void sg_devices_unwatch(void);

/* ---- address.c: addresses of this machine ---- */

/*
 * Where the machine has an address of 4 or 16 bytes: on the device with this
 * index, elsewhere, or not, as enum service_group_cluster_local has it; of IPv6,
 * one that may be used already. @unsettled: that may change, and no notifier will
 * tell. Any context.
 */
unsigned int sg_address_local(struct net *net, unsigned int index,
			      const unsigned char *address, _Bool ipv6,
			      _Bool *unsettled);

int sg_addresses_watch(void);
void sg_addresses_unwatch(void);
/* Has sg_addresses_look() called, in process context. Any context. */
void sg_addresses_look_soon(const struct net *net);

/* ---- neighbour.c: ARP and neighbour discovery; RCU read section ---- */

/* The MAC address that the packet was sent from, as a number; 0 if there is none. */
unsigned long long sg_skb_source_mac(const struct sk_buff *skb);
/* The same of a neighbour on the packet's device. */
unsigned long long sg_skb_neighbour_mac(const struct sk_buff *skb,
					const unsigned char *address,
					_Bool ipv6);
/*
 * Answers an ARP request from @peer for @address with the device's own MAC. What
 * the peer's is it learns if the kernel would.
 */
void sg_arp_answer(struct sk_buff *skb, const unsigned char *address,
		   const unsigned char *peer, const unsigned char *peer_mac);
/*
 * The same for a neighbour solicitation. One without a sender's MAC address is
 * answered as well; one from no address is answered to all nodes.
 */
void sg_nd_answer(const struct sk_buff *skb, const unsigned char *address,
		  const unsigned char *peer, const unsigned char *peer_mac);
/* An IPv4 address of the packet's device; false if it has no more. */
_Bool sg_arp_source(const struct sk_buff *skb, unsigned int index,
		    unsigned char *address);
/*
 * Index of the device by which a machine is a neighbour, as routes say: the one
 * with this index if it is, else another one of the same VRF; that one if there is
 * no such route. RCU read section.
 */
unsigned int sg_neighbour_device(struct net *net, unsigned int index,
				 const unsigned char *address, _Bool ipv6);
/*
 * Whether the checksum of an ICMP packet is right, or of an ICMPv6 packet without
 * extension headers.
 */
_Bool sg_icmp_valid(struct sk_buff *skb, _Bool ipv6);
/* A link-local address of the packet's device. */
_Bool sg_nd_source(const struct sk_buff *skb, unsigned char *address);
/*
 * Overwrites bytes of an ICMPv6 packet, or of its addresses, and mends its
 * checksum. @at and @len are even. False without memory.
 */
_Bool sg_nd_write(struct sk_buff *skb, unsigned int at, const void *from,
		  unsigned int len);

/* ---- forward.c: to other nodes; bottom halves off ---- */

/**
 * struct sg_hop - where a packet is to go
 * @ipv6: of which family the addresses are
 * @protocol: what stands behind the IP header
 * @device: index of the one that packets come by, in whose VRF the node is
 * @to: the node's address
 * @from: this machine's, or zero
 */
struct sg_hop {
	_Bool		ipv6;
	unsigned char	protocol;
	unsigned int	device;
	unsigned char	to[16];
	unsigned char	from[16];
};

struct dst_entry;
struct sg_route;

/* Process context; NULL without memory. */
struct sg_route *sg_route_new(void);
/* Nobody uses it any more; any context. */
void sg_route_free(struct sg_route *route);
/*
 * The path to always the same hop, with a reference, and this machine's address
 * on it; or NULL if there is none to another machine, or IPsec forbids it.
 */
struct dst_entry *sg_route_find(struct sg_route *route, struct net *net,
				const struct sg_hop *hop,
				unsigned char *source);
unsigned int sg_path_mtu(const struct dst_entry *dst);
void sg_path_put(struct dst_entry *dst);

/* Whether its device has merged it of several (LRO), which a warning tells. */
_Bool sg_skb_is_merged(const struct sk_buff *skb);
/* Whether its sender allows routers to fragment it. */
_Bool sg_skb_may_be_cut(const struct sk_buff *skb, _Bool ipv6);
/* Whether it was put together of fragments, and is cut again as it was. */
_Bool sg_skb_was_cut(const struct sk_buff *skb, _Bool ipv6);
/* Whether it fits into another packet, which may be fragmented. */
_Bool sg_skb_may_be_wrapped(const struct sk_buff *skb);
/* Whether it, or what it is to be cut into, is longer. */
_Bool sg_skb_exceeds(const struct sk_buff *skb, _Bool ipv6, unsigned int mtu);
/* Tells its sender so. */
void sg_tell_too_big(struct sk_buff *skb, _Bool ipv6, unsigned int mtu);
/* The same for one that had so many hops as it may. */
void sg_tell_exceeded(struct sk_buff *skb, _Bool ipv6);
/*
 * How long a packet may be that is sent by the device with this index, or by its
 * own if there is none.
 */
unsigned int sg_skb_device_mtu(struct net *net, const struct sk_buff *skb,
			       unsigned int index);
/*
 * Sends it by the device with this index, to the MAC address of a neighbour,
 * with one hop less. The packet is gone.
 */
void sg_send_near(struct net *net, struct sk_buff *skb, _Bool ipv6,
		  unsigned int device, const unsigned char *to);

/**
 * struct sg_tunnel - what is put around a packet
 * @ipv6: of which family the addresses are
 * @marked: with a GRE header between the IP headers
 * @whole: it is not to be fragmented on its way; IPv4
 * @hops: how many it may take; without a mark it is one less for the packet
 * @from: this machine's address
 * @to: the node's
 */
struct sg_tunnel {
	_Bool		ipv6;
	_Bool		marked;
	_Bool		whole;
	unsigned char	hops;
	unsigned char	from[16];
	unsigned char	to[16];
};

/* Sends it in another packet; the packet and the reference are gone. */
void sg_send_far(struct net *net, struct sk_buff *skb, struct dst_entry *dst,
		 const struct sg_tunnel *tunnel);

/* ---- unwrap.c: from other nodes; bottom halves off ---- */

/*
 * Whether the packet came by a device by which this machine would send to its
 * source, or out of IPsec.
 */
_Bool sg_skb_came_by_way_back(struct net *net, struct sk_buff *skb,
			      _Bool ipv6);
/* Whether IPsec's policies allow the packet to come in. */
_Bool sg_skb_passes_ipsec(struct sk_buff *skb, _Bool ipv6);
/*
 * Takes so many bytes of headers off; false if what is in it is no IP packet,
 * without memory, or if conntrack has no room for the tunnel.
 */
_Bool sg_skb_unwrap(struct net *net, struct sk_buff *skb, unsigned int headers,
		    _Bool outer6, _Bool inner6);
/*
 * Has this machine receive it, as if it had come by its device; if it is the
 * @last, it has no copy made by sg_skb_copy_syn().
 */
void sg_skb_receive(struct net *net, struct sk_buff *skb, _Bool last);
/* Notes what an ICMP error says of the path of the packet that stands there. */
void sg_path_shrinks(struct net *net, struct sk_buff *skb, unsigned int at,
		     _Bool ipv6, unsigned int mtu);

#endif /* _SERVICE_GROUP_PACKET_H */
