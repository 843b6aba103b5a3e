// SPDX-License-Identifier: GPL-2.0

//! What becomes of a packet for a cluster IP.
//!
//! The table names the owner. A connection may be elsewhere all the same: with the slot's previous
//! owner, if it was begun before a change of the table, or with the node that the slot *spills* to,
//! if its owner had no room when it was begun. No such connection may break, but for one before a change
//! which is not young any more, if packets are shared and do not spill:
//!
//! - A node that has the connection's socket keeps it, whatever the table says.
//! - An owner that does not know the connection answers nothing, for that would be a reset. If
//!   packets are directed it passes the packet to those that may know it, its *second chance*; if
//!   they are shared, these have received it as well.
//!
//! A second chance is given once: a packet that came for it is taken or dropped, and so no packet
//! goes in circles, whatever the nodes' tables are.
//!
//! Which node sends the reset that a connection without any socket deserves? While a change is *young*,
//! or if slots may spill, no node that could be mistaken. If packets are directed, it is the last node
//! that was asked, if there was no other one to ask; if they are shared, the owner once the change is not
//! young.
//!
//! A packet that begins a connection belongs to the owner at once. If packets are shared no other
//! node takes it, also not a node which knows the connection, so that it is answered once. But an
//! owner without room gives it to the node that the slot spills to, as a second chance: that node
//! takes it. All nodes know where a slot spills to, so none need remember which one has the connection.
//!
//! It does not know whether a node lives, nor how long a change is young.

#![forbid(unsafe_code)]

use super::{
    candidates::Candidates,
    slots::{NodeId, Slot}, //
};

/// How packets come to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Every node receives every packet.
    Shared,
    /// It receives packets for all nodes and gives each to its owner; it may be a node itself. One that
    /// stands by does so with what still comes to it.
    Director,
    /// It receives what a director gives to it.
    Directed,
}

/// What a decision needs to know, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How packets come to this node.
    pub role: Role,
    /// This node; none if it owns no slots ever, as a director that only directs.
    pub this: Option<NodeId>,
    /// The owner of the packet's slot; none if no node is there for it.
    pub owner: Option<NodeId>,
    /// The other nodes that may have the connection and still are nodes; not the owner.
    pub others: Candidates,
    /// The node that the slot spills to, if that is allowed and there is one, and if the packet is of TCP or
    /// about it: nothing else is spilled.
    pub spill: Slot,
    /// Whether the latest change is young.
    pub young: bool,
    /// Whether there is a socket of the connection here that the packet fits. A half-open request
    /// fits its SYN, and an ACK that acknowledges its SYN-ACK, no other: that one belongs to
    /// another node's request of the same flow.
    pub known: bool,
    /// Whether the packet needs no connection that exists, see `Packet::needs_no_connection()`.
    pub needs_no_connection: bool,
    /// Whether it came from another node for its second chance.
    pub second_chance: bool,
}

/// Why no node gets a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The slot has no owner: no node is up or draining.
    NoOwner,
    /// It had its second chance, and its connection is not known here either.
    SecondChanceSpent,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is this node's.
    Take,
    /// It is another node's, but its connection is here.
    TakeKnown,
    /// It begins a connection that its owner has no room for.
    TakeSpilled,
    /// It is another node's, which has received it as well, or the director has.
    Ignore,
    /// It is another node's, to which it is to be sent unchanged.
    Forward(NodeId),
    /// Its connection may be known to these, each of which is to be sent it as a second chance.
    SecondChance(Candidates),
    /// Its connection may be known to another node, which has received it as well: no reset.
    Silent,
    /// No node has its connection: it is to be reset.
    LetReset,
    /// No node gets it: no reset.
    Drop(DropReason),
}

/// Decides what becomes of a packet.
#[inline(always)]
pub fn decide(facts: &Facts) -> Decision {
    let own = facts.owner.is_some() && facts.owner == facts.this;
    // Of a connection that another node may have.
    let foreign = !facts.needs_no_connection && !facts.known;
    match (facts.owner, facts.role) {
        _ if own && foreign => pass_on(facts),
        _ if own => Decision::Take,
        _ if is_spilled_here(facts) => Decision::TakeSpilled,
        (Some(_), Role::Shared) if facts.needs_no_connection => Decision::Ignore,
        _ if facts.known => Decision::TakeKnown,
        (None, _) => Decision::Drop(DropReason::NoOwner),
        (Some(_), Role::Shared) => Decision::Ignore,
        _ if facts.second_chance => last_resort(*facts),
        (Some(owner), Role::Director) => Decision::Forward(owner),
        // All have received it, also the one that directs.
        (Some(_), Role::Directed) if facts.this.is_none() => Decision::Ignore,
        (Some(_), Role::Directed) => Decision::SecondChance(directed_astray(*facts)),
    }
}

/// Who may have a packet that the director has given to this node although another one owns it here: their
/// tables differ, and the owner may be a third one for the director. So all are asked, but for what begins
/// a connection, which one is to take.
fn directed_astray(facts: Facts) -> Candidates {
    match facts.needs_no_connection {
        true => Candidates::only(facts.owner),
        false => elsewhere(facts.others.behind(facts.owner), facts.this),
    }
}

/// What its owner does with a packet that another node's connection may be waiting for.
#[inline(always)]
fn pass_on(facts: &Facts) -> Decision {
    // As for most packets, and at once.
    if facts.others.is_empty() {
        return Decision::Take;
    }
    let elsewhere = elsewhere(facts.others, facts.this);
    match facts.role {
        _ if elsewhere.is_empty() => Decision::Take,
        Role::Shared if may_be_mistaken(facts) => Decision::Silent,
        Role::Shared => Decision::Take,
        _ if !facts.second_chance => Decision::SecondChance(elsewhere),
        _ if may_be_mistaken(facts) => Decision::Drop(DropReason::SecondChanceSpent),
        _ => Decision::Take,
    }
}

/// What becomes of a packet whose second chance brought nothing.
///
/// It is given a copy, as is what else is seldom asked: the facts of most packets need not be in
/// memory.
fn last_resort(facts: Facts) -> Decision {
    let asked = facts.this.is_some() && facts.others == Candidates::only(facts.this);
    // Of what begins a connection the owner alone knows what it deserves.
    match asked && !facts.young && !facts.needs_no_connection {
        true => Decision::LetReset,
        false => Decision::Drop(DropReason::SecondChanceSpent),
    }
}

/// The nodes that may have the connection, but for this one.
fn elsewhere(others: Candidates, this: Option<NodeId>) -> Candidates {
    others.filter(|node| Some(node) != this)
}

/// Whether a reset could break a connection that is somewhere else.
fn may_be_mistaken(facts: &Facts) -> bool {
    facts.young || facts.spill.is_some()
}

/// Whether the owner had no room for it, and this node is the one to have it.
fn is_spilled_here(facts: &Facts) -> bool {
    facts.needs_no_connection
        && facts.second_chance
        && facts.spill.is_some()
        && facts.spill == facts.this
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[path = "owner_tests.rs"]
mod owner_tests;
