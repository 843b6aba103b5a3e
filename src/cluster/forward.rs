// SPDX-License-Identifier: GPL-2.0

//! Packets that are given to another node.
//!
//! A director gives a packet to its owner by the way that the node has: unchanged to its MAC
//! address, or in an IP packet to its address. A packet that does not fit is refused as a router
//! would refuse it. The MAC address is asked for on the cluster IP's device, or on the other one by
//! which a route leads to the node without a router: a director may have one arm for clients, and
//! another one for nodes.
//!
//! A second chance goes in a packet of its own always, with a GRE header of four bytes between the
//! IP headers: that is what it is known by, whatever the way there. It is never refused for its
//! length, but fragmented, for its sender could not know: what it sends fitted before the change.
//! What is spilled goes alike.
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
    tunnel::{GRE, IPIP, IPV6},
    Cluster, //
};
use crate::{
    logic::cluster::{
        candidates::Candidates,
        flow::Address,
        slots::NodeId, //
    },
    sys::{
        core::{
            clock::{now, NS_OF_MS}, //
            netns::Net,
        },
        packet::{
            forward::{Encapsulation, Hop, Path, Route},
            skb::{Packet, Verdict}, //
        },
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed}, //
};

/// Lengths of what is put around a packet.
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
/// What every IPv6 packet may be long (RFC 8200).
const IPV6_MIN_MTU: u32 = 1280;

/// For how many nanoseconds it is good by which device a node is a neighbour.
const GOOD: u64 = 100 * NS_OF_MS;

/// By which device a node is a neighbour, looked up now and then.
struct Neigh {
    /// For which device of the cluster IP it was looked up, in the upper half, and the one found; 0 at
    /// first.
    devices: Atomic<u64>,
    since: Atomic<u64>,
}

impl Neigh {
    fn new() -> Self {
        Self {
            devices: Atomic::new(0),
            since: Atomic::new(0),
        }
    }

    /// Its index, for a packet to this node.
    fn device(
        &self,
        cluster: &Cluster,
        packet: &Packet<'_>,
        node: &NodeConfig,
        net: Net<'_>,
    ) -> u32 {
        let own = cluster.device();
        let (devices, then, now) = (self.devices.load(Relaxed), self.since.load(Relaxed), now());
        let [found_for, found] = halves(devices);
        // The one that sets the time looks it up.
        let is_good = now.wrapping_sub(then) < GOOD || self.since.cmpxchg(then, now, Full).is_err();
        if found_for == own && is_good {
            return found;
        }
        let found = packet.neighbour_device(net, own, &node.address);
        self.devices
            .store((u64::from(own) << 32) | u64::from(found), Relaxed);
        found
    }
}

/// The upper half of a number, and the lower one.
fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes)
}

/// How packets get to a node, and how many did.
///
/// The routes are two, as a policy of IPsec may tell them apart.
pub(super) struct Destination {
    /// To its MAC address.
    neigh: Neigh,
    /// In an IP packet.
    tunnel: Route,
    /// With a GRE header.
    gre: Route,
    forwarded: Atomic<u64>,
}

impl Destination {
    /// One that counts on from there. Process context.
    pub(super) fn new(forwarded: u64) -> Result<Self> {
        Ok(Self {
            neigh: Neigh::new(),
            tunnel: Route::new()?,
            gre: Route::new()?,
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
    /// The owner has no room for it.
    Spill,
}

impl Reason {
    fn counter(self) -> Counter {
        match self {
            Self::Owner => Counter::Forwarded,
            Self::SecondChance => Counter::SecondChance,
            Self::Spill => Counter::SpilledOut,
        }
    }
}

/// What became of a packet that was sent, or could not be.
type Sent = Result<Verdict, Verdict>;

/// Gives a packet to a node.
pub(super) fn give(
    cluster: &Cluster,
    packet: Packet<'_>,
    to: NodeId,
    reason: Reason,
    net: Net<'_>,
) -> Sent {
    // Without the device it is not known in which VRF nodes are.
    let is_there = cluster.device() != 0;
    let Some((node, destination)) = cluster.node(to).filter(|_| is_there) else {
        cluster.count(Counter::DroppedUnreachable);
        return Err(packet.discard());
    };
    // LRO is off, but for a device that was made anew or that another one is below.
    if packet.is_merged() {
        cluster.count(Counter::TooBig);
        return Err(packet.discard());
    }
    match (node.way, reason) {
        (Way::Neighbour, Reason::Owner) => xmit_neigh(cluster, packet, node, destination, net),
        _ => xmit_tunnel(cluster, packet, node, destination, reason, net),
    }
}

/// Gives a packet to each of some nodes, which may have its connection. A copy for which there is
/// no memory is lost.
pub(super) fn give_copies(
    cluster: &Cluster,
    packet: Packet<'_>,
    to: &Candidates,
    net: Net<'_>,
) -> Sent {
    // Its sender is told once.
    let packet = going_on(cluster, packet)?;
    let mut nodes = to.iter();
    let likeliest = nodes.next();
    for node in nodes {
        if let Some(copy) = packet.copy() {
            // It may be another one's.
            let _ = give(cluster, copy, node, Reason::SecondChance, net);
        }
    }
    match likeliest {
        Some(node) => give(cluster, packet, node, Reason::SecondChance, net),
        None => Err(packet.discard()),
    }
}

/// The packet, if its sender allows it one hop more; or else what became of it.
///
/// To be given to another node is a hop: directors whose tables name each other as owner, or which
/// direct each other's addresses and so wrap what the other one has wrapped, pass a packet on only as
/// often as its sender allows. So it is with second chances.
fn going_on<'p>(cluster: &Cluster, packet: Packet<'p>) -> Result<Packet<'p>, Verdict> {
    let is_ipv6 = cluster.config.name.address.is_ipv6();
    if packet.ttl(is_ipv6) > 1 {
        return Ok(packet);
    }
    cluster.count(Counter::DroppedHopLimit);
    Err(packet.refuse_as_exceeded(is_ipv6))
}

/// To the node's MAC address.
fn xmit_neigh(
    cluster: &Cluster,
    packet: Packet<'_>,
    node: &NodeConfig,
    destination: &Destination,
    net: Net<'_>,
) -> Sent {
    let packet = going_on(cluster, packet)?;
    let device = destination.neigh.device(cluster, &packet, node, net);
    let limit = packet.device_mtu(net, device);
    let packet = fitting(cluster, packet, limit)?;
    cluster.count(Counter::Forwarded);
    destination.forwarded.add(1, Relaxed);
    Ok(packet.xmit_neigh(net, device, &node.address))
}

/// In a packet to the node's address.
fn xmit_tunnel(
    cluster: &Cluster,
    packet: Packet<'_>,
    node: &NodeConfig,
    destination: &Destination,
    reason: Reason,
    net: Net<'_>,
) -> Sent {
    let is_ipv6 = cluster.config.name.address.is_ipv6();
    let gre = reason != Reason::Owner;
    let packet = match reason {
        Reason::Owner => going_on(cluster, packet)?,
        Reason::SecondChance | Reason::Spill => packet,
    };
    let (route, protocol) = match (gre, is_ipv6) {
        (true, _) => (&destination.gre, GRE),
        (false, true) => (&destination.tunnel, IPV6),
        (false, false) => (&destination.tunnel, IPIP),
    };
    let hop = Hop {
        to: node.address,
        from: own_address(cluster, node),
        protocol,
        device: cluster.device(),
    };
    let Some(path) = route.find(net, &hop) else {
        cluster.count(Counter::DroppedUnreachable);
        return Err(packet.discard());
    };
    if !packet.may_encap() {
        cluster.count(Counter::TooBig);
        return Err(packet.discard());
    }
    let packet = match gre {
        true => packet,
        false => fitting(cluster, packet, room(&path, node, is_ipv6))?,
    };
    cluster.count(reason.counter());
    destination.forwarded.add(1, Relaxed);
    // What was put together here is longer than its sender allows.
    let df = !gre && !is_ipv6 && !packet.may_fragment(is_ipv6) && !packet.was_defragmented(is_ipv6);
    let ttl = ttl(&packet, reason, is_ipv6);
    Ok(path.xmit_tunnel(packet, Encapsulation { gre, df, ttl }))
}

/// How many hops the tunnel may take. A packet that is directed has as many itself from now on; one
/// that has a second chance stays as it is. What is spilled was for a listener, so it is no tunnel of
/// another node, and no circle.
fn ttl(packet: &Packet<'_>, reason: Reason, is_ipv6: bool) -> u8 {
    let left = packet.ttl(is_ipv6);
    match reason {
        Reason::Owner | Reason::SecondChance => left.saturating_sub(1),
        Reason::Spill => left,
    }
}

/// The packet, if it is no longer than that, or may be cut; or else what became of it.
fn fitting<'p>(cluster: &Cluster, packet: Packet<'p>, limit: u32) -> Result<Packet<'p>, Verdict> {
    let is_ipv6 = cluster.config.name.address.is_ipv6();
    if !packet.exceeds(is_ipv6, limit) || packet.may_fragment(is_ipv6) {
        return Ok(packet);
    }
    cluster.count(Counter::TooBig);
    Err(packet.refuse_as_too_big(is_ipv6, limit))
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
