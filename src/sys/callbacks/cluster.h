/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C calls in Rust for cluster IPs: cluster.rs has all of it, but for the
 * commands of netlink, which the generated netlink_gen.h declares.
 */
#ifndef _SERVICE_GROUP_CALLBACKS_CLUSTER_H
#define _SERVICE_GROUP_CALLBACKS_CLUSTER_H

#include "packet/packet.h"

struct net;
struct sk_buff;

/* ---- hooks.c ---- */

/*
 * RCU read section, bottom halves off in sg_packet_in() and sg_packet_received().
 * The packet begins with its IP header or its ARP header, which is in its linear
 * part.
 *
 * Whether a packet may be one for sg_packet_in(), to an address of which @tail is
 * the last word, host byte order.
 */
_Bool sg_packet_concerns(const void *state, unsigned int tail);
enum sg_verdict sg_packet_in(void *state, struct sk_buff *skb);
/* The same for one that this machine is about to receive. */
enum sg_verdict sg_packet_received(void *state, struct sk_buff *skb);
enum sg_verdict sg_arp_in(void *state, struct sk_buff *skb);
enum sg_verdict sg_arp_out(void *state, struct sk_buff *skb);
/* An ICMPv6 packet that leaves this machine. */
enum sg_verdict sg_icmpv6_out(void *state, struct sk_buff *skb);

/* ---- device.c: RTNL ---- */

/* As many bytes as a device's name may have. */
#define SG_DEVICE_NAME	16

/* The device is about to be gone from the namespace; whether to @tell it. */
void sg_device_gone(const struct net *net, unsigned int index,
		    const unsigned char (*name)[SG_DEVICE_NAME], _Bool tell);
/* There is a device of this name: a new one, or it is up or called so now. */
void sg_device_came(const struct net *net, unsigned int index,
		    const unsigned char (*name)[SG_DEVICE_NAME]);
/* The device is up, has another MAC address, or is to say again who it is. */
void sg_device_moved(const struct net *net, unsigned int index);

/* Something of its devices has changed that addresses may have gone with. */
void sg_device_turned(const struct net *net);

/* ---- address.c, netns.c ---- */

/* An address came, or has gone. Any context. */
void sg_address_changed(const struct net *net);
/*
 * Tells where cluster IPs are on this machine, of those for which that has changed;
 * whether that may go on. Process context, without RTNL.
 */
_Bool sg_addresses_look(const void *clusters);

/* Process context. A grace period passes between stopping and freeing. */
void *sg_clusters_new(struct net *net);
void sg_clusters_stop(void *clusters);
void sg_clusters_free(void *clusters);

#endif /* _SERVICE_GROUP_CALLBACKS_CLUSTER_H */
