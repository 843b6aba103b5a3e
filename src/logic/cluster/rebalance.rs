// SPDX-License-Identifier: GPL-2.0

//! Which node is to own which slot.
//!
//! The number of slots is fixed, whatever the number of nodes, so that only those slots move which
//! have to when a node comes or goes. [`rebalance`] changes a table such that
//!
//! - the nodes that are up share the slots by their weights: each has its quota `slots × weight /
//!   total weight` rounded down, and the slots that are left go to the largest remainders, of equal
//!   ones to the lowest ids;
//! - as few slots as possible get another owner: only those that a node has beyond its share, and
//!   those whose owner is not up.
//!
//! Draining nodes own slots only if no node is up. The result depends on the old table and on the
//! nodes, not on their order. Without an old table nodes of equal weight take turns: of n nodes
//! slot i gets the one with the (i mod n)-th id. With n slots this is the plain modulo rule.

#![forbid(unsafe_code)]

use super::{
    hash::SlotCount,
    slots::{Node, Slot, State}, //
};

/// The most nodes that a table can be made of.
pub const MAX_NODES: usize = 256;

/// What [`rebalance`] notes of a node; the caller lends the memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    id: Slot,
    /// 0 if the node is to have none.
    weight: u64,
    /// How many slots it is to have.
    due: u64,
    /// How many it has.
    held: u64,
    /// How many of these were looked at.
    seen: u64,
    /// What its quota was rounded down by, times the total weight.
    remainder: u64,
}

/// Why no table can be made; the old one has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceError {
    /// No slots, or more than [`MAX_SLOTS`](super::hash::MAX_SLOTS).
    SlotCount,
    /// More than [`MAX_NODES`].
    TooManyNodes,
    /// Less memory than one [`Share`] for each node.
    NoMemory,
    /// Two nodes have one id.
    SameId,
}

/// Makes a new table of the old one, see the module; all slots `None` stand for no old table.
///
/// `shares` is memory to work in, at least one for each node; what is in it does not matter.
/// Returns how many slots have changed.
pub fn rebalance(
    table: &mut [Slot],
    nodes: &[Node],
    shares: &mut [Share],
) -> Result<usize, RebalanceError> {
    SlotCount::new(table.len()).ok_or(RebalanceError::SlotCount)?;
    let shares = list(nodes, shares)?;
    set_quotas(shares, count(table.len()));
    let freed = free(table, shares);
    let mut given = 0usize;
    for slot in table.iter_mut().filter(|slot| slot.is_none()) {
        *slot = take_turn(shares);
        given = given.saturating_add(usize::from(slot.is_some()));
    }
    // What was freed is never given back, and all of it is given unless there is nobody.
    Ok(freed.max(given))
}

/// Lists the nodes by id.
fn list<'a>(nodes: &[Node], shares: &'a mut [Share]) -> Result<&'a mut [Share], RebalanceError> {
    if nodes.len() > MAX_NODES {
        return Err(RebalanceError::TooManyNodes);
    }
    let shares = shares
        .get_mut(..nodes.len())
        .ok_or(RebalanceError::NoMemory)?;
    let is_up = nodes.iter().any(|node| node.state == State::Up);
    let eligible = if is_up { State::Up } else { State::Draining };
    for (share, node) in shares.iter_mut().zip(nodes) {
        let weight = match node.state == eligible {
            true => u64::from(node.weight.get()),
            false => 0,
        };
        *share = Share {
            id: Some(node.id),
            weight,
            ..Share::default()
        };
    }
    sort(shares);
    let mut pairs = shares.iter().zip(shares.iter().skip(1));
    match pairs.any(|(one, next)| one.id == next.id) {
        true => Err(RebalanceError::SameId),
        false => Ok(shares),
    }
}

/// Sorts by insertion: the nodes are few, mostly in order, and core's own sort wants more stack.
fn sort(shares: &mut [Share]) {
    for end in 1..shares.len() {
        for at in (1..=end).rev() {
            match shares.get_mut(at.saturating_sub(1)..=at) {
                Some([one, next]) if one.id > next.id => core::mem::swap(one, next),
                _ => break,
            }
        }
    }
}

/// Sets what each node is to have: by largest remainder, the list's first of equal ones.
fn set_quotas(shares: &mut [Share], slots: u64) {
    // At most 2^8 weights of 16 bits, and 2^12 slots.
    let total = shares.iter().map(|share| share.weight).sum::<u64>();
    let mut left = slots;
    for share in shares.iter_mut() {
        let quota = slots.saturating_mul(share.weight);
        share.due = quota.checked_div(total).unwrap_or(0);
        share.remainder = quota.checked_rem(total).unwrap_or(0);
        left = left.saturating_sub(share.due);
    }
    // Fewer are left than there are remainders.
    for _ in 0..left {
        let rounded = shares.iter_mut().filter(|share| share.remainder > 0);
        let largest = first_max(rounded, |one, best| one.remainder > best.remainder);
        if let Some(share) = largest {
            share.due = share.due.saturating_add(1);
            share.remainder = 0;
        }
    }
}

/// Frees the slots that no node is to have, or that their owner has beyond its share: of these every
/// so manyth, so that what is left to it and what others get lies spread. Returns how many.
fn free(table: &mut [Slot], shares: &mut [Share]) -> usize {
    for slot in table.iter() {
        if let Some(share) = find(shares, *slot) {
            share.held = share.held.saturating_add(1);
        }
    }
    let mut freed = 0usize;
    for slot in table.iter_mut().filter(|slot| slot.is_some()) {
        if find(shares, *slot).is_none_or(Share::frees_next) {
            *slot = None;
            freed = freed.saturating_add(1);
        }
    }
    for share in shares.iter_mut() {
        share.held = share.held.min(share.due);
    }
    freed
}

impl Share {
    /// Whether the next slot that it has is one of those to free.
    fn frees_next(&mut self) -> bool {
        let surplus = self.held.saturating_sub(self.due);
        let freed_of = |seen: u64| {
            let freed = seen.saturating_mul(surplus).checked_div(self.held);
            freed.unwrap_or(0)
        };
        let before = freed_of(self.seen);
        let after = freed_of(self.seen.saturating_add(1));
        self.seen = self.seen.saturating_add(1);
        after > before
    }

    /// How many slots it lacks.
    fn lack(&self) -> u64 {
        self.due.saturating_sub(self.held)
    }
}

/// The node that gets the next free slot: the one that lacks most of its share.
fn take_turn(shares: &mut [Share]) -> Slot {
    let lacking = shares.iter_mut().filter(|share| share.lack() > 0);
    let share = first_max(lacking, |one, best| {
        one.lack().saturating_mul(best.due) > best.lack().saturating_mul(one.due)
    })?;
    share.held = share.held.saturating_add(1);
    share.id
}

fn first_max<'a>(
    shares: impl Iterator<Item = &'a mut Share>,
    is_greater: impl Fn(&Share, &Share) -> bool,
) -> Option<&'a mut Share> {
    shares.reduce(|best, one| match is_greater(one, best) {
        true => one,
        false => best,
    })
}

fn find(shares: &mut [Share], slot: Slot) -> Option<&mut Share> {
    let at = shares.binary_search_by_key(&slot, |share| share.id).ok()?;
    shares.get_mut(at)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_rebalance)
)]
mod tests {
    use super::{super::slots::NodeId, *};
    use core::num::NonZeroU16;

    /// A table of ids; 0 for none.
    fn table<const N: usize>(ids: [u32; N]) -> [Slot; N] {
        ids.map(NodeId::new)
    }

    /// Of (id, weight, state); what has no id or no weight is left out.
    fn placed<const N: usize>(
        old: [u32; N],
        nodes: &[(u32, u16, State)],
    ) -> Result<(usize, [u32; N]), RebalanceError> {
        let mut list = [None; 8];
        for (to, &(id, weight, state)) in list.iter_mut().zip(nodes) {
            if let (Some(id), Some(weight)) = (NodeId::new(id), NonZeroU16::new(weight)) {
                *to = Some(Node { id, weight, state });
            }
        }
        let [Some(first), ..] = list else {
            return Err(RebalanceError::NoMemory);
        };
        let mut known = list.map(|node| node.unwrap_or(first));
        let known = known.get_mut(..nodes.len()).unwrap_or(&mut []);
        let mut table = table(old);
        let moved = rebalance(&mut table, known, &mut [Share::default(); 8])?;
        Ok((moved, table.map(|slot| slot.map_or(0, NodeId::get))))
    }

    use State::{Down, Draining, Up};

    #[test]
    fn from_scratch() {
        // The plain modulo rule, whatever the order; then with more slots, and with weights.
        let nodes = [(5, 1, Up), (2, 1, Up), (9, 1, Up)];
        assert_eq!(placed([0; 3], &nodes), Ok((3, [2, 5, 9])));
        assert_eq!(placed([0; 8], &nodes), Ok((8, [2, 5, 9, 2, 5, 9, 2, 5])));
        assert_eq!(placed([0; 2], &nodes), Ok((2, [2, 5])));
        let nodes = [(1, 2, Up), (2, 1, Up)];
        assert_eq!(placed([0; 6], &nodes), Ok((6, [1, 2, 1, 1, 2, 1])));
        let nodes = [(1, 3, Up), (2, 2, Up), (3, 1, Up)];
        assert_eq!(placed([0; 8], &nodes), Ok((8, [1, 2, 3, 1, 2, 1, 2, 1])));
        let nodes = [(1, 65_535, Up), (2, 1, Up)];
        assert_eq!(placed([0; 3], &nodes), Ok((3, [1, 1, 1])));
    }

    /// A node of weight 1.
    fn up(id: u32) -> (u32, u16, State) {
        (id, 1, Up)
    }

    fn draining(id: u32) -> (u32, u16, State) {
        (id, 1, Draining)
    }

    fn down(id: u32) -> (u32, u16, State) {
        (id, 1, Down)
    }

    fn check(old: [u32; 6], nodes: &[(u32, u16, State)], moved: usize, new: [u32; 6]) {
        assert_eq!(placed(old, nodes), Ok((moved, new)));
    }

    #[test]
    fn nodes_come_and_go() {
        let three = [up(1), up(2), up(3)];
        // They come, and take slots here and there.
        check([1; 6], &[up(1), up(2)], 3, [1, 2, 1, 2, 1, 2]);
        check([1, 2, 1, 2, 1, 2], &three, 2, [1, 2, 1, 2, 3, 3]);
        // One drains, and is back.
        let drained = [up(1), up(2), draining(3)];
        check([1, 2, 1, 2, 3, 3], &drained, 2, [1, 2, 1, 2, 1, 2]);
        // Of another table one goes, drains or is down, and is back.
        let (old, new) = ([1, 2, 3, 1, 2, 3], [1, 2, 1, 1, 2, 2]);
        check(old, &[up(1), up(2)], 2, new);
        check(old, &drained, 2, new);
        check(old, &[up(1), up(2), down(3)], 2, new);
        check(new, &three, 2, [1, 2, 1, 3, 2, 3]);
        check(old, &[down(1), up(2)], 4, [2; 6]);
        // Nothing changes.
        check([3, 3, 2, 2, 1, 1], &three, 0, [3, 3, 2, 2, 1, 1]);
        // Slots of what is no node are free.
        check([7, 7, 2, 2, 0, 8], &[up(1), up(2)], 4, [1, 1, 2, 2, 1, 2]);
    }

    #[test]
    fn no_node_is_up() {
        let old = [1, 2, 1, 2, 1, 2];
        check(old, &[draining(1), draining(2)], 0, old);
        check(old, &[draining(1), down(2)], 3, [1; 6]);
        check([1, 2, 1, 2, 1, 0], &[down(1), down(2)], 5, [0; 6]);
        check([0; 6], &[down(1)], 0, [0; 6]);
    }

    #[test]
    fn what_is_refused() {
        let Some(id) = NodeId::new(1) else { return };
        let weight = NonZeroU16::MIN;
        let node = Node {
            id,
            weight,
            state: Up,
        };
        let mut memory = [Share::default(); 2];
        let mut rebalance =
            |table: &mut [Slot], nodes: &[Node]| rebalance(table, nodes, &mut memory);
        assert_eq!(rebalance(&mut [], &[node]), Err(RebalanceError::SlotCount));
        assert_eq!(
            rebalance(&mut [None], &[node, node]),
            Err(RebalanceError::SameId)
        );
        assert_eq!(
            rebalance(&mut [None], &[node; 3]),
            Err(RebalanceError::NoMemory)
        );
        let many = [node; MAX_NODES.saturating_add(1)];
        assert_eq!(
            rebalance(&mut [None], &many),
            Err(RebalanceError::TooManyNodes)
        );
        assert_eq!(rebalance(&mut [Some(id)], &[]), Ok(1));
    }
}
