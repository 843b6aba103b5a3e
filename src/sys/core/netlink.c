// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of the generic netlink family that netlink_gen.c defines.
 */
#include <linux/module.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "core.h"
#include "netlink_gen.h"

int svcg_netlink_register(void)
{
	return genl_register_family(&service_group_nl_family);
}

void svcg_netlink_unregister(void)
{
	genl_unregister_family(&service_group_nl_family);
}

struct net *svcg_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

struct user_namespace *svcg_request_userns(const struct sk_buff *request)
{
	return sk_user_ns(NETLINK_CB(request).sk);
}

_Bool svcg_info_u32(const struct genl_info *info, int attribute,
		    unsigned int *value)
{
	if (GENL_REQ_ATTR_CHECK(info, attribute))
		return false;
	*value = nla_get_u32(info->attrs[attribute]);
	return true;
}

_Bool svcg_info_u64(const struct genl_info *info, int attribute,
		    unsigned long long *value)
{
	if (GENL_REQ_ATTR_CHECK(info, attribute))
		return false;
	*value = nla_get_u64(info->attrs[attribute]);
	return true;
}

_Bool svcg_info_port(const struct genl_info *info, int attribute,
		     unsigned short *value)
{
	if (GENL_REQ_ATTR_CHECK(info, attribute))
		return false;
	*value = ntohs(nla_get_be16(info->attrs[attribute]));
	return true;
}

_Bool svcg_info_u16(const struct genl_info *info, int attribute,
		    unsigned short *value)
{
	if (GENL_REQ_ATTR_CHECK(info, attribute))
		return false;
	*value = nla_get_u16(info->attrs[attribute]);
	return true;
}

_Bool svcg_info_address(const struct genl_info *info, int attribute,
			unsigned char *to, unsigned int len)
{
	if (GENL_REQ_ATTR_CHECK(info, attribute) ||
	    nla_len(info->attrs[attribute]) != len)
		return false;
	memcpy(to, nla_data(info->attrs[attribute]), len);
	return true;
}

_Bool svcg_info_optional_u32(const struct genl_info *info, int attribute,
			     unsigned int *value)
{
	if (!info->attrs[attribute])
		return false;
	*value = nla_get_u32(info->attrs[attribute]);
	return true;
}

void svcg_info_say_changed(const struct genl_info *info)
{
	GENL_SET_ERR_MSG(info, "cluster IPs have changed since they were read");
}

static int svcg_node_read(struct nlattr **tb, struct svcg_node *node)
{
	const struct nlattr *address = tb[SERVICE_GROUP_A_NODE_ADDRESS];

	if (!tb[SERVICE_GROUP_A_NODE_ID] || !tb[SERVICE_GROUP_A_NODE_WEIGHT] ||
	    !tb[SERVICE_GROUP_A_NODE_STATE] || !tb[SERVICE_GROUP_A_NODE_WAY] ||
	    !address)
		return -EINVAL;
	node->id = nla_get_u32(tb[SERVICE_GROUP_A_NODE_ID]);
	node->weight = nla_get_u32(tb[SERVICE_GROUP_A_NODE_WEIGHT]);
	node->state = nla_get_u32(tb[SERVICE_GROUP_A_NODE_STATE]);
	node->way = nla_get_u32(tb[SERVICE_GROUP_A_NODE_WAY]);
	/* The policy lets no longer one in. */
	node->address_len = nla_len(address);
	nla_memcpy(node->address, address, sizeof(node->address));
	return 0;
}

const void *svcg_info_data(const struct genl_info *info, int attribute,
			   unsigned int *len)
{
	if (!info->attrs[attribute])
		return NULL;
	*len = nla_len(info->attrs[attribute]);
	return nla_data(info->attrs[attribute]);
}

/* Of attributes of one type the one at this position, or NULL; the position is the next one's then. */
static const struct nlattr *svcg_info_next(const struct genl_info *info,
					   int attribute,
					   unsigned int *position)
{
	unsigned int index = 0;
	struct nlattr *attr;
	int rem;

	nlmsg_for_each_attr_type(attr, attribute, info->nlhdr, GENL_HDRLEN,
				 rem) {
		if (index++ < *position)
			continue;
		*position = index;
		return attr;
	}
	return NULL;
}

_Bool svcg_info_next_u32(const struct genl_info *info, int attribute,
			 unsigned int *position, unsigned int *value)
{
	const struct nlattr *attr = svcg_info_next(info, attribute, position);

	if (!attr)
		return false;
	*value = nla_get_u32(attr);
	return true;
}

int svcg_info_node(const struct genl_info *info, unsigned int *position,
		   struct svcg_node *node)
{
	struct nlattr *tb[SERVICE_GROUP_A_NODE_MAX + 1];
	const struct nlattr *attr;
	int err;

	attr = svcg_info_next(info, SERVICE_GROUP_A_CLUSTER_NODES, position);
	if (!attr)
		return -ENOENT;
	err = nla_parse_nested(tb, SERVICE_GROUP_A_NODE_MAX, attr,
			       service_group_node_nl_policy, info->extack);
	return err ? err : svcg_node_read(tb, node);
}

struct sk_buff *svcg_reply_new(const struct genl_info *info, unsigned char cmd,
			       unsigned int size, void **header)
{
	struct sk_buff *skb = genlmsg_new(max(size, NLMSG_GOODSIZE), GFP_KERNEL);

	if (!skb)
		return NULL;
	*header = genlmsg_put_reply(skb, (struct genl_info *)info,
				    &service_group_nl_family, 0, cmd);
	if (!*header) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

int svcg_reply_send(const struct genl_info *info, struct sk_buff *skb,
		    void *header)
{
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, (struct genl_info *)info);
}

_Bool svcg_event_wanted(struct net *net)
{
	return genl_has_listeners(&service_group_nl_family, net,
				  SERVICE_GROUP_NLGRP_EVENTS);
}

struct user_namespace *svcg_event_userns(const struct net *net)
{
	return net->user_ns;
}

struct sk_buff *svcg_event_new(unsigned char cmd, unsigned int size,
			       _Bool atomic, void **header)
{
	struct sk_buff *skb;

	skb = genlmsg_new(max(size, NLMSG_GOODSIZE),
			  atomic ? GFP_ATOMIC : GFP_KERNEL);
	if (!skb)
		return NULL;
	*header = genlmsg_put(skb, 0, 0, &service_group_nl_family, 0, cmd);
	if (!*header) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

void svcg_event_send(struct net *net, struct sk_buff *skb, void *header,
		     _Bool atomic)
{
	genlmsg_end(skb, header);
	genlmsg_multicast_netns(&service_group_nl_family, net, skb, 0,
				SERVICE_GROUP_NLGRP_EVENTS,
				atomic ? GFP_ATOMIC : GFP_KERNEL);
}

void svcg_message_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

_Bool svcg_request_may_change(const struct sk_buff *request,
			      const struct net *net)
{
	return netlink_ns_capable(request, net->user_ns, CAP_NET_ADMIN);
}

_Bool svcg_request_is_privileged(const struct sk_buff *request)
{
	return netlink_capable(request, CAP_NET_ADMIN);
}

struct net *svcg_dump_net(const struct netlink_callback *cb)
{
	return sock_net(cb->skb->sk);
}

_Bool svcg_dump_may_change(const struct netlink_callback *cb)
{
	return netlink_ns_capable(cb->skb, sock_net(cb->skb->sk)->user_ns,
				  CAP_NET_ADMIN);
}

struct user_namespace *svcg_dump_userns(const struct netlink_callback *cb)
{
	return sk_user_ns(NETLINK_CB(cb->skb).sk);
}

_Bool svcg_dump_u32(const struct netlink_callback *cb, int attribute,
		    unsigned int *value)
{
	const struct genl_info *info;

	info = genl_info_dump((struct netlink_callback *)cb);
	if (!info->attrs || !info->attrs[attribute])
		return false;
	*value = nla_get_u32(info->attrs[attribute]);
	return true;
}

void svcg_dump_need(struct netlink_callback *cb, unsigned int size)
{
	cb->min_dump_alloc = max(cb->min_dump_alloc, size);
}

unsigned long *svcg_dump_position(struct netlink_callback *cb)
{
	return (unsigned long *)cb->ctx;
}

/* The last message, which ends the dump, tells of it as well. */
void svcg_dump_is_of(struct netlink_callback *cb, unsigned int generation)
{
	cb->seq = generation;
}

void *svcg_dump_begin(struct netlink_callback *cb, struct sk_buff *skb,
		      unsigned char cmd)
{
	void *header;

	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
			     cb->nlh->nlmsg_seq, &service_group_nl_family,
			     NLM_F_MULTI, cmd);
	if (header)
		genl_dump_check_consistent(cb, header);
	return header;
}

void svcg_dump_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void svcg_dump_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int svcg_put_u16(struct sk_buff *skb, int attribute, unsigned short value)
{
	return nla_put_u16(skb, attribute, value);
}

int svcg_put_be16(struct sk_buff *skb, int attribute, unsigned short value)
{
	return nla_put_be16(skb, attribute, htons(value));
}

int svcg_put_u32(struct sk_buff *skb, int attribute, unsigned int value)
{
	return nla_put_u32(skb, attribute, value);
}

int svcg_put_uid(struct sk_buff *skb, int attribute, unsigned int uid,
		 struct user_namespace *userns)
{
	return nla_put_u32(skb, attribute,
			   from_kuid_munged(userns, KUIDT_INIT(uid)));
}

int svcg_put_u64(struct sk_buff *skb, int attribute, unsigned long long value,
		 int pad)
{
	return nla_put_u64_64bit(skb, attribute, value, pad);
}

int svcg_put_bytes(struct sk_buff *skb, int attribute, const void *from,
		   unsigned int len)
{
	return nla_put(skb, attribute, len, from);
}

struct nlattr *svcg_nest_begin(struct sk_buff *skb, int attribute)
{
	return nla_nest_start(skb, attribute);
}

void svcg_nest_end(struct sk_buff *skb, struct nlattr *nest)
{
	nla_nest_end(skb, nest);
}

MODULE_ALIAS_GENL_FAMILY(SERVICE_GROUP_FAMILY_NAME);

MODULE_VERSION(SERVICE_GROUP_VERSION);
