// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses that come to this machine, and go.
 *
 * Whether there is one is always asked of the kernel. Its notifiers only say when
 * to ask anew, and some changes have none: that IPv6 is done looking for
 * duplicates, or has found one, which is asked for as long as it goes on.
 */
#include <linux/inetdevice.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <net/addrconf.h>
#include <net/if_inet6.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>

#include "callbacks/cluster.h"
#include "packet.h"

static _Bool svcg_device_has_ipv4(const struct net_device *dev, __be32 address)
{
	const struct in_device *in_dev = __in_dev_get_rcu(dev);
	const struct in_ifaddr *ifa;

	if (!in_dev)
		return false;
	in_dev_for_each_ifa_rcu(ifa, in_dev) {
		if (ifa->ifa_local == address)
			return true;
	}
	return false;
}

static unsigned int svcg_address_ipv4(struct net *net,
				      const struct net_device *dev,
				      const unsigned char *address)
{
	__be32 ip;

	memcpy(&ip, address, sizeof(ip));
	if (dev && svcg_device_has_ipv4(dev, ip))
		return SERVICE_GROUP_CLUSTER_LOCAL_DEVICE;
	/* Routes count as well, and addresses of any VRF. */
	return __ip_dev_find(net, ip, false) ?
		       SERVICE_GROUP_CLUSTER_LOCAL_ELSEWHERE :
		       SERVICE_GROUP_CLUSTER_LOCAL_ABSENT;
}

#define SVCG_UNUSABLE	(IFA_F_TENTATIVE | IFA_F_DADFAILED)

/*
 * Whether the device, or any if there is none given, may be looking for duplicates
 * of its address. One that is down looks when it comes up, which is told.
 */
static _Bool svcg_probes(struct net *net, const struct net_device *dev,
			 const struct in6_addr *address)
{
	return ipv6_chk_addr_and_flags(net, address, dev, !dev, !!dev,
				       IFA_F_DADFAILED) &&
	       !ipv6_chk_addr_and_flags(net, address, dev, !dev, !!dev,
					SVCG_UNUSABLE | IFA_F_OPTIMISTIC);
}

/* Some prefer a route of the type local to an address. */
static _Bool svcg_is_routed_here(struct net *net,
				 const struct in6_addr *address)
{
	struct rt6_info *rt = rt6_lookup(net, address, NULL, 0, NULL, 0);
	_Bool is_local = rt && rt->rt6i_flags & RTF_LOCAL;

	ip6_rt_put(rt);
	return is_local;
}

static unsigned int svcg_address_ipv6(struct net *net,
				      const struct net_device *dev,
				      const unsigned char *address,
				      _Bool *unsettled)
{
	struct in6_addr ip;

	/* Without it there is no table of addresses. */
	if (!ipv6_mod_enabled())
		return SERVICE_GROUP_CLUSTER_LOCAL_ABSENT;
	memcpy(&ip, address, sizeof(ip));
	if (dev) {
		*unsettled = svcg_probes(net, dev, &ip);
		if (ipv6_chk_addr_and_flags(net, &ip, dev, false, 1,
					    SVCG_UNUSABLE))
			return SERVICE_GROUP_CLUSTER_LOCAL_DEVICE;
	}
	/* In the device's VRF, or in none; a link-local one is of its device. */
	if ((dev &&
	     ipv6_chk_addr_and_flags(net, &ip, dev, false, 0, SVCG_UNUSABLE)) ||
	    ipv6_chk_addr_and_flags(net, &ip, NULL, true, 0, SVCG_UNUSABLE) ||
	    svcg_is_routed_here(net, &ip))
		return SERVICE_GROUP_CLUSTER_LOCAL_ELSEWHERE;
	*unsettled = *unsettled || svcg_probes(net, NULL, &ip);
	return SERVICE_GROUP_CLUSTER_LOCAL_ABSENT;
}

unsigned int svcg_address_local(struct net *net, unsigned int index,
				const unsigned char *address, _Bool ipv6,
				_Bool *unsettled)
{
	const struct net_device *dev;
	unsigned int local;

	*unsettled = false;
	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, index);
	local = ipv6 ? svcg_address_ipv6(net, dev, address, unsettled) :
		       svcg_address_ipv4(net, dev, address);
	rcu_read_unlock();
	return local;
}

/* Under RTNL. */
static int svcg_inetaddr_event(struct notifier_block *block,
			       unsigned long event, void *info)
{
	const struct in_ifaddr *ifa = info;

	/* On the loopback device all of its prefix is this machine's. */
	svcg_address_changed(dev_net(ifa->ifa_dev->dev));
	return NOTIFY_DONE;
}

static struct notifier_block svcg_inetaddr_notifier = {
	.notifier_call = svcg_inetaddr_event,
};

/* Any context: routers' advertisements give addresses as well. */
static int svcg_inet6addr_event(struct notifier_block *block,
				unsigned long event, void *info)
{
	const struct inet6_ifaddr *ifa = info;

	svcg_address_changed(dev_net(ifa->idev->dev));
	return NOTIFY_DONE;
}

static struct notifier_block svcg_inet6addr_notifier = {
	.notifier_call = svcg_inet6addr_event,
};

int svcg_addresses_watch(void)
{
	int err = register_inetaddr_notifier(&svcg_inetaddr_notifier);

	if (err)
		return err;
	err = register_inet6addr_notifier(&svcg_inet6addr_notifier);
	if (err)
		unregister_inetaddr_notifier(&svcg_inetaddr_notifier);
	return err;
}

void svcg_addresses_unwatch(void)
{
	unregister_inet6addr_notifier(&svcg_inet6addr_notifier);
	unregister_inetaddr_notifier(&svcg_inetaddr_notifier);
}
