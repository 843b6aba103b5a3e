// SPDX-License-Identifier: GPL-2.0

//! One worker of eight is hung: how long clients wait for their first byte.
//!
//! The goals are beside the same group with the same load and no worker hung: what
//! a hung worker may cost is the time until it counts as stalled, and what it takes
//! to be served then.

use crate::load::{self, Case, MAX, Measure, Run, Series, Variant};
use crate::row::{self, Row};

const PEER: &str = "the same with no worker hung";

/// All that goes to the file: each variant beside the stock kernel, and the goals.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = load::rows(runs, Case::Hung);
    rows.extend(goals(runs));
    rows
}

fn goals(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for load in load::loads(runs) {
        for variant in [Variant::Overflow, Variant::Balance] {
            rows.extend(goals_of(runs, variant, load));
        }
    }
    rows
}

fn goals_of(runs: &[Run], variant: Variant, load: u32) -> [Row; 2] {
    let hung = Series::of(runs, Case::Hung, variant, load);
    let healthy = Series::of(runs, Case::Healthy, variant, load);
    let stall = runs.first().map_or(0.0, |run| run.stall_ms);
    let max = hung.row(MAX, PEER, &healthy);
    let met = max.runs > 0 && max.value < stall + 2.0 * max.peer_value;
    let unserved = hung.row(Measure::Unserved, PEER, &healthy);
    let none = unserved.runs > 0 && unserved.value == 0.0;
    [
        max.renamed(", hung or not")
            .with_goal("below stall time + 2 × peer", met),
        unserved.renamed(", hung or not").with_goal("none", none),
    ]
}

pub fn report(runs: &[Run]) {
    load::print("One of eight workers hangs", runs, Case::Hung);
    row::print("\nGoals", &goals(runs));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::End;
    use crate::load::tests::{run, with};

    fn met(hung: Run) -> Vec<bool> {
        let healthy = run(Case::Healthy, Variant::Overflow, &[20.0, 60.0]);
        let goals = goals_of(&[healthy, hung], Variant::Overflow, 50);
        goals
            .iter()
            .map(|row| row.goal.as_ref().is_some_and(|goal| goal.met))
            .collect()
    }

    #[test]
    fn the_longest_is_judged_by_the_unharmed_groups() {
        let hung = |longest| run(Case::Hung, Variant::Overflow, &[20.0, longest]);
        assert_eq!(met(hung(219.9)), [true, true]);
        assert_eq!(met(hung(220.0)), [false, true]);
    }

    #[test]
    fn one_that_is_not_served_is_too_many() {
        let hung = run(Case::Hung, Variant::Overflow, &[20.0]);
        assert_eq!(met(with(hung, 0.2, End::Reset, 0)), [false, false]);
    }

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        let other = run(Case::Hung, Variant::Balance, &[20.0]);
        assert_eq!(met(other), [false, false]);
    }

    #[test]
    fn names_differ() {
        let rows = rows(&[run(Case::Hung, Variant::Overflow, &[20.0])]);
        let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
    }
}
