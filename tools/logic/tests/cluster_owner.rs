// SPDX-License-Identifier: GPL-2.0
//! What the nodes of a cluster do with one packet, all of them together.

use proptest::prelude::*;
use service_group_logic::logic::cluster::candidates::Candidates;
use service_group_logic::logic::cluster::owner::{decide, Decision, Facts, Role};
use service_group_logic::logic::cluster::slots::NodeId;
use std::ops::RangeInclusive;

const NODES: u32 = 4;

/// One node's view, which may be an old one.
#[derive(Clone, Copy, Debug)]
struct View {
    owner: Option<NodeId>,
    previous: Option<NodeId>,
    spill: Option<NodeId>,
    young: bool,
    known: bool,
}

impl View {
    fn others(&self) -> Candidates {
        let mut others = Candidates::only(self.previous);
        others.add(self.spill);
        others
    }

    /// Whether only the owner can have a connection that it does not know, as far as it knows.
    fn may_reset(&self) -> bool {
        self.others().is_empty() || !self.young && self.spill.is_none()
    }
}

fn view() -> impl Strategy<Value = View> {
    view_of(0..=NODES)
}

/// With an owner.
fn owned() -> impl Strategy<Value = View> {
    view_of(1..=NODES)
}

fn director_or_not() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Director), Just(Role::Directed)]
}

fn view_of(owners: RangeInclusive<u32>) -> impl Strategy<Value = View> {
    let node = || (0..=NODES).prop_map(NodeId::new);
    let owner = owners.prop_map(NodeId::new);
    let spill = prop_oneof![Just(None), node()];
    let known = prop::bool::weighted(0.2);
    (owner, node(), spill, any::<bool>(), known).prop_map(
        |(owner, previous, spill, young, known)| View {
            owner,
            previous: previous.filter(|_| previous != owner),
            spill: spill.filter(|_| spill != owner),
            young,
            known,
        },
    )
}

/// Each node's view; the first one is node 1.
type Views = [View; NODES as usize];

/// All nodes have the same table, and one of them may have the connection.
fn agreeing() -> impl Strategy<Value = Views> {
    (view(), 0..=NODES).prop_map(|(view, knower)| {
        let mut views = [View {
            known: false,
            ..view
        }; NODES as usize];
        if let Some(view) = views.get_mut((knower as usize).wrapping_sub(1)) {
            view.known = true;
        }
        views
    })
}

fn ask(views: &Views, node: u32, role: Role, begins: bool, second_chance: bool) -> Decision {
    let view = views[node as usize - 1];
    decide(&Facts {
        role,
        this: NodeId::new(node),
        owner: view.owner,
        others: view.others(),
        spill: view.spill,
        young: view.young,
        known: view.known,
        needs_no_connection: begins,
        second_chance,
    })
}

fn is_taken(decision: Decision) -> bool {
    matches!(
        decision,
        Decision::Take | Decision::TakeKnown | Decision::TakeSpilled
    )
}

/// What became of a packet, and of its copies.
#[derive(Debug, Default)]
struct Run {
    /// What each node decided last.
    ends: Vec<(u32, Decision)>,
    /// How often one was sent, at most.
    hops: u32,
}

impl Run {
    /// Lets a packet run from a director, or a node that it reached without one.
    fn of(views: &Views, at: u32, role: Role, begins: bool) -> Self {
        let mut run = Self::default();
        run.go(views, at, (role, begins, false), 0);
        run
    }

    fn go(&mut self, views: &Views, at: u32, how: (Role, bool, bool), hops: u32) {
        assert!(hops < 9, "the packet goes in circles");
        self.hops = self.hops.max(hops);
        let (role, begins, second_chance) = how;
        let decision = ask(views, at, role, begins, second_chance);
        match decision {
            Decision::Forward(next) => {
                self.go(
                    views,
                    next.get(),
                    (Role::Directed, begins, second_chance),
                    hops + 1,
                );
            }
            Decision::SecondChance(others) => {
                for next in others.iter() {
                    self.go(views, next.get(), (Role::Directed, begins, true), hops + 1);
                }
            }
            _ => self.ends.push((at, decision)),
        }
    }

    /// Those that took it.
    fn takers(&self) -> Vec<Option<NodeId>> {
        let taken = self.ends.iter().filter(|(_, decision)| is_taken(*decision));
        taken.map(|&(node, _)| NodeId::new(node)).collect()
    }
}

/// The node that has the connection, if one has.
fn knower(views: &Views) -> Option<NodeId> {
    let (_, node) = views.iter().zip(1..).find(|(view, _)| view.known)?;
    NodeId::new(node)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn shared_packets_have_one_taker(views in agreeing(), begins: bool) {
        let owner = views[0].owner;
        let knower = knower(&views);
        let owner_takes = begins || knower == owner || views[0].may_reset();
        let takers = (1..=NODES)
            .filter(|&node| is_taken(ask(&views, node, Role::Shared, begins, false)))
            .map(NodeId::new);
        // Once the change is not young any more, another node that has a connection loses it: the owner
        // resets it.
        let expected = (1..=NODES).map(NodeId::new).filter(|&node| {
            node == owner && owner_takes || node == knower && (!begins || owner.is_none())
        });
        let takers: Vec<_> = takers.collect();
        prop_assert!(views[0].may_reset() || owner.is_none() || takers.len() <= 1);
        prop_assert_eq!(takers, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_first_table_has_one_taker(view in owned(), begins: bool, start in 1..=NODES, role in director_or_not()) {
        let view = View { previous: None, spill: None, young: false, known: false, ..view };
        let views = [view; NODES as usize];
        let takers = (1..=NODES).filter(|&node| is_taken(ask(&views, node, Role::Shared, begins, false)));
        prop_assert_eq!(takers.map(NodeId::new).collect::<Vec<_>>(), vec![view.owner]);
        prop_assert_eq!(Run::of(&views, start, role, begins).takers(), vec![view.owner]);
    }

    #[test]
    fn a_directed_packet_finds_its_connection(view in owned(), start in 1..=NODES, at in 0..3usize) {
        // It is with the owner, the one before, or the one that the slot spills to; and however
        // long ago that was.
        let holders = [view.owner, view.previous, view.spill];
        let holder = holders[at].or(view.owner);
        let mut views = [View { known: false, ..view }; NODES as usize];
        views[holder.unwrap().get() as usize - 1].known = true;
        let run = Run::of(&views, start, Role::Director, false);
        prop_assert_eq!(run.takers(), vec![holder]);
        prop_assert!(!run.ends.iter().any(|(_, decision)| *decision == Decision::LetReset) || !view.young);
        prop_assert!(run.hops <= 2);
    }

    #[test]
    fn a_connection_that_nobody_has_is_reset_once_at_most(view in owned(), start in 1..=NODES) {
        let views = [View { known: false, ..view }; NODES as usize];
        let run = Run::of(&views, start, Role::Director, false);
        let resets = run.ends.iter().filter(|(_, decision)| matches!(decision, Decision::Take | Decision::LetReset));
        let one_to_ask = view.others().filter(|node| Some(node) != view.owner).iter().count() <= 1;
        let expected = usize::from(view.others().is_empty() || one_to_ask && !view.young);
        prop_assert_eq!(resets.count(), expected, "{:?}", run);
    }

    #[test]
    fn what_is_spilled_is_taken_by_one(view in owned(), begins in Just(true)) {
        let views = [View { known: false, ..view }; NODES as usize];
        for node in (1..=NODES).filter(|&node| NodeId::new(node) != view.owner) {
            let decision = ask(&views, node, Role::Directed, begins, true);
            prop_assert_eq!(decision == Decision::TakeSpilled, NodeId::new(node) == view.spill);
        }
    }

    #[test]
    fn no_packet_goes_in_circles(views in [view(), view(), view(), view()], begins: bool, start in 1..=NODES) {
        // Whatever each node's table is: forwarded once, and one second chance.
        let run = Run::of(&views, start, Role::Director, begins);
        prop_assert!(run.hops <= 2);
        prop_assert!(run.ends.len() <= Candidates::MOST);
        prop_assert!(!run.ends.iter().any(|(_, decision)| matches!(decision, Decision::Ignore | Decision::Silent)));
        prop_assert!(Run::of(&views, start, Role::Directed, begins).hops <= 1);
    }
}
