// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/service_group.yaml */
/* YNL-GEN kernel source */
/* To regenerate run: make ynl */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink_gen.h"

#include <uapi/linux/service_group_netlink.h>

/* Integer value ranges */
static const struct netlink_range_validation service_group_a_group_stall_range = {
	.max	= SERVICE_GROUP_MAX_STALL,
};

static const struct netlink_range_validation service_group_a_group_adopt_range = {
	.max	= SERVICE_GROUP_MAX_ADOPT,
};

static const struct netlink_range_validation service_group_a_member_weight_range = {
	.min	= 1ULL,
	.max	= SERVICE_GROUP_MAX_WEIGHT,
};

static const struct netlink_range_validation service_group_a_node_weight_range = {
	.min	= 1ULL,
	.max	= SERVICE_GROUP_MAX_WEIGHT,
};

/* Common nested types */
const struct nla_policy service_group_node_nl_policy[SERVICE_GROUP_A_NODE_DEPUTISED + 1] = {
	[SERVICE_GROUP_A_NODE_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_NODE_WEIGHT] = NLA_POLICY_FULL_RANGE(NLA_U32, &service_group_a_node_weight_range),
	[SERVICE_GROUP_A_NODE_STATE] = NLA_POLICY_MAX(NLA_U32, 2),
	[SERVICE_GROUP_A_NODE_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_NODE_WAY] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_NODE_SLOTS] = { .type = NLA_U32, },
	[SERVICE_GROUP_A_NODE_FORWARDED] = { .type = NLA_U64, },
	[SERVICE_GROUP_A_NODE_AWAY] = { .type = NLA_U32, },
	[SERVICE_GROUP_A_NODE_DEPUTISED] = { .type = NLA_U32, },
};

/* SERVICE_GROUP_CMD_GROUP_GET - do */
static const struct nla_policy service_group_group_get_nl_policy[SERVICE_GROUP_A_GROUP_ID + 1] = {
	[SERVICE_GROUP_A_GROUP_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_MEMBER_GET - dump */
static const struct nla_policy service_group_member_get_nl_policy[SERVICE_GROUP_A_MEMBER_GROUP + 1] = {
	[SERVICE_GROUP_A_MEMBER_GROUP] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_GROUP_SET - do */
static const struct nla_policy service_group_group_set_nl_policy[SERVICE_GROUP_A_GROUP_ADOPT + 1] = {
	[SERVICE_GROUP_A_GROUP_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_GROUP_POLICY] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_GROUP_WHEN_FULL] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_GROUP_STALL] = NLA_POLICY_FULL_RANGE(NLA_U32, &service_group_a_group_stall_range),
	[SERVICE_GROUP_A_GROUP_REWRITE] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_GROUP_ADOPT] = NLA_POLICY_FULL_RANGE(NLA_U32, &service_group_a_group_adopt_range),
};

/* SERVICE_GROUP_CMD_MEMBER_SET - do */
static const struct nla_policy service_group_member_set_nl_policy[SERVICE_GROUP_A_MEMBER_WEIGHT + 1] = {
	[SERVICE_GROUP_A_MEMBER_GROUP] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_MEMBER_COOKIE] = { .type = NLA_U64, },
	[SERVICE_GROUP_A_MEMBER_WEIGHT] = NLA_POLICY_FULL_RANGE(NLA_U32, &service_group_a_member_weight_range),
};

/* SERVICE_GROUP_CMD_DECISION_GET - do */
static const struct nla_policy service_group_decision_get_nl_policy[SERVICE_GROUP_A_DECISION_PEER_PORT + 1] = {
	[SERVICE_GROUP_A_DECISION_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_DECISION_LOCAL_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_DECISION_LOCAL_PORT] = { .type = NLA_BE16, },
	[SERVICE_GROUP_A_DECISION_PEER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_DECISION_PEER_PORT] = { .type = NLA_BE16, },
};

/* SERVICE_GROUP_CMD_CLUSTER_GET - do */
static const struct nla_policy service_group_cluster_get_do_nl_policy[SERVICE_GROUP_A_CLUSTER_PORT + 1] = {
	[SERVICE_GROUP_A_CLUSTER_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_CLUSTER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 255),
	[SERVICE_GROUP_A_CLUSTER_PORT] = { .type = NLA_BE16, },
};

/* SERVICE_GROUP_CMD_CLUSTER_GET - dump */
static const struct nla_policy service_group_cluster_get_dump_nl_policy[SERVICE_GROUP_A_CLUSTER_BRIEF + 1] = {
	[SERVICE_GROUP_A_CLUSTER_BRIEF] = NLA_POLICY_MAX(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_CLUSTER_SET - do */
static const struct nla_policy service_group_cluster_set_nl_policy[SERVICE_GROUP_A_CLUSTER_DIRECTORS + 1] = {
	[SERVICE_GROUP_A_CLUSTER_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_CLUSTER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 255),
	[SERVICE_GROUP_A_CLUSTER_PORT] = { .type = NLA_BE16, },
	[SERVICE_GROUP_A_CLUSTER_ROLE] = NLA_POLICY_MAX(NLA_U32, 3),
	[SERVICE_GROUP_A_CLUSTER_DEVICE] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_CLUSTER_MAC] = NLA_POLICY_EXACT_LEN(6),
	[SERVICE_GROUP_A_CLUSTER_HASH] = NLA_POLICY_MAX(NLA_U32, 2),
	[SERVICE_GROUP_A_CLUSTER_KEY] = NLA_POLICY_EXACT_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_NODE] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_CLUSTER_SETTLE] = { .type = NLA_U32, },
	[SERVICE_GROUP_A_CLUSTER_SPILL] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_CLUSTER_EPOCH] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_CLUSTER_NODES] = NLA_POLICY_NESTED(service_group_node_nl_policy),
	[SERVICE_GROUP_A_CLUSTER_TABLE] = NLA_POLICY_MAX_LEN(16384),
	[SERVICE_GROUP_A_CLUSTER_GENERATION] = { .type = NLA_U64, },
	[SERVICE_GROUP_A_CLUSTER_DIRECTORS] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_CLUSTER_DEL - do */
static const struct nla_policy service_group_cluster_del_nl_policy[SERVICE_GROUP_A_CLUSTER_GENERATION + 1] = {
	[SERVICE_GROUP_A_CLUSTER_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_CLUSTER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 255),
	[SERVICE_GROUP_A_CLUSTER_PORT] = { .type = NLA_BE16, },
	[SERVICE_GROUP_A_CLUSTER_GENERATION] = { .type = NLA_U64, },
};

/* SERVICE_GROUP_CMD_CLUSTER_ROLE_SET - do */
static const struct nla_policy service_group_cluster_role_set_nl_policy[SERVICE_GROUP_A_CLUSTER_GENERATION + 1] = {
	[SERVICE_GROUP_A_CLUSTER_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_CLUSTER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 255),
	[SERVICE_GROUP_A_CLUSTER_PORT] = { .type = NLA_BE16, },
	[SERVICE_GROUP_A_CLUSTER_ROLE] = NLA_POLICY_MAX(NLA_U32, 3),
	[SERVICE_GROUP_A_CLUSTER_GENERATION] = { .type = NLA_U64, },
};

/* SERVICE_GROUP_CMD_MACHINE_SET - do */
static const struct nla_policy service_group_machine_set_nl_policy[SERVICE_GROUP_A_MACHINE_PEERS + 1] = {
	[SERVICE_GROUP_A_MACHINE_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_MACHINE_CLUSTER_ID] = NLA_POLICY_EXACT_LEN(16),
	[SERVICE_GROUP_A_MACHINE_HEARTBEAT] = NLA_POLICY_RANGE(NLA_U32, SERVICE_GROUP_MIN_HEARTBEAT, SERVICE_GROUP_MAX_HEARTBEAT),
	[SERVICE_GROUP_A_MACHINE_INSECURE] = NLA_POLICY_MAX(NLA_U32, 1),
	[SERVICE_GROUP_A_MACHINE_PEERS] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_LINK_GET - do */
static const struct nla_policy service_group_link_get_nl_policy[SERVICE_GROUP_A_LINK_PEER + 1] = {
	[SERVICE_GROUP_A_LINK_PEER] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_LINK_ADD - do */
static const struct nla_policy service_group_link_add_nl_policy[SERVICE_GROUP_A_LINK_FD + 1] = {
	[SERVICE_GROUP_A_LINK_PEER] = NLA_POLICY_MIN(NLA_U32, 1),
	[SERVICE_GROUP_A_LINK_FD] = { .type = NLA_U32, },
};

/* SERVICE_GROUP_CMD_LINK_DEL - do */
static const struct nla_policy service_group_link_del_nl_policy[SERVICE_GROUP_A_LINK_PEER + 1] = {
	[SERVICE_GROUP_A_LINK_PEER] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* SERVICE_GROUP_CMD_HEALTH_SET - do */
static const struct nla_policy service_group_health_set_nl_policy[SERVICE_GROUP_A_CLUSTER_HEALTHY + 1] = {
	[SERVICE_GROUP_A_CLUSTER_FAMILY] = { .type = NLA_U16, },
	[SERVICE_GROUP_A_CLUSTER_ADDRESS] = NLA_POLICY_MAX_LEN(16),
	[SERVICE_GROUP_A_CLUSTER_PROTOCOL] = NLA_POLICY_MAX(NLA_U32, 255),
	[SERVICE_GROUP_A_CLUSTER_PORT] = { .type = NLA_BE16, },
	[SERVICE_GROUP_A_CLUSTER_HEALTHY] = NLA_POLICY_MAX(NLA_U32, 1),
};

/* Ops table for service_group */
static const struct genl_split_ops service_group_nl_ops[] = {
	{
		.cmd		= SERVICE_GROUP_CMD_GROUP_GET,
		.doit		= service_group_nl_group_get_doit,
		.policy		= service_group_group_get_nl_policy,
		.maxattr	= SERVICE_GROUP_A_GROUP_ID,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= SERVICE_GROUP_CMD_GROUP_GET,
		.dumpit	= service_group_nl_group_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_MEMBER_GET,
		.dumpit		= service_group_nl_member_get_dumpit,
		.policy		= service_group_member_get_nl_policy,
		.maxattr	= SERVICE_GROUP_A_MEMBER_GROUP,
		.flags		= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_GROUP_SET,
		.doit		= service_group_nl_group_set_doit,
		.policy		= service_group_group_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_GROUP_ADOPT,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_MEMBER_SET,
		.doit		= service_group_nl_member_set_doit,
		.policy		= service_group_member_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_MEMBER_WEIGHT,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= SERVICE_GROUP_CMD_STATS_GET,
		.doit	= service_group_nl_stats_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_DECISION_GET,
		.doit		= service_group_nl_decision_get_doit,
		.policy		= service_group_decision_get_nl_policy,
		.maxattr	= SERVICE_GROUP_A_DECISION_PEER_PORT,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_CLUSTER_GET,
		.doit		= service_group_nl_cluster_get_doit,
		.policy		= service_group_cluster_get_do_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_PORT,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_CLUSTER_GET,
		.start		= service_group_nl_cluster_get_start,
		.dumpit		= service_group_nl_cluster_get_dumpit,
		.policy		= service_group_cluster_get_dump_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_BRIEF,
		.flags		= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_CLUSTER_SET,
		.doit		= service_group_nl_cluster_set_doit,
		.policy		= service_group_cluster_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_DIRECTORS,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_CLUSTER_DEL,
		.doit		= service_group_nl_cluster_del_doit,
		.policy		= service_group_cluster_del_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_GENERATION,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_CLUSTER_ROLE_SET,
		.doit		= service_group_nl_cluster_role_set_doit,
		.policy		= service_group_cluster_role_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_GENERATION,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= SERVICE_GROUP_CMD_MACHINE_GET,
		.doit	= service_group_nl_machine_get_doit,
		.flags	= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_MACHINE_SET,
		.doit		= service_group_nl_machine_set_doit,
		.policy		= service_group_machine_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_MACHINE_PEERS,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd	= SERVICE_GROUP_CMD_MACHINE_DEL,
		.doit	= service_group_nl_machine_del_doit,
		.flags	= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_LINK_GET,
		.doit		= service_group_nl_link_get_doit,
		.policy		= service_group_link_get_nl_policy,
		.maxattr	= SERVICE_GROUP_A_LINK_PEER,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd	= SERVICE_GROUP_CMD_LINK_GET,
		.dumpit	= service_group_nl_link_get_dumpit,
		.flags	= GENL_CMD_CAP_DUMP,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_LINK_ADD,
		.doit		= service_group_nl_link_add_doit,
		.policy		= service_group_link_add_nl_policy,
		.maxattr	= SERVICE_GROUP_A_LINK_FD,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_LINK_DEL,
		.doit		= service_group_nl_link_del_doit,
		.policy		= service_group_link_del_nl_policy,
		.maxattr	= SERVICE_GROUP_A_LINK_PEER,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= SERVICE_GROUP_CMD_HEALTH_SET,
		.doit		= service_group_nl_health_set_doit,
		.policy		= service_group_health_set_nl_policy,
		.maxattr	= SERVICE_GROUP_A_CLUSTER_HEALTHY,
		.flags		= GENL_UNS_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
};

static const struct genl_multicast_group service_group_nl_mcgrps[] = {
	[SERVICE_GROUP_NLGRP_EVENTS] = { "events", },
};

struct genl_family service_group_nl_family __ro_after_init = {
	.name		= SERVICE_GROUP_FAMILY_NAME,
	.version	= SERVICE_GROUP_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= service_group_nl_ops,
	.n_split_ops	= ARRAY_SIZE(service_group_nl_ops),
	.mcgrps		= service_group_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(service_group_nl_mcgrps),
};
