// SPDX-License-Identifier: GPL-2.0
//! Cluster IPs: addresses that several machines serve.

use std::fmt;
use std::net::IpAddr;

pub use super::setting_gen::ClusterSettings;
use super::ClusterCounters;
use crate::kernel_enum::kernel_enum;
use crate::Setting;

/// Most cluster IPs of a network namespace.
pub const MAX_CLUSTERS: usize = 256;
/// Most directors of a cluster IP that links choose from.
pub const MAX_DIRECTORS: usize = 32;

kernel_enum! {
    /// How the packets of a cluster IP come to this machine.
    ClusterRole, "its packets come in a way that this version does not know",
    Shared "shared" "every node receives every packet and takes its own";
    Directed "directed" "it receives what a director gives to it";
    Director "director" "it receives packets for all nodes and gives each to its owner";
    Standby "standby" "as director, but neighbours are not told so";
}

kernel_enum! {
    /// Why this machine directs a cluster IP, or stands by; the texts are of the machine.
    RoleReason, "of something that this version does not know",
    Given "given" "the role was given";
    First "first" "no director that comes before it is there";
    Leaving "leaving" "the director that comes before it, and is there, has not taken over yet";
    Preferred "preferred" "a director that comes before it is there";
    Held "held" "it and the one that directs have lost each other lately";
    Older "older" "the one that directs has a newer table";
    Waiting "waiting" "whether others are there is not known yet";
    Unable "unable" "its device is gone, is down, or has no carrier";
    Unlinked "unlinked" "it expects no links, or is none of the directors";
}

kernel_enum! {
    /// From which numbers of a packet its slot is computed.
    ClusterHash, "something that this version does not know",
    Sum3 "sum3" "source address + destination address + destination port";
    Sum5 "sum5"
        "source address + source port + destination address + destination port + protocol";
    Keyed "keyed" "SipHash of the same five with the cluster's key";
}

kernel_enum! {
    /// How a packet gets to a node.
    ClusterWay, "in a way that this version does not know",
    Neighbour "neighbour" "unchanged, to the node's MAC address";
    Tunnel "tunnel" "in an IP packet to the node's address";
}

kernel_enum! {
    /// Where this machine has the address of a cluster IP itself.
    ClusterLocal, "somewhere that this version does not know",
    Absent "absent" "nowhere";
    Device "device" "on the device that its packets come by";
    Elsewhere "elsewhere" "only on another device, such as the loopback device";
}

kernel_enum! {
    /// Whether a node is there.
    NodeState, "it is in a state that this version does not know",
    Up "up" "it takes connections";
    Draining "draining" "it keeps the connections that it has and takes no others";
    Down "down" "it is not there";
}

/// What names a cluster IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName {
    /// The address.
    pub address: IpAddr,
    /// As in the IP header; 0 for any.
    pub protocol: u8,
    /// 0 for any.
    pub port: u16,
}

/// The secret of a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClusterKey(pub [u8; 16]);

impl fmt::Debug for ClusterKey {
    /// Without the key: it is not to be found in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

/// A machine that serves a cluster IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Unique in the cluster, not 0.
    pub id: u32,
    /// How many slots it is to have, compared with others.
    pub weight: u32,
    /// Whether it is there.
    pub state: NodeState,
    /// Address to reach it by.
    pub address: Option<IpAddr>,
    /// How packets get to it.
    pub way: ClusterWay,
    /// How many slots it owns; told, and not set.
    pub slots: u32,
    /// Packets given to it by this machine; told, and not set.
    pub forwarded: u64,
    /// Whether it gets no new flows, as this machine believes that it is not there or not ready;
    /// told, and not set.
    pub away: bool,
    /// How many of its slots have a deputy meanwhile; told, and not set.
    pub deputised: u32,
}

impl Default for ClusterNode {
    fn default() -> Self {
        Self {
            id: 0,
            weight: 1,
            state: NodeState::Up,
            address: None,
            way: ClusterWay::Neighbour,
            slots: 0,
            forwarded: 0,
            away: false,
            deputised: 0,
        }
    }
}

/// A cluster IP, as this machine serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What names it.
    pub name: ClusterName,
    /// How its packets come to this machine.
    pub role: ClusterRole,
    /// Index of the device that they come by; 0 while it is gone, and to
    /// leave it as it is.
    pub device: u32,
    /// Where this machine has the address; told, and not set, and not told by
    /// older modules.
    pub local: Option<ClusterLocal>,
    /// Whether no check of the service here has failed; told, and set with
    /// [`Connection::set_health`](super::Connection::set_health). Not told by older modules.
    pub healthy: Option<bool>,
    /// Whether this machine can serve it: it is healthy, and something listens. Told, and not set, and
    /// not told by older modules.
    pub ready: Option<bool>,
    /// The multicast MAC address that the nodes share; role shared only.
    pub mac: Option<[u8; 6]>,
    /// From which numbers the slot of a packet is computed.
    pub hash: ClusterHash,
    /// Hash keyed only; told only to callers that may change it.
    pub key: Option<ClusterKey>,
    /// The node that this machine is, unless it only directs.
    pub node: Option<u32>,
    /// Ids of the machines that may direct, the preferred one first, if links say which one does. Then
    /// the role says only whether this machine is one of them.
    pub directors: Vec<u32>,
    /// Id of the machine that directs, as this machine believes; 0 if none does. Told, and not set, and
    /// only if there are directors.
    pub acting: Option<u32>,
    /// Why this machine has its role; told, and not set, and not told by older modules.
    pub reason: Option<RoleReason>,
    /// What is set besides.
    pub settings: ClusterSettings,
    /// Number of the table.
    pub epoch: u32,
    /// The machines that serve it.
    pub nodes: Vec<ClusterNode>,
    /// For each slot the id of the node that owns it, or 0; not there when all
    /// cluster IPs are read at once.
    pub table: Vec<u32>,
    /// What became of its packets; told, and not set.
    pub counters: ClusterCounters,
}

impl ClusterSettings {
    /// All of them.
    pub fn list(&self) -> [Setting; Self::COUNT] {
        let numbers = self.numbers();
        std::array::from_fn(|place| Self::ALL[place].with(numbers[place]))
    }

    /// Sets the one of this attribute; one that is not known is passed over.
    pub(super) fn set_attribute(&mut self, attribute: u16, number: u32) {
        let mut known = Self::ALL.iter().zip(Self::ATTRIBUTES);
        if let Some((one, _)) = known.find(|(_, of)| *of == attribute) {
            self.set(one.name, number);
        }
    }
}

impl Cluster {
    /// One with this name, and nothing else yet.
    pub fn new(name: ClusterName) -> Self {
        Self {
            name,
            role: ClusterRole::Shared,
            device: 0,
            local: None,
            healthy: None,
            ready: None,
            mac: None,
            hash: ClusterHash::Sum5,
            key: None,
            node: None,
            directors: Vec::new(),
            acting: None,
            reason: None,
            settings: ClusterSettings::default(),
            epoch: 0,
            nodes: Vec::new(),
            table: Vec::new(),
            counters: ClusterCounters::default(),
        }
    }

    /// Whether this machine directs or stands by as links say.
    pub fn follows_links(&self) -> bool {
        let directs = [ClusterRole::Director, ClusterRole::Standby].contains(&self.role);
        directs && !self.directors.is_empty()
    }

    /// Whether this machine lacks the address where its role needs it: a director on
    /// the device, or anywhere if links choose it, a node anywhere, a standby nowhere. None if it is not
    /// known.
    pub fn lacks_address(&self) -> Option<bool> {
        let local = self.local?;
        Some(match self.role {
            _ if self.follows_links() => local == ClusterLocal::Absent,
            ClusterRole::Director => local != ClusterLocal::Device,
            ClusterRole::Shared | ClusterRole::Directed => local == ClusterLocal::Absent,
            ClusterRole::Standby | ClusterRole::Unknown(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::check;
    use super::*;

    #[test]
    fn enums_are_those_of_the_header() {
        check(
            "CLUSTER_ROLE",
            ClusterRole::ALL.iter().map(|one| one.name()),
        );
        check(
            "CLUSTER_HASH",
            ClusterHash::ALL.iter().map(|one| one.name()),
        );
        check(
            "CLUSTER_LOCAL",
            ClusterLocal::ALL.iter().map(|one| one.name()),
        );
        check("ROLE_REASON", RoleReason::ALL.iter().map(|one| one.name()));
        check("CLUSTER_WAY", ClusterWay::ALL.iter().map(|one| one.name()));
        check("NODE_STATE", NodeState::ALL.iter().map(|one| one.name()));
    }

    #[test]
    fn each_role_needs_the_address_where_it_serves() {
        use ClusterLocal::{Absent, Device, Elsewhere};
        use ClusterRole::{Directed, Director, Shared, Standby};
        for (role, lacking) in [
            (Shared, &[Absent][..]),
            (Directed, &[Absent]),
            (Director, &[Absent, Elsewhere]),
            (Standby, &[]),
        ] {
            let mut cluster = Cluster::new(ClusterName {
                address: [198, 51, 100, 7].into(),
                protocol: 0,
                port: 0,
            });
            cluster.role = role;
            assert_eq!(cluster.lacks_address(), None, "{role}");
            for local in [Absent, Device, Elsewhere] {
                cluster.local = Some(local);
                let expected = Some(lacking.contains(&local));
                assert_eq!(cluster.lacks_address(), expected, "{role} {local}");
                let chosen = Cluster {
                    directors: vec![1, 2],
                    ..cluster.clone()
                };
                let expected = Some(local == Absent);
                assert_eq!(chosen.lacks_address(), expected, "{role} {local}");
            }
        }
    }

    #[test]
    fn limits_are_those_of_the_header() {
        let header = include_str!("../../../../include/uapi/linux/service_group_netlink.h");
        for line in [
            format!("#define SERVICE_GROUP_MAX_CLUSTERS\t{MAX_CLUSTERS}\n"),
            format!("#define SERVICE_GROUP_MAX_DIRECTORS\t{MAX_DIRECTORS}\n"),
        ] {
            assert!(header.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = ClusterKey([7; 16]);
        assert_eq!(format!("{key:?}"), "ClusterKey(..)");
    }
}
