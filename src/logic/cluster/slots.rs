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
    /// Its id.
    pub id: NodeId,
    /// How many slots it is to have, compared with others.
    pub weight: NonZeroU16,
    /// Whether it is there.
    pub state: State,
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
}
