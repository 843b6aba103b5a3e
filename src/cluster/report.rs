// SPDX-License-Identifier: GPL-2.0

//! What netlink tells of cluster IPs.

#![forbid(unsafe_code)]

use super::{
    config::{Name, NodeConfig},
    counters::Counter,
    Cluster, //
};
use crate::{
    logic::{
        cluster::{
            flow::Address,
            hash::Hash,
            setting_gen::Settings, //
        },
        links::director::MAX_DIRECTORS, //
    },
    sys::{
        core::{
            netlink::{notify_long, Context, Dump, DumpStart, Message, Request},
            netns::Net, //
        },
        packet::address::Local,
        uapi, //
    },
};
use kernel::prelude::*;

/// What happened to a cluster IP.
pub(super) enum Change {
    Changed,
    Removed,
}

/// What is told besides what everybody is told, and what is not.
#[derive(Clone, Copy, Default)]
struct Also {
    key: bool,
    table: bool,
    is_brief: bool,
}

fn put_address(message: &mut Message, attribute: u32, address: &Address) -> Result {
    let bytes = address.to_bytes();
    let len = if address.is_ipv6() { 16 } else { 4 };
    message.put_bytes(attribute, bytes.get(..len).unwrap_or(&[]))
}

fn put_name(message: &mut Message, name: &Name) -> Result {
    message.put_u16(uapi::SERVICE_GROUP_A_CLUSTER_FAMILY, name.family())?;
    put_address(
        message,
        uapi::SERVICE_GROUP_A_CLUSTER_ADDRESS,
        &name.address,
    )?;
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_PROTOCOL, name.protocol.into())?;
    message.put_be16(uapi::SERVICE_GROUP_A_CLUSTER_PORT, name.port)
}

fn put_node(message: &mut Message, node: &NodeConfig, cluster: &Cluster, forwarded: u64) -> Result {
    let slots = &cluster.given().slots;
    let own = slots.iter().filter(|&&slot| slot == Some(node.id)).count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_ID, node.id.get())?;
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_WEIGHT, node.weight)?;
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_STATE, node.state_number())?;
    put_address(message, uapi::SERVICE_GROUP_A_NODE_ADDRESS, &node.address)?;
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_WAY, node.way.number())?;
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_SLOTS, number(own))?;
    let pad = uapi::SERVICE_GROUP_A_NODE_PAD;
    message.put_u64(uapi::SERVICE_GROUP_A_NODE_FORWARDED, forwarded, pad)?;
    let is_away = cluster.away.has(node.id);
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_AWAY, is_away.into())?;
    let deputised = number(cluster.deputised(node.id));
    message.put_u32(uapi::SERVICE_GROUP_A_NODE_DEPUTISED, deputised)
}

fn put_nodes(message: &mut Message, cluster: &Cluster) -> Result {
    for (node, destination) in cluster.config.nodes.iter().zip(&cluster.destinations) {
        message.put_nest(uapi::SERVICE_GROUP_A_CLUSTER_NODES, |nest| {
            put_node(nest, node, cluster, destination.forwarded())
        })?;
    }
    Ok(())
}

fn put_table(message: &mut Message, cluster: &Cluster) -> Result {
    let slots = &cluster.given().slots;
    let mut bytes = KVec::with_capacity(slots.len().saturating_mul(4), GFP_KERNEL)?;
    for slot in slots {
        let id = slot.map_or(0, |id| id.get());
        bytes.extend_from_slice(&id.to_ne_bytes(), GFP_KERNEL)?;
    }
    message.put_bytes(uapi::SERVICE_GROUP_A_CLUSTER_TABLE, &bytes)
}

/// What this machine is found to have at this moment.
struct Here {
    local: Local,
    ready: bool,
}

impl Here {
    fn of(cluster: &Cluster, net: Net<'_>) -> Self {
        Self {
            local: cluster.local(net).0,
            ready: cluster.is_ready(net),
        }
    }
}

fn put_cluster(message: &mut Message, cluster: &Cluster, here: &Here, also: Also) -> Result {
    let config = &cluster.config;
    put_name(message, &config.name)?;
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_ROLE, config.role.number())?;
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_DEVICE, cluster.device())?;
    if let Some(mac) = &config.mac {
        message.put_bytes(uapi::SERVICE_GROUP_A_CLUSTER_MAC, mac)?;
    }
    let hash = match cluster.table.map().hash {
        Hash::Sum3 => uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_SUM3,
        Hash::Sum5 => uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_SUM5,
        Hash::Keyed(_) => uapi::service_group_cluster_hash_SERVICE_GROUP_CLUSTER_HASH_KEYED,
    };
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_HASH, hash)?;
    if let (Some(key), true) = (&config.key, also.key) {
        message.put_bytes(uapi::SERVICE_GROUP_A_CLUSTER_KEY, key)?;
    }
    if let Some(this) = config.this {
        message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_NODE, this.get())?;
    }
    for (attribute, number) in config.settings.attributes() {
        message.put_u32(attribute, number)?;
    }
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_EPOCH, config.epoch)?;
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_LOCAL, here.local.number())?;
    let healthy = cluster.health.is_good();
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_HEALTHY, healthy.into())?;
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_READY, here.ready.into())?;
    put_directors(message, cluster)?;
    if also.is_brief {
        return Ok(());
    }
    put_nodes(message, cluster)?;
    if also.table {
        put_table(message, cluster)?;
    }
    put_counters(message, cluster)
}

fn put_directors(message: &mut Message, cluster: &Cluster) -> Result {
    for id in &cluster.config.directors {
        message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_DIRECTORS, id.get())?;
    }
    if !cluster.config.directors.is_empty() {
        message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_ACTING, cluster.acting.id())?;
    }
    let reason = cluster.acting.reason();
    message.put_u32(uapi::SERVICE_GROUP_A_CLUSTER_ROLE_REASON, reason)
}

fn put_counters(message: &mut Message, cluster: &Cluster) -> Result {
    message.put_nest(uapi::SERVICE_GROUP_A_CLUSTER_COUNTERS, |nest| {
        for counter in Counter::ALL {
            let pad = uapi::SERVICE_GROUP_A_CLUSTER_COUNTERS_PAD;
            nest.put_u64(counter.attribute(), cluster.counters.get(counter), pad)?;
        }
        Ok(())
    })
}

/// Room for all that is told of a cluster IP.
fn size_of(cluster: &Cluster) -> u32 {
    size(cluster.config.nodes.len(), cluster.table.map().slots.len())
}

/// Room for all that is told of one that has so many nodes and slots.
fn size(nodes: usize, slots: usize) -> u32 {
    let (nodes, slots) = (nodes.saturating_mul(112), slots.saturating_mul(4));
    let settings = Settings::COUNT.saturating_mul(8);
    let size = nodes.saturating_add(slots).saturating_add(settings);
    // Names, roles and counters, and as many directors as there may be.
    let size = size.saturating_add(640 + 8 * (MAX_DIRECTORS + 2));
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// `cluster-get` of one. `EINVAL` if it is no such name, `ENOENT` if there is none.
pub(crate) fn one(request: &Request) -> Result {
    let name = Name::of(request)?;
    let cluster = request.net().clusters().get(&name).ok_or(ENOENT)?;
    let cmd = uapi::SERVICE_GROUP_CMD_CLUSTER_GET;
    let also = Also {
        key: request.may_change(),
        table: true,
        is_brief: false,
    };
    let here = Here::of(&cluster, request.net());
    request.reply_long(cmd, size_of(&cluster), |message| {
        put_cluster(message, &cluster, &here, also)
    })
}

/// Before `cluster-get` of all: a message has room for any of them. In brief each has room in the
/// shortest one, for which there is memory when there is none for long ones.
pub(crate) fn before_all(dump: &mut DumpStart) {
    if is_brief(dump.u32(uapi::SERVICE_GROUP_A_CLUSTER_BRIEF)) {
        return;
    }
    let nodes = dump.net().clusters().most_nodes();
    dump.need(size(nodes, 0));
}

/// Whether neither nodes nor counters are asked for.
fn is_brief(asked: Option<u32>) -> bool {
    asked == Some(1)
}

/// `cluster-get` of all.
pub(crate) fn all(dump: &mut Dump) -> Result {
    let also = Also {
        key: dump.may_change(),
        table: false,
        is_brief: is_brief(dump.u32(uapi::SERVICE_GROUP_A_CLUSTER_BRIEF)),
    };
    loop {
        let [index, _] = *dump.position();
        let (generation, cluster) = dump.net().clusters().nth(index);
        // Also if there is none: when one is gone the others have other places.
        let [low @ .., _, _, _, _] = generation.to_le_bytes();
        // Of 0 the reader would not be told.
        dump.is_of(u32::from_le_bytes(low).max(1));
        let Some(cluster) = cluster else {
            return Ok(());
        };
        if !also.is_brief {
            // It may have more nodes than any had before.
            dump.need(size(cluster.config.nodes.len(), 0));
        }
        let here = Here::of(&cluster, dump.net());
        dump.add(uapi::SERVICE_GROUP_CMD_CLUSTER_GET, |message| {
            put_cluster(message, &cluster, &here, also)
        })?;
        *dump.position() = [index.saturating_add(1), 0];
    }
}

/// Tells that a cluster IP is served in another way, or no more. Process context.
pub(super) fn event(change: Change, cluster: &Cluster, net: Net<'_>) {
    let cmd = match change {
        Change::Changed => uapi::SERVICE_GROUP_CMD_CLUSTER_CHANGE_NTF,
        Change::Removed => uapi::SERVICE_GROUP_CMD_CLUSTER_DEL_NTF,
    };
    notify_long(net, cmd, size_of(cluster), Context::Process, |message| {
        put_cluster(message, cluster, &Here::of(cluster, net), Also::default())
    });
}
