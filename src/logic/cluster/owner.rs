// SPDX-License-Identifier: GPL-2.0

//! What becomes of a packet for a cluster IP.
//!
//! The table names the owner. While a change of the table is *young*, connections that were begun
//! before it are still somewhere else, and no connection may break:
//!
//! - A node that has the connection's socket keeps it, whatever the table says.
//! - An owner that does not know the connection answers nothing, for that would be a reset. If
//!   packets are directed it passes the packet to the slot's previous owner, its *second chance*;
//!   if they are shared, the previous owner has received it as well.
//!
//! A second chance is given once: a packet that came for it is taken or dropped, and so no packet
//! goes in circles, whatever the nodes' tables are.
//!
//! A packet that begins a connection belongs to the owner at once. If packets are shared nobody
//! else takes it, also not a node which knows the connection, so that it is answered once.
//!
//! It does not know whether a node lives, nor how long a change is young. Connections from before
//! the change that are not with the owner last no longer than that: then the owner resets them.

#![forbid(unsafe_code)]

use super::slots::NodeId;

/// How packets come to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Every node receives every packet.
    Shared,
    /// It receives packets for all nodes and gives each to its owner; it may be a node itself.
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
    /// The slot's owner before the change, if it was another one and still is a node.
    pub previous: Option<NodeId>,
    /// Whether the change is young.
    pub young: bool,
    /// Whether there is a socket of the connection here that the packet fits. A half-open request
    /// fits its SYN, and an ACK that acknowledges its SYN-ACK, no other: that one belongs to
    /// another node's request of the same flow.
    pub known: bool,
    /// Whether the packet begins a connection, see `Packet::begins()`.
    pub begins: bool,
    /// Whether it came from another node for its second chance.
    pub second_chance: bool,
}

/// Why nobody gets a packet.
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
    /// It is another node's, which has received it as well.
    Ignore,
    /// It is another node's, to which it is to be sent unchanged.
    Forward(NodeId),
    /// Its connection may be known to that node, to which it is to be sent as a second chance.
    SecondChance(NodeId),
    /// Its connection may be known to another node, which has received it as well: no reset.
    Silent,
    /// Nobody gets it: no reset.
    Drop(DropReason),
}

/// Decides what becomes of a packet.
pub fn decide(facts: &Facts) -> Decision {
    let own = facts.owner.is_some() && facts.owner == facts.this;
    // Of a connection that another node may have.
    let foreign = facts.young && !facts.begins && !facts.known;
    match (facts.owner, facts.role) {
        _ if own && foreign => pass_on(facts),
        _ if own => Decision::Take,
        (Some(_), Role::Shared) if facts.begins => Decision::Ignore,
        _ if facts.known => Decision::TakeKnown,
        (None, _) => Decision::Drop(DropReason::NoOwner),
        (Some(_), Role::Shared) => Decision::Ignore,
        _ if facts.second_chance => Decision::Drop(DropReason::SecondChanceSpent),
        (Some(owner), Role::Director) => Decision::Forward(owner),
        // The director's table is another one than this node's.
        (Some(owner), Role::Directed) => Decision::SecondChance(owner),
    }
}

/// What its owner does with a packet that another node's connection may be waiting for.
fn pass_on(facts: &Facts) -> Decision {
    match facts.previous.filter(|_| facts.previous != facts.this) {
        None => Decision::Take,
        Some(_) if facts.role == Role::Shared => Decision::Silent,
        Some(_) if facts.second_chance => Decision::Drop(DropReason::SecondChanceSpent),
        Some(previous) => Decision::SecondChance(previous),
    }
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
                        for previous in nodes {
                            check(Facts {
                                role,
                                this,
                                owner,
                                previous,
                                young: flag(1),
                                known: flag(2),
                                begins: flag(4),
                                second_chance: flag(8),
                            });
                        }
                    }
                }
            }
        }
    }

    fn is_sent(decision: Decision) -> bool {
        matches!(decision, Decision::Forward(_) | Decision::SecondChance(_))
    }

    fn is_taken(decision: Decision) -> bool {
        matches!(decision, Decision::Take | Decision::TakeKnown)
    }

    /// What each role does with a packet for a slot of this owner, whose previous owner is
    /// elsewhere. The flags are, from the highest: the change is young, the connection is known,
    /// the packet begins one, it had its second chance.
    fn check<const N: usize>(owner: Option<NodeId>, rows: [(u8, [Decision; 3]); N]) {
        assert_eq!(N, 16);
        for (flags, decisions) in rows {
            for (role, decision) in ROLES.into_iter().zip(decisions) {
                let facts = Facts {
                    role,
                    this: HERE,
                    owner,
                    previous: ELSEWHERE,
                    young: flags & 8 != 0,
                    known: flags & 4 != 0,
                    begins: flags & 2 != 0,
                    second_chance: flags & 1 != 0,
                };
                assert_eq!(decide(&facts), decision);
            }
        }
    }

    use Decision::{Drop, Forward, Ignore, SecondChance, Silent, Take, TakeKnown};
    use DropReason::{NoOwner, SecondChanceSpent};

    #[test]
    fn packets_its_own() {
        assert!(ELSEWHERE.is_some());
        let Some(elsewhere) = ELSEWHERE else { return };
        let pass = SecondChance(elsewhere);
        let spent = Drop(SecondChanceSpent);
        let rows = [
            (0b0000, [Take, Take, Take]),
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
        let (forward, back) = (Forward(there), SecondChance(there));
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
    fn no_packet_goes_in_circles() {
        each(|facts| {
            let decision = decide(&facts);
            // Nothing is sent twice, when packets are shared, or to oneself.
            assert!(!is_sent(decision) || !facts.second_chance);
            assert!(!is_sent(decision) || facts.role != Role::Shared);
            if let Decision::Forward(node) | Decision::SecondChance(node) = decision {
                assert!(Some(node) != facts.this);
                assert!(Some(node) == facts.owner || Some(node) == facts.previous);
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
            // Whoever has the connection keeps it; what begins one may be the owner's.
            if facts.known && !facts.begins {
                assert!(is_taken(decision));
            }
            // Taking what is not known would reset it.
            let moved = facts.previous.is_some() && facts.previous != facts.this;
            if facts.young && moved && !facts.known && !facts.begins {
                assert!(!is_taken(decision));
            }
            // Nobody but the owner takes what he does not know.
            if !facts.known && is_taken(decision) {
                assert_eq!((decision, facts.this), (Decision::Take, facts.owner));
                assert!(facts.this.is_some());
            }
        });
    }
}
