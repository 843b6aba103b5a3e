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
 * RCU read section, bottom halves off in svcg_packet_in() and
 * svcg_packet_received(). The packet begins with its IP header or its ARP
 * header, which is in its linear part.
 *
 * Whether a packet may be one for svcg_packet_in(), to an address of which
 * @daddr_low32 is the last word, host byte order.
 */
_Bool svcg_maybe_ours(const void *state, unsigned int daddr_low32);
enum svcg_verdict svcg_packet_in(void *state, struct sk_buff *skb);
/* The same for one that this machine is about to receive. */
enum svcg_verdict svcg_packet_received(void *state, struct sk_buff *skb);
enum svcg_verdict svcg_arp_in(void *state, struct sk_buff *skb);
enum svcg_verdict svcg_arp_out(void *state, struct sk_buff *skb);
/* An ICMPv6 packet that leaves this machine. */
enum svcg_verdict svcg_icmpv6_out(void *state, struct sk_buff *skb);

/* ---- device.c: RTNL ---- */

/* As many bytes as a device's name may have. */
#define SVCG_DEVICE_NAME 16

/* The device is about to be gone from the namespace; whether to @tell it. */
void svcg_device_gone(const struct net *net, unsigned int index,
		      const unsigned char (*name)[SVCG_DEVICE_NAME],
		      _Bool tell);
/* There is a device of this name: a new one, or it is up or called so now. */
void svcg_device_came(const struct net *net, unsigned int index,
		      const unsigned char (*name)[SVCG_DEVICE_NAME]);
/* The device is up, has another MAC address, or is to announce itself again. */
void svcg_device_moved(const struct net *net, unsigned int index);

/* Something of its devices has changed that addresses may have gone with. */
void svcg_device_turned(const struct net *net);

/* ---- address.c, netns.c ---- */

/* An address came, or has gone. Any context. */
void svcg_address_changed(const struct net *net);
/*
 * Tells where cluster IPs are on this machine, of those for which that has changed;
 * whether that may go on. Process context, without RTNL.
 */
_Bool svcg_addresses_look(const void *clusters);

/* Process context. A grace period passes between stopping and freeing. */
void *svcg_clusters_new(struct net *net);
void svcg_clusters_stop(void *clusters);
void svcg_clusters_free(void *clusters);

#endif /* _SERVICE_GROUP_CALLBACKS_CLUSTER_H */
