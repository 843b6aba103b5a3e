// SPDX-License-Identifier: GPL-2.0

//! The numbers of commands and attributes.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

/// The commands of the family.
pub mod command {
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
    pub const MACHINE_GET: u8 = 21;
    pub const MACHINE_SET: u8 = 22;
    pub const MACHINE_DEL: u8 = 23;
    pub const LINK_GET: u8 = 24;
    pub const LINK_ADD: u8 = 25;
    pub const LINK_DEL: u8 = 26;
    pub const LINK_CHANGE_NTF: u8 = 27;
    pub const HEALTH_SET: u8 = 28;
}

/// Attributes of the set `group`.
pub mod group {
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

/// Attributes of the set `member`.
pub mod member {
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

/// Attributes of the set `stats`.
pub mod stats {
    pub const GROUPS: u16 = 1;
    pub const MEMBERS: u16 = 2;
    pub const REFUSED_LIMIT: u16 = 3;
    pub const REFUSED_PERMISSION: u16 = 4;
    pub const REFUSED_OTHER: u16 = 5;
    pub const CLUSTER_GENERATION: u16 = 7;
}

/// Attributes of the set `decision`.
pub mod decision {
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

/// Attributes of the set `node`.
pub mod node {
    pub const ID: u16 = 1;
    pub const WEIGHT: u16 = 2;
    pub const STATE: u16 = 3;
    pub const ADDRESS: u16 = 4;
    pub const WAY: u16 = 5;
    pub const SLOTS: u16 = 6;
    pub const FORWARDED: u16 = 7;
    pub const AWAY: u16 = 9;
    pub const DEPUTISED: u16 = 10;
}

/// Attributes of the set `cluster`.
pub mod cluster {
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
    pub const HEALTHY: u16 = 21;
    pub const READY: u16 = 22;
    pub const DIRECTORS: u16 = 23;
    pub const ACTING: u16 = 24;
    pub const ROLE_REASON: u16 = 25;
}

/// Attributes of the set `machine`.
pub mod machine {
    pub const ID: u16 = 1;
    pub const CLUSTER_ID: u16 = 2;
    pub const BOOT_ID: u16 = 3;
    pub const HEARTBEAT: u16 = 4;
    pub const INSECURE: u16 = 5;
    pub const PEERS: u16 = 6;
}

/// Attributes of the set `link-end`.
pub mod link_end {
    pub const REASON: u16 = 1;
    pub const TIMES: u16 = 2;
}

/// Attributes of the set `link`.
pub mod link {
    pub const PEER: u16 = 1;
    pub const FD: u16 = 2;
    pub const STATE: u16 = 3;
    pub const REASON: u16 = 4;
    pub const AWAY: u16 = 5;
    pub const READY: u16 = 6;
    pub const HEARD: u16 = 7;
    pub const SINCE: u16 = 8;
    pub const HELD: u16 = 9;
    pub const EPOCH: u16 = 10;
    pub const BOOT_ID: u16 = 11;
    pub const VERSION: u16 = 12;
    pub const SECURE: u16 = 13;
    pub const FAMILY: u16 = 14;
    pub const LOCAL_ADDRESS: u16 = 15;
    pub const LOCAL_PORT: u16 = 16;
    pub const PEER_ADDRESS: u16 = 17;
    pub const PEER_PORT: u16 = 18;
    pub const FRAMES_IN: u16 = 19;
    pub const FRAMES_OUT: u16 = 20;
    pub const BYTES_IN: u16 = 21;
    pub const BYTES_OUT: u16 = 22;
    pub const ENDED: u16 = 23;
}

/// For each setting, in the order of the option, its attribute if it is a group's.
pub const SETTINGS: [Option<u16>; 6] = [Some(4), Some(5), Some(6), None, Some(7), Some(9)];
