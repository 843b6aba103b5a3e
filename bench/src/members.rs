// SPDX-License-Identifier: GPL-2.0

//! The size of a group: what it takes to find the one member that has room, in
//! instructions.
//!
//! Reads what `guest/members` wrote. In a group of each size a connection is counted
//! from SYN to accept, once with room at its home listener, and once with the home
//! listener full. The difference is the decision, and the redirect itself.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "16 members";
const PEER_SIZE: u32 = 16;
const LARGEST: u32 = 1024;

/// At most so many times the peer's, for the largest group.
pub const BOUND: f64 = 2.0;

/// One run of one case.
#[derive(Debug, Deserialize)]
pub struct Run {
    members: u32,
    case: Case,
    median: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    /// The home listener has room.
    Member,
    Redirected,
}

fn medians(runs: &[Run], members: u32, case: Case) -> Vec<f64> {
    let chosen = runs
        .iter()
        .filter(|run| (run.members, run.case) == (members, case));
    chosen.map(|run| run.median).collect()
}

/// A run's redirected connection less its other one.
fn decisions(runs: &[Run], members: u32) -> Vec<f64> {
    let redirected = medians(runs, members, Case::Redirected);
    let home = medians(runs, members, Case::Member);
    redirected
        .iter()
        .zip(home)
        .map(|(one, other)| one - other)
        .collect()
}

/// The sizes that were measured.
pub fn sizes(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.members))
}

/// One row for each size.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let base = decisions(runs, PEER_SIZE);
    let row = |members| {
        let name = format!("decision among {members} members");
        let row = Row::new(name, "instructions", &decisions(runs, members), PEER, &base);
        if members != LARGEST {
            return row;
        }
        let met = row
            .ratio
            .is_some_and(|ratio| row.runs > 0 && ratio <= BOUND);
        row.with_goal("at most 2 × peer", met)
    };
    sizes(runs).into_iter().map(row).collect()
}

pub fn report(runs: &[Run], rows: &[Row]) {
    print("Instructions to find the one member that has room", rows);
    for members in sizes(runs) {
        println!(
            "{members} members: {:.0} instructions for a connection that is redirected, {:.0} for one that is not",
            stats::mean(&medians(runs, members, Case::Redirected)),
            stats::mean(&medians(runs, members, Case::Member)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(members: u32, home: f64, redirected: f64) -> [Run; 2] {
        [(Case::Member, home), (Case::Redirected, redirected)].map(|(case, median)| Run {
            members,
            case,
            median,
        })
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"way":"wire","case":"redirected","members":128,"connections":500,"median":72982,
            "mean":73804.7,"min":72774,"p90":73151,"max":126751}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.members, run.case), (128, Case::Redirected));
        assert_eq!(run.median, 72982.0);
    }

    #[test]
    fn the_largest_group_is_judged_by_the_peer() {
        let met = |largest| {
            let runs: Vec<Run> = [pair(16, 100.0, 110.0), pair(1024, 100.0, largest)]
                .into_iter()
                .flatten()
                .collect();
            let rows = rows(&runs);
            assert!(rows[0].goal.is_none());
            rows[1].goal.as_ref().is_some_and(|goal| goal.met)
        };
        assert!(met(120.0));
        assert!(!met(120.1));
    }

    #[test]
    fn the_decision_is_the_difference() {
        let runs: Vec<Run> = [pair(2, 100.0, 103.0), pair(2, 100.0, 105.0)]
            .into_iter()
            .flatten()
            .collect();
        let rows = rows(&runs);
        assert_eq!((rows[0].value, rows[0].runs), (4.0, 2));
        assert_eq!(rows[0].ratio, None);
    }
}
