// SPDX-License-Identifier: GPL-2.0

//! What a cluster IP is to be, as a request says it, and whether that makes sense.

#![forbid(unsafe_code)]

use super::{role::Role, table::Map};
use crate::{
    logic::{
        cluster::{
            flow::Address,
            hash::{Hash, Key, MAX_SLOTS},
            packet::has_ports,
            rebalance::MAX_NODES,
            setting_gen::Settings,
            slots::{NodeId, Slot, State},
            tunnel::Mode, //
        },
        links::director::MAX_DIRECTORS, //
    },
    sys::{
        core::netlink::{NodeNumbers, Request},
        uapi, //
    },
};
use kernel::prelude::*;

const _: () = {
    assert!(MAX_NODES == uapi::SERVICE_GROUP_MAX_NODES as usize);
    assert!(MAX_SLOTS as u32 == uapi::SERVICE_GROUP_MAX_SLOTS);
    assert!(MAX_DIRECTORS == uapi::SERVICE_GROUP_MAX_DIRECTORS as usize);
};

pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;

/// What a cluster IP is told from others by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) address: Address,
    /// 0 for any.
    pub(super) protocol: u8,
    /// 0 for any.
    pub(super) port: u16,
}

/// How a packet gets to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Neighbour,
    Tunnel,
}

impl Way {
    fn new(number: u32) -> Result<Self> {
        [Self::Neighbour, Self::Tunnel]
            .into_iter()
            .find(|way| way.number() == number)
            .ok_or(EINVAL)
    }

    /// As netlink tells it.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Neighbour => uapi::service_group_cluster_way_SERVICE_GROUP_CLUSTER_WAY_NEIGHBOUR,
            Self::Tunnel => uapi::service_group_cluster_way_SERVICE_GROUP_CLUSTER_WAY_TUNNEL,
        }
    }
}

/// A machine that serves the cluster IP, as it is given.
#[derive(Clone, Copy)]
pub(super) struct NodeConfig {
    pub(super) id: NodeId,
    pub(super) weight: u32,
    pub(super) state: State,
    pub(super) address: Address,
    pub(super) way: Way,
}

impl NodeConfig {
    fn new(given: &NodeNumbers, name: &Name, role: Role) -> Result<Self> {
        let bytes = given.address.get(..given.address_len as usize);
        let node = Self {
            id: NodeId::new(given.id).ok_or(EINVAL)?,
            weight: given.weight,
            state: state(given.state)?,
            address: address(bytes.ok_or(EINVAL)?)?,
            way: Way::new(given.way)?,
        };
        // Nodes that share packets give each other some in tunnels only.
        let reachable = role == Role::Shared
            || node.way == Way::Tunnel
            || node.address.is_ipv6() == name.address.is_ipv6();
        match reachable && node.address != name.address {
            true => Ok(node),
            false => Err(EINVAL),
        }
    }

    /// As netlink tells it.
    pub(super) fn state_number(&self) -> u32 {
        match self.state {
            State::Up => uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_UP,
            State::Draining => uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_DRAINING,
            State::Down => uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_DOWN,
        }
    }
}

fn state(number: u32) -> Result<State> {
    match number {
        uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_UP => Ok(State::Up),
        uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_DRAINING => Ok(State::Draining),
        uapi::service_group_node_state_SERVICE_GROUP_NODE_STATE_DOWN => Ok(State::Down),
        _ => Err(EINVAL),
    }
}

/// What a cluster IP is to be; everything but the table's history.
pub(super) struct Config {
    pub(super) name: Name,
    pub(super) role: Role,
    /// Index of the device, when this was told; 0 if it was gone.
    pub(super) device: u32,
    /// If the role is shared.
    pub(super) mac: Option<[u8; 6]>,
    /// If the hash has one.
    pub(super) key: Option<[u8; 16]>,
    /// This machine, if it is a node.
    pub(super) this: Option<NodeId>,
    /// What is set besides.
    pub(super) settings: Settings,
    pub(super) epoch: u32,
    /// By their ids.
    pub(super) nodes: KVec<NodeConfig>,
    /// Those that may direct, by their ranks, if links say which one does.
    pub(super) directors: KVec<NodeId>,
}

impl Config {
    /// What the request says; the device is 0 if it is to stay. `EINVAL` if it contradicts itself or
    /// something is missing, `E2BIG` if there are too many nodes or directors.
    pub(super) fn of(request: &Request) -> Result<(Self, Map)> {
        let name = Name::of(request)?;
        let role = Role::new(required(request, uapi::SERVICE_GROUP_A_CLUSTER_ROLE)?)?;
        let key = key(request)?;
        // Of the settings this one is as old as the message; those that came later may be absent.
        required(request, uapi::SERVICE_GROUP_A_CLUSTER_SETTLE)?;
        let config = Self {
            name,
            role,
            device: request
                .optional_u32(uapi::SERVICE_GROUP_A_CLUSTER_DEVICE)
                .unwrap_or(0),
            mac: mac(request, role)?,
            key,
            this: request
                .optional_u32(uapi::SERVICE_GROUP_A_CLUSTER_NODE)
                .and_then(NodeId::new),
            settings: Settings::of(|attribute| request.optional_u32(attribute)),
            epoch: required(request, uapi::SERVICE_GROUP_A_CLUSTER_EPOCH)?,
            nodes: nodes(request, &name, role)?,
            directors: directors(request, role)?,
        };
        let mut map = Map::new(hash(request, key)?, config.table(request)?).ok_or(EINVAL)?;
        config.check()?;
        if config.settings.spill {
            map.let_spill(|id| config.is_up(id))?;
        }
        Ok((config, map))
    }

    /// The same with another role, of those that direct, and the device that it has now.
    pub(super) fn with_role(&self, role: Role, device: u32) -> Result<Self> {
        let mut nodes = KVec::with_capacity(self.nodes.len(), GFP_KERNEL_ACCOUNT)?;
        nodes.extend_from_slice(&self.nodes, GFP_KERNEL_ACCOUNT)?;
        let mut directors = KVec::with_capacity(self.directors.len(), GFP_KERNEL_ACCOUNT)?;
        directors.extend_from_slice(&self.directors, GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            role,
            device,
            nodes,
            directors,
            ..*self
        })
    }

    /// Whether this machine directs or stands by as links say.
    pub(super) fn follows_links(&self) -> bool {
        self.role.directs() && !self.directors.is_empty()
    }

    /// Whether there is a node with this id that is not down.
    pub(super) fn is_there(&self, id: NodeId) -> bool {
        self.state(id).is_some_and(|state| state != State::Down)
    }

    /// Whether there is a node with this id that takes connections.
    pub(super) fn is_up(&self, id: NodeId) -> bool {
        self.state(id) == Some(State::Up)
    }

    fn state(&self, id: NodeId) -> Option<State> {
        self.node(id).map(|(_, node)| node.state)
    }

    /// The node with this id, and its place.
    pub(super) fn node(&self, id: NodeId) -> Option<(usize, &NodeConfig)> {
        let place = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        Some((place, self.nodes.get(place)?))
    }

    /// The address that other nodes reach this machine by, if it is a node.
    pub(super) fn own_address(&self) -> Option<Address> {
        let (_, node) = self.node(self.this?)?;
        Some(node.address)
    }

    /// Whether packets may come in tunnels.
    pub(super) fn is_tunnelled(&self) -> bool {
        self.role != Role::Shared || self.settings.spill
    }

    /// How packets come to this node, as far as tunnels go.
    pub(super) fn mode(&self) -> Mode {
        let spill = self.settings.spill;
        match self.role {
            Role::Shared => Mode::Shared { spill },
            Role::Directed | Role::Director | Role::Standby => Mode::Directed,
        }
    }

    /// Whether what goes from the one address to the other one comes from another node to this one.
    pub(super) fn joins(&self, from: &Address, to: &Address) -> bool {
        let is_other = |node: &NodeConfig| Some(node.id) != self.this && node.address == *from;
        self.own_address() == Some(*to) && self.nodes.iter().any(is_other)
    }

    /// Whether there is a node with this id.
    fn has(&self, id: NodeId) -> bool {
        self.node(id).is_some()
    }

    fn check(&self) -> Result {
        let directs = self.role.directs();
        let is_known = self.this.map_or(directs, |this| self.has(this));
        is_known.then_some(()).ok_or(EINVAL)
    }

    fn table(&self, request: &Request) -> Result<KVec<Slot>> {
        let bytes = request.data(uapi::SERVICE_GROUP_A_CLUSTER_TABLE);
        let bytes = bytes.ok_or(EINVAL)?;
        let chunks = bytes.chunks_exact(4);
        if !chunks.remainder().is_empty() || chunks.len() > usize::from(MAX_SLOTS) {
            return Err(EINVAL);
        }
        let mut slots = KVec::with_capacity(chunks.len(), GFP_KERNEL_ACCOUNT)?;
        for chunk in chunks {
            let id = chunk.first_chunk().map_or(0, |&id| u32::from_ne_bytes(id));
            let slot = NodeId::new(id);
            if slot.is_some_and(|id| !self.has(id)) {
                return Err(EINVAL);
            }
            slots.push(slot, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(slots)
    }
}

impl Name {
    /// What the request calls it. `EINVAL` if it is no such name.
    pub(super) fn of(request: &Request) -> Result<Self> {
        let family = request.u16(uapi::SERVICE_GROUP_A_CLUSTER_FAMILY);
        let bytes = request.data(uapi::SERVICE_GROUP_A_CLUSTER_ADDRESS);
        let name = Self {
            address: address(bytes.ok_or(EINVAL)?)?,
            protocol: request
                .optional_u32(uapi::SERVICE_GROUP_A_CLUSTER_PROTOCOL)
                .map_or(Ok(0), u8::try_from)
                .map_err(|_| EINVAL)?,
            port: request
                .optional_port(uapi::SERVICE_GROUP_A_CLUSTER_PORT)
                .unwrap_or(0),
        };
        let fits = name.port == 0 || has_ports(name.protocol);
        match fits && family == Some(name.family()) {
            true => Ok(name),
            false => Err(EINVAL),
        }
    }

    /// As sockets have it.
    pub(super) fn family(&self) -> u16 {
        match self.address {
            Address::V4(_) => AF_INET,
            Address::V6(_) => AF_INET6,
        }
    }
}

/// An address that a machine can have. `EINVAL` for any other, or another length.
fn address(bytes: &[u8]) -> Result<Address> {
    let address = match (bytes.first_chunk(), bytes.first_chunk()) {
        (Some(&v4), None) if bytes.len() == 4 => Address::from_v4_bytes(v4),
        (_, Some(&v6)) if bytes.len() == 16 => Address::from_v6_bytes(v6),
        _ => return Err(EINVAL),
    };
    address.is_host().then_some(address).ok_or(EINVAL)
}

/// The device of one that has none yet.
pub(super) fn device(request: &Request) -> Result<u32> {
    required(request, uapi::SERVICE_GROUP_A_CLUSTER_DEVICE)
}

fn required(request: &Request, attribute: u32) -> Result<u32> {
    request.u32(attribute).ok_or(EINVAL)
}

/// The MAC address: a multicast one if the role is shared, else none.
fn mac(request: &Request, role: Role) -> Result<Option<[u8; 6]>> {
    let bytes = request.data(uapi::SERVICE_GROUP_A_CLUSTER_MAC);
    let mac: Option<[u8; 6]> = bytes.and_then(|bytes| bytes.first_chunk().copied());
    match (role, mac) {
        (Role::Shared, Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])) => Err(EINVAL),
        (Role::Shared, Some([first, ..])) if first & 1 != 0 => Ok(mac),
        (Role::Shared, _) | (_, Some(_)) => Err(EINVAL),
        (_, None) => Ok(None),
    }
}

fn key(request: &Request) -> Result<Option<[u8; 16]>> {
    match request.data(uapi::SERVICE_GROUP_A_CLUSTER_KEY) {
        None => Ok(None),
        Some(bytes) => bytes.first_chunk().copied().map(Some).ok_or(EINVAL),
    }
}

/// The hash, with the key that it needs and no other.
fn hash(request: &Request, key: Option<[u8; 16]>) -> Result<Hash> {
    let number = required(request, uapi::SERVICE_GROUP_A_CLUSTER_HASH)?;
    match (number, key) {
        (uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_SUM3, None) => Ok(Hash::Sum3),
        (uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_SUM5, None) => Ok(Hash::Sum5),
        (uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_KEYED, Some(key)) => {
            Ok(Hash::Keyed(Key::from_bytes(key)))
        }
        _ => Err(EINVAL),
    }
}

/// The nodes, by their ids.
fn nodes(request: &Request, name: &Name, role: Role) -> Result<KVec<NodeConfig>> {
    let mut nodes: KVec<NodeConfig> = KVec::new();
    let mut position = 0;
    while let Some(given) = request.node(&mut position) {
        if nodes.len() == MAX_NODES {
            return Err(E2BIG);
        }
        let node = NodeConfig::new(&given?, name, role)?;
        nodes.reserve(1, GFP_KERNEL_ACCOUNT)?;
        match nodes.binary_search_by_key(&node.id, |other| other.id) {
            Ok(_) => return Err(EINVAL),
            Err(place) => nodes
                .insert_within_capacity(place, node)
                .map_err(|_| ENOMEM)?,
        }
    }
    match nodes.is_empty() {
        true => Err(EINVAL),
        false => Ok(nodes),
    }
}

/// The machines that may direct, by their ranks. `EINVAL` if packets are shared, or one is named twice.
fn directors(request: &Request, role: Role) -> Result<KVec<NodeId>> {
    let mut directors = KVec::new();
    let mut position = 0;
    while let Some(id) = request.next_u32(uapi::SERVICE_GROUP_A_CLUSTER_DIRECTORS, &mut position) {
        if directors.len() == MAX_DIRECTORS {
            return Err(E2BIG);
        }
        let id = NodeId::new(id).ok_or(EINVAL)?;
        if role == Role::Shared || directors.contains(&id) {
            return Err(EINVAL);
        }
        directors.push(id, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(directors)
}
