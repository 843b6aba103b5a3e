// SPDX-License-Identifier: GPL-2.0

//! SYNs that a group has no room for: another node may have some.
//!
//! ```text
//!   client --SYN--> owner: every member is full --SYN in a tunnel--> the node that the slot spills to
//!   client --ACK, data--> owner: not known here --second chance--> that node
//! ```
//!
//! Whom a slot spills to follows from the table, so the owner need not remember what it has spilled:
//! it gives that node, and those that the slot spilled to or belonged to before, every packet of a
//! connection that it does not know. In shared mode they have received it as well.
//!
//! What another node gave is not given on: while a change of the table is on its way, two nodes may
//! each spill to the other.

#![forbid(unsafe_code)]

use super::{
    forward::{self, Reason},
    snapshot::most_specific,
    Cluster,
    Clusters, //
};
use crate::{
    logic::cluster::{
        flow::{Address, Flow},
        packet::TCP,
        slots::NodeId, //
    },
    sys::{
        packet::skb::Packet,
        socket::flowlog, //
    },
};
use kernel::sync::rcu::Guard;

const AF_INET: u16 = super::config::AF_INET;

/// Gives a SYN for which there is no room here to the node that its slot spills to; false if it did
/// not go there. Softirq context.
pub(crate) fn spill(clusters: &Clusters, syn: &flowlog::Packet<'_>, guard: &Guard) -> bool {
    let flow = flow_of(&syn.flow());
    let Some(snapshot) = clusters.snapshot(guard) else {
        return false;
    };
    let Some(cluster) = most_specific(snapshot.at(&flow.destination), &flow) else {
        return false;
    };
    let Some(to) = target(cluster, &flow) else {
        return false;
    };
    let Some(copy) = Packet::of_syn(syn, clusters.net(), guard) else {
        return false;
    };
    // What came by another device never sees the owner again.
    if copy.device() != cluster.device() {
        copy.consume();
        return false;
    }
    // What follows takes a hop as a second chance: it would not come to the node.
    if copy.ttl(flow.destination.is_ipv6()) <= 1 {
        copy.consume();
        return false;
    }
    forward::give(cluster, copy, to, Reason::Spill, clusters.net()).is_ok()
}

/// To whom this node may spill what is its own.
fn target(cluster: &Cluster, flow: &Flow) -> Option<NodeId> {
    let (owner, spill) = cluster.table.owner_and_spill(flow);
    let is_own = owner.is_some() && owner == cluster.config.this;
    spill.filter(|_| is_own)
}

/// As a cluster knows it.
fn flow_of(flow: &flowlog::Flow) -> Flow {
    let address = |bytes: &[u8; 16]| match (flow.family, bytes.first_chunk()) {
        (AF_INET, Some(&v4)) => Address::from_v4_bytes(v4),
        _ => Address::from_v6_bytes(*bytes),
    };
    Flow {
        source: address(&flow.peer),
        destination: address(&flow.local),
        source_port: flow.peer_port,
        destination_port: flow.local_port,
        protocol: TCP,
    }
}
