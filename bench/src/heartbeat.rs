// SPDX-License-Identifier: GPL-2.0

//! What links cost a machine while nothing happens: packets and instructions of a second, by the
//! number of machines.
//!
//! Reads what `guest/heartbeat` wrote. There one machine has links to all others, and each of these
//! has one link. Both ends of a link do the same, so half of what all take is the one machine's.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "links that are not encrypted";

/// One run with so many machines.
#[derive(Debug, Deserialize)]
pub struct Run {
    machines: u32,
    kind: Kind,
    /// Of all machines, in a second.
    instructions: f64,
    /// That the one machine sent and received in a second.
    packets: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Plain,
    Tls,
}

pub const KINDS: [(Kind, &str); 2] = [(Kind::Tls, "TLS"), (Kind::Plain, "not encrypted")];

fn all(runs: &[Run], kind: Kind, machines: u32, figure: fn(&Run) -> f64) -> Vec<f64> {
    runs.iter()
        .filter(|run| (run.kind, run.machines) == (kind, machines))
        .map(figure)
        .collect()
}

/// The numbers of machines that were measured.
pub fn sizes(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.machines))
}

/// What one machine of so many takes, in each run.
fn own(runs: &[Run], kind: Kind, machines: u32) -> Vec<f64> {
    all(runs, kind, machines, |run| run.instructions / 2.0)
}

/// Millions of instructions of a second that one machine takes.
pub fn millions(runs: &[Run], kind: Kind, machines: u32) -> f64 {
    stats::mean(&own(runs, kind, machines)) / 1e6
}

pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for machines in sizes(runs) {
        for (kind, name) in KINDS {
            let of = |kind| all(runs, kind, machines, |run| run.packets);
            let title = format!("{machines} machines, {name}: packets / s");
            rows.push(Row::new(
                title,
                "packets",
                &of(kind),
                PEER,
                &of(Kind::Plain),
            ));
            let title = format!("{machines} machines, {name}: instructions / s");
            let (ours, peers) = (own(runs, kind, machines), own(runs, Kind::Plain, machines));
            rows.push(Row::new(title, "instructions", &ours, PEER, &peers));
        }
    }
    rows
}

/// The table, and what a link takes.
pub fn report(runs: &[Run], rows: &[Row]) {
    print("What links cost a machine while nothing happens", rows);
    for machines in sizes(runs) {
        for (kind, name) in KINDS {
            let one = millions(runs, kind, machines) * 1e6 / f64::from(machines - 1);
            println!("{machines} machines, {name}: {one:.0} instructions / s for each link");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(machines: u32, instructions: f64) -> Run {
        Run {
            machines,
            kind: Kind::Tls,
            instructions,
            packets: 40.0,
        }
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"machines": 32, "kind": "plain", "instructions": 1.5, "packets": 2.5}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.machines, run.kind), (32, Kind::Plain));
        assert_eq!((run.instructions, run.packets), (1.5, 2.5));
    }

    #[test]
    fn the_other_ends_do_not_count() {
        let runs = [run(2, 20.0), run(4, 60.0)];
        assert_eq!(own(&runs, Kind::Tls, 2), [10.0]);
        assert_eq!(own(&runs, Kind::Tls, 4), [30.0]);
    }

    #[test]
    fn packets_are_of_the_one_machine() {
        let rows = rows(&[run(2, 20.0), run(4, 60.0)]);
        let tls: Vec<f64> = rows
            .iter()
            .filter(|row| row.runs > 0)
            .map(|row| row.value)
            .collect();
        assert_eq!(tls, [40.0, 10.0, 40.0, 30.0]);
        assert_eq!(rows[4].name, "4 machines, TLS: packets / s");
    }
}
