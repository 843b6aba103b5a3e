// SPDX-License-Identifier: GPL-2.0
/*
 * Routes to other nodes: never to this machine, as IPsec's policies have it, and
 * in the VRF of the device that packets come by.
 */
#include <linux/slab.h>
#include <net/addrconf.h>
#include <net/dst_cache.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "internal.h"
#include "packet.h"

/**
 * struct svcg_route - the way to a node
 * @cache: of each CPU, as long as the routing tables do not change
 */
struct svcg_route {
	struct dst_cache cache;
};

struct svcg_route *svcg_route_new(void)
{
	struct svcg_route *route = kzalloc(sizeof(*route), GFP_KERNEL_ACCOUNT);

	if (route && dst_cache_init(&route->cache, GFP_KERNEL_ACCOUNT)) {
		kfree(route);
		return NULL;
	}
	return route;
}

void svcg_route_free(struct svcg_route *route)
{
	/* There may be a hundred thousand, and others' packets are not to wait. */
	might_sleep();
	dst_cache_destroy(&route->cache);
	kfree(route);
}

struct dst_entry *svcg_look_up_ipv4(struct net *net, struct flowi4 *fl4)
{
	struct rtable *rt = ip_route_output_key(net, fl4);

	if (IS_ERR(rt))
		return NULL;
	if (!(rt->rt_flags & RTCF_LOCAL))
		return &rt->dst;
	ip_rt_put(rt);
	return NULL;
}

struct dst_entry *svcg_look_up_ipv6(struct net *net, struct flowi6 *fl6)
{
	struct dst_entry *dst = ip6_route_output(net, NULL, fl6);

	if (dst->error || dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL ||
	    (ipv6_addr_any(&fl6->saddr) &&
	     ipv6_dev_get_saddr(net, dst->dev, &fl6->daddr, 0, &fl6->saddr))) {
		dst_release(dst);
		return NULL;
	}
	/* IPsec's policies hold; those of IPv4 were asked with the route. */
	if (fl6->flowi6_proto)
		dst = xfrm_lookup(net, dst, flowi6_to_flowi(fl6), NULL, 0);
	return IS_ERR(dst) ? NULL : dst;
}

static struct dst_entry *svcg_route_ipv4(struct svcg_route *route,
					 struct net *net,
					 const struct svcg_hop *hop,
					 unsigned char *source)
{
	struct flowi4 fl4 = { .flowi4_proto = hop->protocol };
	struct rtable *rt = dst_cache_get_ip4(&route->cache, &fl4.saddr);
	struct dst_entry *dst = rt ? &rt->dst : NULL;

	if (!dst) {
		memcpy(&fl4.daddr, hop->to, sizeof(fl4.daddr));
		memcpy(&fl4.saddr, hop->from, sizeof(fl4.saddr));
		fl4.flowi4_oif = l3mdev_master_ifindex_by_index(net,
								hop->device);
		dst = svcg_look_up_ipv4(net, &fl4);
		if (!dst)
			return NULL;
		dst_cache_set_ip4(&route->cache, dst, fl4.saddr);
	}
	memcpy(source, &fl4.saddr, sizeof(fl4.saddr));
	return dst;
}

static struct dst_entry *svcg_route_ipv6(struct svcg_route *route,
					 struct net *net,
					 const struct svcg_hop *hop,
					 unsigned char *source)
{
	struct flowi6 fl6 = { .flowi6_proto = hop->protocol };
	struct dst_entry *dst = dst_cache_get_ip6(&route->cache, &fl6.saddr);

	if (!dst) {
		memcpy(&fl6.daddr, hop->to, sizeof(fl6.daddr));
		memcpy(&fl6.saddr, hop->from, sizeof(fl6.saddr));
		fl6.flowi6_oif = l3mdev_master_ifindex_by_index(net,
								hop->device);
		dst = svcg_look_up_ipv6(net, &fl6);
		if (!dst)
			return NULL;
		dst_cache_set_ip6(&route->cache, dst, &fl6.saddr);
	}
	memcpy(source, &fl6.saddr, sizeof(fl6.saddr));
	return dst;
}

struct dst_entry *svcg_route_find(struct svcg_route *route, struct net *net,
				  const struct svcg_hop *hop,
				  unsigned char *source)
{
	return hop->ipv6 ? svcg_route_ipv6(route, net, hop, source) :
			   svcg_route_ipv4(route, net, hop, source);
}

unsigned int svcg_path_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

void svcg_path_put(struct dst_entry *dst)
{
	dst_release(dst);
}
