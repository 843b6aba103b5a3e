// SPDX-License-Identifier: GPL-2.0

//! Which MAC address a cluster IP has, as its neighbours see it.
//!
//! | role | who asks for the address | what this machine announces |
//! |---|---|---|
//! | shared | is told the MAC address that the nodes share | that one |
//! | director | is told this machine's | this machine's |
//! | directed, standby | is told nothing | nothing; it asks in another address's name |
//!
//! A device by which no packets of the cluster IP come is like one of a directed node, whatever the
//! role is: Linux would answer there for every address of the machine, and who believed it would
//! send this machine what is the cluster's. One such device is the one that a macvlan is made on.
//!
//! Answers and announcements are the kernel's own, with its own MAC address. They are mended on
//! their way out, where those have to pass as well that the kernel makes by itself.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    role::Role,
    snapshot::Snapshot,
    Cluster,
    Clusters, //
};
use crate::{
    logic::cluster::flow::Address,
    sys::packet::skb::{Packet, Verdict}, //
};
use kernel::{
    prelude::*,
    sync::rcu::Guard, //
};

/// What a segment is to see of a cluster IP.
enum ArpPolicy<'v> {
    /// The MAC address that the nodes share.
    Shared(&'v Cluster, [u8; 6]),
    /// That of this machine.
    Own(&'v Cluster),
    /// Nothing.
    Hidden,
}

impl<'v> ArpPolicy<'v> {
    /// By this device; none if the address is no cluster IP.
    fn of(snapshot: &'v Snapshot, address: &Address, device: u32) -> Option<Self> {
        let Some(cluster) = snapshot.on_device(address, device) else {
            return (!snapshot.at(address).is_empty()).then_some(Self::Hidden);
        };
        Some(match (cluster.config.role, cluster.config.mac) {
            (Role::Shared, Some(mac)) => Self::Shared(cluster, mac),
            (Role::Shared, None) | (Role::Director, _) => Self::Own(cluster),
            (Role::Directed | Role::Standby, _) => Self::Hidden,
        })
    }
}

/// Places in an ARP packet of Ethernet and IPv4.
mod arp {
    /// Types and lengths of the addresses.
    pub(super) const KIND: usize = 0;
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
    pub(super) const DESTINATION: usize = 24;
    pub(super) const TYPE: usize = 40;
    pub(super) const TARGET: usize = 48;
    /// Of solicitations and advertisements of neighbours; and of routers' solicitations.
    pub(super) const OPTIONS: usize = 64;
    pub(super) const ROUTER_OPTIONS: usize = 48;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const ROUTER_SOLICITATION: u8 = 133;
    pub(super) const SOLICITATION: u8 = 135;
    pub(super) const ADVERTISEMENT: u8 = 136;
    /// How the address begins that who looks for an owner of another one asks.
    pub(super) const SOLICITED: [u8; 13] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
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
        // Linux takes the type of IEEE 802 for Ethernet as well.
        let [0, 1 | 6, 8, 0, 6, 4] = packet.array(arp::KIND)? else {
            return None;
        };
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
    let snapshot = clusters.snapshot(guard);
    let Some(policy) =
        snapshot.and_then(|snapshot| ArpPolicy::of(snapshot, &target, packet.device()))
    else {
        return packet.accept();
    };
    match policy {
        // A machine that asks for its own address announces it: another one of the cluster.
        ArpPolicy::Own(cluster) | ArpPolicy::Shared(cluster, _) if arp.sender != arp.target => {
            packet.answer_arp(arp.target, arp.sender, arp.sender_mac);
            cluster.count(Counter::Answered);
        }
        _ => (),
    }
    packet.consume()
}

/// An ARP packet leaves.
pub(crate) fn arp_out(clusters: &Clusters, mut packet: Packet<'_>, guard: &Guard) -> Verdict {
    let (Some(arp), Some(snapshot)) = (Arp::read(&packet), clusters.snapshot(guard)) else {
        return packet.accept();
    };
    let sender = Address::from_v4_bytes(arp.sender);
    let Some(policy) = ArpPolicy::of(snapshot, &sender, packet.device()) else {
        return packet.accept();
    };
    let mended = match policy {
        ArpPolicy::Shared(_, mac) => packet.write(arp::SENDER_MAC, &mac),
        ArpPolicy::Own(_) => true,
        ArpPolicy::Hidden if arp.is_request && arp.sender != arp.target => {
            // Without another address it asks in nobody's name, as who probes does.
            let other = packet
                .sources()
                .find(|source| snapshot.at(&Address::from_v4_bytes(*source)).is_empty());
            packet.write(arp::SENDER, &other.unwrap_or_default())
        }
        ArpPolicy::Hidden => return packet.consume(),
    };
    match mended {
        true => packet.accept(),
        false => packet.discard(),
    }
}

/// A neighbour solicitation that is whole and need not be discarded (RFC 4861, 7.1.1).
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
        let asked = Self {
            source: packet.array(nd::SOURCE)?,
            target: packet.array(nd::TARGET)?,
            source_mac: option(packet, nd::OPTIONS, nd::SOURCE_MAC)
                .and_then(|place| packet.array(place)),
        };
        let is_nobody = asked.source == [0; 16];
        let may_be_nobody =
            asked.source_mac.is_none() && packet.array(nd::DESTINATION)? == nd::SOLICITED;
        let is_whole = has_whole_options(packet, nd::OPTIONS);
        (is_whole && (!is_nobody || may_be_nobody)).then_some(asked)
    }
}

/// Whether options fill the rest of the packet.
fn has_whole_options(packet: &Packet<'_>, mut at: usize) -> bool {
    let end = packet.len();
    while at < end {
        let Some([_, units @ 1..=u8::MAX]) = packet.array(at) else {
            return false;
        };
        at = at.saturating_add(usize::from(units).saturating_mul(8));
    }
    at == end
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
pub(super) fn solicitation<'p>(
    snapshot: &Snapshot,
    mut packet: Packet<'p>,
) -> Result<Verdict, Packet<'p>> {
    let asked = Solicitation::read(&mut packet);
    let device = packet.device();
    let found = asked.and_then(|asked| {
        let policy = ArpPolicy::of(snapshot, &Address::from_v6_bytes(asked.target), device)?;
        Some((asked, policy))
    });
    match found {
        Some((asked, policy)) => Ok(answer(&policy, packet, &asked)),
        None => Err(packet),
    }
}

fn answer(policy: &ArpPolicy<'_>, packet: Packet<'_>, asked: &Solicitation) -> Verdict {
    if !packet.is_valid_icmp(true) {
        return packet.discard();
    }
    if let ArpPolicy::Own(cluster) | ArpPolicy::Shared(cluster, _) = policy {
        packet.answer_nd(asked.target, asked.source, asked.source_mac);
        cluster.count(Counter::Answered);
    }
    packet.consume()
}

/// An ICMPv6 packet leaves.
pub(crate) fn icmpv6_out(clusters: &Clusters, packet: Packet<'_>, guard: &Guard) -> Verdict {
    let Some(snapshot) = clusters.snapshot(guard) else {
        return packet.accept();
    };
    match packet.array(nd::TYPE) {
        Some([nd::ADVERTISEMENT]) => advertisement_out(snapshot, packet),
        Some([nd::SOLICITATION]) => solicitation_out(snapshot, packet, nd::OPTIONS),
        Some([nd::ROUTER_SOLICITATION]) => solicitation_out(snapshot, packet, nd::ROUTER_OPTIONS),
        _ => packet.accept(),
    }
}

/// What the segment is to see of the address that stands there in the packet.
fn policy_of<'v>(
    snapshot: &'v Snapshot,
    packet: &Packet<'_>,
    place: usize,
) -> Option<ArpPolicy<'v>> {
    let address = packet.array(place).map(Address::from_v6_bytes)?;
    ArpPolicy::of(snapshot, &address, packet.device())
}

fn advertisement_out(snapshot: &Snapshot, packet: Packet<'_>) -> Verdict {
    match policy_of(snapshot, &packet, nd::TARGET) {
        Some(ArpPolicy::Shared(_, mac)) => with_mac(mac, packet, nd::OPTIONS, nd::TARGET_MAC),
        Some(ArpPolicy::Own(_)) | None => packet.accept(),
        Some(ArpPolicy::Hidden) => packet.consume(),
    }
}

fn solicitation_out(snapshot: &Snapshot, mut packet: Packet<'_>, options: usize) -> Verdict {
    let is_nobody = packet.array(nd::SOURCE) == Some([0; 16]);
    if options == nd::OPTIONS && is_nobody && policy_of(snapshot, &packet, nd::TARGET).is_some() {
        // Whether anybody else has the address: the others have, and would say so.
        return packet.consume();
    }
    let mended = match policy_of(snapshot, &packet, nd::SOURCE) {
        Some(ArpPolicy::Shared(_, mac)) => return with_mac(mac, packet, options, nd::SOURCE_MAC),
        Some(ArpPolicy::Own(_)) | None => true,
        Some(ArpPolicy::Hidden) => match packet.link_local_source() {
            Some(source) => packet.write_icmpv6(nd::SOURCE, &source),
            None => false,
        },
    };
    match mended {
        true => packet.accept(),
        false => packet.discard(),
    }
}

/// Writes the shared MAC address into an option, if it is there.
fn with_mac(mac: [u8; 6], mut packet: Packet<'_>, options: usize, kind: u8) -> Verdict {
    let mended = match option(&packet, options, kind) {
        Some(place) => packet.write_icmpv6(place, &mac),
        None => true,
    };
    match mended {
        true => packet.accept(),
        false => packet.discard(),
    }
}
