// SPDX-License-Identifier: GPL-2.0
/*
 * Hangs the Rust side's state on each network namespace.
 *
 * Every member's socket holds a reference to its namespace, so when the state
 * is freed there are no groups in it.
 */
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "shim.h"

static unsigned int sg_netns_id __read_mostly;

struct sg_netns {
	void *state;
};

static int __net_init sg_netns_init(struct net *net)
{
	struct sg_netns *netns = net_generic(net, sg_netns_id);

	netns->state = sg_netns_new();
	return netns->state ? 0 : -ENOMEM;
}

static void __net_exit sg_netns_exit(struct net *net)
{
	struct sg_netns *netns = net_generic(net, sg_netns_id);

	sg_netns_free(netns->state);
}

static struct pernet_operations sg_netns_ops = {
	.init	= sg_netns_init,
	.exit	= sg_netns_exit,
	.id	= &sg_netns_id,
	.size	= sizeof(struct sg_netns),
};

int sg_netns_register(void)
{
	return register_pernet_subsys(&sg_netns_ops);
}

void sg_netns_unregister(void)
{
	unregister_pernet_subsys(&sg_netns_ops);
}

const void *sg_netns_state(const struct net *net)
{
	const struct sg_netns *netns = net_generic(net, sg_netns_id);

	return netns->state;
}
