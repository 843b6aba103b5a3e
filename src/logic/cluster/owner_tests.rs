// SPDX-License-Identifier: GPL-2.0

//! Tests of the decision whose packet one is, on the host and under KUnit.

#![forbid(unsafe_code)]

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_owner)
)]
mod tests {
    use super::super::*;

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
        let all = SecondChance(Candidates::only(ELSEWHERE).behind(THERE));
        let spent = Drop(SecondChanceSpent);
        let rows = [
            (0b0000, [Ignore, forward, all]),
            (0b0001, [Ignore, spent, spent]),
            (0b0010, [Ignore, forward, back]),
            (0b0011, [Ignore, spent, spent]),
            (0b0100, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0101, [TakeKnown, TakeKnown, TakeKnown]),
            (0b0110, [Ignore, TakeKnown, TakeKnown]),
            (0b0111, [Ignore, TakeKnown, TakeKnown]),
            (0b1000, [Ignore, forward, all]),
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
