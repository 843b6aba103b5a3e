// SPDX-License-Identifier: GPL-2.0

//! What a packet costs a director, in instructions, against IPVS with direct routing; and
//! how that, and the memory for it, grows with the number of flows.
//!
//! Reads what `guest/forward` wrote. Whole packets are compared, from the device to the
//! device. The machine's clock is its count of instructions, one a nanosecond, and packets
//! per second are told by this clock.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

/// At least so many times as many packets as the peer.
const BOUND: f64 = 1.3;
const GOAL: &str = "at least 1.3 × peer";
/// With any number of flows, not more than so many times those of one.
const CONSTANT: f64 = 1.01;
const CONSTANT_GOAL: &str = "constant over flows";

pub const SHORT: u32 = 60;
const LONG: u32 = 1514;
/// The number of flows where schedulers, hashes and lengths are compared.
const FLOWS: u32 = 1000;

/// One run of one case.
#[derive(Debug, Deserialize)]
pub struct Run {
    case: Case,
    length: u32,
    flows: u32,
    /// Over many packets.
    median: f64,
    /// Bytes that the flows took in slab caches, if they were new.
    memory: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    Route,
    Sum5,
    Keyed,
    Rr,
    Mh,
}

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Self::Route => "plain routing",
            Self::Sum5 => "service_group, sum5",
            Self::Keyed => "service_group, keyed",
            Self::Rr => "IPVS, rr",
            Self::Mh => "IPVS, mh",
        }
    }
}

/// What is measured with several numbers of flows.
pub const CURVES: [Case; 3] = [Case::Sum5, Case::Rr, Case::Mh];

fn values(runs: &[Run], case: Case, length: u32, flows: u32, of: fn(&Run) -> f64) -> Vec<f64> {
    let wanted = (case, length, flows);
    let chosen = runs
        .iter()
        .filter(|run| (run.case, run.length, run.flows) == wanted);
    chosen.map(of).collect()
}

fn instructions(runs: &[Run], case: Case, length: u32, flows: u32) -> Vec<f64> {
    values(runs, case, length, flows, |run| run.median)
}

/// The mean over the runs with the shortest frames; none if there are none.
pub fn mean(runs: &[Run], case: Case, flows: u32) -> Option<f64> {
    let all = instructions(runs, case, SHORT, flows);
    (!all.is_empty()).then(|| stats::mean(&all))
}

/// The most memory that a run took.
pub fn memory(runs: &[Run], case: Case, flows: u32) -> Option<f64> {
    let all = values(runs, case, SHORT, flows, |run| run.memory);
    all.into_iter().reduce(f64::max)
}

/// The numbers of flows that were measured.
pub fn flows(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.flows))
}

/// Instructions in a second of the machine's clock.
const SPEED: f64 = 1e9;

/// Packets per second by the machine's clock.
fn rates(instructions: &[f64]) -> Vec<f64> {
    instructions.iter().map(|one| SPEED / one).collect()
}

fn rate_row(runs: &[Run], ours: Case, peer: Case, length: u32) -> Row {
    let name = format!("{}, {length} bytes", ours.name());
    let ours = rates(&instructions(runs, ours, length, FLOWS));
    let theirs = rates(&instructions(runs, peer, length, FLOWS));
    Row::new(name, "packets / s", &ours, peer.name(), &theirs)
}

fn curve_row(runs: &[Run], case: Case, flows: u32) -> Row {
    let name = format!("{}, {flows} flows", case.name());
    let all = instructions(runs, case, SHORT, flows);
    let one = instructions(runs, case, SHORT, 1);
    let row = Row::new(name, "instructions", &all, "the same with one flow", &one);
    if case != Case::Sum5 {
        return row;
    }
    let met = row
        .ratio
        .is_some_and(|ratio| row.runs > 0 && ratio <= CONSTANT);
    row.with_goal(CONSTANT_GOAL, met)
}

pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for peer in [Case::Rr, Case::Mh] {
        for (ours, length) in [
            (Case::Sum5, SHORT),
            (Case::Sum5, LONG),
            (Case::Keyed, SHORT),
            (Case::Keyed, LONG),
        ] {
            let row = rate_row(runs, ours, peer, length);
            let met = row.ratio.is_some_and(|ratio| ratio >= BOUND);
            rows.push(row.with_goal(GOAL, met));
        }
    }
    rows.push(rate_row(runs, Case::Sum5, Case::Route, SHORT));
    rows.push(rate_row(runs, Case::Sum5, Case::Route, LONG));
    let flows = flows(runs);
    for case in CURVES {
        rows.extend(flows.iter().map(|&flows| curve_row(runs, case, flows)));
    }
    rows
}

/// The table, whole packets, and the memory.
pub fn report(runs: &[Run], rows: &[Row]) {
    print("What a packet costs a director", rows);
    for length in [SHORT, LONG] {
        for case in [Case::Route, Case::Sum5, Case::Keyed, Case::Rr, Case::Mh] {
            let all = instructions(runs, case, length, FLOWS);
            println!(
                "{} bytes, {}: {:.0} instructions (± {:.1})",
                length,
                case.name(),
                stats::mean(&all),
                stats::stddev(&all)
            );
        }
    }
    for case in CURVES {
        for flows in flows(runs) {
            if let Some(bytes) = memory(runs, case, flows) {
                println!(
                    "{}, {flows} flows: {bytes:.0} bytes in slab caches",
                    case.name()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(case: Case, length: u32, flows: u32, median: f64) -> Run {
        Run {
            case,
            length,
            flows,
            median,
            memory: 0.0,
        }
    }

    fn met(rows: &[Row], name: &str) -> bool {
        let row = rows.iter().find(|row| row.name == name);
        let goal = row.and_then(|row| row.goal.as_ref());
        goal.expect("a row with a goal").met
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"case":"rr","length":60,"flows":100000,"packets":500,"memory":32037120,
            "median":6638,"mean":6707.2,"min":6509,"p90":6716,"max":33393}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.case, run.flows), (Case::Rr, 100_000));
        assert_eq!((run.median, run.memory), (6638.0, 32_037_120.0));
    }

    #[test]
    fn fewer_instructions_are_more_packets() {
        let judged = |ours| {
            let runs = [
                run(Case::Sum5, SHORT, FLOWS, ours),
                run(Case::Rr, SHORT, FLOWS, 1300.0),
            ];
            let rows = rows(&runs);
            assert_eq!(rows[0].peer, "IPVS, rr");
            met(&rows, "service_group, sum5, 60 bytes")
        };
        assert!(judged(999.0));
        assert!(!judged(1001.0));
    }

    #[test]
    fn the_curve_is_judged_by_one_flow() {
        let judged = |many| {
            let runs = [
                run(Case::Sum5, SHORT, 1, 1000.0),
                run(Case::Sum5, SHORT, 100_000, many),
            ];
            met(&rows(&runs), "service_group, sum5, 100000 flows")
        };
        assert!(judged(1010.0));
        assert!(!judged(1011.0));
    }

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        let rows = rows(&[run(Case::Route, SHORT, FLOWS, 1000.0)]);
        let mut goals = rows.iter().filter_map(|row| row.goal.as_ref());
        assert!(goals.all(|goal| !goal.met));
    }
}
