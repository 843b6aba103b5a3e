// SPDX-License-Identifier: GPL-2.0
//! What this machine is to do, as the file says.

use std::net::IpAddr;
use std::time::SystemTime;

use rustix::system::uname;
use service_group::netlink::{Cluster, ClusterNode, ClusterRole, NodeState};
use service_group_logic::logic::cluster::slots::{NodeId, Slot, State};

use super::facts::Facts;
use crate::cluster::file::{Address, Config, Directing, Mode};
use crate::Failure;

/// Where a machine has a cluster IP for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the loopback device, where nobody asks for it.
    Loopback,
    /// On the device that its packets come by.
    Device,
    /// It has not, or keepalived sees to it.
    Nowhere,
}

/// A cluster IP that this machine is to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the kernel is to have it.
    pub cluster: Cluster,
    /// As others had it before slots moved: a machine that is new is told this
    /// first, for it is to know who may have the connections of its slots.
    pub earlier: Option<Cluster>,
    /// Where the machine is to have the address.
    pub place: Place,
}

/// The name that this machine has in the file: the one given, or its host name
/// with or without its domain.
pub fn own_name(config: &Config, given: Option<&str>) -> Result<String, Failure> {
    let machines = config.machines();
    let host = uname().nodename().to_string_lossy().into_owned();
    let short = host.split('.').next().unwrap_or_default();
    let wanted = given.map_or(vec![host.as_str(), short], |name| vec![name]);
    if let Some(name) = wanted.iter().find(|name| machines.contains(name)) {
        return Ok((*name).to_owned());
    }
    let known = match machines.is_empty() {
        true => "it has none".to_owned(),
        false => format!("it has {}", machines.join(", ")),
    };
    Err(Failure::usage(format!(
        "the file has no machine \"{}\": {known}; name this one with --node",
        wanted.first().unwrap_or(&"")
    )))
}

/// The name of the device that packets of an address come by on this machine.
pub fn device<'a>(config: &'a Config, address: &'a Address, own: &str) -> &'a str {
    let node = config.node(own).and_then(|node| node.device.as_deref());
    let director = || config.director(own)?.device.as_deref();
    node.or_else(director).unwrap_or(&address.device)
}

/// What the machine with this name is to serve.
pub fn targets(
    config: &Config,
    own: &str,
    facts: &Facts,
    now: SystemTime,
) -> Result<Vec<Target>, Failure> {
    let all = config.addresses.iter();
    let targets = all.map(|address| {
        let found = target(config, address, own, facts)?;
        Ok(found.map(|(cluster, place)| Target {
            earlier: earlier(config, address, &cluster, now),
            cluster,
            place,
        }))
    });
    targets.filter_map(Result::transpose).collect()
}

fn target(
    config: &Config,
    address: &Address,
    own: &str,
    facts: &Facts,
) -> Result<Option<(Cluster, Place)>, Failure> {
    let node = config.node(own).map(|node| node.id);
    let device = device(config, address, own);
    let Some(index) = facts.index(device) else {
        return match part(address, own, node.is_some(), || None) {
            None => Ok(None),
            Some(_) => Err(Failure::new(format!(
                "this machine has no device \"{device}\": make it anew if it was removed, or correct \
                 the device of {} in the file, or give \"{own}\" a device of its own there",
                address.name.address
            ))),
        };
    };
    let present = || facts.present_role(&address.name, index);
    let Some((role, place)) = part(address, own, node.is_some(), present) else {
        return Ok(None);
    };
    let table = address.table.as_ref();
    let slots = table.map_or(&[][..], |table| &table.slots);
    let cluster = Cluster {
        role,
        device: index,
        mac: match &address.mode {
            Mode::Shared { mac } => Some(*mac),
            Mode::Directed { .. } => None,
        },
        hash: address.hash,
        key: address.key,
        node: node.map(NodeId::get),
        directors: directors(config, address),
        settings: address.settings,
        epoch: table.map_or(0, |table| table.epoch),
        nodes: nodes(config),
        table: numbers(slots),
        ..Cluster::new(address.name)
    };
    Ok(Some((cluster, place)))
}

/// Those that links choose from.
fn directors(config: &Config, address: &Address) -> Vec<u32> {
    let names = address.mode.directors().iter();
    let ids = names
        .filter(|_| address.mode.follows_links())
        .filter_map(|name| config.machine_id(name));
    ids.map(NodeId::get).collect()
}

fn numbers(slots: &[Slot]) -> Vec<u32> {
    let ids = slots.iter().map(|slot| slot.map_or(0, NodeId::get));
    ids.collect()
}

/// The same with the owners of before slots moved, if any did; of these the nodes that are still
/// there, as the kernel refuses others.
fn earlier(
    config: &Config,
    address: &Address,
    cluster: &Cluster,
    now: SystemTime,
) -> Option<Cluster> {
    // A machine takes any change that it makes for young: if packets are shared it would be silent
    // about what it does not know, long after the others reset that.
    let is_shared = matches!(address.mode, Mode::Shared { .. });
    let table = address.table.as_ref();
    let table = table.filter(|_| !is_shared || address.is_young(now))?;
    let epoch = table.epoch.checked_sub(1).filter(|epoch| *epoch > 0)?;
    let is_node = |id: &NodeId| config.state(*id).is_some();
    let both = table.before.iter().zip(&table.slots);
    let slots: Vec<Slot> = both
        .map(|(before, now)| before.filter(is_node).or(*now))
        .collect();
    let has_moved = slots.len() == table.slots.len() && slots != table.slots;
    has_moved.then(|| Cluster {
        epoch,
        table: numbers(&slots),
        ..cluster.clone()
    })
}

/// The role of a machine, and where it has the address; nothing if it has no part.
/// Of several directors keepalived chooses the one that directs, or links: what this one is at
/// `present` stays. One that links choose has the address all the time, and tells its neighbours so while
/// it directs.
fn part(
    address: &Address,
    own: &str,
    is_node: bool,
    present: impl Fn() -> Option<ClusterRole>,
) -> Option<(ClusterRole, Place)> {
    let Mode::Directed {
        directors,
        directing,
    } = &address.mode
    else {
        return is_node.then_some((ClusterRole::Shared, Place::Loopback));
    };
    let own_place = match is_node {
        true => Place::Loopback,
        false => Place::Nowhere,
    };
    match (directors.iter().any(|name| name == own), &directors[..]) {
        (true, _) if *directing == Directing::One => {
            let role = present().unwrap_or(ClusterRole::Standby);
            Some((role, Place::Loopback))
        }
        (true, [_]) => Some((ClusterRole::Director, Place::Device)),
        (true, _) => Some((present().unwrap_or(ClusterRole::Standby), own_place)),
        (false, _) => is_node.then_some((ClusterRole::Directed, Place::Loopback)),
    }
}

/// The nodes, in the order of their ids, as that of the file is of no matter.
fn nodes(config: &Config) -> Vec<ClusterNode> {
    let nodes = config.nodes.iter();
    let mut nodes: Vec<ClusterNode> = nodes
        .map(|node| ClusterNode {
            id: node.id.get(),
            weight: node.weight.get().into(),
            state: match node.state {
                State::Up => NodeState::Up,
                State::Draining => NodeState::Draining,
                State::Down => NodeState::Down,
            },
            address: Some(node.address),
            way: node.way,
            ..ClusterNode::default()
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

/// The length of the prefix that is an address and nothing else.
pub fn whole(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
