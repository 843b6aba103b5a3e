// SPDX-License-Identifier: GPL-2.0

//! What an honest service loses beside a hostile namespace.
//!
//! Reads what `guest/neighbour` wrote. The hostile user does the same with and without
//! the module's groups, so what differs is what the module lets the user do to others.

use crate::row::Row;
use serde::Deserialize;

const PEER: &str = "the same without groups";

/// What the hostile user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// Nothing.
    Alone,
    Close,
    Stall,
}

/// Those in which the user does something.
pub const CASES: [Case; 2] = [Case::Close, Case::Stall];

impl Case {
    pub fn title(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Close => "beside who opens and closes",
            Self::Stall => "beside 1024 hung listeners",
        }
    }
}

/// One run of one case.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    case: Case,
    grouped: bool,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

/// A figure of a run: its name, its unit, and where it is.
type Figure = (&'static str, &'static str, fn(&Run) -> f64);

pub const THROUGHPUT: Figure = ("connections a second", "1/s", |run| run.per_second);
const TIMES: [Figure; 3] = [
    ("p50", "µs", |run| run.p50_us),
    ("p99", "µs", |run| run.p99_us),
    ("max", "µs", |run| run.max_us),
];

/// At least so much of the peer's throughput.
const BOUND: f64 = 0.95;

/// The figure in each run of a case.
pub fn values(runs: &[Run], case: Case, grouped: bool, figure: Figure) -> Vec<f64> {
    let chosen = runs
        .iter()
        .filter(|run| (run.case, run.grouped) == (case, grouped));
    chosen.map(figure.2).collect()
}

fn row(runs: &[Run], case: Case, figure: Figure) -> Row {
    let name = format!("{}: {}", case.title(), figure.0);
    let of = |grouped| values(runs, case, grouped, figure);
    Row::new(name, figure.1, &of(true), PEER, &of(false))
}

/// For each case the throughput, which has a goal, and how long connections took.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in CASES {
        let row_of = |figure| row(runs, case, figure);
        let served = row_of(THROUGHPUT);
        let met = served.ratio.is_some_and(|ratio| ratio >= BOUND);
        rows.push(served.with_goal("at least 95 % of the peer's", met));
        rows.extend(TIMES.map(row_of));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(case: Case, grouped: bool, per_second: f64) -> Run {
        Run {
            case,
            grouped,
            per_second,
            p50_us: 1.0,
            p99_us: 2.0,
            max_us: 3.0,
        }
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"run":1,"case":"close","grouped":true,"per_second":5012.5,"p50_us":190.1,
            "p99_us":401.0,"max_us":9000.7}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.case, run.grouped), (Case::Close, true));
        assert_eq!((run.per_second, run.max_us), (5012.5, 9000.7));
    }

    #[test]
    fn the_throughput_is_judged_by_the_control() {
        let met = |with| {
            let rows = rows(&[
                run(Case::Alone, false, 9000.0),
                run(Case::Close, false, 1000.0),
                run(Case::Close, true, with),
            ]);
            rows[0].goal.as_ref().is_some_and(|goal| goal.met)
        };
        assert!(met(950.0));
        assert!(!met(949.0));
    }

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        let rows = rows(&[run(Case::Close, true, 1000.0)]);
        assert_eq!(rows.len(), 8);
        assert!(
            rows.iter()
                .filter_map(|row| row.goal.as_ref())
                .all(|goal| !goal.met)
        );
    }
}
