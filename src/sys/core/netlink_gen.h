/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/service_group.yaml */
/* YNL-GEN kernel header */
/* To regenerate run: make ynl */

#ifndef _LINUX_SERVICE_GROUP_GEN_H
#define _LINUX_SERVICE_GROUP_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/service_group_netlink.h>

/* Common nested types */
extern const struct nla_policy service_group_node_nl_policy[SERVICE_GROUP_A_NODE_DEPUTISED + 1];

int service_group_nl_cluster_get_start(struct netlink_callback *cb);

int service_group_nl_group_get_doit(struct sk_buff *skb,
				    struct genl_info *info);
int service_group_nl_group_get_dumpit(struct sk_buff *skb,
				      struct netlink_callback *cb);
int service_group_nl_member_get_dumpit(struct sk_buff *skb,
				       struct netlink_callback *cb);
int service_group_nl_group_set_doit(struct sk_buff *skb,
				    struct genl_info *info);
int service_group_nl_member_set_doit(struct sk_buff *skb,
				     struct genl_info *info);
int service_group_nl_stats_get_doit(struct sk_buff *skb,
				    struct genl_info *info);
int service_group_nl_decision_get_doit(struct sk_buff *skb,
				       struct genl_info *info);
int service_group_nl_cluster_get_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_cluster_get_dumpit(struct sk_buff *skb,
					struct netlink_callback *cb);
int service_group_nl_cluster_set_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_cluster_del_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_cluster_role_set_doit(struct sk_buff *skb,
					   struct genl_info *info);
int service_group_nl_machine_get_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_machine_set_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_machine_del_doit(struct sk_buff *skb,
				      struct genl_info *info);
int service_group_nl_link_get_doit(struct sk_buff *skb, struct genl_info *info);
int service_group_nl_link_get_dumpit(struct sk_buff *skb,
				     struct netlink_callback *cb);
int service_group_nl_link_add_doit(struct sk_buff *skb, struct genl_info *info);
int service_group_nl_link_del_doit(struct sk_buff *skb, struct genl_info *info);
int service_group_nl_health_set_doit(struct sk_buff *skb,
				     struct genl_info *info);

enum {
	SERVICE_GROUP_NLGRP_EVENTS,
};

extern struct genl_family service_group_nl_family;

#endif /* _LINUX_SERVICE_GROUP_GEN_H */
