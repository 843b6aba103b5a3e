// SPDX-License-Identifier: GPL-2.0
//! What the nodes of a cluster do with one packet, all of them together.

use proptest::prelude::*;
use service_group_logic::logic::cluster::owner::{decide, Decision, Facts, Role};
use service_group_logic::logic::cluster::slots::NodeId;
use std::ops::RangeInclusive;

const NODES: u32 = 4;

/// One node's view, which may be an old one.
#[derive(Clone, Copy, Debug)]
struct View {
    owner: Option<NodeId>,
    previous: Option<NodeId>,
    young: bool,
    known: bool,
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
    let (owner, previous) = (
        owners.prop_map(NodeId::new),
        (0..=NODES).prop_map(NodeId::new),
    );
    (owner, previous, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(owner, previous, young, known)| View {
            owner,
            previous: previous.filter(|_| previous != owner),
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
        previous: view.previous,
        young: view.young,
        known: view.known,
        begins,
        second_chance,
    })
}

fn is_taken(decision: Decision) -> bool {
    matches!(decision, Decision::Take | Decision::TakeKnown)
}

/// Lets a packet run from a director, or a node that it reached without one; who decided what last,
/// and how often it was sent.
fn run(views: &Views, mut at: u32, mut role: Role, begins: bool) -> (u32, Decision, u32) {
    let mut second_chance = false;
    for hops in 0.. {
        let decision = ask(views, at, role, begins, second_chance);
        match decision {
            Decision::Forward(next) => at = next.get(),
            Decision::SecondChance(next) => {
                at = next.get();
                second_chance = true;
            }
            _ => return (at, decision, hops),
        }
        role = Role::Directed;
        assert!(hops < 9, "the packet goes in circles");
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn shared_packets_have_one_taker(views in agreeing(), begins: bool) {
        let View { owner, previous, young, .. } = views[0];
        let knower = views.iter().zip(1..).find(|(view, _)| view.known);
        let knower = knower.and_then(|(_, node)| NodeId::new(node));
        let owner_takes = begins || knower == owner || !young || previous.is_none();
        let takers = (1..=NODES)
            .filter(|&node| is_taken(ask(&views, node, Role::Shared, begins, false)))
            .map(NodeId::new);
        // Once the change is not young any more, whoever else has a connection loses it: the owner
        // resets it.
        let expected = (1..=NODES).map(NodeId::new).filter(|&node| {
            node == owner && owner_takes || node == knower && (!begins || owner.is_none())
        });
        let takers: Vec<_> = takers.collect();
        prop_assert!(!young || previous.is_none() || owner.is_none() || takers.len() <= 1);
        prop_assert_eq!(takers, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_settled_table_has_one_taker(view in owned(), begins: bool, start in 1..=NODES, role in director_or_not()) {
        let views = [View { young: false, known: false, ..view }; NODES as usize];
        let takers = (1..=NODES).filter(|&node| is_taken(ask(&views, node, Role::Shared, begins, false)));
        prop_assert_eq!(takers.map(NodeId::new).collect::<Vec<_>>(), vec![view.owner]);
        let (taker, decision, _) = run(&views, start, role, begins);
        prop_assert_eq!((NodeId::new(taker), decision), (view.owner, Decision::Take));
    }

    #[test]
    fn a_directed_packet_finds_its_connection(view in owned(), start in 1..=NODES, moved: bool) {
        // It is with the owner, or with the one before.
        let previous = view.previous.filter(|_| moved && view.young);
        let holder = previous.or(view.owner);
        let mut views = [View { known: false, ..view }; NODES as usize];
        views[holder.unwrap().get() as usize - 1].known = true;
        let (taker, decision, hops) = run(&views, start, Role::Director, false);
        prop_assert!(is_taken(decision));
        prop_assert_eq!(NodeId::new(taker), holder);
        prop_assert!(hops <= 2);
    }

    #[test]
    fn no_packet_goes_in_circles(views in [view(), view(), view(), view()], begins: bool, start in 1..=NODES) {
        // Whatever each node's table is: forwarded once, and one second chance.
        let (_, decision, hops) = run(&views, start, Role::Director, begins);
        prop_assert!(hops <= 2);
        prop_assert!(!matches!(decision, Decision::Ignore | Decision::Silent));
        let (_, _, hops) = run(&views, start, Role::Directed, begins);
        prop_assert!(hops <= 1);
    }
}
