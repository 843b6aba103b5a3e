// SPDX-License-Identifier: GPL-2.0
//! Properties of the table of slots, whatever the nodes are and were.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use service_group_logic::logic::cluster::candidates::{remember, Candidates, Shares};
use service_group_logic::logic::cluster::hash::MAX_SLOTS;
use service_group_logic::logic::cluster::rebalance::{rebalance, Share, MAX_NODES};
use service_group_logic::logic::cluster::slots::{Node, NodeId, Slot, State};
use std::num::NonZeroU16;

fn id(number: u32) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A slot that only its owner may have flows of.
fn owned(owner: Slot) -> Shares {
    Shares {
        owner,
        ..Shares::default()
    }
}

/// Few ids, so that nodes come back.
fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let weight = prop_oneof![Just(1u16), 1u16..8, 1u16..];
    let state = prop_oneof![
        4 => Just(State::Up),
        1 => Just(State::Draining),
        1 => Just(State::Down),
    ];
    btree_map(1u32..12, (weight, state), 0..10).prop_map(|nodes| {
        let node = |(number, (weight, state))| Node {
            id: id(number),
            weight: NonZeroU16::new(weight).unwrap(),
            state,
        };
        nodes.into_iter().map(node).collect()
    })
}

/// Any old table, also one that nobody would have made.
fn table() -> impl Strategy<Value = Vec<Slot>> {
    let slot = (0u32..14).prop_map(NodeId::new);
    let length = prop_oneof![1usize..20, 1usize..300];
    length.prop_flat_map(move |length| vec(slot.clone(), length))
}

fn placed(old: &[Slot], nodes: &[Node]) -> (Vec<Slot>, usize) {
    let mut table = old.to_vec();
    let mut shares = vec![Share::default(); nodes.len()];
    let moved = rebalance(&mut table, nodes, &mut shares).unwrap();
    (table, moved)
}

fn held(table: &[Slot], node: &Node) -> usize {
    table.iter().filter(|&&slot| slot == Some(node.id)).count()
}

/// Those that are to own slots.
fn eligible(nodes: &[Node]) -> Vec<Node> {
    let of = |state| {
        let nodes = nodes.iter().copied();
        nodes.filter(|node| node.state == state).collect::<Vec<_>>()
    };
    match of(State::Up) {
        up if up.is_empty() => of(State::Draining),
        up => up,
    }
}

fn total(nodes: &[Node]) -> u64 {
    nodes.iter().map(|node| u64::from(node.weight.get())).sum()
}

/// The quota of a node, in slots times the total weight.
fn quota(node: &Node, slots: usize) -> u64 {
    u64::from(node.weight.get()) * slots as u64
}

/// What each is due by largest remainder, computed by sorting.
fn dues(nodes: &[Node], slots: usize) -> Vec<(Node, usize)> {
    let total = total(nodes);
    let mut order: Vec<Node> = nodes.to_vec();
    order.sort_by_key(|node| (std::cmp::Reverse(quota(node, slots) % total), node.id));
    let floor = |node: &Node| (quota(node, slots) / total) as usize;
    let left = slots - order.iter().map(floor).sum::<usize>();
    let due = |(rank, node): (usize, &Node)| (*node, floor(node) + usize::from(rank < left));
    order.iter().enumerate().map(due).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn shares_are_within_one_of_their_quota(old in table(), nodes in nodes()) {
        let (table, _) = placed(&old, &nodes);
        let owners = eligible(&nodes);
        let total = total(&owners);
        for (node, due) in dues(&owners, table.len()) {
            let held = held(&table, &node);
            prop_assert!((held as u64 * total).abs_diff(quota(&node, table.len())) < total);
            prop_assert_eq!(held, due);
        }
        let owned = table.iter().filter(|slot| slot.is_some()).count();
        prop_assert_eq!(owned, if owners.is_empty() { 0 } else { table.len() });
        let is_owner = |slot: &Slot| owners.iter().any(|node| Some(node.id) == *slot);
        prop_assert!(table.iter().all(|slot| slot.is_none() || is_owner(slot)));
    }

    #[test]
    fn as_few_slots_move_as_can(old in table(), nodes in nodes()) {
        let (table, moved) = placed(&old, &nodes);
        let changed = old.iter().zip(&table).filter(|(old, new)| old != new).count();
        prop_assert_eq!(moved, changed);
        // No table with these shares keeps more than this.
        let owners = eligible(&nodes);
        if owners.is_empty() {
            return Ok(());
        }
        let kept = |(node, due): (Node, usize)| due.min(held(&old, &node));
        let most: usize = dues(&owners, old.len()).into_iter().map(kept).sum();
        prop_assert_eq!(changed, old.len() - most);
    }

    #[test]
    fn the_order_of_the_nodes_is_irrelevant(
        old in table(),
        (nodes, shuffled) in nodes().prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
        dirt in nodes(),
    ) {
        // And so is what is in the memory.
        let mut shares = vec![Share::default(); 12];
        rebalance(&mut old.clone(), &dirt, &mut shares).unwrap();
        let mut table = old.clone();
        rebalance(&mut table, &shuffled, &mut shares).unwrap();
        prop_assert_eq!(placed(&old, &nodes).0, table);
    }

    #[test]
    fn the_same_nodes_change_nothing(old in table(), nodes in nodes()) {
        let (table, _) = placed(&old, &nodes);
        prop_assert_eq!(placed(&table, &nodes), (table, 0));
    }

    #[test]
    fn one_that_drains_and_is_back_has_its_share(slots in 1usize..300, nodes in nodes(), at: prop::sample::Index) {
        let (before, _) = placed(&vec![None; slots], &nodes);
        let mut drained = nodes.clone();
        if !nodes.is_empty() {
            drained[at.index(nodes.len())].state = State::Draining;
        }
        let (between, gone) = placed(&before, &drained);
        let (after, back) = placed(&between, &nodes);
        for node in &nodes {
            prop_assert_eq!(held(&before, node), held(&after, node));
        }
        // Other nodes do not exchange slots while one is up to take them.
        if eligible(&drained).iter().any(|node| node.state == State::Up) {
            prop_assert_eq!(gone, back);
        }
    }

    #[test]
    fn equal_nodes_take_turns(slots in 1usize..300, ids in btree_map(1u32.., Just(()), 1..20)) {
        let ids: Vec<NodeId> = ids.into_keys().map(id).collect();
        let node = |&id: &NodeId| Node { id, weight: NonZeroU16::new(7).unwrap(), state: State::Up };
        let nodes: Vec<Node> = ids.iter().map(node).collect();
        let (table, _) = placed(&vec![None; slots], &nodes);
        for (slot, owner) in table.into_iter().enumerate() {
            prop_assert_eq!(owner, Some(ids[slot % ids.len()]));
        }
    }

    #[test]
    fn what_a_change_moves_is_remembered(old in table(), first in nodes(), second in nodes()) {
        let (between, _) = placed(&old, &first);
        let (new, _) = placed(&between, &second);
        for ((&old, &between), &new) in old.iter().zip(&between).zip(&new) {
            let once = remember(Candidates::default(), &owned(old), between);
            prop_assert_eq!(once, Candidates::only(old.filter(|_| old != between)));
            // All owners before the present one, the latest first.
            let mut all = Candidates::only(between.filter(|_| between != new));
            all.add(old.filter(|_| old != new && old != between));
            prop_assert_eq!(remember(once, &owned(between), new), all);
        }
    }
}

#[test]
fn the_largest_table() {
    let node = |number: usize| Node {
        id: id(number as u32),
        weight: NonZeroU16::new(if number == 1 { u16::MAX } else { number as u16 }).unwrap(),
        state: State::Up,
    };
    let nodes: Vec<Node> = (1..=MAX_NODES).rev().map(node).collect();
    let (table, moved) = placed(&vec![None; usize::from(MAX_SLOTS)], &nodes);
    assert_eq!(moved, usize::from(MAX_SLOTS));
    for (node, due) in dues(&nodes, table.len()) {
        assert_eq!(held(&table, &node), due);
    }
}
