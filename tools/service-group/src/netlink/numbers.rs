// SPDX-License-Identifier: GPL-2.0
//! The numbers of commands and attributes, as `linux/service_group_netlink.h`
//! has them; a test compares the two.

/// The commands of the family.
pub(super) mod command {
    pub const GROUP_GET: u8 = 1;
    pub const MEMBER_GET: u8 = 2;
    pub const GROUP_SET: u8 = 3;
    pub const MEMBER_SET: u8 = 4;
    pub const STATS_GET: u8 = 5;
    pub const DECISION_GET: u8 = 6;
    pub const GROUP_ADD_NTF: u8 = 7;
    pub const GROUP_DEL_NTF: u8 = 8;
    pub const MEMBER_ADD_NTF: u8 = 9;
    pub const MEMBER_DEL_NTF: u8 = 10;
    pub const GROUP_CHANGE_NTF: u8 = 11;
    pub const MEMBER_CHANGE_NTF: u8 = 12;
    pub const MEMBER_STALL_NTF: u8 = 13;
    pub const MEMBER_READY_NTF: u8 = 14;
    pub const CLUSTER_GET: u8 = 15;
    pub const CLUSTER_SET: u8 = 16;
    pub const CLUSTER_DEL: u8 = 17;
    pub const CLUSTER_CHANGE_NTF: u8 = 18;
    pub const CLUSTER_DEL_NTF: u8 = 19;
    pub const CLUSTER_ROLE_SET: u8 = 20;
}

/// The attributes of a group.
pub(super) mod group {
    pub const ID: u16 = 1;
    pub const UID: u16 = 2;
    pub const MEMBERS: u16 = 3;
    pub const POLICY: u16 = 4;
    pub const WHEN_FULL: u16 = 5;
    pub const STALL: u16 = 6;
    pub const REWRITE: u16 = 7;
    pub const COUNTERS: u16 = 8;
    pub const ADOPT: u16 = 9;
    pub const ADOPTED: u16 = 10;
    pub const NOT_ADOPTED: u16 = 11;
    pub const NOT_ADOPTED_ERRNO: u16 = 12;
}

/// The attributes of a member.
pub(super) mod member {
    pub const GROUP: u16 = 1;
    pub const COOKIE: u16 = 2;
    pub const INODE: u16 = 3;
    pub const FAMILY: u16 = 4;
    pub const PORT: u16 = 5;
    pub const ADDRESS: u16 = 6;
    pub const STATE: u16 = 7;
    pub const QUEUED: u16 = 8;
    pub const HALF_OPEN: u16 = 9;
    pub const BACKLOG: u16 = 10;
    pub const WEIGHT: u16 = 11;
    pub const COUNTERS: u16 = 12;
    pub const ADOPTED: u16 = 14;
}

/// The attributes of the totals.
pub(super) mod stats {
    pub const GROUPS: u16 = 1;
    pub const MEMBERS: u16 = 2;
    pub const REFUSED_LIMIT: u16 = 3;
    pub const REFUSED_PERMISSION: u16 = 4;
    pub const REFUSED_OTHER: u16 = 5;
    pub const CLUSTER_GENERATION: u16 = 7;
}

/// The attributes of what became of a connection.
pub(super) mod decision {
    pub const FAMILY: u16 = 1;
    pub const LOCAL_ADDRESS: u16 = 2;
    pub const LOCAL_PORT: u16 = 3;
    pub const PEER_ADDRESS: u16 = 4;
    pub const PEER_PORT: u16 = 5;
    pub const GROUP: u16 = 6;
    pub const OUTCOME: u16 = 7;
    pub const REASON: u16 = 8;
    pub const HOME: u16 = 9;
    pub const TAKER: u16 = 10;
    pub const MOVES: u16 = 11;
    pub const AGE: u16 = 12;
}

/// The attributes of a node of a cluster.
pub(super) mod node {
    pub const ID: u16 = 1;
    pub const WEIGHT: u16 = 2;
    pub const STATE: u16 = 3;
    pub const ADDRESS: u16 = 4;
    pub const WAY: u16 = 5;
    pub const SLOTS: u16 = 6;
    pub const FORWARDED: u16 = 7;
}

/// The attributes of a cluster IP.
pub(super) mod cluster {
    pub const FAMILY: u16 = 1;
    pub const ADDRESS: u16 = 2;
    pub const PROTOCOL: u16 = 3;
    pub const PORT: u16 = 4;
    pub const ROLE: u16 = 5;
    pub const DEVICE: u16 = 6;
    pub const MAC: u16 = 7;
    pub const HASH: u16 = 8;
    pub const KEY: u16 = 9;
    pub const NODE: u16 = 10;
    pub const SETTLE: u16 = 11;
    pub const EPOCH: u16 = 12;
    pub const NODES: u16 = 13;
    pub const TABLE: u16 = 14;
    pub const COUNTERS: u16 = 15;
    pub const SPILL: u16 = 17;
    pub const BRIEF: u16 = 18;
    pub const GENERATION: u16 = 19;
    pub const LOCAL: u16 = 20;
}

/// The number that an enum of the header gives to this name, which is told
/// without `SERVICE_GROUP_`.
#[cfg(test)]
pub(super) fn of_header(name: &str) -> Option<u16> {
    let header = include_str!("../../../../include/uapi/linux/service_group_netlink.h");
    let mut next = 0;
    for line in header.lines().map(str::trim) {
        if line.starts_with("enum ") {
            next = 0;
        }
        let Some(entry) = line.strip_suffix(',') else {
            continue;
        };
        let (entry, number) = entry.split_once(" = ").unwrap_or((entry, ""));
        next = number.parse().unwrap_or(next);
        if entry.replace("SERVICE_GROUP_", "") == name {
            return Some(next);
        }
        next += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_header() {
        for (name, number) in [
            ("GROUP_GET", command::GROUP_GET),
            ("MEMBER_GET", command::MEMBER_GET),
            ("GROUP_SET", command::GROUP_SET),
            ("MEMBER_SET", command::MEMBER_SET),
            ("STATS_GET", command::STATS_GET),
            ("DECISION_GET", command::DECISION_GET),
            ("GROUP_ADD_NTF", command::GROUP_ADD_NTF),
            ("GROUP_DEL_NTF", command::GROUP_DEL_NTF),
            ("MEMBER_ADD_NTF", command::MEMBER_ADD_NTF),
            ("MEMBER_DEL_NTF", command::MEMBER_DEL_NTF),
            ("GROUP_CHANGE_NTF", command::GROUP_CHANGE_NTF),
            ("MEMBER_CHANGE_NTF", command::MEMBER_CHANGE_NTF),
            ("MEMBER_STALL_NTF", command::MEMBER_STALL_NTF),
            ("MEMBER_READY_NTF", command::MEMBER_READY_NTF),
            ("CLUSTER_GET", command::CLUSTER_GET),
            ("CLUSTER_SET", command::CLUSTER_SET),
            ("CLUSTER_DEL", command::CLUSTER_DEL),
            ("CLUSTER_CHANGE_NTF", command::CLUSTER_CHANGE_NTF),
            ("CLUSTER_DEL_NTF", command::CLUSTER_DEL_NTF),
            ("CLUSTER_ROLE_SET", command::CLUSTER_ROLE_SET),
        ] {
            assert_eq!(
                of_header(&format!("CMD_{name}")),
                Some(number.into()),
                "{name}"
            );
        }
    }

    #[test]
    fn attributes_are_those_of_the_header() {
        for (name, number) in [
            ("GROUP_ID", group::ID),
            ("GROUP_UID", group::UID),
            ("GROUP_MEMBERS", group::MEMBERS),
            ("GROUP_POLICY", group::POLICY),
            ("GROUP_WHEN_FULL", group::WHEN_FULL),
            ("GROUP_STALL", group::STALL),
            ("GROUP_REWRITE", group::REWRITE),
            ("GROUP_COUNTERS", group::COUNTERS),
            ("GROUP_ADOPT", group::ADOPT),
            ("GROUP_ADOPTED", group::ADOPTED),
            ("GROUP_NOT_ADOPTED", group::NOT_ADOPTED),
            ("GROUP_NOT_ADOPTED_ERRNO", group::NOT_ADOPTED_ERRNO),
            ("MEMBER_GROUP", member::GROUP),
            ("MEMBER_COOKIE", member::COOKIE),
            ("MEMBER_INODE", member::INODE),
            ("MEMBER_FAMILY", member::FAMILY),
            ("MEMBER_PORT", member::PORT),
            ("MEMBER_ADDRESS", member::ADDRESS),
            ("MEMBER_STATE", member::STATE),
            ("MEMBER_QUEUED", member::QUEUED),
            ("MEMBER_HALF_OPEN", member::HALF_OPEN),
            ("MEMBER_BACKLOG", member::BACKLOG),
            ("MEMBER_WEIGHT", member::WEIGHT),
            ("MEMBER_COUNTERS", member::COUNTERS),
            ("MEMBER_ADOPTED", member::ADOPTED),
            ("STATS_GROUPS", stats::GROUPS),
            ("STATS_MEMBERS", stats::MEMBERS),
            ("STATS_REFUSED_LIMIT", stats::REFUSED_LIMIT),
            ("STATS_REFUSED_PERMISSION", stats::REFUSED_PERMISSION),
            ("STATS_REFUSED_OTHER", stats::REFUSED_OTHER),
            ("STATS_CLUSTER_GENERATION", stats::CLUSTER_GENERATION),
            ("DECISION_FAMILY", decision::FAMILY),
            ("DECISION_LOCAL_ADDRESS", decision::LOCAL_ADDRESS),
            ("DECISION_LOCAL_PORT", decision::LOCAL_PORT),
            ("DECISION_PEER_ADDRESS", decision::PEER_ADDRESS),
            ("DECISION_PEER_PORT", decision::PEER_PORT),
            ("DECISION_GROUP", decision::GROUP),
            ("DECISION_OUTCOME", decision::OUTCOME),
            ("DECISION_REASON", decision::REASON),
            ("DECISION_HOME", decision::HOME),
            ("DECISION_TAKER", decision::TAKER),
            ("DECISION_MOVES", decision::MOVES),
            ("DECISION_AGE", decision::AGE),
            ("NODE_ID", node::ID),
            ("NODE_WEIGHT", node::WEIGHT),
            ("NODE_STATE", node::STATE),
            ("NODE_ADDRESS", node::ADDRESS),
            ("NODE_WAY", node::WAY),
            ("NODE_SLOTS", node::SLOTS),
            ("NODE_FORWARDED", node::FORWARDED),
            ("CLUSTER_FAMILY", cluster::FAMILY),
            ("CLUSTER_ADDRESS", cluster::ADDRESS),
            ("CLUSTER_PROTOCOL", cluster::PROTOCOL),
            ("CLUSTER_PORT", cluster::PORT),
            ("CLUSTER_ROLE", cluster::ROLE),
            ("CLUSTER_DEVICE", cluster::DEVICE),
            ("CLUSTER_LOCAL", cluster::LOCAL),
            ("CLUSTER_MAC", cluster::MAC),
            ("CLUSTER_HASH", cluster::HASH),
            ("CLUSTER_KEY", cluster::KEY),
            ("CLUSTER_NODE", cluster::NODE),
            ("CLUSTER_SETTLE", cluster::SETTLE),
            ("CLUSTER_EPOCH", cluster::EPOCH),
            ("CLUSTER_NODES", cluster::NODES),
            ("CLUSTER_TABLE", cluster::TABLE),
            ("CLUSTER_COUNTERS", cluster::COUNTERS),
            ("CLUSTER_SPILL", cluster::SPILL),
            ("CLUSTER_BRIEF", cluster::BRIEF),
            ("CLUSTER_GENERATION", cluster::GENERATION),
        ] {
            assert_eq!(of_header(&format!("A_{name}")), Some(number), "{name}");
        }
        assert_eq!(of_header("A_NO_SUCH_NAME"), None);
    }
}
