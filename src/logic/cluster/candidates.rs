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

/// Who may have connections of a slot, as a table says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Its owner.
    pub owner: Slot,
    /// Whom it spills to.
    pub spill: Slot,
    /// Who stand in for its owner where that is believed to be away, the likeliest first.
    pub standing: Candidates,
}

impl Shares {
    /// All of them, with those that could have any before: the likeliest first. Of those who stand in only the
    /// likeliest one, unless machines may disagree: where many are asked nobody can say that nobody has a
    /// connection.
    pub fn with(&self, history: Candidates, is_young: bool) -> impl Iterator<Item = NodeId> {
        let mut standing = self.standing.0.into_iter().flatten();
        let latest = [self.owner, self.spill, standing.next()];
        let latest = latest.into_iter().flatten();
        let rest = standing.filter(move |_| is_young);
        latest.chain(history.0.into_iter().flatten()).chain(rest)
    }
}

/// Who may have connections of a slot behind a change, but for its new owner: those of the table before,
/// and all who could have any before that. Who only stood in has what room is left.
pub fn remember(history: Candidates, old: &Shares, new: Slot) -> Candidates {
    let is_other = |node| Some(node) != new;
    let history = history.behind(old.spill).behind(old.owner);
    let mut history = history.filter(is_other);
    let stood_in = old.standing.iter().next();
    history.add(stood_in.filter(|&node| is_other(node)));
    history
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
            let [owner, spill, new] = [old, old_spill, new].map(NodeId::new);
            let old = Shares {
                owner,
                spill,
                standing: Candidates::default(),
            };
            assert_eq!(remember(of(&history), &old, new), of(&expected));
        }
    }

    #[test]
    fn who_stood_in_has_the_room_that_is_left() {
        let slot = NodeId::new;
        let old = Shares {
            owner: slot(1),
            spill: None,
            standing: of([5, 6, 0, 0, 0]),
        };
        let history = of([3, 0, 0, 0, 0]);
        assert!(old.with(history, true).eq(of([1, 5, 3, 6, 0]).iter()));
        assert!(old.with(history, false).eq(of([1, 5, 3, 0, 0]).iter()));
        for (history, new, expected) in [
            ([0, 0, 0, 0, 0], 2, [1, 5, 0, 0, 0]),
            ([0, 0, 0, 0, 0], 5, [1, 0, 0, 0, 0]),
            ([0, 0, 0, 0, 0], 1, [5, 0, 0, 0, 0]),
            ([3, 4, 0, 0, 0], 2, [1, 3, 4, 5, 0]),
            ([3, 4, 7, 8, 0], 2, [1, 3, 4, 7, 0]),
        ] {
            assert_eq!(remember(of(history), &old, slot(new)), of(expected));
        }
    }
}
