// SPDX-License-Identifier: GPL-2.0
//! The file that describes a cluster, the same on every machine.
//!
//! [`raw`] is the file as it is written, [`check`] makes of it what is here, or
//! says which line is wrong and why, with [`machines`] and [`mode`](mod@mode).
//! [`links`] is what machines have to know each other by, and [`checks`] how a node finds out whether its
//! service can serve. [`edit`] changes the text and leaves the rest
//! of it as it is, [`store`] reads and replaces the file, [`lock`] has others wait
//! meanwhile. Nothing here asks the
//! kernel.

mod check;
pub mod checks;
pub mod edit;
pub mod links;
pub mod lock;
mod machines;
mod mode;
mod raw;
pub mod runs;
pub mod store;
pub mod values;

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::SystemTime;

use service_group::netlink::{ClusterHash, ClusterKey, ClusterName, ClusterSettings, ClusterWay};
use service_group_logic::logic::cluster::flow::{self, Flow};
use service_group_logic::logic::cluster::hash::{Hash, Key, SlotCount};
use service_group_logic::logic::cluster::slots::{self, NodeId, Slot, State};

pub use check::{read, Problem};
use checks::Check;
use links::{Fingerprint, Links, Listen};
pub use raw::{setting_lines, SettingLine};

/// Where the file is, if no other is named.
pub const FILE: &str = "/etc/service_group/cluster.toml";

/// What tests write into files.
#[cfg(test)]
pub mod samples {
    /// The entry of a node, at 192.0.2.10 and its id, with more lines.
    pub fn node(name: &str, id: u8, more: &str) -> String {
        let last = 10 + id;
        format!("[[node]]\nname = \"{name}\"\nid = {id}\naddress = \"192.0.2.{last}\"\n{more}\n")
    }
}

/// A whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What the links of all machines have in common, if they have links.
    pub links: Option<Links>,
    /// The machines that serve the addresses.
    pub nodes: Vec<Node>,
    /// The machines that only direct.
    pub directors: Vec<Director>,
    /// The addresses that they serve.
    pub addresses: Vec<Address>,
    /// Nodes that it had before it was changed, if that is known, to tell their names.
    pub former: Vec<Node>,
}

/// A machine that serves the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its id in tables.
    pub id: NodeId,
    /// How many slots it is to have, compared with others.
    pub weight: NonZeroU16,
    /// Whether it is there.
    pub state: State,
    /// Address to reach it by.
    pub address: IpAddr,
    /// How packets get to it.
    pub way: ClusterWay,
    /// Its own device, in place of an address's.
    pub device: Option<String>,
    /// The certificate that proves a link to be its own.
    pub fingerprint: Option<Fingerprint>,
    /// Where its agent listens, if not at its address.
    pub listen: Option<Listen>,
}

/// A machine that only directs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Director {
    /// Its name.
    pub name: String,
    /// Its id, which no node has; for links.
    pub id: Option<NodeId>,
    /// Address to reach it by; for links.
    pub address: Option<IpAddr>,
    /// Its own device, in place of an address's.
    pub device: Option<String>,
    /// The certificate that proves a link to be its own.
    pub fingerprint: Option<Fingerprint>,
    /// Where its agent listens, if not at its address.
    pub listen: Option<Listen>,
}

/// How packets of an address come to the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every node receives every packet.
    Shared {
        /// At this MAC address.
        mac: [u8; 6],
    },
    /// One of these machines gives each packet to its owner.
    Directed {
        /// Their names, the preferred one first.
        directors: Vec<String>,
        /// Who says which one of them it is.
        directing: Directing,
    },
}

/// Who says which one of several directors directs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directing {
    /// keepalived, or whoever else runs `cluster role`.
    Given,
    /// Links: the first one that is there.
    One,
}

impl Mode {
    /// The names of the machines that direct.
    pub fn directors(&self) -> &[String] {
        match self {
            Self::Directed { directors, .. } => directors,
            Self::Shared { .. } => &[],
        }
    }

    /// Whether links say which one of them it is.
    pub fn follows_links(&self) -> bool {
        matches!(
            self,
            Self::Directed {
                directing: Directing::One,
                ..
            }
        )
    }
}

/// A cluster IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Address, protocol and port.
    pub name: ClusterName,
    /// How packets come to the nodes.
    pub mode: Mode,
    /// From which numbers the slot of a packet is computed.
    pub hash: ClusterHash,
    /// The secret of a keyed hash, once there is one.
    pub key: Option<ClusterKey>,
    /// Number of slots.
    pub slots: SlotCount,
    /// What is set besides.
    pub settings: ClusterSettings,
    /// The device that packets come by.
    pub device: String,
    /// Who owns which slot, once that is planned.
    pub table: Option<Table>,
    /// How a node finds out whether it can serve it, if that is asked.
    pub check: Option<Check>,
    /// The line that it begins at.
    pub line: usize,
}

/// Who owns which slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its number; goes up with each change.
    pub epoch: u32,
    /// By which hash its slots are counted, as [`Address::mark`] tells it, if the file
    /// says so.
    pub hashed: Option<String>,
    /// The owner of each slot.
    pub slots: Vec<Slot>,
    /// Who owned those slots before that moved last.
    pub before: Vec<Slot>,
    /// When that was.
    pub changed: Option<SystemTime>,
    /// The line that it stands at.
    pub line: usize,
}

impl Config {
    /// The nodes, as far as it matters for their slots.
    pub fn shares(&self) -> Vec<slots::Node> {
        let nodes = self.nodes.iter();
        nodes
            .map(|node| slots::Node {
                id: node.id,
                weight: node.weight,
                state: node.state,
            })
            .collect()
    }

    /// The name of a node; its number if it is none any more, and nobody knows its name.
    pub fn name_of(&self, slot: Slot) -> String {
        let Some(id) = slot else {
            return "nobody".to_owned();
        };
        let mut nodes = self.nodes.iter().chain(&self.former);
        let node = nodes.find(|node| node.id == id);
        node.map_or_else(|| format!("node {}", id.get()), |node| node.name.clone())
    }

    /// The state of the node with this id, if there is one.
    pub fn state(&self, id: NodeId) -> Option<State> {
        let node = self.nodes.iter().find(|node| node.id == id)?;
        Some(node.state)
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The machine that only directs with this name.
    pub fn director(&self, name: &str) -> Option<&Director> {
        self.directors.iter().find(|node| node.name == name)
    }

    /// The id of the machine with this name, if it has one.
    pub fn machine_id(&self, name: &str) -> Option<NodeId> {
        let director = || self.director(name)?.id;
        self.node(name).map(|node| node.id).or_else(director)
    }

    /// The name of the machine with this id, if there is one.
    pub fn machine_name(&self, id: u32) -> Option<&str> {
        let nodes = self.nodes.iter().map(|it| (Some(it.id), &it.name));
        let directors = self.directors.iter().map(|it| (it.id, &it.name));
        let mut all = nodes.chain(directors);
        let found = all.find(|(of, _)| of.is_some_and(|of| of.get() == id));
        found.map(|(_, name)| name.as_str())
    }

    /// The names of all machines.
    pub fn machines(&self) -> Vec<&str> {
        let nodes = self.nodes.iter().map(|node| node.name.as_str());
        let directors = self.directors.iter().map(|one| one.name.as_str());
        nodes.chain(directors).collect()
    }
}

impl Address {
    /// The hash as the decisions have it; nothing without a key that it needs.
    pub fn hash(&self) -> Option<Hash> {
        match self.hash {
            ClusterHash::Sum3 => Some(Hash::Sum3),
            ClusterHash::Sum5 => Some(Hash::Sum5),
            _ => self.key.map(|key| Hash::Keyed(Key::from_bytes(key.0))),
        }
    }

    /// The hash, and for one with a key a check sum of it: what a table belongs to.
    /// Nothing without a key that it needs.
    pub fn mark(&self) -> Option<String> {
        let nowhere = || flow::Address::from_v4_bytes([0; 4]);
        let nothing = Flow {
            source: nowhere(),
            destination: nowhere(),
            source_port: 0,
            destination_port: 0,
            protocol: 0,
        };
        let hash = self.hash()?;
        Some(match self.hash {
            ClusterHash::Keyed => format!("keyed {:016x}", hash.value(&nothing)),
            sum => sum.name().to_owned(),
        })
    }

    /// Whether the last change of its table is young.
    pub fn is_young(&self, now: SystemTime) -> bool {
        let table = self.table.as_ref();
        let changed = table.and_then(|table| table.changed);
        changed.is_some_and(|changed| {
            // By a clock that is behind the planner's it has not been yet: it is young.
            let age = now.duration_since(changed).unwrap_or_default();
            age.as_secs() < self.settings.settle.into()
        })
    }

    /// Whether it has packets of this protocol for this port.
    pub fn has(&self, address: IpAddr, protocol: u8, port: u16) -> bool {
        let name = self.name;
        name.address == address
            && [0, protocol].contains(&name.protocol)
            && [0, port].contains(&name.port)
    }
}

/// A cluster IP in words.
pub fn describe(name: &ClusterName) -> String {
    let ClusterName {
        address,
        protocol,
        port,
    } = name;
    let protocol_name = values::protocol_name(*protocol);
    match (protocol, port) {
        (0, _) => address.to_string(),
        (_, 0) => format!("{address} {protocol_name}"),
        _ => format!("{address} {protocol_name} port {port}"),
    }
}
