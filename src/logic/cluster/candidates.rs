// SPDX-License-Identifier: GPL-2.0

//! Nodes that may have a connection which the owner of its slot does not know.

#![forbid(unsafe_code)]

use super::slots::{NodeId, Slot};

/// A few nodes, each once, the likeliest first. What does not fit is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates([Slot; Candidates::MOST]);

impl Candidates {
    /// How many there may be: so many copies of a packet may be sent for it.
    pub const MOST: usize = 4;

    /// This node, if it is one, and no other.
    pub fn only(node: Slot) -> Self {
        let mut others = Self::default();
        others.add(node);
        others
    }

    /// One more, if it is one.
    pub fn add(&mut self, node: Slot) {
        let Some(node) = node else { return };
        for place in &mut self.0 {
            match *place {
                Some(known) if known == node => return,
                Some(_) => (),
                None => {
                    *place = Some(node);
                    return;
                }
            }
        }
    }

    /// This node, if it is one, and those behind it.
    #[must_use]
    pub fn behind(self, node: Slot) -> Self {
        let mut others = Self::only(node);
        for known in self.iter() {
            others.add(Some(known));
        }
        others
    }

    /// Those that are wanted.
    pub fn filter(self, mut is_wanted: impl FnMut(NodeId) -> bool) -> Self {
        let mut others = Self::default();
        for node in self.iter() {
            others.add(Some(node).filter(|&node| is_wanted(node)));
        }
        others
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.iter().filter_map(|&node| node)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who may have connections of a slot behind a change, but for its new owner: the one before, whom
/// it spilled to, and all who could have any before that, as far as they fit in.
pub fn remember(history: Candidates, old: Slot, old_spill: Slot, new: Slot) -> Candidates {
    let history = history.behind(old_spill).behind(old);
    history.filter(|node| Some(node) != new)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_candidates)
)]
mod tests {
    use super::*;

    fn of(numbers: [u32; 5]) -> Candidates {
        let mut others = Candidates::default();
        for number in numbers {
            others.add(NodeId::new(number));
        }
        others
    }

    #[test]
    fn each_is_there_once_and_the_first_ones_stay() {
        let cases = [
            ([0, 0, 0, 0, 0], [0, 0, 0, 0]),
            ([0, 4, 0, 4, 0], [4, 0, 0, 0]),
            ([1, 2, 1, 3, 2], [1, 2, 3, 0]),
            ([5, 4, 3, 2, 1], [5, 4, 3, 2]),
        ];
        for (given, expected) in cases {
            let others = of(given);
            assert!(Iterator::eq(
                others.iter(),
                expected.iter().filter_map(|&number| NodeId::new(number))
            ));
            assert_eq!(others.is_empty(), given == [0; 5]);
        }
    }

    #[test]
    fn some_are_not_wanted() {
        let wanted = of([1, 2, 3, 0, 0]).filter(|node| node.get() != 2);
        assert_eq!(wanted, of([1, 3, 0, 0, 0]));
        assert_eq!(
            of([1, 2, 3, 4, 0]).behind(NodeId::new(5)),
            of([5, 1, 2, 3, 0])
        );
        assert_eq!(
            of([1, 2, 3, 0, 0]).behind(NodeId::new(2)),
            of([2, 1, 3, 0, 0])
        );
        assert_eq!(of([1, 2, 0, 0, 0]).behind(None), of([1, 2, 0, 0, 0]));
        assert_eq!(Candidates::only(None), Candidates::default());
        assert_eq!(Candidates::only(NodeId::new(7)), of([7, 0, 0, 0, 0]));
    }

    #[test]
    fn previous_owners() {
        // Who could have any, the old owner and whom it spilled to, the new owner; who can now.
        let cases = [
            ([0, 0], [1, 0, 1], [0, 0, 0]),
            ([0, 0], [1, 0, 2], [1, 0, 0]),
            ([0, 0], [0, 0, 2], [0, 0, 0]),
            ([0, 0], [1, 0, 0], [1, 0, 0]),
            ([1, 0], [2, 0, 3], [2, 1, 0]),
            ([1, 0], [2, 0, 1], [2, 0, 0]),
            ([1, 0], [0, 0, 2], [1, 0, 0]),
            ([1, 0], [2, 4, 3], [2, 4, 1]),
            ([4, 1], [2, 4, 2], [4, 1, 0]),
        ];
        for (history, [old, old_spill, new], expected) in cases {
            let of = |numbers: &[u32]| {
                let mut others = Candidates::default();
                for &number in numbers {
                    others.add(NodeId::new(number));
                }
                others
            };
            let [old, old_spill, new] = [old, old_spill, new].map(NodeId::new);
            assert_eq!(remember(of(&history), old, old_spill, new), of(&expected));
        }
    }
}
