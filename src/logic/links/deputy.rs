// SPDX-License-Identifier: GPL-2.0

//! Who gets the new flows of a node that is away.
//!
//! A slot whose owner is away has a *deputy*: of the nodes that are up and not away the one that draws
//! the least lot for this slot. A lot is exponentially distributed, with the node's weight as its rate,
//! and depends on the numbers of the slot and of the node only (weighted rendezvous hashing). So
//!
//! - only slots of nodes that are away have another owner than in the table;
//! - nodes get such slots in the proportion of their weights;
//! - if a deputy goes away itself, only the slots that it had move once more;
//! - machines that believe the same nodes to be away name the same deputies, whatever order they list
//!   the nodes in.
//!
//! If there is no such node the slot stays with its owner, as nobody else could do better.
//!
//! It does not know why a node is away.

#![forbid(unsafe_code)]

use crate::logic::cluster::{
    candidates::Candidates,
    siphash::{siphash_2_4, Key},
    slots::{Node, NodeId, Slot, State}, //
};

/// The owners of all slots while some nodes are away. `effective` is as long as `slots`.
///
/// `is_away` is asked for each slot, and for each node for each slot whose owner is away.
pub fn deputies(
    slots: &[Slot],
    nodes: &[Node],
    is_away: impl Fn(NodeId) -> bool,
    effective: &mut [Slot],
) {
    for (number, (effective, &owner)) in effective.iter_mut().zip(slots).enumerate() {
        *effective = match owner.is_some_and(&is_away) {
            true => deputy(number, nodes, &is_away).or(owner),
            false => owner,
        };
    }
}

/// Who may have connections of slots besides their present owners. `effective` and `standing` are as long
/// as `slots`.
///
/// Another machine may take a slot's owner to be away when this one does not, even if this one is the
/// owner, and one node more. So these may have connections of a slot, and are among those that a packet's
/// second chance is for: the owner by the table, its deputy, and, while machines may disagree, the deputy that
/// it has if that one is away, too. As all machines name the same ones, nobody need be told.
pub fn standing(slots: &[Slot], effective: &[Slot], nodes: &[Node], standing: &mut [Candidates]) {
    let slots = Iterator::zip(slots.iter(), effective).enumerate();
    for (standing, (number, (&owner, &now))) in standing.iter_mut().zip(slots) {
        let mut all = Candidates::only(owner);
        if owner.is_some() {
            let first = deputy(number, nodes, |node| Some(node) == owner);
            let is_away = |node| [owner, first].contains(&Some(node));
            all.add(first);
            all.add(deputy(number, nodes, is_away));
        }
        *standing = all.filter(|node| Some(node) != now);
    }
}

/// Who has this slot if its owner is away: none if nobody is up and not away.
pub fn deputy(slot: usize, nodes: &[Node], is_away: impl Fn(NodeId) -> bool) -> Slot {
    let there = nodes
        .iter()
        .filter(|node| node.state == State::Up && !is_away(node.id));
    let lots = there.map(|node| Lot::draw(slot, node));
    let least = lots.reduce(|least, lot| match lot.is_less_than(&least) {
        true => lot,
        false => least,
    })?;
    Some(least.node)
}

/// What a node has drawn for a slot.
struct Lot {
    node: NodeId,
    /// Exponentially distributed, before it is divided by the weight.
    number: u64,
    weight: u64,
}

impl Lot {
    fn draw(slot: usize, node: &Node) -> Self {
        // No secret: all machines are to draw the same, and clients choose the slot of a flow in any case.
        const KEY: Key = Key::from_bytes(*b"service_group: a");
        let [s0, s1, s2, s3] = u32::try_from(slot).unwrap_or(u32::MAX).to_le_bytes();
        let [n0, n1, n2, n3] = node.id.get().to_le_bytes();
        let hash = siphash_2_4(KEY, &[s0, s1, s2, s3, n0, n1, n2, n3]);
        Self {
            node: node.id,
            number: minus_log2(hash),
            weight: u64::from(node.weight.get()),
        }
    }

    /// Compares the quotients, and of equal ones the ids.
    fn is_less_than(&self, other: &Self) -> bool {
        // At most 2^35 times 2^16.
        let this = self.number.saturating_mul(other.weight);
        let that = other.number.saturating_mul(self.weight);
        (this, self.node) < (that, other.node)
    }
}

/// How many bits of a logarithm are behind the point.
const FRACTION_BITS: u32 = 28;

/// The negative binary logarithm of a hash as a fraction of 2^64: from 0 to 64, with [`FRACTION_BITS`]
/// behind the point. Of a fraction that is evenly distributed it is exponentially distributed.
fn minus_log2(hash: u64) -> u64 {
    // 0 would be infinite, and counts as 1.
    let hash = hash | 1;
    let zeros = hash.leading_zeros();
    // The fraction is mantissa × 2^-(zeros + 1), and the mantissa, with 31 bits behind the point, from
    // 1 to below 2.
    let mut mantissa = hash.wrapping_shl(zeros) >> 32;
    let mut log = 0u64;
    // Squaring doubles the logarithm: its bits come out one after the other.
    for _ in 0..FRACTION_BITS {
        mantissa = mantissa.wrapping_mul(mantissa) >> 31;
        let bit = mantissa >> 32;
        mantissa >>= bit;
        log = (log << 1) | bit;
    }
    let whole = u64::from(zeros).saturating_add(1) << FRACTION_BITS;
    whole.saturating_sub(log)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_deputy)
)]
mod tests {
    use super::*;
    use core::num::NonZeroU16;

    /// Nodes 1 to 4 of these weights and states.
    fn with_nodes(nodes: [(u16, State); 4], check: impl Fn(&[Node])) {
        let mut id = 0u32;
        let made = nodes.map(|(weight, state)| {
            id = id.saturating_add(1);
            Some(Node {
                id: NodeId::new(id)?,
                weight: NonZeroU16::new(weight)?,
                state,
            })
        });
        let [Some(a), Some(b), Some(c), Some(d)] = made else {
            assert!(made.iter().all(Option::is_some));
            return;
        };
        check(&[a, b, c, d]);
    }

    fn owners<const N: usize>(ids: [u32; N], nodes: &[Node], away: &[u32]) -> [u32; N] {
        let mut effective = [None; N];
        let is_away = |id: NodeId| away.contains(&id.get());
        deputies(&ids.map(NodeId::new), nodes, is_away, &mut effective);
        effective.map(|slot| slot.map_or(0, NodeId::get))
    }

    #[test]
    fn only_slots_of_nodes_that_are_away_move() {
        with_nodes([(1, State::Up); 4], |nodes| {
            let table = [1, 2, 3, 4, 0, 1, 2, 9];
            assert_eq!(owners(table, nodes, &[]), table);
            for away in 1..=4u32 {
                let found = owners(table, nodes, &[away]);
                for (found, owner) in found.into_iter().zip(table) {
                    assert_eq!((found == owner), (owner != away));
                    assert!(found != away);
                }
            }
        });
    }

    #[test]
    fn who_may_be_a_deputy() {
        // With nobody else the owner is as good.
        let table = [1, 1, 1, 2];
        let cases = [
            (
                [State::Up, State::Down, State::Down, State::Draining],
                [1, 1, 1, 2],
            ),
            (
                [State::Up, State::Down, State::Up, State::Draining],
                [3, 3, 3, 2],
            ),
            (
                [State::Draining, State::Down, State::Up, State::Draining],
                [3, 3, 3, 2],
            ),
        ];
        for (states, expected) in cases {
            with_nodes(states.map(|state| (1, state)), |nodes| {
                assert_eq!(owners(table, nodes, &[1]), expected);
            });
        }
        with_nodes([(1, State::Up); 4], |nodes| {
            assert_eq!(owners(table, nodes, &[1, 2, 3, 4]), table);
            assert_eq!(owners(table, nodes, &[1, 2, 3]), [4; 4]);
        });
        assert_eq!(owners(table, &[], &[1]), table);
    }

    /// Deputies of four nodes: all versions of the module name these.
    #[test]
    fn all_versions_name_the_same() {
        with_nodes(
            [
                (1, State::Up),
                (2, State::Up),
                (3, State::Up),
                (65_535, State::Up),
            ],
            |nodes| {
                assert_eq!(
                    owners([4; 16], nodes, &[4]),
                    [3, 3, 1, 2, 2, 2, 3, 1, 3, 3, 3, 2, 2, 3, 3, 3]
                );
            },
        );
    }

    #[test]
    fn who_stands_in_is_deputy_for_another_machine() {
        with_nodes([(1, State::Up); 4], |nodes| {
            let deputy = |away: &[u32]| owners([1], nodes, away)[0];
            let first = deputy(&[1]);
            let second = deputy(&[1, first]);
            let third = deputy(&[1, first, second]);
            for (now, expected) in [
                (1, [first, second, 0]),
                (first, [1, second, 0]),
                (second, [1, first, 0]),
                (third, [1, first, second]),
            ] {
                let mut all = [Candidates::default()];
                standing(&[NodeId::new(1)], &[NodeId::new(now)], nodes, &mut all);
                let mut candidates = Candidates::default();
                for node in expected {
                    candidates.add(NodeId::new(node));
                }
                assert_eq!(all, [candidates]);
            }
        });
    }

    #[test]
    fn who_stands_in_may_be_nobody() {
        let slots = [None, NodeId::new(1)];
        let states = [State::Up, State::Down, State::Down, State::Draining];
        with_nodes(states.map(|state| (1, state)), |nodes| {
            let mut all = [Candidates::only(NodeId::new(9)); 2];
            standing(&slots, &slots, nodes, &mut all);
            assert_eq!(all, [Candidates::default(); 2]);
        });
    }

    #[test]
    fn logarithms() {
        // With 28 bits behind the point; of powers of 2, and of what is nearest to 1.
        for (hash, expected) in [
            (0, 64 << 28),
            (1, 64 << 28),
            ((1 << 62) | 1, 2 << 28),
            (1 << 63, 1 << 28),
            (3 << 62, 111_410_780),
            (u64::MAX, 0),
        ] {
            let log = minus_log2(hash);
            assert!(log.abs_diff(expected) <= 2);
        }
    }

    #[test]
    fn of_equal_lots_the_lower_id_wins() {
        let (Some(low), Some(high)) = (NodeId::new(1), NodeId::new(2)) else {
            return;
        };
        let lot = |node, number, weight| Lot {
            node,
            number,
            weight,
        };
        assert!(lot(low, 2, 2).is_less_than(&lot(high, 1, 1)));
        assert!(!lot(high, 2, 2).is_less_than(&lot(low, 1, 1)));
        assert!(lot(high, 1, 2).is_less_than(&lot(low, 1, 1)));
        assert!(!lot(low, 64 << 28, 1).is_less_than(&lot(high, 64 << 28, 65_535)));
    }
}
