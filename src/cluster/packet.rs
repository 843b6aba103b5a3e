// SPDX-License-Identifier: GPL-2.0

//! What becomes of packets for cluster IPs.
//!
//! # Fragments
//!
//! A fragment is kept until all of its packet have come, as only the first one tells the ports. In
//! shared mode each node does so for all packets of the address, those of other nodes included: that
//! is memory, up to the namespace's limit (`net.ipv4.ipfrag_high_thresh`, and for IPv6
//! `net.netfilter.nf_conntrack_frag6_high_thresh`), and time on each node as if the packet were its
//! own. Fragments of other addresses are left alone.

#![forbid(unsafe_code)]

use super::{
    config::{Config, Role, AF_INET, AF_INET6},
    counters::Counter,
    forward::{self, Reason},
    neighbour,
    tunnel::{self, Opened},
    view::{most_specific, View},
    Cluster,
    Clusters, //
};
use crate::{
    logic::cluster::{
        flow::{Address, Flow},
        owner::{self, decide, Decision, DropReason, Facts},
        packet::{find, Found, Kind, Packet as Contents, PacketError}, //
    },
    sys::{
        packet::{Connection, Gathered, Packet, Verdict},
        trail, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        rcu::Guard,
        Arc, //
    },
};

const TCP: u8 = 6;
/// Flags of its header.
const RST: u8 = 4;
const ACK: u8 = 16;

/// The most bytes that headers may take. What has more is no packet of a service.
const MOST: usize = 4096;

/// A packet has come, of which [`Clusters::may_serve`] was true.
///
/// What decides about most packets is compiled into this one function, but for looking up the
/// address: it is `inline(always)`, as calls, and what is given to them in memory, cost more than
/// what is decided.
pub(crate) fn incoming(clusters: &Clusters, mut packet: Packet<'_>, guard: &Guard) -> Verdict {
    let mut found = first_contents(&packet);
    let in_header;
    let destination = match &found {
        Ok(Found::Whole(contents)) => Some(&contents.flow.destination),
        Ok(Found::Fragment) | Err(_) => {
            in_header = destination(&packet);
            in_header.as_ref()
        }
    };
    let (Some(view), Some(destination)) = (clusters.view(guard), destination) else {
        return packet.accept();
    };
    let services = view.at(destination);
    let device = packet.device();
    let is_service = services
        .iter()
        .any(|cluster| cluster.config.device == device);
    match (is_service, services.is_empty()) {
        (true, _) => {
            if let Err(PacketError::More(_)) = found {
                found = contents(&mut packet);
            }
            Visit {
                clusters,
                view,
                services,
                came: Came::Alone { device },
            }
            .whole_or_fragment(packet, &found)
        }
        (false, true) => for_no_cluster(clusters, view, packet, destination.is_ipv6()),
        // The nodes share it, and each decides about the one that comes by the service's device.
        (false, false) if packet.is_for_many() => packet.leave(),
        (false, false) => packet.accept(),
    }
}

/// A packet for none of the addresses, which may have one within, or ask for one.
fn for_no_cluster(clusters: &Clusters, view: &View, packet: Packet<'_>, is_ipv6: bool) -> Verdict {
    match tunnel::open(view, packet, clusters.net()) {
        Opened::Unwrapped(mut unwrapped) => {
            let found = contents(&mut unwrapped.packet);
            Visit {
                clusters,
                view,
                services: unwrapped.services,
                came: match unwrapped.second_chance {
                    true => Came::SecondChance,
                    false => Came::Wrapped,
                },
            }
            .whole_or_fragment(unwrapped.packet, &found)
        }
        Opened::Other(mut packet) => {
            tunnel::learn_mtu(view, &mut packet, clusters.net());
            match is_ipv6 {
                true => neighbour::solicitation(view, packet).unwrap_or_else(Packet::accept),
                false => packet.accept(),
            }
        }
        Opened::Gone(verdict) => verdict,
    }
}

/// Where a packet goes to. Its IP header is in one piece.
fn destination(packet: &Packet<'_>) -> Option<Address> {
    match packet.array::<1>(0)?[0] >> 4 {
        4 => packet.array(16).map(Address::from_v4_bytes),
        _ => packet.array(24).map(Address::from_v6_bytes),
    }
}

/// Finds the flow of a packet, if it is told by the bytes that are in one piece.
#[inline(always)]
fn first_contents(packet: &Packet<'_>) -> Result<Found, PacketError> {
    let (bytes, len) = packet.bytes_and_len();
    find(bytes, len)
}

/// Finds the flow of a packet.
fn contents(packet: &mut Packet<'_>) -> Result<Found, PacketError> {
    loop {
        match first_contents(packet) {
            // More than there are in one piece, so this ends.
            Err(PacketError::More(bytes)) if bytes <= MOST && packet.pull(bytes) => (),
            found => return found,
        }
    }
}

/// How a packet came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// By the device with this index.
    Alone { device: u32 },
    /// In another node's packet.
    Wrapped,
    /// The same for its second chance.
    SecondChance,
}

/// A packet meets the cluster IPs of its address.
struct Visit<'a> {
    clusters: &'a Clusters,
    view: &'a View,
    /// The most specific one last; there is one.
    services: &'a [Arc<Cluster>],
    came: Came,
}

impl Visit<'_> {
    #[inline(always)]
    fn whole_or_fragment(self, packet: Packet<'_>, found: &Result<Found, PacketError>) -> Verdict {
        match found {
            Ok(Found::Whole(contents)) => self.serve(packet, contents, false),
            Ok(Found::Fragment) => self.fragment(packet),
            Err(_) => self.malformed(packet),
        }
    }

    fn fragment(self, packet: Packet<'_>) -> Verdict {
        let is_ipv6 = self
            .services
            .first()
            .is_some_and(|cluster| cluster.config.name.address.is_ipv6());
        let mut packet = match packet.gather(self.clusters.net(), is_ipv6) {
            Gathered::Whole(packet) => packet,
            Gathered::Gone(verdict) => return verdict,
        };
        match contents(&mut packet) {
            Ok(Found::Whole(contents)) => self.serve(packet, &contents, true),
            // The kernel did not know what to do with it either.
            Ok(Found::Fragment) | Err(_) => self.malformed(packet),
        }
    }

    /// It is no use to anybody, and nobody knows whose it is.
    fn malformed(self, packet: Packet<'_>) -> Verdict {
        if let Some(cluster) = self.services.first() {
            cluster.count(Counter::DroppedMalformed);
        }
        packet.lose()
    }

    #[inline(always)]
    fn serve(self, packet: Packet<'_>, contents: &Contents, gathered: bool) -> Verdict {
        let Some(cluster) = most_specific(self.services, &contents.flow) else {
            return self.pass(packet);
        };
        if matches!(self.came, Came::Alone { device } if device != cluster.config.device) {
            return packet.accept();
        }
        if gathered {
            cluster.count(Counter::Reassembled);
        }
        if self.came == Came::SecondChance {
            cluster.count(Counter::SecondChanceIn);
        }
        if contents.kind == Kind::Other {
            return self.other(packet);
        }
        let decision = self.decide(cluster, &packet, contents);
        self.carry_out(cluster, packet, decision)
    }

    /// It may ask for the address.
    fn other(self, packet: Packet<'_>) -> Verdict {
        match neighbour::solicitation(self.view, packet) {
            Ok(verdict) => verdict,
            Err(packet) => self.pass(packet),
        }
    }

    /// Decides whose packet it is. Connections are looked for only if that matters.
    #[inline(always)]
    fn decide(&self, cluster: &Cluster, packet: &Packet<'_>, contents: &Contents) -> Decision {
        let config = &cluster.config;
        let table = &cluster.table;
        let owners = table.owners(&contents.flow, config.settle, |id| config.is_there(id));
        let mut facts = Facts {
            role: self.role(config),
            this: config.this,
            owner: owners.owner,
            others: owners.others,
            spill: owners.spill,
            young: owners.young,
            known: false,
            begins: contents.begins(),
            second_chance: self.came == Came::SecondChance,
        };
        let mut decision = decide(&facts);
        if matches!(decision, Decision::Forward(_)) && cluster.peers.sent(packet, config) {
            facts.role = owner::Role::Directed;
            decision = decide(&facts);
        }
        if table.has_others() {
            let known = Facts {
                known: true,
                ..facts
            };
            let if_known = decide(&known);
            if if_known != decision && self.knows(packet, *contents) {
                decision = if_known;
            }
        }
        decision
    }

    /// Who directs a packet that another node has directed here had better not.
    fn role(&self, config: &Config) -> owner::Role {
        match (config.role, self.came) {
            (Role::Shared, _) => owner::Role::Shared,
            (Role::Director, Came::Alone { .. }) => owner::Role::Director,
            (Role::Director | Role::Directed | Role::Standby, _) => owner::Role::Directed,
        }
    }

    /// Whether the packet fits a connection of this machine.
    fn knows(&self, packet: &Packet<'_>, contents: Contents) -> bool {
        if contents.flow.protocol != TCP {
            return false;
        }
        let flow = seen_from_here(&contents.flow);
        match packet.connection(self.clusters.net(), &flow) {
            Connection::None => false,
            Connection::Whole => true,
            Connection::HalfOpen { sent, received } => fits(packet, &contents, sent, received),
        }
    }

    #[inline(always)]
    fn carry_out(self, cluster: &Cluster, packet: Packet<'_>, decision: Decision) -> Verdict {
        let net = self.clusters.net();
        match decision {
            Decision::Take => self.take(cluster, packet, Counter::Owned),
            Decision::TakeKnown => self.take(cluster, packet, Counter::Known),
            Decision::TakeSpilled => self.take(cluster, packet, Counter::SpilledIn),
            // The kernel does it, as for any packet without a socket.
            Decision::Refuse => self.take(cluster, packet, Counter::DroppedSpent),
            Decision::Ignore => {
                cluster.count(Counter::Ignored);
                packet.leave()
            }
            Decision::Silent => {
                cluster.count(Counter::Silent);
                packet.leave()
            }
            Decision::Drop(DropReason::NoOwner) => {
                cluster.count(Counter::DroppedNoOwner);
                packet.lose()
            }
            Decision::Drop(DropReason::SecondChanceSpent) => {
                cluster.count(Counter::DroppedSpent);
                packet.lose()
            }
            Decision::Forward(to) => either(forward::give(cluster, packet, to, Reason::Owner, net)),
            Decision::SecondChance(others) => {
                let others = cluster.affordable(others);
                either(forward::give_copies(cluster, packet, &others, net))
            }
        }
    }

    #[inline(always)]
    fn take(self, cluster: &Cluster, packet: Packet<'_>, counter: Counter) -> Verdict {
        cluster.count(counter);
        match self.came {
            Came::Alone { .. } => packet.take(),
            Came::Wrapped | Came::SecondChance => self.pass(packet),
        }
    }

    /// Lets this machine have the packet.
    fn pass(self, packet: Packet<'_>) -> Verdict {
        match self.came {
            Came::Alone { .. } => packet.accept(),
            came => packet.receive(self.clusters.net(), came == Came::SecondChance),
        }
    }
}

/// What became of it, sent or not.
fn either(sent: Result<Verdict, Verdict>) -> Verdict {
    sent.unwrap_or_else(|lost| lost)
}

/// The flow, as connections are looked for.
fn seen_from_here(flow: &Flow) -> trail::Flow {
    trail::Flow {
        family: if flow.source.is_ipv6() {
            AF_INET6
        } else {
            AF_INET
        },
        local_port: flow.destination_port,
        peer_port: flow.source_port,
        local: flow.destination.to_bytes(),
        peer: flow.source.to_bytes(),
    }
}

/// Whether a packet fits the half-open request of its flow: the SYN that it was made of, the
/// acknowledgement of its SYN-ACK, or a reset of who wants none. Another node may have another
/// request of the same flow.
fn fits(packet: &Packet<'_>, contents: &Contents, sent: u32, received: u32) -> bool {
    let header = packet.array::<14>(contents.upper_layer);
    let Some([_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, _, flags]) = header else {
        return false;
    };
    let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
    let acknowledged = u32::from_be_bytes([a0, a1, a2, a3]);
    match contents.kind {
        Kind::Tcp { begins: true } => sequence == received,
        Kind::Tcp { begins: false } if flags & (RST | ACK) == RST => {
            sequence == received.wrapping_add(1)
        }
        Kind::Tcp { begins: false } => acknowledged == sent.wrapping_add(1),
        _ => false,
    }
}
