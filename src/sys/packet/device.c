// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that packets for cluster IPs come by.
 */
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/addrconf.h>
#include <net/arp.h>
#include <net/if_inet6.h>
#include <net/ndisc.h>

#include "callbacks/cluster.h"
#include "packet.h"

/**
 * struct svcg_device - what a device does for one cluster IP
 * @dev: the device
 * @tracker: of the reference to it
 * @mac: the multicast MAC address that it was made to receive; zero if none
 * @group: the solicited-node group that it was made to join; zero if none
 * @lost: it is no more in that group
 */
struct svcg_device {
	struct net_device *dev;
	netdevice_tracker tracker;
	unsigned char mac[ETH_ALEN];
	struct in6_addr group;
	_Bool lost;
};

void svcg_rtnl_lock(void)
{
	rtnl_lock();
}

void svcg_rtnl_unlock(void)
{
	rtnl_unlock();
}

void svcg_device_disable_lro(struct net *net, unsigned int index)
{
	struct net_device *dev = __dev_get_by_index(net, index);

	if (dev)
		dev_disable_lro(dev);
}

_Bool svcg_device_is_up(struct net *net, unsigned int index)
{
	const struct net_device *dev;
	_Bool is_up;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, index);
	is_up = dev && netif_running(dev) && netif_carrier_ok(dev);
	rcu_read_unlock();
	return is_up;
}

struct svcg_device *svcg_device_get(struct net *net, unsigned int index)
{
	struct net_device *dev = __dev_get_by_index(net, index);
	struct svcg_device *device;

	if (!dev || dev->type != ARPHRD_ETHER || dev->addr_len != ETH_ALEN ||
	    dev->reg_state != NETREG_REGISTERED)
		return ERR_PTR(-ENODEV);
	/* Its packets were decided about by the device that they came by. */
	if (netif_is_l3_master(dev))
		return ERR_PTR(-EMEDIUMTYPE);
	device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);
	if (!device)
		return ERR_PTR(-ENOMEM);
	device->dev = dev;
	netdev_hold(dev, &device->tracker, GFP_KERNEL);
	return device;
}

static void svcg_device_leave_solicited(struct svcg_device *device)
{
	unsigned char mac[ETH_ALEN];

	if (ipv6_addr_any(&device->group))
		return;
	if (!device->lost)
		ipv6_dev_mc_dec(device->dev, &device->group);
	ipv6_eth_mc_map(&device->group, mac);
	dev_mc_del(device->dev, mac);
}

void svcg_device_put(struct svcg_device *device)
{
	svcg_device_leave_solicited(device);
	if (!is_zero_ether_addr(device->mac))
		dev_mc_del(device->dev, device->mac);
	netdev_put(device->dev, &device->tracker);
	kfree(device);
}

int svcg_device_join_mac(struct svcg_device *device, const unsigned char *mac)
{
	int err = dev_mc_add(device->dev, mac);

	if (!err)
		ether_addr_copy(device->mac, mac);
	return err;
}

int svcg_device_join_solicited(struct svcg_device *device,
			       const unsigned char *address)
{
	unsigned char mac[ETH_ALEN];
	struct in6_addr solicited;
	int err;

	memcpy(&solicited, address, sizeof(solicited));
	addrconf_addr_solict_mult(&solicited, &solicited);
	/* igmp6_group_added() does so as well, but tells nobody if it fails. */
	ipv6_eth_mc_map(&solicited, mac);
	err = dev_mc_add(device->dev, mac);
	if (err)
		return err;
	err = ipv6_dev_mc_inc(device->dev, &solicited);
	if (err)
		dev_mc_del(device->dev, mac);
	else
		device->group = solicited;
	return err;
}

void svcg_device_rejoin(struct svcg_device *device)
{
	if (ipv6_addr_any(&device->group))
		return;
	/* Then the device loses its IPv6, and with it its groups. */
	if (device->dev->mtu < IPV6_MIN_MTU)
		device->lost = true;
	else if (device->lost &&
		 !ipv6_dev_mc_inc(device->dev, &device->group))
		device->lost = false;
}

void svcg_device_announce_ipv4(const struct svcg_device *device,
			       const unsigned char *address)
{
	struct net_device *dev = device->dev;
	__be32 ip;

	memcpy(&ip, address, sizeof(ip));
	arp_send(ARPOP_REQUEST, ETH_P_ARP, ip, dev, ip, NULL, dev->dev_addr,
		 NULL);
}

void svcg_device_announce_ipv6(const struct svcg_device *device,
			       const unsigned char *address)
{
	struct in6_addr ip;

	memcpy(&ip, address, sizeof(ip));
	ndisc_send_na(device->dev, &in6addr_linklocal_allnodes, &ip, false,
		      false, true, true);
}

/* No callback comes any more, as the module goes. */
static _Bool svcg_devices_unwatched;

static int svcg_device_event(struct notifier_block *block, unsigned long event,
			     void *info)
{
	const struct net_device *dev = netdev_notifier_info_to_dev(info);
	unsigned char name[SVCG_DEVICE_NAME] = {};

	strscpy_pad(name, dev->name, sizeof(name));
	switch (event) {
	case NETDEV_UNREGISTER:
		svcg_device_gone(dev_net(dev), dev->ifindex, &name,
				 !READ_ONCE(svcg_devices_unwatched));
		break;
	case NETDEV_REGISTER:
	case NETDEV_CHANGENAME:
		svcg_device_came(dev_net(dev), dev->ifindex, &name);
		break;
	case NETDEV_UP:
	case NETDEV_CHANGEMTU:
		/* It may have IPv6 only now. */
		svcg_device_came(dev_net(dev), dev->ifindex, &name);
		fallthrough;
	case NETDEV_CHANGEADDR:
	case NETDEV_NOTIFY_PEERS:
		svcg_device_moved(dev_net(dev), dev->ifindex);
		break;
	}
	switch (event) {
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		svcg_device_turned(dev_net(dev));
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block svcg_device_notifier = {
	.notifier_call = svcg_device_event,
};

int svcg_devices_watch(void)
{
	return register_netdevice_notifier(&svcg_device_notifier);
}

void svcg_devices_unwatch(void)
{
	WRITE_ONCE(svcg_devices_unwatched, true);
	unregister_netdevice_notifier(&svcg_device_notifier);
}
