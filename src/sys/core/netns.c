// SPDX-License-Identifier: GPL-2.0
/*
 * Hangs the Rust side's state on each network namespace.
 *
 * Every member's socket holds a reference to its namespace, so when the state
 * is freed there are no groups in it. Cluster IPs hold none: they are stopped
 * first, and a grace period passes before they are freed. The file of each link's
 * socket holds one until the link's thread is done with what is kept here.
 *
 * A namespace that has cluster IPs holds the module, from the first one to when
 * the last one goes, or the namespace ends. Both happen in code of the module, which
 * goes on behind module_put(), and the module may be unloaded from then on. That
 * code is not pulled from under its feet, as the module's exit waits for it before
 * anything is freed:
 *
 * - A handler of netlink runs in genl_rcv(), which holds genetlink's cb_lock for
 *   reading until the handler has returned; genl_unregister_family() takes it for
 *   writing. A handler that begins before that and after unloading has begun gets
 *   no reference, and is refused. (A dump leaves cb_lock, and holds the module, but
 *   no dump changes anything.)
 * - A namespace ends in cleanup_net(), which holds pernet_ops_rwsem for reading
 *   until all of @pre_exit and @exit have returned, of all namespaces that end;
 *   unregister_pernet_subsys() takes it for writing.
 *
 * So there are no cluster IPs when unregister_pernet_subsys() ends the state of the
 * namespaces that go on, unless the module could not be loaded to the end; then what
 * was served meanwhile goes there, and so does the reference.
 */
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "callbacks/cluster.h"
#include "callbacks/group.h"
#include "callbacks/links.h"
#include "packet/packet.h"
#include "core.h"

static unsigned int svcg_netns_id __read_mostly;

/**
 * struct svcg_netns - what is kept for a namespace
 * @state: the groups
 * @clusters: the cluster IPs
 * @addresses: asks which of their addresses this machine has
 * @asked: how often it has asked again, since somebody told of a change
 * @links: this machine's peers, and the links to them
 * @tick: judges peers
 */
struct svcg_netns {
	void *state;
	void *clusters;
	struct delayed_work addresses;
	unsigned int asked;
	void *links;
	struct delayed_work tick;
};

/*
 * How soon is asked again what nobody tells, at first, later, and how often: a
 * user may have a device look for duplicates for ever.
 */
#define SVCG_ASK_FIRST	(HZ / 20)
#define SVCG_ASK_LATER	(HZ / 2)
#define SVCG_ASK_TIMES	64

static void svcg_netns_look(struct work_struct *work)
{
	struct svcg_netns *netns = container_of(to_delayed_work(work),
						struct svcg_netns, addresses);
	unsigned int asked = READ_ONCE(netns->asked);
	unsigned long later;

	if (!svcg_addresses_look(netns->clusters) || asked == SVCG_ASK_TIMES)
		return;
	/* One that is told of meanwhile is asked for at once. */
	cmpxchg(&netns->asked, asked, asked + 1);
	later = min_t(unsigned long, SVCG_ASK_FIRST * (asked + 1),
		      SVCG_ASK_LATER);
	queue_delayed_work(system_dfl_wq, &netns->addresses, later);
}

void svcg_addresses_look_soon(const struct net *net)
{
	struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	WRITE_ONCE(netns->asked, 0);
	/* It waits for RTNL, which is not what ticks of groups are to wait for. */
	mod_delayed_work(system_dfl_wq, &netns->addresses, 0);
}

static void svcg_netns_judge(struct work_struct *work)
{
	struct svcg_netns *netns =
		container_of(to_delayed_work(work), struct svcg_netns, tick);
	unsigned long long ns = svcg_links_tick(netns->links);

	/* One that is wanted sooner stays. */
	if (ns != ULLONG_MAX)
		queue_delayed_work(system_dfl_wq, &netns->tick,
				   nsecs_to_jiffies(ns) + 1);
}

void svcg_netns_tick(const struct net *net, unsigned long long ns)
{
	struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	/* It waits for locks of cluster IPs, as what asks for addresses does. */
	mod_delayed_work(system_dfl_wq, &netns->tick, nsecs_to_jiffies(ns));
}

void svcg_random(void *to, unsigned int len)
{
	get_random_bytes(to, len);
}

static int __net_init svcg_netns_init(struct net *net)
{
	struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	netns->state = svcg_netns_new(net);
	if (!netns->state)
		return -ENOMEM;
	netns->clusters = svcg_clusters_new(net);
	if (!netns->clusters)
		goto free_state;
	netns->links = svcg_links_new(net);
	if (!netns->links)
		goto free_clusters;
	INIT_DELAYED_WORK(&netns->addresses, svcg_netns_look);
	INIT_DELAYED_WORK(&netns->tick, svcg_netns_judge);
	return 0;

free_clusters:
	svcg_clusters_free(netns->clusters);
free_state:
	svcg_netns_free(netns->state);
	return -ENOMEM;
}

static void __net_exit svcg_netns_pre_exit(struct net *net)
{
	struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	/* Before, as they take the same locks. */
	disable_delayed_work_sync(&netns->addresses);
	disable_delayed_work_sync(&netns->tick);
	svcg_clusters_stop(netns->clusters);
}

static void __net_exit svcg_netns_exit(struct net *net)
{
	struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	svcg_links_free(netns->links);
	svcg_clusters_free(netns->clusters);
	svcg_netns_free(netns->state);
}

static struct pernet_operations svcg_netns_ops = {
	.init		= svcg_netns_init,
	.pre_exit	= svcg_netns_pre_exit,
	.exit		= svcg_netns_exit,
	.id		= &svcg_netns_id,
	.size		= sizeof(struct svcg_netns),
};

int svcg_netns_register(void)
{
	return register_pernet_subsys(&svcg_netns_ops);
}

void svcg_netns_unregister(void)
{
	unregister_pernet_subsys(&svcg_netns_ops);
}

const void *svcg_netns_state(const struct net *net)
{
	const struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	return netns->state;
}

const void *svcg_netns_clusters(const struct net *net)
{
	const struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	return netns->clusters;
}

const void *svcg_netns_links(const struct net *net)
{
	const struct svcg_netns *netns = net_generic(net, svcg_netns_id);

	return netns->links;
}
