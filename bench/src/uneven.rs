// SPDX-License-Identifier: GPL-2.0

//! Every second worker takes ten times as long: how long clients wait.
//!
//! The goals are those of `balance`: much better than the hash, which gives slow and
//! fast workers the same, and no worse than one listener for all, from which each
//! worker takes what it can.

use crate::load::{self, Case, P99, Run, STOCK, Series, Variant};
use crate::row::{self, Row};

const SHARED: &str = "one listener for all";

/// All that goes to the file: each variant beside the stock kernel, and the goals.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = load::rows(runs, Case::Uneven);
    rows.extend(goals(runs));
    rows
}

/// By peer, and then by load.
fn goals(runs: &[Run]) -> Vec<Row> {
    let all: Vec<[Row; 2]> = load::loads(runs)
        .into_iter()
        .map(|load| goals_of(runs, load))
        .collect();
    let (hash, queue): (Vec<Row>, Vec<Row>) =
        all.into_iter().map(|[hash, queue]| (hash, queue)).unzip();
    hash.into_iter().chain(queue).collect()
}

fn goals_of(runs: &[Run], load: u32) -> [Row; 2] {
    let of = |variant| Series::of(runs, Case::Uneven, variant, load);
    let balance = of(Variant::Balance);
    let hash = balance.row(P99, STOCK, &of(Variant::Reuseport));
    let half = hash.ratio.is_some_and(|ratio| ratio <= 0.5);
    let queue = balance.row(P99, SHARED, &of(Variant::Shared));
    let no_worse = queue.ratio.is_some_and(|ratio| ratio <= 1.0);
    [
        hash.renamed(" beside SO_REUSEPORT")
            .with_goal("at most half the peer's", half && balance_ran(&balance)),
        queue
            .renamed(" beside one listener")
            .with_goal("at most the peer's", no_worse && balance_ran(&balance)),
    ]
}

/// Nothing is better than anything.
fn balance_ran(balance: &Series) -> bool {
    balance.connections() > 0
}

pub fn report(runs: &[Run]) {
    let title = "Every second of eight workers takes ten times as long";
    load::print(title, runs, Case::Uneven);
    row::print("\nGoals", &goals(runs));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::run;

    fn met(stock: f64, shared: f64, balance: &[f64]) -> [bool; 2] {
        let runs = [
            run(Case::Uneven, Variant::Reuseport, &[stock]),
            run(Case::Uneven, Variant::Shared, &[shared]),
            run(Case::Uneven, Variant::Balance, balance),
        ];
        goals_of(&runs, 50).map(|row| row.goal.is_some_and(|goal| goal.met))
    }

    #[test]
    fn goals_are_judged_by_both_peers() {
        assert_eq!(met(100.0, 50.0, &[50.0]), [true, true]);
        assert_eq!(met(99.0, 50.0, &[50.0]), [false, true]);
        assert_eq!(met(100.0, 49.0, &[50.0]), [true, false]);
    }

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        assert_eq!(met(100.0, 100.0, &[]), [false, false]);
    }
}
