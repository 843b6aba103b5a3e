// SPDX-License-Identifier: GPL-2.0

//! The nodes, and the table that says which of them owns which slot.
//!
//! How a table is made tells [`super::place`].

#![forbid(unsafe_code)]

use core::num::{NonZeroU16, NonZeroU32};

/// A node's id, not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(NonZeroU32);

impl NodeId {
    /// None for 0.
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// The owner of a slot, if it has one; as large as a node's id.
pub type Slot = Option<NodeId>;

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes connections.
    Up,
    /// It keeps the connections that it has and takes no others, if anybody else does.
    Draining,
    /// It is not there.
    Down,
}

/// A node, as far as it matters for its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Who it is.
    pub id: NodeId,
    /// How many slots it is to have, compared with others.
    pub weight: NonZeroU16,
    /// Whether it is there.
    pub state: State,
}

/// Notes who owned the slots that a change gives to another owner: `previous` has what earlier
/// changes noted that are young still, or `None` in each slot.
///
/// All three are of one length. What an earlier change noted of a slot stays if this one does not
/// move the slot. A slot that was without an owner in between has the one before that.
pub fn remember(previous: &mut [Slot], old: &[Slot], new: &[Slot]) {
    for ((previous, &old), &new) in previous.iter_mut().zip(old).zip(new) {
        if old.is_some() && old != new {
            *previous = old;
        }
        if *previous == new {
            *previous = None;
        }
    }
}

/// To whom the owner of each slot passes what it has no room for: to the owner of the next slot that
/// is another node and is up, from the first slot on again behind the last one.
///
/// `spill` is as long as `slots`. Whoever knows the table knows it, and neighbouring slots of one
/// node spill to different nodes as far as its neighbours are different.
pub fn spill(slots: &[Slot], is_up: impl Fn(NodeId) -> bool, spill: &mut [Slot]) {
    // The nearest node that is up behind the slot, and the nearest one that is another one.
    let (mut nearest, mut next): (Slot, Slot) = (None, None);
    // Twice round: what stands behind the last slot is known the second time.
    for _ in 0..2 {
        for (spill, &owner) in spill.iter_mut().zip(slots).rev() {
            *spill = match nearest == owner {
                true => next,
                false => nearest,
            };
            if owner.is_some_and(&is_up) && owner != nearest {
                (nearest, next) = (owner, nearest);
            }
        }
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_slots)
)]
mod tests {
    use super::*;

    #[test]
    fn spills_go_to_the_next_other_node_that_is_up() {
        // The owners, and to whom they spill; node 9 is not up, slot 0 has no owner.
        let cases = [
            ([1, 2, 3, 1], [2, 3, 1, 2]),
            ([1, 1, 1, 2], [2, 2, 2, 1]),
            ([1, 1, 1, 1], [0, 0, 0, 0]),
            ([1, 9, 9, 2], [2, 2, 2, 1]),
            ([9, 9, 9, 1], [1, 1, 1, 0]),
            ([0, 1, 0, 2], [1, 2, 2, 1]),
            ([2, 1, 2, 2], [1, 2, 1, 1]),
            ([0, 0, 0, 0], [0, 0, 0, 0]),
        ];
        for (owners, expected) in cases {
            let mut found = [None; 4];
            spill(&owners.map(NodeId::new), |node| node.get() != 9, &mut found);
            assert_eq!(found, expected.map(NodeId::new));
        }
    }

    #[test]
    fn previous_owners() {
        // What was noted, the old owner, the new one, and what is noted then.
        let cases = [
            ([0, 1, 1], 0),
            ([0, 1, 2], 1),
            ([0, 0, 2], 0),
            ([0, 1, 0], 1),
            ([1, 2, 2], 1),
            ([1, 2, 3], 2),
            ([1, 2, 1], 2),
            ([1, 0, 2], 1),
            ([1, 0, 1], 0),
            ([1, 0, 0], 1),
        ];
        for ([noted, old, new], expected) in cases {
            let mut previous = [NodeId::new(noted)];
            remember(&mut previous, &[NodeId::new(old)], &[NodeId::new(new)]);
            assert_eq!(previous, [NodeId::new(expected)]);
        }
    }
}
