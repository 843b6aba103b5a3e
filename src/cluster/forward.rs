// SPDX-License-Identifier: GPL-2.0

//! Packets that are given to another node.
//!
//! A director gives a packet to its owner by the way that the node has: unchanged to its MAC
//! address, or in an IP packet to its address. A packet that does not fit is refused as a router
//! would refuse it.
//!
//! A second chance goes in a packet of its own always, with a GRE header of four bytes between the
//! IP headers: that is what it is known by, whatever the way there. It is never refused for its
//! length, but fragmented, for its sender could not know: what it sends fitted before the change.
//!
//! ```text
//!   +-------------------+---------------+----------------------+
//!   | IP                | GRE           | the packet unchanged |
//!   | this node > other | nothing set,  | client > cluster IP  |
//!   |                   | IPv4 or IPv6  |                      |
//!   +-------------------+---------------+----------------------+
//! ```
//!
//! It does not look whether the node got it.

#![forbid(unsafe_code)]

use super::{
    config::{NodeConfig, Way},
    counters::Counter,
    Cluster, //
};
use crate::{
    logic::cluster::{flow::Address, slots::NodeId},
    sys::{
        forward::{Hop, Path, Route, Wrapping},
        netns::Net,
        packet::{Packet, Verdict}, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};

/// Lengths of what is put around a packet.
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
/// What every IPv6 packet may be long (RFC 8200).
const IPV6_MIN_MTU: u32 = 1280;

/// How packets get to a node, and how many did.
pub(super) struct Target {
    /// If it is on this segment.
    near: Option<Route>,
    /// By its address.
    far: Route,
    forwarded: Atomic<u64>,
}

impl Target {
    /// One that counts on from there. Process context.
    pub(super) fn new(node: &NodeConfig, forwarded: u64) -> Result<Self> {
        Ok(Self {
            near: match node.way {
                Way::Neighbour => Some(Route::new()?),
                Way::Tunnel => None,
            },
            far: Route::new()?,
            forwarded: Atomic::new(forwarded),
        })
    }

    /// How many packets were given to it.
    pub(super) fn forwarded(&self) -> u64 {
        self.forwarded.load(Relaxed)
    }
}

/// Why a packet is given to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It owns the packet's slot.
    Owner,
    /// It may have the packet's connection.
    SecondChance,
}

impl Reason {
    fn counter(self) -> Counter {
        match self {
            Self::Owner => Counter::Forwarded,
            Self::SecondChance => Counter::SecondChance,
        }
    }
}

/// Gives a packet to a node.
pub(super) fn give(
    cluster: &Cluster,
    packet: Packet<'_>,
    to: NodeId,
    reason: Reason,
    net: Net<'_>,
) -> Verdict {
    let Some((node, target)) = cluster.node(to) else {
        cluster.count(Counter::DroppedUnreachable);
        return packet.lose();
    };
    let near = target.near.as_ref().filter(|_| reason == Reason::Owner);
    let hop = Hop {
        to: node.address,
        from: near.is_none().then(|| own_address(cluster, node)).flatten(),
        near: near.map(|_| cluster.config.device),
    };
    let Some(path) = near.unwrap_or(&target.far).find(net, &hop) else {
        cluster.count(Counter::DroppedUnreachable);
        return packet.lose();
    };
    let is_ipv6 = cluster.config.name.address.is_ipv6();
    let limit = match (near, reason) {
        (Some(_), _) => Some(path.mtu()),
        (None, Reason::Owner) => Some(room(&path, node, is_ipv6)),
        (None, Reason::SecondChance) => None,
    };
    let limit = limit.filter(|&limit| packet.exceeds(is_ipv6, limit));
    if let Some(limit) = limit.filter(|_| !packet.may_be_cut(is_ipv6)) {
        cluster.count(Counter::TooBig);
        return packet.refuse_as_too_big(is_ipv6, limit);
    }
    cluster.count(reason.counter());
    target.forwarded.add(1, Relaxed);
    if near.is_some() {
        return path.send(packet);
    }
    let marked = reason == Reason::SecondChance;
    let whole = !marked && !is_ipv6 && !packet.may_be_cut(is_ipv6);
    path.send_wrapped(packet, Wrapping { marked, whole })
}

/// This machine's address, by which the other one knows whose packet it is.
fn own_address(cluster: &Cluster, other: &NodeConfig) -> Option<Address> {
    let address = cluster.config.own_address()?;
    (address.is_ipv6() == other.address.is_ipv6()).then_some(address)
}

/// How long a packet may be in a tunnel to the node.
fn room(path: &Path<'_>, node: &NodeConfig, is_ipv6: bool) -> u32 {
    let header = match node.address.is_ipv6() {
        true => IPV6_HEADER,
        false => IPV4_HEADER,
    };
    let room = path.mtu().saturating_sub(header);
    // What is shorter has to get there, in fragments if need be.
    if is_ipv6 {
        room.max(IPV6_MIN_MTU)
    } else {
        room
    }
}
