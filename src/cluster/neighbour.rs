// SPDX-License-Identifier: GPL-2.0

//! Which MAC address a cluster IP has, as its neighbours see it.
//!
//! | role | who asks for the address | what this machine announces |
//! |---|---|---|
//! | shared | is told the MAC address that the nodes share | that one |
//! | director | is told this machine's | this machine's |
//! | directed, standby | is told nothing | nothing; it asks in another address's name |
//!
//! Answers and announcements are the kernel's own, with its own MAC address. They are mended on
//! their way out, where those have to pass as well that the kernel makes by itself.

#![forbid(unsafe_code)]

use super::{
    config::Role,
    counters::Counter,
    view::View,
    Cluster,
    Clusters, //
};
use crate::{
    logic::cluster::flow::Address,
    sys::packet::{Packet, Verdict}, //
};
use kernel::{
    prelude::*,
    sync::rcu::Guard, //
};

/// Places in an ARP packet of Ethernet and IPv4.
mod arp {
    pub(super) const LENGTHS: usize = 4;
    pub(super) const OPERATION: usize = 6;
    pub(super) const SENDER_MAC: usize = 8;
    pub(super) const SENDER: usize = 14;
    pub(super) const TARGET: usize = 24;
    pub(super) const REQUEST: [u8; 2] = [0, 1];
}

/// Places in an IPv6 packet of neighbour discovery, counted from the IP header.
mod nd {
    /// And the hop limit behind it.
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const SOURCE: usize = 8;
    pub(super) const TYPE: usize = 40;
    pub(super) const TARGET: usize = 48;
    /// Of solicitations and advertisements of neighbours; and of routers' solicitations.
    pub(super) const OPTIONS: usize = 64;
    pub(super) const ROUTER_OPTIONS: usize = 48;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const ROUTER_SOLICITATION: u8 = 133;
    pub(super) const SOLICITATION: u8 = 135;
    pub(super) const ADVERTISEMENT: u8 = 136;
    pub(super) const SOURCE_MAC: u8 = 1;
    pub(super) const TARGET_MAC: u8 = 2;
    /// What is looked at of a packet.
    pub(super) const MOST: usize = 512;
}

/// An ARP packet, as far as it matters.
struct Arp {
    is_request: bool,
    sender_mac: [u8; 6],
    sender: [u8; 4],
    target: [u8; 4],
}

impl Arp {
    /// None if it is not of Ethernet and IPv4.
    fn read(packet: &Packet<'_>) -> Option<Self> {
        if packet.array(arp::LENGTHS)? != [6, 4] {
            return None;
        }
        Some(Self {
            is_request: packet.array(arp::OPERATION)? == arp::REQUEST,
            sender_mac: packet.array(arp::SENDER_MAC)?,
            sender: packet.array(arp::SENDER)?,
            target: packet.array(arp::TARGET)?,
        })
    }
}

/// An ARP packet has come.
pub(crate) fn arp_in(clusters: &Clusters, packet: Packet<'_>, guard: &Guard) -> Verdict {
    let Some(arp) = Arp::read(&packet).filter(|arp| arp.is_request) else {
        return packet.accept();
    };
    let target = Address::from_v4_bytes(arp.target);
    let view = clusters.view(guard);
    let Some(cluster) = view.and_then(|view| view.on_device(&target, packet.device())) else {
        return packet.accept();
    };
    // Who asks for its own address announces it: another machine of the cluster.
    if cluster.config.role.answers() && arp.sender != arp.target {
        packet.answer_arp(arp.target, arp.sender, arp.sender_mac);
        cluster.count(Counter::Answered);
    }
    packet.leave()
}

/// An ARP packet leaves.
pub(crate) fn arp_out(clusters: &Clusters, mut packet: Packet<'_>, guard: &Guard) -> Verdict {
    let (Some(arp), Some(view)) = (Arp::read(&packet), clusters.view(guard)) else {
        return packet.accept();
    };
    let sender = Address::from_v4_bytes(arp.sender);
    let Some(cluster) = view.on_device(&sender, packet.device()) else {
        return packet.accept();
    };
    let mended = match (cluster.config.role, cluster.config.mac) {
        (Role::Shared, Some(mac)) => packet.write(arp::SENDER_MAC, &mac),
        (Role::Director, _) | (Role::Shared, None) => true,
        (Role::Directed | Role::Standby, _) if arp.is_request && arp.sender != arp.target => {
            // Without another address it asks in nobody's name, as who probes does.
            let other = packet
                .sources()
                .find(|source| view.at(&Address::from_v4_bytes(*source)).is_empty());
            packet.write(arp::SENDER, &other.unwrap_or_default())
        }
        (Role::Directed | Role::Standby, _) => return packet.leave(),
    };
    match mended {
        true => packet.accept(),
        false => packet.lose(),
    }
}

/// A neighbour solicitation that is whole.
struct Solicitation {
    source: [u8; 16],
    target: [u8; 16],
    source_mac: Option<[u8; 6]>,
}

impl Solicitation {
    fn read(packet: &mut Packet<'_>) -> Option<Self> {
        if packet.array(nd::NEXT_HEADER)? != [nd::ICMPV6, 255]
            || !packet.pull(packet.len().min(nd::MOST))
            || packet.array(nd::TYPE)? != [nd::SOLICITATION, 0]
        {
            return None;
        }
        Some(Self {
            source: packet.array(nd::SOURCE)?,
            target: packet.array(nd::TARGET)?,
            source_mac: option(packet, nd::OPTIONS, nd::SOURCE_MAC)
                .and_then(|place| packet.array(place)),
        })
    }
}

/// Where the MAC address of an option stands.
fn option(packet: &Packet<'_>, mut at: usize, wanted: u8) -> Option<usize> {
    loop {
        let [kind, units] = packet.array(at)?;
        if kind == wanted && units == 1 {
            return at.checked_add(2);
        }
        if units == 0 {
            return None;
        }
        at = at.checked_add(usize::from(units).checked_mul(8)?)?;
    }
}

/// A packet that is for no cluster IP may be a solicitation for one. If not, it comes back.
pub(super) fn solicitation<'p>(view: &View, mut packet: Packet<'p>) -> Result<Verdict, Packet<'p>> {
    let asked = Solicitation::read(&mut packet);
    let device = packet.device();
    let found = asked.and_then(|asked| {
        let cluster = view.on_device(&Address::from_v6_bytes(asked.target), device)?;
        Some((asked, cluster))
    });
    match found {
        Some((asked, cluster)) => Ok(answer(cluster, packet, &asked)),
        None => Err(packet),
    }
}

/// The same for a packet that is for a cluster IP.
pub(super) fn unicast_solicitation<'p>(
    cluster: &Cluster,
    mut packet: Packet<'p>,
) -> Result<Verdict, Packet<'p>> {
    let target = cluster.config.name.address.to_bytes();
    match Solicitation::read(&mut packet).filter(|asked| asked.target == target) {
        Some(asked) => Ok(answer(cluster, packet, &asked)),
        None => Err(packet),
    }
}

fn answer(cluster: &Cluster, packet: Packet<'_>, asked: &Solicitation) -> Verdict {
    if !packet.is_valid_icmp(true) {
        return packet.lose();
    }
    if cluster.config.role.answers() {
        packet.answer_nd(asked.target, asked.source, asked.source_mac);
        cluster.count(Counter::Answered);
    }
    packet.leave()
}

/// An ICMPv6 packet leaves.
pub(crate) fn icmpv6_out(clusters: &Clusters, packet: Packet<'_>, guard: &Guard) -> Verdict {
    let Some(view) = clusters.view(guard) else {
        return packet.accept();
    };
    match packet.array(nd::TYPE) {
        Some([nd::ADVERTISEMENT]) => advertisement_out(view, packet),
        Some([nd::SOLICITATION]) => solicitation_out(view, packet, nd::OPTIONS),
        Some([nd::ROUTER_SOLICITATION]) => solicitation_out(view, packet, nd::ROUTER_OPTIONS),
        _ => packet.accept(),
    }
}

/// The cluster IP that stands there in the packet.
fn named<'v>(view: &'v View, packet: &Packet<'_>, place: usize) -> Option<&'v Cluster> {
    let address = packet.array(place).map(Address::from_v6_bytes)?;
    view.on_device(&address, packet.device())
}

fn advertisement_out(view: &View, packet: Packet<'_>) -> Verdict {
    let Some(cluster) = named(view, &packet, nd::TARGET) else {
        return packet.accept();
    };
    match cluster.config.role {
        Role::Shared => with_mac(cluster, packet, nd::OPTIONS, nd::TARGET_MAC),
        Role::Director => packet.accept(),
        Role::Directed | Role::Standby => packet.leave(),
    }
}

fn solicitation_out(view: &View, mut packet: Packet<'_>, options: usize) -> Verdict {
    let is_nobody = packet.array(nd::SOURCE) == Some([0; 16]);
    if options == nd::OPTIONS && is_nobody && named(view, &packet, nd::TARGET).is_some() {
        // Whether anybody else has the address: the others have, and would say so.
        return packet.leave();
    }
    let Some(cluster) = named(view, &packet, nd::SOURCE) else {
        return packet.accept();
    };
    let mended = match cluster.config.role {
        Role::Shared => return with_mac(cluster, packet, options, nd::SOURCE_MAC),
        Role::Director => true,
        Role::Directed | Role::Standby => match packet.link_local_source() {
            Some(source) => packet.write_icmpv6(nd::SOURCE, &source),
            None => false,
        },
    };
    match mended {
        true => packet.accept(),
        false => packet.lose(),
    }
}

/// Writes the shared MAC address into an option, if it is there.
fn with_mac(cluster: &Cluster, mut packet: Packet<'_>, options: usize, kind: u8) -> Verdict {
    let place = option(&packet, options, kind);
    let mended = match (place, cluster.config.mac) {
        (Some(place), Some(mac)) => packet.write_icmpv6(place, &mac),
        _ => true,
    };
    match mended {
        true => packet.accept(),
        false => packet.lose(),
    }
}
