/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this folder have from each other; Rust does not see it. */
#ifndef _SERVICE_GROUP_PACKET_INTERNAL_H
#define _SERVICE_GROUP_PACKET_INTERNAL_H

#include <linux/bits.h>

struct dst_entry;
struct flowi4;
struct flowi6;
struct net;

/* ---- skb.c ---- */

/*
 * In the flags of the control block of IPv4 and IPv6: this module has decided
 * about the packet; and no other machine is to have it. The kernel's own flags
 * are below, and it clears all of them when a packet comes.
 */
#define SVCG_SKB_DECIDED BIT(15)
#define SVCG_SKB_LAST	BIT(14)

/* ---- route.c; bottom halves off ---- */

/*
 * The route of a flow that leaves this machine, with a reference; NULL if there
 * is none, or if it leads here.
 */
struct dst_entry *svcg_look_up_ipv4(struct net *net, struct flowi4 *fl4);
struct dst_entry *svcg_look_up_ipv6(struct net *net, struct flowi6 *fl6);

#endif /* _SERVICE_GROUP_PACKET_INTERNAL_H */
