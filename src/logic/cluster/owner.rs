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
        // The director's table is another one than this node's.
        (Some(_), Role::Directed) => Decision::SecondChance(Candidates::only(facts.owner)),
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
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_owner)
)]
mod tests {
    use super::*;

    const HERE: Option<NodeId> = NodeId::new(1);
    const THERE: Option<NodeId> = NodeId::new(2);
    const ELSEWHERE: Option<NodeId> = NodeId::new(3);
    const ROLES: [Role; 3] = [Role::Shared, Role::Director, Role::Directed];

    /// Calls it for every combination there is.
    fn each(mut check: impl FnMut(Facts)) {
        let nodes = [None, HERE, THERE, ELSEWHERE];
        for flags in 0..16u8 {
            let flag = |bit: u8| flags & bit != 0;
            for role in ROLES {
                for this in [None, HERE] {
                    for owner in nodes {
                        for other in nodes {
                            for spill in nodes {
                                check(Facts {
                                    role,
                                    this,
                                    owner,
                                    others: others(owner, other, spill),
                                    spill: spill.filter(|_| spill != owner),
                                    young: flag(1),
                                    known: flag(2),
                                    needs_no_connection: flag(4),
                                    second_chance: flag(8),
                                });
                            }
                        }
                    }
                }
            }
        }
    }

    /// As they follow from a table.
    fn others(owner: Slot, previous: Slot, spill: Slot) -> Candidates {
        let mut others = Candidates::only(previous);
        others.add(spill);
        others.filter(|node| Some(node) != owner)
    }

    fn sent_to(decision: Decision) -> Candidates {
        match decision {
            Decision::Forward(node) => Candidates::only(Some(node)),
            Decision::SecondChance(others) => others,
            _ => Candidates::default(),
        }
    }

    fn is_taken(decision: Decision) -> bool {
        matches!(
            decision,
            Decision::Take | Decision::TakeKnown | Decision::TakeSpilled
        )
    }

    fn facts_of(owner: Option<NodeId>, role: Role, flags: u8) -> Facts {
        Facts {
            role,
            this: HERE,
            owner,
            others: Candidates::only(ELSEWHERE),
            spill: None,
            young: flags & 8 != 0,
            known: flags & 4 != 0,
            needs_no_connection: flags & 2 != 0,
            second_chance: flags & 1 != 0,
        }
    }

    /// What each role does with a packet for a slot of this owner, whose previous owner is
    /// elsewhere. The flags are, from the highest: the change is young, the connection is known,
    /// the packet begins one, it had its second chance.
    fn check<const N: usize>(owner: Option<NodeId>, rows: [(u8, [Decision; 3]); N]) {
        assert_eq!(N, 16);
        for (flags, decisions) in rows {
            for (role, decision) in ROLES.into_iter().zip(decisions) {
                assert_eq!(decide(&facts_of(owner, role, flags)), decision);
            }
        }
    }

    use Decision::{Drop, Forward, Ignore, LetReset, SecondChance, Silent, Take, TakeKnown};
    use DropReason::{NoOwner, SecondChanceSpent};

    #[test]
    fn packets_its_own() {
        let pass = SecondChance(Candidates::only(ELSEWHERE));
        let spent = Drop(SecondChanceSpent);
        let rows = [
            (0b0000, [Take, pass, pass]),
            (0b0001, [Take, Take, Take]),
            (0b0010, [Take, Take, Take]),
            (0b0011, [Take, Take, Take]),
            (0b0100, [Take, Take, Take]),
            (0b0101, [Take, Take, Take]),
            (0b0110, [Take, Take, Take]),
            (0b0111, [Take, Take, Take]),
            (0b1000, [Silent, pass, pass]),
            (0b1001, [Silent, spent, spent]),
            (0b1010, [Take, Take, Take]),
            (0b1011, [Take, Take, Take]),
            (0b1100, [Take, Take, Take]),
            (0b1101, [Take, Take, Take]),
            (0b1110, [Take, Take, Take]),
            (0b1111, [Take, Take, Take]),
        ];
        check(HERE, rows);
    }

    #[test]
    fn packets_of_another_node() {
        assert!(THERE.is_some());
        let Some(there) = THERE else { return };
        let (forward, back) = (Forward(there), SecondChance(Candidates::only(THERE)));
        let spent = Drop(SecondChanceSpent);
        let rows = [
            (0b0000, [Ignore, forward, back]),
            (0b0001, [Ignore, spent, spent]),
            (0b0010, [Ignore, forward, back]),
            (0b0011, [Ignore, spent, spent]),
            (0b0100, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0101, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0110, [Ignore, TakeKnown, TakeKnown]),
            (0b0111, [Ignore, TakeKnown, TakeKnown]),
            (0b1000, [Ignore, forward, back]),
            (0b1001, [Ignore, spent, spent]),
            (0b1010, [Ignore, forward, back]),
            (0b1011, [Ignore, spent, spent]),
            (0b1100, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1101, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1110, [Ignore, TakeKnown, TakeKnown]),
            (0b1111, [Ignore, TakeKnown, TakeKnown]),
        ];
        check(THERE, rows);
    }

    #[test]
    fn packets_of_nobody() {
        let none = Drop(NoOwner);
        let rows = [
            (0b0000, [none, none, none]),
            (0b0001, [none, none, none]),
            (0b0010, [none, none, none]),
            (0b0011, [none, none, none]),
            (0b0100, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0101, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0110, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0111, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1000, [none, none, none]),
            (0b1001, [none, none, none]),
            (0b1010, [none, none, none]),
            (0b1011, [none, none, none]),
            (0b1100, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1101, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1110, [TakeKnown, TakeKnown, TakeKnown]),
            (0b1111, [TakeKnown, TakeKnown, TakeKnown]),
        ];
        check(None, rows);
    }

    #[test]
    fn who_does_not_direct_and_is_no_node_sends_nothing() {
        for flags in 0..16 {
            let facts = Facts {
                this: None,
                ..facts_of(THERE, Role::Directed, flags)
            };
            let expected = match (facts.known, facts.second_chance) {
                (true, _) => TakeKnown,
                (false, true) => Drop(SecondChanceSpent),
                (false, false) => Ignore,
            };
            assert_eq!(decide(&facts), expected);
        }
    }

    #[test]
    fn the_last_one_that_could_know_refuses() {
        for role in [Role::Director, Role::Directed] {
            let lost = Facts {
                others: Candidates::only(HERE),
                ..facts_of(THERE, role, 0b0001)
            };
            assert_eq!(decide(&lost), LetReset);
            // A change is young; a SYN; there is another one, or this is not one of them.
            let spent = [
                Facts {
                    young: true,
                    ..lost
                },
                Facts {
                    needs_no_connection: true,
                    ..lost
                },
                Facts {
                    others: others(THERE, HERE, ELSEWHERE),
                    ..lost
                },
                Facts {
                    others: Candidates::only(ELSEWHERE),
                    ..lost
                },
            ];
            for facts in spent {
                assert_eq!(decide(&facts), Drop(SecondChanceSpent));
            }
        }
    }

    #[test]
    fn what_is_spilled_is_taken_and_stays() {
        for role in ROLES {
            let spilled = Facts {
                others: Candidates::only(HERE),
                spill: HERE,
                ..facts_of(THERE, role, 0b0011)
            };
            assert_eq!(decide(&spilled), Decision::TakeSpilled);
            let elsewhere = Facts {
                spill: ELSEWHERE,
                ..spilled
            };
            assert!(!is_taken(decide(&elsewhere)));
            // Its owner asks who may have it, or is silent, however old the table is.
            let owner = Facts {
                others: Candidates::only(ELSEWHERE),
                spill: ELSEWHERE,
                ..facts_of(HERE, role, 0b0000)
            };
            let expected = match role {
                Role::Shared => Silent,
                Role::Director | Role::Directed => SecondChance(Candidates::only(ELSEWHERE)),
            };
            assert_eq!(decide(&owner), expected);
        }
    }

    #[test]
    fn no_packet_goes_in_circles() {
        each(|facts| {
            let decision = decide(&facts);
            let sent = sent_to(decision);
            // Nothing is sent twice, when packets are shared, or to oneself.
            assert!(sent.is_empty() || !facts.second_chance);
            assert!(sent.is_empty() || facts.role != Role::Shared);
            for node in sent.iter() {
                assert!(Some(node) != facts.this);
                assert!(
                    Some(node) == facts.owner
                        || Iterator::any(&mut facts.others.iter(), |other| other == node)
                );
            }
            // Only a director forwards, and only to the owner.
            if let Decision::Forward(node) = decision {
                assert_eq!(facts.role, Role::Director);
                assert_eq!(Some(node), facts.owner);
            }
        });
    }

    #[test]
    fn no_connection_breaks() {
        each(|facts| {
            let decision = decide(&facts);
            let is_reset = is_taken(decision) || decision == LetReset;
            // A node that has the connection keeps it; what begins one may be the owner's.
            if facts.known && !facts.needs_no_connection {
                assert!(is_taken(decision));
            }
            // Taking what is not known would reset it.
            let foreign = !facts.known && !facts.needs_no_connection;
            let elsewhere = !elsewhere(facts.others, facts.this).is_empty();
            if foreign && elsewhere && (facts.young || facts.spill.is_some()) {
                assert!(!is_reset);
            }
            // No node but the owner takes what it does not know, but for what is spilled.
            if !facts.known && is_taken(decision) && decision != Decision::TakeSpilled {
                assert_eq!((decision, facts.this), (Decision::Take, facts.owner));
                assert!(facts.this.is_some());
            }
        });
    }
}
