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
    config::Config,
    contents::{contents, destination, first_contents, fits, fits_tracked, seen_from_here, source},
    counters::Counter,
    forward::{self, Reason},
    neighbour,
    role::Role,
    snapshot::{most_specific, Snapshot},
    tunnel::{self, Opened, Outer},
    Cluster,
    Clusters, //
};
use crate::{
    logic::cluster::{
        owner::{self, decide, Decision, DropReason, Facts},
        packet::{Found, Kind, Packet as Contents, PacketError, TCP},
        tunnel::{may_bring, Encapsulation}, //
    },
    sys::packet::skb::{Connection, Defragged, Packet, Verdict}, //
};
use kernel::{
    prelude::*,
    sync::{
        rcu::Guard,
        Arc, //
    },
};

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
    let (Some(snapshot), Some(destination)) = (clusters.snapshot(guard), destination) else {
        return packet.accept();
    };
    let services = snapshot.at(destination);
    let device = packet.device();
    let net = clusters.net();
    let is_service = services
        .iter()
        .any(|cluster| cluster.is_reached_by(&packet, net));
    match (is_service, services.is_empty()) {
        (true, _) => {
            if let Err(PacketError::More(_)) = found {
                found = contents(&mut packet);
            }
            Visit {
                clusters,
                snapshot,
                services,
                ingress: Ingress::Plain { device },
            }
            .whole_or_fragment(packet, &found)
        }
        (false, true) if destination.is_ipv6() => {
            neighbour::solicitation(snapshot, packet).unwrap_or_else(Packet::accept)
        }
        (false, true) => packet.accept(),
        // The nodes share it, and each decides about the one that comes by the service's device.
        (false, false) if packet.is_l2_multicast() => packet.consume(),
        (false, false) => packet.accept(),
    }
}

/// A packet is about to be received by this machine: the firewall and the validation of its source
/// have let it pass. It may have one for a cluster IP within, or be an error about such a one.
pub(crate) fn received(clusters: &Clusters, packet: Packet<'_>, guard: &Guard) -> Verdict {
    let Some(snapshot) = clusters.snapshot(guard) else {
        return packet.accept();
    };
    match tunnel::open(snapshot, packet, clusters.net()) {
        Opened::Decapsulated(mut decapsulated) => {
            let found = contents(&mut decapsulated.packet);
            Visit {
                clusters,
                snapshot,
                services: decapsulated.services,
                ingress: Ingress::Tunnel(&decapsulated.outer),
            }
            .whole_or_fragment(decapsulated.packet, &found)
        }
        Opened::Other(mut packet) => {
            tunnel::learn_mtu(snapshot, &mut packet, clusters.net());
            packet.accept()
        }
        Opened::Gone(verdict) => verdict,
    }
}

/// How a packet came.
#[derive(Clone, Copy)]
enum Ingress<'a> {
    /// By the device with this index.
    Plain { device: u32 },
    /// In another node's packet.
    Tunnel(&'a Outer),
}

impl Ingress<'_> {
    /// Whether another node sent it here for its second chance.
    fn is_second_chance(self) -> bool {
        matches!(self, Self::Tunnel(outer) if outer.encapsulation == Encapsulation::Gre)
    }
}

/// A packet meets the cluster IPs of its address.
struct Visit<'a> {
    clusters: &'a Clusters,
    snapshot: &'a Snapshot,
    /// The most specific one last; there is one.
    services: &'a [Arc<Cluster>],
    ingress: Ingress<'a>,
}

impl Visit<'_> {
    #[inline(always)]
    fn whole_or_fragment(self, packet: Packet<'_>, found: &Result<Found, PacketError>) -> Verdict {
        match found {
            Ok(Found::Whole(contents)) => self.serve(packet, contents, false),
            Ok(Found::Fragment) => match self.ingress {
                Ingress::Plain { .. } => self.fragment(packet),
                Ingress::Tunnel(_) => self.unexpected(packet),
            },
            Err(_) => self.malformed(packet),
        }
    }

    fn fragment(self, packet: Packet<'_>) -> Verdict {
        let is_ipv6 = self
            .services
            .first()
            .is_some_and(|cluster| cluster.config.name.address.is_ipv6());
        let mut packet = match packet.defrag(self.clusters.net(), is_ipv6) {
            Defragged::Whole(packet) => packet,
            Defragged::Gone(verdict) => return verdict,
        };
        match contents(&mut packet) {
            Ok(Found::Whole(contents)) => self.serve(packet, &contents, true),
            // The kernel did not know what to do with it either.
            Ok(Found::Fragment) | Err(_) => self.malformed(packet),
        }
    }

    /// It is of no use to any node, and has no known owner.
    fn malformed(self, packet: Packet<'_>) -> Verdict {
        if let Some(cluster) = self.services.first() {
            cluster.count(Counter::DroppedMalformed);
        }
        packet.discard()
    }

    /// It came in a tunnel, and no node sends such.
    fn unexpected(self, packet: Packet<'_>) -> Verdict {
        if let Some(cluster) = self.services.first() {
            cluster.count(Counter::DroppedTunnel);
        }
        packet.discard()
    }

    #[inline(always)]
    fn serve(self, packet: Packet<'_>, contents: &Contents, defragged: bool) -> Verdict {
        let cluster = most_specific(self.services, &contents.flow);
        match (self.ingress, cluster) {
            (Ingress::Plain { .. }, _) if contents.kind == Kind::Discovery => {
                self.discovery(packet)
            }
            (Ingress::Plain { .. }, Some(cluster))
                if cluster.is_reached_by(&packet, self.clusters.net()) =>
            {
                if defragged {
                    cluster.count(Counter::Reassembled);
                }
                self.meet(cluster, packet, contents)
            }
            // It is no service's; what all nodes receive they would all answer.
            (Ingress::Plain { .. }, _) if packet.is_l2_multicast() => self.nobodys(packet),
            (Ingress::Plain { .. }, _) => packet.accept(),
            (Ingress::Tunnel(outer), cluster) => {
                self.out_of_tunnel(outer, cluster, packet, contents)
            }
        }
    }

    /// It is in another node's packet: it may be anything.
    fn out_of_tunnel(
        self,
        outer: &Outer,
        cluster: Option<&Cluster>,
        packet: Packet<'_>,
        contents: &Contents,
    ) -> Verdict {
        let is_expected = |cluster: &&Cluster| {
            outer.is_from_node_of(&cluster.config)
                && source(&packet).is_some_and(|source| {
                    may_bring(
                        cluster.config.mode(),
                        outer.encapsulation,
                        &source,
                        contents,
                    )
                })
        };
        let Some(cluster) = cluster.filter(is_expected) else {
            return self.unexpected(packet);
        };
        if self.ingress.is_second_chance() {
            cluster.count(Counter::SecondChanceIn);
        }
        self.meet(cluster, packet, contents)
    }

    /// It is for this cluster IP.
    #[inline(always)]
    fn meet(self, cluster: &Cluster, mut packet: Packet<'_>, contents: &Contents) -> Verdict {
        // What is for a machine is for the one that has the address; nodes that share it are one.
        let is_for_machine = matches!(contents.kind, Kind::Redirect | Kind::Other);
        let is_shared = cluster.config.role == Role::Shared;
        if is_for_machine && !is_shared {
            return self.pass(packet);
        }
        // RFC 1122, 3.3.6. Where the nodes share a multicast MAC address, it is how packets come.
        if !is_shared && packet.is_l2_multicast() {
            cluster.count(Counter::Ignored);
            return packet.consume();
        }
        let decision = self.decide(cluster, &packet, contents);
        let leaves = matches!(decision, Decision::Forward(_) | Decision::SecondChance(_));
        if leaves && self.is_beside(cluster) && !would_be_received(cluster, &mut packet) {
            // The kernel refuses it, or routes it elsewhere.
            return packet.accept();
        }
        self.carry_out(cluster, packet, decision)
    }

    /// Whether the packet came by another device than the cluster IP's. Senders there are not trusted
    /// with all sources; the routers at its own device are.
    #[inline(always)]
    fn is_beside(&self, cluster: &Cluster) -> bool {
        matches!(self.ingress, Ingress::Plain { device } if device != cluster.device())
    }

    /// All nodes have received it, and none of them has anything for it.
    fn nobodys(self, packet: Packet<'_>) -> Verdict {
        if let Some(cluster) = self.services.first() {
            cluster.count(Counter::Ignored);
        }
        packet.consume()
    }

    /// It may ask for the address.
    fn discovery(self, packet: Packet<'_>) -> Verdict {
        match neighbour::solicitation(self.snapshot, packet) {
            Ok(verdict) => verdict,
            Err(packet) => self.pass(packet),
        }
    }

    /// Decides whose packet it is. Connections are looked for only if that matters.
    #[inline(always)]
    fn decide(&self, cluster: &Cluster, packet: &Packet<'_>, contents: &Contents) -> Decision {
        let config = &cluster.config;
        let table = &cluster.table;
        let settle = config.settings.settle;
        let owners = table.owners(&contents.flow, settle, |id| config.is_there(id));
        let mut facts = Facts {
            role: self.role(config),
            this: config.this,
            owner: owners.owner,
            others: owners.others,
            spill: owners.spill.filter(|_| contents.flow.protocol == TCP),
            young: owners.young,
            known: false,
            needs_no_connection: contents.needs_no_connection(),
            second_chance: self.ingress.is_second_chance(),
        };
        let mut decision = decide(&facts);
        if matches!(decision, Decision::Forward(_)) && self.was_directed(cluster, packet) {
            facts.role = owner::Role::Directed;
            decision = decide(&facts);
        }
        if table.has_candidates() {
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

    /// Whether another node has directed a packet here; they are on the same segment.
    fn was_directed(&self, cluster: &Cluster, packet: &Packet<'_>) -> bool {
        packet.device() == cluster.device() && cluster.peers.sent(packet, &cluster.config)
    }

    /// A director does not direct a packet that another node has directed here. A node that stands by
    /// directs what is sent to it, by a client or router that does not know the new director yet.
    fn role(&self, config: &Config) -> owner::Role {
        match (config.role, self.ingress) {
            (Role::Shared, _) => owner::Role::Shared,
            (Role::Director | Role::Standby, Ingress::Plain { .. }) => owner::Role::Director,
            (Role::Director | Role::Directed | Role::Standby, _) => owner::Role::Directed,
        }
    }

    /// Whether the packet fits a connection of this machine.
    fn knows(&self, packet: &Packet<'_>, contents: Contents) -> bool {
        if contents.flow.protocol != TCP {
            return false;
        }
        let (flow, net) = (seen_from_here(&contents.flow), self.clusters.net());
        match packet.connection(net, &flow) {
            // The service may be behind NAT, and its socket elsewhere.
            Connection::None => packet
                .tracked(net, &flow)
                .is_some_and(|tracked| fits_tracked(packet, &contents, &tracked)),
            Connection::Whole => true,
            Connection::HalfOpen { sent, received } => fits(packet, &contents, sent, received),
        }
    }

    #[inline(always)]
    fn carry_out(self, cluster: &Cluster, packet: Packet<'_>, decision: Decision) -> Verdict {
        let net = self.clusters.net();
        match decision {
            Decision::Take => self.deliver(cluster, packet, Counter::Owned),
            Decision::TakeKnown => self.deliver(cluster, packet, Counter::Known),
            Decision::TakeSpilled => self.deliver(cluster, packet, Counter::SpilledIn),
            // The kernel does it, as for any packet without a socket.
            Decision::LetReset => self.deliver(cluster, packet, Counter::DroppedSpent),
            Decision::Ignore => {
                cluster.count(Counter::Ignored);
                packet.consume()
            }
            Decision::Silent => {
                cluster.count(Counter::Silent);
                packet.consume()
            }
            Decision::Drop(DropReason::NoOwner) => {
                cluster.count(Counter::DroppedNoOwner);
                packet.discard()
            }
            Decision::Drop(DropReason::SecondChanceSpent) => {
                cluster.count(Counter::DroppedSpent);
                packet.discard()
            }
            Decision::Forward(to) => either(forward::give(cluster, packet, to, Reason::Owner, net)),
            Decision::SecondChance(others) => {
                let others = cluster.affordable(others);
                either(forward::give_copies(cluster, packet, &others, net))
            }
        }
    }

    #[inline(always)]
    fn deliver(self, cluster: &Cluster, packet: Packet<'_>, counter: Counter) -> Verdict {
        cluster.count(counter);
        match self.ingress {
            Ingress::Plain { .. } => packet.deliver(),
            Ingress::Tunnel(_) => self.pass(packet),
        }
    }

    /// Lets this machine have the packet.
    fn pass(self, packet: Packet<'_>) -> Verdict {
        match self.ingress {
            Ingress::Plain { .. } => packet.accept(),
            ingress => packet.receive(self.clusters.net(), ingress.is_second_chance()),
        }
    }
}

/// Whether this machine would receive the packet if it served nothing. What is given to another one
/// is validated nowhere else.
#[cold]
fn would_be_received(cluster: &Cluster, packet: &mut Packet<'_>) -> bool {
    packet.would_be_received(cluster.config.name.address.is_ipv6())
}

/// What became of it, sent or not.
fn either(sent: Result<Verdict, Verdict>) -> Verdict {
    sent.unwrap_or_else(|lost| lost)
}
