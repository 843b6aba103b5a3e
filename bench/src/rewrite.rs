// SPDX-License-Identifier: GPL-2.0

//! Rewriting: what it costs that a connection is not with the address that the
//! client asked for, in instructions for a packet and in memory, against nftables'
//! DNAT.
//!
//! Reads what `guest/rewrite` wrote. What is judged is the cost over a plain
//! connection, as DNAT's is: most of a packet is the same for all three. It may be
//! zero, or less by chance. The whole packets are told beside it, without a goal.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "nftables DNAT and connection tracking";

/// At most so much of what the peer adds.
pub const BOUND: f64 = 0.5;
const GOAL: &str = "at most half of what peer adds";

/// The median over many packets.
#[derive(Debug, Deserialize)]
struct Counts {
    median: f64,
}

/// One run of one case.
#[derive(Debug, Deserialize)]
pub struct Run {
    case: Case,
    received: Counts,
    sent: Counts,
    /// Bytes for a connection.
    memory: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    Plain,
    Rewritten,
    Dnat,
}

/// Something that is measured of each case.
pub struct Figure {
    pub title: &'static str,
    pub unit: &'static str,
    /// Whether what it adds is judged.
    judged: bool,
    of: fn(&Run) -> f64,
}

pub const FIGURES: [Figure; 3] = [
    Figure {
        title: "received segment",
        unit: "instructions",
        judged: true,
        of: |run| run.received.median,
    },
    Figure {
        title: "sent segment",
        unit: "instructions",
        judged: true,
        of: |run| run.sent.median,
    },
    Figure {
        title: "memory of a connection",
        unit: "bytes",
        judged: false,
        of: |run| run.memory,
    },
];

fn values(runs: &[Run], figure: &Figure, case: Case) -> Vec<f64> {
    let chosen = runs.iter().filter(|run| run.case == case);
    chosen.map(figure.of).collect()
}

/// The mean over the runs of a plain connection.
pub fn plain(runs: &[Run], figure: &Figure) -> f64 {
    stats::mean(&values(runs, figure, Case::Plain))
}

/// A run's value of this case, less that of its plain connection.
fn added(runs: &[Run], figure: &Figure, case: Case) -> Vec<f64> {
    let plain = values(runs, figure, Case::Plain);
    let all = values(runs, figure, case);
    all.iter()
        .zip(plain)
        .map(|(one, base)| one - base)
        .collect()
}

/// A share of what the peer adds says something only if the peer adds something.
fn added_row(runs: &[Run], figure: &Figure) -> Row {
    let name = format!("{}: added", figure.title);
    let ours = added(runs, figure, Case::Rewritten);
    let theirs = added(runs, figure, Case::Dnat);
    let mut row = Row::new(name, figure.unit, &ours, PEER, &theirs);
    if row.peer_value <= 0.0 {
        row.ratio = None;
    }
    if !figure.judged {
        return row;
    }
    let met = row
        .ratio
        .is_some_and(|ratio| row.runs > 0 && ratio <= BOUND);
    row.with_goal(GOAL, met)
}

/// What is added, one row for each of FIGURES.
pub fn added_rows(runs: &[Run]) -> Vec<Row> {
    FIGURES
        .iter()
        .map(|figure| added_row(runs, figure))
        .collect()
}

/// The same, and then the whole ones.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let whole = FIGURES.iter().map(|figure| {
        let ours = values(runs, figure, Case::Rewritten);
        let theirs = values(runs, figure, Case::Dnat);
        let name = format!("{}: whole", figure.title);
        Row::new(name, figure.unit, &ours, PEER, &theirs)
    });
    added_rows(runs).into_iter().chain(whole).collect()
}

/// The table, the plain connection that all is compared with, and how exact it is.
pub fn report(runs: &[Run], rows: &[Row]) {
    print(
        "What a rewritten connection costs, added to a plain one and as a whole",
        rows,
    );
    for (figure, row) in FIGURES.iter().zip(rows) {
        let base = plain(runs, figure);
        println!(
            "{}: plain {base:.0} {} (± {:.1}), rewritten {}, DNAT {}",
            figure.title,
            figure.unit,
            stats::stddev(&values(runs, figure, Case::Plain)),
            difference(row.value, base),
            difference(row.peer_value, base),
        );
    }
}

/// What is added to `base`, for a reader.
pub fn difference(added: f64, base: f64) -> String {
    match stats::ratio(100.0 * added, base) {
        Some(percent) => format!("{added:+.0} ({percent:+.1} %)"),
        None => format!("{added:+.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(case: Case, received: f64, sent: f64, memory: f64) -> Run {
        Run {
            case,
            received: Counts { median: received },
            sent: Counts { median: sent },
            memory,
        }
    }

    /// A run of a connection of 100 and 200 instructions and 1000 bytes.
    fn round(ours: f64, dnat: f64) -> [Run; 3] {
        [
            run(Case::Plain, 100.0, 200.0, 1000.0),
            run(Case::Rewritten, 100.0 + ours, 200.0 + ours, 1000.0 + ours),
            run(Case::Dnat, 100.0 + dnat, 200.0 + dnat, 1000.0 + dnat),
        ]
    }

    fn met(rows: &[Row]) -> Vec<Option<bool>> {
        let goals = rows.iter().map(|row| row.goal.as_ref());
        goals.map(|goal| goal.map(|goal| goal.met)).collect()
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"case":"dnat","segments":1000,
            "received":{"median":9475,"mean":9455.7,"min":9395,"p90":9483,"max":13465},
            "sent":{"median":8468,"mean":8477.0,"min":8468,"p90":8468,"max":12454},
            "connections":1000,"memory":4082.4}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!(run.case, Case::Dnat);
        let figures = FIGURES.map(|figure| (figure.of)(&run));
        assert_eq!(figures, [9475.0, 8468.0, 4082.4]);
    }

    #[test]
    fn packets_are_judged_by_what_is_added() {
        let judged = |ours| met(&added_rows(&round(ours, 50.0)));
        assert_eq!(judged(25.0), [Some(true), Some(true), None]);
        assert_eq!(judged(25.1), [Some(false), Some(false), None]);
        assert_eq!(judged(0.0), [Some(true), Some(true), None]);
    }

    #[test]
    fn less_than_plain_is_told_as_it_is() {
        let rows = added_rows(&round(-5.0, 50.0));
        assert_eq!((rows[0].value, rows[0].ratio), (-5.0, Some(-0.1)));
        assert_eq!(met(&rows)[0], Some(true));
    }

    #[test]
    fn a_peer_that_adds_nothing_is_no_measure() {
        for dnat in [0.0, -10.0] {
            let rows = added_rows(&round(-20.0, dnat));
            assert_eq!((rows[0].ratio, met(&rows)[0]), (None, Some(false)));
        }
    }

    #[test]
    fn a_case_without_runs_meets_no_goal() {
        let [plain, _, dnat] = round(0.0, 50.0);
        let rows = rows(&[plain, dnat]);
        assert_eq!(met(&rows)[..2], [Some(false), Some(false)]);
    }

    #[test]
    fn whole_packets_come_behind() {
        let rows = rows(&round(10.0, 100.0));
        let whole: Vec<_> = rows[3..]
            .iter()
            .map(|row| (row.value, row.peer_value))
            .collect();
        assert_eq!(whole, [(110.0, 200.0), (210.0, 300.0), (1010.0, 1100.0)]);
        assert_eq!(met(&rows)[3..], [None, None, None]);
    }

    #[test]
    fn a_difference_has_its_sign_and_share() {
        assert_eq!(difference(5.0, 1000.0), "+5 (+0.5 %)");
        assert_eq!(difference(-5.0, 1000.0), "-5 (-0.5 %)");
        assert_eq!(difference(5.0, 0.0), "+5");
    }
}
