// SPDX-License-Identifier: GPL-2.0
/*
 * TCP flows that conntrack knows: a service behind NAT has no socket here.
 *
 * nf_conntrack is a module of its own, which ours must not need to be loaded, and
 * which may come long after cluster IPs are served, with the first rule of a
 * firewall. So its one function that is called here is looked up (symbol_get), and
 * not linked to; what else is used are inline functions, and those of the kernel
 * itself. As with a rule of a firewall, it cannot be unloaded as long as cluster
 * IPs are served: it frees its table before anybody is told that it goes.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/rcupdate.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_tuple.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "socket/socket.h"
#include "packet.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)

/* logic/cluster/tracked.rs has these numbers and types. */
static_assert(TCP_CONNTRACK_SYN_SENT == 1 && TCP_CONNTRACK_SYN_RECV == 2 &&
	      TCP_CONNTRACK_TIME_WAIT == 7);
static_assert(__same_type(((struct ip_ct_tcp_state *)0)->td_end, u32) &&
	      __same_type(((struct ip_ct_tcp_state *)0)->td_maxwin, u32) &&
	      __same_type(((struct ip_ct_tcp *)0)->state, u8));
/* It is called by a pointer that is looked up by name. */
static_assert(__same_type(&nf_conntrack_find_get,
			  struct nf_conntrack_tuple_hash *(*)(
				  struct net *net,
				  const struct nf_conntrack_zone *zone,
				  const struct nf_conntrack_tuple *tuple)));

/* Protects both; packets read the function only, under RCU. */
static DEFINE_MUTEX(svcg_conntrack_mutex);
static unsigned int svcg_conntrack_users;
static typeof(&nf_conntrack_find_get) svcg_conntrack_find_get;

/* It may be there now. */
static void svcg_conntrack_look(void)
{
	if (svcg_conntrack_users && !svcg_conntrack_find_get)
		WRITE_ONCE(svcg_conntrack_find_get,
			   symbol_get(nf_conntrack_find_get));
}

void svcg_conntrack_get(void)
{
	mutex_lock(&svcg_conntrack_mutex);
	svcg_conntrack_users++;
	svcg_conntrack_look();
	mutex_unlock(&svcg_conntrack_mutex);
}

void svcg_conntrack_put(void)
{
	mutex_lock(&svcg_conntrack_mutex);
	if (!--svcg_conntrack_users && svcg_conntrack_find_get) {
		WRITE_ONCE(svcg_conntrack_find_get, NULL);
		/* Packets that are on their way have read it. */
		synchronize_net();
		symbol_put(nf_conntrack_find_get);
	}
	mutex_unlock(&svcg_conntrack_mutex);
}

static int svcg_conntrack_event(struct notifier_block *block,
				unsigned long event, void *info)
{
	if (event != MODULE_STATE_LIVE)
		return NOTIFY_DONE;
	mutex_lock(&svcg_conntrack_mutex);
	svcg_conntrack_look();
	mutex_unlock(&svcg_conntrack_mutex);
	return NOTIFY_DONE;
}

static struct notifier_block svcg_conntrack_notifier = {
	.notifier_call = svcg_conntrack_event,
};

int svcg_conntrack_watch(void)
{
	return register_module_notifier(&svcg_conntrack_notifier);
}

void svcg_conntrack_unwatch(void)
{
	unregister_module_notifier(&svcg_conntrack_notifier);
}

/* The entry whose first packet was of this flow, with a reference. */
static struct nf_conn *svcg_conntrack_entry(struct net *net,
					    const struct sk_buff *skb,
					    const struct svcg_flow *flow)
{
	typeof(&nf_conntrack_find_get) find =
		READ_ONCE(svcg_conntrack_find_get);
	const struct nf_conntrack_tuple_hash *hash;
	struct nf_conntrack_tuple tuple = {};
	struct nf_conntrack_zone buffer;
	enum ip_conntrack_info ctinfo;
	const struct nf_conn *tmpl;
	struct nf_conn *ct;

	/* The raw tables may have chosen a zone, or that it is not tracked. */
	tmpl = nf_ct_get(skb, &ctinfo);
	if (!find || ctinfo == IP_CT_UNTRACKED)
		return NULL;
	tuple.src.l3num = flow->family;
	memcpy(&tuple.src.u3, flow->peer, sizeof(tuple.src.u3));
	tuple.src.u.tcp.port = htons(flow->peer_port);
	memcpy(&tuple.dst.u3, flow->local, sizeof(tuple.dst.u3));
	tuple.dst.u.tcp.port = htons(flow->local_port);
	tuple.dst.protonum = IPPROTO_TCP;
	hash = find(net, nf_ct_zone_tmpl(tmpl, skb, &buffer), &tuple);
	if (!hash)
		return NULL;
	ct = nf_ct_tuplehash_to_ctrack(hash);
	if (NF_CT_DIRECTION(hash) == IP_CT_DIR_ORIGINAL)
		return ct;
	/* nf_ct_put() would need the module to be loaded. */
	nf_conntrack_put(&ct->ct_general);
	return NULL;
}

/*
 * Whether answers come from elsewhere than the first packet went to: netfilter's
 * DNAT, or the NAT of IPVS, which sets no bit.
 */
static _Bool svcg_conntrack_is_translated(const struct nf_conn *ct)
{
	const struct nf_conntrack_tuple *to = nf_ct_tuple(ct, IP_CT_DIR_ORIGINAL);
	const struct nf_conntrack_tuple *from = nf_ct_tuple(ct, IP_CT_DIR_REPLY);

	return !nf_inet_addr_cmp(&to->dst.u3, &from->src.u3) ||
	       to->dst.u.all != from->src.u.all;
}

static void svcg_conntrack_end(const struct ip_ct_tcp_state *seen,
			       struct svcg_tracked_end *end)
{
	end->next = READ_ONCE(seen->td_end);
	end->window = READ_ONCE(seen->td_maxwin);
}

_Bool svcg_conntrack_find(struct net *net, const struct sk_buff *skb,
			  const struct svcg_flow *flow,
			  struct svcg_tracked *tracked)
{
	struct nf_conn *ct = svcg_conntrack_entry(net, skb, flow);
	const struct ip_ct_tcp *tcp;
	unsigned long status;

	if (!ct)
		return false;
	/* They change without a lock of ours; each is as it was a moment ago. */
	tcp = &ct->proto.tcp;
	status = READ_ONCE(ct->status);
	tracked->translated = svcg_conntrack_is_translated(ct);
	tracked->answered = status & IPS_SEEN_REPLY;
	/* With SYN proxies and some helpers the two ends count differently. */
	tracked->liberal = status & IPS_SEQ_ADJUST ||
			   READ_ONCE(tcp->seen[IP_CT_DIR_ORIGINAL].flags) &
				   IP_CT_TCP_FLAG_BE_LIBERAL;
	tracked->state = READ_ONCE(tcp->state);
	svcg_conntrack_end(&tcp->seen[IP_CT_DIR_ORIGINAL], &tracked->client);
	svcg_conntrack_end(&tcp->seen[IP_CT_DIR_REPLY], &tracked->server);
	nf_conntrack_put(&ct->ct_general);
	return true;
}

#else

void svcg_conntrack_get(void)
{
}

void svcg_conntrack_put(void)
{
}

int svcg_conntrack_watch(void)
{
	return 0;
}

void svcg_conntrack_unwatch(void)
{
}

_Bool svcg_conntrack_find(struct net *net, const struct sk_buff *skb,
			  const struct svcg_flow *flow,
			  struct svcg_tracked *tracked)
{
	return false;
}

#endif
