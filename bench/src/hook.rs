// SPDX-License-Identifier: GPL-2.0

//! The hook: what a connection costs from SYN to accept, in instructions, with
//! the module against the same kernel without it.
//!
//! Reads what `guest/hook` wrote: for each round, way and case the median over the
//! connections. A connection over loopback has the client's share in its count, one
//! over the wire has only what the server does; a goal is to be met both ways.

use crate::row::{Row, number, print};
use crate::stats;
use serde::Deserialize;

/// What the rows are compared with.
const PEER: &str = "same kernel, module not loaded";
/// The case without the module.
const BASE: &str = "without";

/// One case: its name in the raw results, what it is, the bound on what it may
/// add, and how that reads.
pub struct Case {
    raw: &'static str,
    pub title: &'static str,
    /// At most this many percent more than without the module.
    pub bound: f64,
    goal: &'static str,
}

/// +0.0 % means: not a tenth of a percent.
pub const CASES: [Case; 3] = [
    Case {
        raw: "outside",
        title: "outside any group",
        bound: 0.05,
        goal: "+0.0 %",
    },
    Case {
        raw: "member",
        title: "member with room",
        bound: 1.0,
        goal: "at most +1 %",
    },
    Case {
        raw: "redirected",
        title: "redirected to a sibling",
        bound: 5.0,
        goal: "at most +5 %",
    },
];

/// The two ways to a listener: the name in the raw results, and what is counted.
pub const WAYS: [(&str, &str); 2] = [
    ("wire", "the server alone"),
    ("loopback", "client and server"),
];

/// One run of one case.
#[derive(Debug, Deserialize)]
pub struct Run {
    way: String,
    case: String,
    median: f64,
}

fn medians(runs: &[Run], way: &str, case: &str) -> Vec<f64> {
    let chosen = runs.iter().filter(|run| run.way == way && run.case == case);
    chosen.map(|run| run.median).collect()
}

/// How much more than the peer, in percent.
pub fn added_percent(row: &Row) -> f64 {
    (row.value / row.peer_value - 1.0) * 100.0
}

/// One row for each case of each way.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (way, what) in WAYS {
        let base = medians(runs, way, BASE);
        for case in &CASES {
            let name = format!("{}: {what}", case.title);
            let values = medians(runs, way, case.raw);
            let row = Row::new(name, "instructions", &values, PEER, &base);
            let met = row.runs > 0 && added_percent(&row) <= case.bound;
            rows.push(row.with_goal(case.goal, met));
        }
    }
    rows
}

/// The table, the differences, and how exact the count is.
pub fn report(runs: &[Run], rows: &[Row]) {
    print("Instructions for a connection, SYN to accept", rows);
    for row in rows {
        println!(
            "{}: {:+.2} % ({:+.0} instructions)",
            row.name,
            added_percent(row),
            row.value - row.peer_value,
        );
    }
    for (way, what) in WAYS {
        let spread = number(stats::stddev(&medians(runs, way, BASE)));
        println!("without the module, {what}: the standard deviation is {spread} instructions");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(figures: &[(&str, f64)]) -> Vec<Run> {
        let run = |&(case, median): &(&str, f64)| Run {
            way: "wire".to_owned(),
            case: case.to_owned(),
            median,
        };
        figures.iter().map(run).collect()
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"way":"loopback","case":"without","connections":1000,"median":79214,"mean":80426.8,
            "min":79194,"p90":79391,"max":151902}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!(
            (run.way.as_str(), run.case.as_str()),
            ("loopback", "without")
        );
        assert_eq!(run.median, 79214.0);
    }

    #[test]
    fn goals_are_judged_by_what_is_added() {
        let rows = rows(&runs(&[
            ("without", 1000.0),
            ("without", 1000.0),
            ("outside", 1000.0),
            ("outside", 1000.4),
            ("member", 1011.0),
            ("redirected", 1049.0),
        ]));
        let met: Vec<bool> = rows
            .iter()
            .map(|row| row.goal.as_ref().is_some_and(|goal| goal.met))
            .collect();
        assert_eq!(met, [true, false, true, false, false, false]);
        assert_eq!(rows[0].ratio, Some(1.0002));
    }

    #[test]
    fn a_case_without_runs_meets_no_goal() {
        let rows = rows(&runs(&[("without", 1000.0)]));
        assert!(
            rows.iter()
                .all(|row| row.goal.as_ref().is_some_and(|goal| !goal.met))
        );
    }
}
