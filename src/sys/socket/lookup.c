// SPDX-License-Identifier: GPL-2.0
/* Which listener a connection would find. */
#include <linux/netdevice.h>
#include <linux/socket.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/l3mdev.h>
#include <net/sock.h>

#include "internal.h"
#include "socket.h"

static struct sock *svcg_lookup(struct net *net, const struct svcg_flow *flow,
				const struct net_device *dev)
{
	/* What comes by a device of a VRF is the VRF's, see inet_sdif(). */
	int master = l3mdev_master_ifindex_rcu(dev);
	int dif = master ?: dev->ifindex, sdif = master ? dev->ifindex : 0;
	__be16 peer_port = htons(flow->peer_port);
	__be32 local, peer;

#if IS_ENABLED(CONFIG_IPV6)
	if (flow->family == AF_INET6) {
		struct in6_addr local6, peer6;

		memcpy(&local6, flow->local, sizeof(local6));
		memcpy(&peer6, flow->peer, sizeof(peer6));
		return inet6_lookup_listener(net, NULL, 0, &peer6, peer_port,
					     &local6, flow->local_port, dif,
					     sdif);
	}
#endif
	memcpy(&local, flow->local, sizeof(local));
	memcpy(&peer, flow->peer, sizeof(peer));
	return __inet_lookup_listener(net, NULL, 0, peer, peer_port, local,
				      flow->local_port, dif, sdif);
}

_Bool svcg_listens(struct net *net, const struct svcg_flow *flow,
		   unsigned int device, struct svcg_load *load)
{
	const struct net_device *dev;
	const struct sock *sk = NULL;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, device);
	if (dev)
		sk = svcg_lookup(net, flow, dev);
	if (sk)
		svcg_load_read(sk, load);
	rcu_read_unlock();
	return sk;
}
