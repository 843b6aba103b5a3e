// SPDX-License-Identifier: GPL-2.0
//! Properties of deputies, whatever the nodes are and whoever is away.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use service_group_logic::logic::cluster::candidates::Candidates;
use service_group_logic::logic::cluster::slots::{Node, NodeId, Slot, State};
use service_group_logic::logic::links::deputy::{deputies, standing};
use std::num::NonZeroU16;

const IDS: std::ops::Range<u32> = 1..12;

fn node(id: u32, weight: u16, state: State) -> Node {
    Node {
        id: NodeId::new(id).unwrap(),
        weight: NonZeroU16::new(weight).unwrap(),
        state,
    }
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let weight = prop_oneof![Just(1u16), 1u16..8, 1u16..];
    let state = prop_oneof![
        6 => Just(State::Up),
        1 => Just(State::Draining),
        1 => Just(State::Down),
    ];
    btree_map(IDS, (weight, state), 0..10).prop_map(|nodes| {
        let nodes = nodes.into_iter();
        nodes
            .map(|(id, (weight, state))| node(id, weight, state))
            .collect()
    })
}

fn table() -> impl Strategy<Value = Vec<Slot>> {
    vec((0u32..12).prop_map(NodeId::new), 1..200)
}

/// Each is away or not.
fn absences() -> impl Strategy<Value = Vec<bool>> {
    let some = vec(prop::bool::weighted(0.3), 12);
    prop_oneof![4 => some, 1 => Just(vec![true; 12])]
}

fn is_in(away: &[bool], id: NodeId) -> bool {
    away[id.get() as usize]
}

fn effective(table: &[Slot], nodes: &[Node], away: &[bool]) -> Vec<Slot> {
    let mut effective = vec![None; table.len()];
    deputies(table, nodes, |id| is_in(away, id), &mut effective);
    effective
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn only_slots_of_nodes_that_are_away_move(table in table(), nodes in nodes(), away in absences()) {
        let there: Vec<NodeId> = nodes
            .iter()
            .filter(|node| node.state == State::Up && !is_in(&away, node.id))
            .map(|node| node.id)
            .collect();
        for (owner, found) in table.iter().zip(effective(&table, &nodes, &away)) {
            match owner.filter(|&owner| is_in(&away, owner)) {
                Some(_) if !there.is_empty() => prop_assert!(there.contains(&found.unwrap())),
                _ => prop_assert_eq!(*owner, found),
            }
        }
    }

    #[test]
    fn one_more_moves_only_its_own_slots(table in table(), nodes in nodes(), away in absences(), next in IDS) {
        let before = effective(&table, &nodes, &away);
        let mut more = away.clone();
        more[next as usize] = true;
        // Its own ones, and those that it was the deputy of.
        for (before, after) in before.into_iter().zip(effective(&table, &nodes, &more)) {
            prop_assert!(before == after || before == NodeId::new(next));
        }
    }

    #[test]
    fn the_order_of_the_nodes_is_irrelevant(
        table in table(),
        (nodes, shuffled) in nodes().prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
        away in absences(),
    ) {
        prop_assert_eq!(effective(&table, &nodes, &away), effective(&table, &shuffled, &away));
    }

    #[test]
    fn with_all_away_the_table_stays(table in table(), nodes in nodes()) {
        prop_assert_eq!(effective(&table, &nodes, &[true; 12]), table.clone());
        prop_assert_eq!(effective(&table, &nodes, &[false; 12]), table);
    }

    #[test]
    fn who_stands_in_has_the_slot_if_two_are_away(table in table(), nodes in nodes(), owner in IDS, other in IDS) {
        let mut away = [false; 12];
        away[owner as usize] = true;
        away[other as usize] = true;
        let mut all = vec![Candidates::default(); table.len()];
        standing(&table, &table, &nodes, &mut all);
        let effective = effective(&table, &nodes, &away);
        for ((&slot, standing), effective) in table.iter().zip(all).zip(effective) {
            prop_assert!(standing.iter().all(|node| Some(node) != slot));
            // Whoever of the two is its owner.
            prop_assert!(effective == slot || standing.iter().any(|node| Some(node) == effective));
        }
    }

    #[test]
    fn weights_are_respected(weights in vec(prop_oneof![1u16..10, Just(100)], 2..8), first in 1u32..1_000_000) {
        // The slots of one node that is away.
        const SLOTS: usize = 4096;
        let ids = first + 1..;
        let nodes: Vec<Node> = ids.zip(&weights).map(|(id, &weight)| node(id, weight, State::Up)).collect();
        let gone = NodeId::new(first);
        let mut effective = vec![None; SLOTS];
        deputies(&vec![gone; SLOTS], &nodes, |id| Some(id) == gone, &mut effective);
        let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        for node in &nodes {
            let share = f64::from(node.weight.get()) / total;
            let expected = SLOTS as f64 * share;
            let deviation = (expected * (1.0 - share)).sqrt();
            let held = effective.iter().filter(|&&slot| slot == Some(node.id)).count() as f64;
            // Six standard deviations: once in 10^9.
            prop_assert!((held - expected).abs() <= 6.0 * deviation + 1.0, "{} {}", held, expected);
        }
    }
}
