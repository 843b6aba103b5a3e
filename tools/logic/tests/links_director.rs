// SPDX-License-Identifier: GPL-2.0
//! Directors of which some see each other: after all have heard of the latest change, one is active among
//! those that do.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::cluster::slots::NodeId;
use service_group_logic::logic::links::director::{decide, Claim, Own, Reason, Seen};

const COUNT: usize = 5;

#[derive(Clone, Debug)]
enum Change {
    /// Directors are in these parts of the network.
    Parts(Vec<u8>),
    /// One can direct, or cannot.
    Able(usize, bool),
    /// One has a newer table.
    Newer(usize),
    /// One has restarted.
    Restart(usize),
    /// Two hold each other back, or do not.
    Hold(usize, usize, bool),
    /// All look at the others, in this order.
    Look(Vec<usize>),
}

fn order() -> impl Strategy<Value = Vec<usize>> {
    Just((0..COUNT).collect::<Vec<_>>()).prop_shuffle()
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = || 0..COUNT;
    let change = prop_oneof![
        2 => vec(0u8..3, COUNT).prop_map(Change::Parts),
        2 => (one(), any::<bool>()).prop_map(|(who, able)| Change::Able(who, able)),
        1 => one().prop_map(Change::Newer),
        1 => one().prop_map(Change::Restart),
        1 => (one(), one(), any::<bool>()).prop_map(|(a, b, held)| Change::Hold(a, b, held)),
        4 => order().prop_map(Change::Look),
    ];
    vec(change, 0..40)
}

/// All of them, in the order of their ranks; what they say is heard at once.
#[derive(Clone, Debug)]
struct Network {
    all: [Own; COUNT],
    part: Vec<u8>,
    held: [[bool; COUNT]; COUNT],
}

fn directors() -> Vec<NodeId> {
    // The order of ids is not that of ranks.
    [40, 10, 30, 20, 50]
        .into_iter()
        .filter_map(NodeId::new)
        .collect()
}

impl Network {
    fn new() -> Self {
        let own = Own {
            able: true,
            active: false,
            epoch: 1,
        };
        Self {
            all: [own; COUNT],
            part: vec![0; COUNT],
            held: [[false; COUNT]; COUNT],
        }
    }

    fn seen(&self, by: usize, of: usize) -> Seen {
        let own = self.all[of];
        match self.part[by] == self.part[of] && own.able {
            false => Seen::Absent,
            true => Seen::There(Claim {
                active: own.active,
                held: self.held[by][of],
                epoch: own.epoch,
            }),
        }
    }

    fn look(&mut self, who: usize) -> Reason {
        let directors = directors();
        let rank = |id| directors.iter().position(|&other| other == id).unwrap();
        let decision = decide(&directors, Some(directors[who]), self.all[who], |id| {
            self.seen(who, rank(id))
        });
        self.all[who].active = decision.active;
        assert_eq!(decision.active, decision.acting == Some(directors[who]));
        decision.reason
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Parts(part) => self.part.clone_from(part),
            Change::Able(who, able) => self.all[*who].able = *able,
            Change::Newer(who) => self.all[*who].epoch += 1,
            Change::Restart(who) => self.all[*who].active = false,
            Change::Hold(one, other, held) => {
                self.held[*one][*other] = *held;
                self.held[*other][*one] = *held;
            }
            Change::Look(order) => {
                for &who in order {
                    self.look(who);
                }
            }
        }
    }

    fn settle(&mut self, order: &[usize]) {
        for _ in 0..2 * COUNT {
            self.change(&Change::Look(order.to_vec()));
        }
    }

    /// The active ones of a part.
    fn active(&self, part: u8) -> Vec<usize> {
        let all = 0..COUNT;
        all.filter(|&who| self.part[who] == part && self.all[who].active)
            .collect()
    }

    fn able(&self, part: u8) -> Vec<usize> {
        let all = 0..COUNT;
        all.filter(|&who| self.part[who] == part && self.all[who].able)
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever has happened: of those that see each other one is active, if any can be.
    #[test]
    fn one_is_active_in_each_part(changes in changes(), order in order()) {
        let mut network = Network::new();
        for change in &changes {
            network.change(change);
        }
        network.settle(&order);
        for part in 0..3 {
            let able = network.able(part);
            let active = network.active(part);
            prop_assert_eq!(active.len(), able.len().min(1), "{:?}", network);
        }
        let before = network.clone();
        network.settle(&order);
        prop_assert!(before.all == network.all, "{:?} is not the end", before);
    }

    /// With one table, and nobody held back, it is the first one that is there.
    #[test]
    fn the_first_one_is_active(changes in changes(), order in order()) {
        let mut network = Network::new();
        for change in &changes {
            match change {
                Change::Newer(_) | Change::Hold(..) => {}
                change => network.change(change),
            }
        }
        network.settle(&order);
        for part in 0..3 {
            let first = network.able(part).into_iter().take(1).collect::<Vec<_>>();
            prop_assert_eq!(network.active(part), first);
        }
    }

    /// While one stays active nobody else takes its place but a better one, which is active first.
    #[test]
    fn there_is_no_gap(changes in changes(), order in order()) {
        let mut network = Network::new();
        for change in &changes {
            let before = network.clone();
            network.change(change);
            let Change::Look(_) = change else { continue };
            for part in 0..3 {
                let was_there = before.active(part).iter().any(|&who| network.all[who].able);
                prop_assert!(!was_there || !network.active(part).is_empty());
            }
        }
        network.settle(&order);
    }

    /// All name the same one, those as well that are no directors.
    #[test]
    fn all_name_the_same_one(changes in changes(), order in order()) {
        let mut network = Network::new();
        for change in &changes {
            network.change(change);
        }
        network.part = vec![0; COUNT];
        network.settle(&order);
        let directors = directors();
        let expected = network.active(0).first().map(|&who| directors[who]);
        let own = Own { able: false, active: false, epoch: 0 };
        for this in directors.iter().copied().map(Some).chain([None]) {
            let place = directors.iter().position(|&id| Some(id) == this);
            let own = place.map_or(own, |who| network.all[who]);
            let decision = decide(&directors, this, own, |id| {
                let of = directors.iter().position(|&other| other == id).unwrap();
                network.seen(place.unwrap_or(0), of)
            });
            prop_assert_eq!(decision.acting, expected);
        }
    }
}
