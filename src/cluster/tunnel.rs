// SPDX-License-Identifier: GPL-2.0

//! Packets for a cluster IP that come in another packet, from another node to this one.
//!
//! Both nodes are told by the addresses of the outer packet. From anybody else it is no matter of
//! this module: there may be a tunnel device for it.
//!
//! A tunnel ends where those of the kernel end, behind the firewall's `input` and the validation of
//! the outer source. As these may be open, it has to come by a device that leads to the node it
//! seems to come from; and what is in it has to be what a node sends, see
//! [`logic::cluster::tunnel`](crate::logic::cluster::tunnel).
//!
//! And errors about such packets: without a tunnel device nothing else would learn from them how long
//! a packet may be.

#![forbid(unsafe_code)]

use super::{
    config::Config,
    counters::Counter,
    snapshot::Snapshot,
    Cluster, //
};
use crate::{
    logic::cluster::{
        flow::Address,
        tunnel::Encapsulation, //
    },
    sys::{
        core::netns::Net,
        packet::skb::{Defragged, Packet, Verdict}, //
    },
};
use kernel::sync::Arc;

pub(super) const IPIP: u8 = 4;
pub(super) const IPV6: u8 = 41;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Type and code of the errors that tell how long a packet may be, and where they tell it.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
const FRAGMENTATION_NEEDED_MTU: usize = 6;
const TOO_BIG: [u8; 2] = [2, 0];
const TOO_BIG_MTU: usize = 4;
const ICMP_HEADER: usize = 8;
const FRAGMENT: u8 = 44;
pub(super) const GRE: u8 = 47;
const IPV6_HEADER: usize = 40;
/// With nothing set: no checksum, key or sequence number.
const GRE_HEADER: usize = 4;
const FRAGMENT_HEADER: usize = 8;

/// A packet that was in another one.
pub(super) struct Decapsulated<'p, 'v> {
    pub(super) packet: Packet<'p>,
    /// The cluster IPs that it is for; the most specific one last.
    pub(super) services: &'v [Arc<Cluster>],
    /// What was around it.
    pub(super) outer: Outer,
}

/// What came of a packet for this machine.
pub(super) enum Opened<'p, 'v> {
    /// It was one of another node's.
    Decapsulated(Decapsulated<'p, 'v>),
    /// It is something else.
    Other(Packet<'p>),
    /// It is gone.
    Gone(Verdict),
}

/// The outer packet.
pub(super) struct Outer {
    source: Address,
    destination: Address,
    /// What is in it.
    protocol: u8,
    /// The same, if it is a tunnel.
    pub(super) encapsulation: Encapsulation,
    is_fragment: bool,
    /// Length of its headers.
    headers: usize,
}

impl Outer {
    fn read(packet: &mut Packet<'_>) -> Option<Self> {
        match packet.array::<1>(0)?[0] >> 4 {
            4 => Self::read_ipv4(packet),
            _ => Self::read_ipv6(packet),
        }
    }

    fn read_ipv4(packet: &Packet<'_>) -> Option<Self> {
        let [first] = packet.array(0)?;
        let [f0, f1, _, protocol] = packet.array(6)?;
        Some(Self {
            source: Address::from_v4_bytes(packet.array(12)?),
            destination: Address::from_v4_bytes(packet.array(16)?),
            protocol,
            encapsulation: encapsulation(protocol),
            is_fragment: u16::from_be_bytes([f0, f1]) & 0x3fff != 0,
            headers: usize::from(first & 15).checked_mul(4)?,
        })
    }

    fn read_ipv6(packet: &mut Packet<'_>) -> Option<Self> {
        let [mut protocol] = packet.array(6)?;
        let mut headers = IPV6_HEADER;
        let mut is_fragment = false;
        if protocol == FRAGMENT {
            headers = IPV6_HEADER.checked_add(FRAGMENT_HEADER)?;
            if !packet.pull(headers) {
                return None;
            }
            let [next, _, f0, f1] = packet.array(IPV6_HEADER)?;
            protocol = next;
            is_fragment = u16::from_be_bytes([f0, f1]) & 0xfff9 != 0;
        }
        Some(Self {
            source: Address::from_v6_bytes(packet.array(8)?),
            destination: Address::from_v6_bytes(packet.array(24)?),
            protocol,
            encapsulation: encapsulation(protocol),
            is_fragment,
            headers,
        })
    }
}

fn encapsulation(protocol: u8) -> Encapsulation {
    match protocol {
        GRE => Encapsulation::Gre,
        _ => Encapsulation::Ip,
    }
}

impl Outer {
    /// Whether it comes from another node of this cluster IP to this one, and there are tunnels.
    pub(super) fn is_from_node_of(&self, config: &Config) -> bool {
        config.is_tunnelled() && config.joins(&self.source, &self.destination)
    }
}

/// Looks into a packet that this machine is about to receive, at an address of its own.
pub(super) fn open<'p, 'v>(
    snapshot: &'v Snapshot,
    mut packet: Packet<'p>,
    net: Net<'_>,
) -> Opened<'p, 'v> {
    let Some(outer) = Outer::read(&mut packet).filter(|outer| is_ours(snapshot, outer)) else {
        return Opened::Other(packet);
    };
    if !outer.is_fragment {
        return decapsulate(snapshot, packet, outer, net);
    }
    let mut packet = match packet.defrag(net, outer.destination.is_ipv6()) {
        Defragged::Whole(packet) => packet,
        Defragged::Gone(verdict) => return Opened::Gone(verdict),
    };
    match Outer::read(&mut packet).filter(|outer| !outer.is_fragment) {
        Some(outer) => decapsulate(snapshot, packet, outer, net),
        None => Opened::Other(packet),
    }
}

/// Whether it is a tunnel between this node and another one.
fn is_ours(snapshot: &Snapshot, outer: &Outer) -> bool {
    matches!(outer.protocol, IPIP | IPV6 | GRE) && snapshot.joins(&outer.source, &outer.destination)
}

/// What stands in the outer packet.
struct Inner {
    /// Behind the headers that go.
    headers: usize,
    is_ipv6: bool,
    destination: Address,
}

impl Inner {
    fn read(packet: &mut Packet<'_>, outer: &Outer) -> Option<Self> {
        let headers = match outer.encapsulation {
            Encapsulation::Gre => outer.headers.checked_add(GRE_HEADER)?,
            Encapsulation::Ip => outer.headers,
        };
        let most = headers.checked_add(IPV6_HEADER)?;
        if !packet.pull(most.min(packet.len())) {
            return None;
        }
        let is_ipv6 = match outer.protocol {
            IPIP => false,
            IPV6 => true,
            _ => match packet.array(outer.headers)? {
                [0, 0, 0x08, 0x00] => false,
                [0, 0, 0x86, 0xdd] => true,
                _ => return None,
            },
        };
        let destination = match is_ipv6 {
            true => Address::from_v6_bytes(packet.array(headers.checked_add(24)?)?),
            false => Address::from_v4_bytes(packet.array(headers.checked_add(16)?)?),
        };
        Some(Self {
            headers,
            is_ipv6,
            destination,
        })
    }
}

fn decapsulate<'p, 'v>(
    snapshot: &'v Snapshot,
    mut packet: Packet<'p>,
    outer: Outer,
    net: Net<'_>,
) -> Opened<'p, 'v> {
    let Some(inner) = Inner::read(&mut packet, &outer) else {
        return Opened::Other(packet);
    };
    let services = snapshot.tunnelled(&inner.destination, &outer.source, &outer.destination);
    let Some(services) = services else {
        return Opened::Other(packet);
    };
    let is_ipv6 = outer.destination.is_ipv6();
    let count = |counter| {
        if let Some(cluster) = services.first() {
            cluster.count(counter);
        }
    };
    if !packet.came_by_way_back(net, is_ipv6) {
        count(Counter::DroppedTunnel);
        return Opened::Gone(packet.discard());
    }
    if !packet.passes_ipsec(is_ipv6) {
        count(Counter::DroppedUnreachable);
        return Opened::Gone(packet.discard());
    }
    // It is one of the first bytes of the packet.
    let headers = u32::try_from(inner.headers).unwrap_or(u32::MAX);
    match packet.decapsulated(net, headers, is_ipv6, inner.is_ipv6) {
        Ok(packet) => Opened::Decapsulated(Decapsulated {
            packet,
            services,
            outer,
        }),
        Err(verdict) => {
            count(Counter::DroppedMalformed);
            Opened::Gone(verdict)
        }
    }
}

/// Learns from an error how long a packet in a tunnel may be, if this is one.
pub(super) fn learn_mtu(snapshot: &Snapshot, packet: &mut Packet<'_>, net: Net<'_>) {
    let Some(error) = Outer::read(packet).filter(|outer| !outer.is_fragment) else {
        return;
    };
    let is_ipv6 = error.destination.is_ipv6();
    let learnt = TooBig::read(packet, &error).filter(|too_big| {
        // It was sent from here: the error's receiver, to another node.
        snapshot.joins(&too_big.destination, &too_big.source) && packet.is_valid_icmp(is_ipv6)
    });
    if let Some(too_big) = learnt {
        packet.update_pmtu(net, too_big.at, is_ipv6, too_big.mtu);
    }
}

/// An error that quotes a packet in a tunnel.
struct TooBig {
    mtu: u32,
    /// Where the quoted packet is.
    at: usize,
    source: Address,
    destination: Address,
}

impl TooBig {
    fn read(packet: &mut Packet<'_>, error: &Outer) -> Option<Self> {
        let is_ipv6 = error.destination.is_ipv6();
        if error.protocol != if is_ipv6 { ICMPV6 } else { ICMP } {
            return None;
        }
        let at = error.headers.checked_add(ICMP_HEADER)?;
        let most = at.checked_add(IPV6_HEADER)?;
        if !packet.pull(most.min(packet.len())) {
            return None;
        }
        let mtu = match (packet.array(error.headers)?, is_ipv6) {
            (FRAGMENTATION_NEEDED, false) => {
                let place = error.headers.checked_add(FRAGMENTATION_NEEDED_MTU)?;
                u32::from(u16::from_be_bytes(packet.array(place)?))
            }
            (TOO_BIG, true) => {
                u32::from_be_bytes(packet.array(error.headers.checked_add(TOO_BIG_MTU)?)?)
            }
            _ => return None,
        };
        let places = if is_ipv6 { (6, 8, 24) } else { (9, 12, 16) };
        let [protocol] = packet.array(at.checked_add(places.0)?)?;
        let address = |place: usize| match is_ipv6 {
            true => packet.array(place).map(Address::from_v6_bytes),
            false => packet.array(place).map(Address::from_v4_bytes),
        };
        let quoted = Self {
            mtu,
            at,
            source: address(at.checked_add(places.1)?)?,
            destination: address(at.checked_add(places.2)?)?,
        };
        matches!(protocol, IPIP | IPV6 | GRE).then_some(quoted)
    }
}
