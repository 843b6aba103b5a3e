// SPDX-License-Identifier: GPL-2.0

//! Whose packet is it: what that costs a node of a cluster IP in shared mode, in
//! instructions, against what else decides it.
//!
//! Reads what `guest/owner` wrote. A packet that the node takes is compared with one that
//! nothing decides about. One that it does not take ends where it is decided, so it is
//! compared with a packet that the kernel throws away where protocols begin: what is
//! added has the beginning of IP in it, for all alike. Packets to another address of the
//! machine are compared as a whole, with and without the module.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "xt_cluster and connection tracking";
const RULE: &str = "nftables' jhash";
const NOTHING: &str = "no module";

/// At most so much of what the peer adds.
pub const BOUND: f64 = 1.0 / 3.0;
const GOAL: &str = "at most a third of what peer adds";
/// At most so many times a packet without the module.
const OTHER_BOUND: f64 = 1.01;
const OTHER_GOAL: &str = "at most 1 % over no module";

/// One run of one case; the median over many packets.
#[derive(Debug, Deserialize)]
pub struct Run {
    case: Case,
    packet: Packet,
    median: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    None,
    Loaded,
    Sum5,
    Keyed,
    Chain,
    Cluster,
    Jhash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packet {
    Owned,
    Ignored,
    Other,
    /// Of no protocol.
    Unknown,
}

impl Packet {
    /// What it is compared with.
    fn base(self) -> Self {
        match self {
            Self::Ignored => Self::Unknown,
            taken => taken,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Owned => "owned packet",
            Self::Ignored => "ignored packet",
            Self::Other => "packet to another address",
            Self::Unknown => "packet of no protocol",
        }
    }
}

/// What decides, as pictures and tables call it.
pub const DECIDERS: [(Case, &str); 4] = [
    (Case::Sum5, "service_group, sum5"),
    (Case::Keyed, "service_group, keyed"),
    (Case::Cluster, "xt_cluster"),
    (Case::Jhash, "nftables, jhash"),
];

/// What is decided about; the last one is for nobody to decide.
pub const PACKETS: [Packet; 3] = [Packet::Owned, Packet::Ignored, Packet::Other];

fn medians(runs: &[Run], case: Case, packet: Packet) -> Vec<f64> {
    let chosen = runs
        .iter()
        .filter(|run| (run.case, run.packet) == (case, packet));
    chosen.map(|run| run.median).collect()
}

/// The mean over the runs of what a packet is compared with.
pub fn base(runs: &[Run], packet: Packet) -> f64 {
    stats::mean(&medians(runs, Case::None, packet.base()))
}

/// What each run of a case adds.
fn added(runs: &[Run], case: Case, packet: Packet) -> Vec<f64> {
    let base = base(runs, packet);
    let all = medians(runs, case, packet);
    all.iter().map(|one| one - base).collect()
}

/// The mean of it; none if there are no runs.
pub fn mean_added(runs: &[Run], case: Case, packet: Packet) -> Option<f64> {
    let added = added(runs, case, packet);
    (!added.is_empty()).then(|| stats::mean(&added))
}

fn added_row(runs: &[Run], packet: Packet, ours: (Case, &str), peer: (Case, &'static str)) -> Row {
    let name = format!("{}: added by {}", packet.name(), ours.1);
    let ours = added(runs, ours.0, packet);
    let theirs = added(runs, peer.0, packet);
    Row::new(name, "instructions", &ours, peer.1, &theirs)
}

/// Met if there are runs, and the ratio is within the bound.
fn judged(row: Row, goal: &'static str, bound: f64) -> Row {
    let met = row
        .ratio
        .is_some_and(|ratio| row.runs > 0 && row.peer_value > 0.0 && ratio <= bound);
    row.with_goal(goal, met)
}

fn other_row(runs: &[Run], (case, name): (Case, &str)) -> Row {
    let of = |case| medians(runs, case, Packet::Other);
    let name = format!("{}: {name}", Packet::Other.name());
    Row::new(name, "instructions", &of(case), NOTHING, &of(Case::None))
}

pub fn rows(runs: &[Run]) -> Vec<Row> {
    let (cluster, jhash) = ((Case::Cluster, PEER), (Case::Jhash, RULE));
    let mut rows = Vec::new();
    for packet in [Packet::Owned, Packet::Ignored] {
        let [sum5, keyed, ..] = DECIDERS;
        let row = added_row(runs, packet, sum5, cluster);
        rows.push(judged(row, GOAL, BOUND));
        let row = added_row(runs, packet, keyed, cluster);
        rows.push(judged(row, GOAL, BOUND));
        rows.push(added_row(runs, packet, sum5, jhash));
        rows.push(added_row(runs, packet, keyed, jhash));
    }
    rows.push(other_row(runs, (Case::Loaded, "no cluster IP")));
    let row = other_row(runs, (Case::Sum5, "a cluster IP"));
    rows.push(judged(row, OTHER_GOAL, OTHER_BOUND));
    rows.push(other_row(runs, (Case::Chain, "an empty chain of nftables")));
    rows.push(other_row(runs, (Case::Cluster, "xt_cluster")));
    rows.push(other_row(runs, (Case::Jhash, RULE)));
    rows
}

/// The table, and whole packets.
pub fn report(runs: &[Run], rows: &[Row]) {
    print("What it costs to tell whose packet it is", rows);
    for packet in PACKETS {
        println!(
            "{}: compared with {:.0} instructions",
            packet.name(),
            base(runs, packet)
        );
        for (case, name) in DECIDERS {
            let whole = medians(runs, case, packet);
            println!(
                "  {name}: {:.0} (± {:.1})",
                stats::mean(&whole),
                stats::stddev(&whole)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(case: Case, packet: Packet, median: f64) -> Run {
        Run {
            case,
            packet,
            median,
        }
    }

    fn round(owned: f64, ignored: f64, other: f64) -> Vec<Run> {
        vec![
            run(Case::None, Packet::Owned, 1000.0),
            run(Case::None, Packet::Unknown, 500.0),
            run(Case::None, Packet::Other, 1000.0),
            run(Case::Sum5, Packet::Owned, 1000.0 + owned),
            run(Case::Sum5, Packet::Ignored, 500.0 + ignored),
            run(Case::Sum5, Packet::Other, 1000.0 + other),
            run(Case::Cluster, Packet::Owned, 1300.0),
            run(Case::Cluster, Packet::Ignored, 1100.0),
        ]
    }

    fn met(runs: &[Run], name: &str) -> bool {
        let rows = rows(runs);
        let row = rows.iter().find(|row| row.name == name);
        let goal = row.and_then(|row| row.goal.as_ref());
        goal.expect("a row with a goal").met
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"case":"cluster","packet":"ignored","packets":500,"median":4683,
            "mean":4703.3,"min":4683,"p90":4683,"max":14845}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.case, run.packet), (Case::Cluster, Packet::Ignored));
        assert_eq!(run.median, 4683.0);
    }

    #[test]
    fn a_packet_is_judged_by_what_is_added() {
        let owned = "owned packet: added by service_group, sum5";
        let ignored = "ignored packet: added by service_group, sum5";
        for (value, expected) in [(100.0, true), (101.0, false), (-5.0, true)] {
            assert_eq!(met(&round(value, 0.0, 0.0), owned), expected);
        }
        for (value, expected) in [(200.0, true), (201.0, false)] {
            assert_eq!(met(&round(0.0, value, 0.0), ignored), expected);
        }
    }

    #[test]
    fn other_packets_are_judged_as_a_whole() {
        let other = "packet to another address: a cluster IP";
        assert!(met(&round(0.0, 0.0, 10.0), other));
        assert!(!met(&round(0.0, 0.0, 11.0), other));
    }

    #[test]
    fn a_case_without_runs_meets_no_goal() {
        let runs = [run(Case::None, Packet::Other, 1000.0)];
        assert!(
            rows(&runs)
                .iter()
                .filter_map(|row| row.goal.as_ref())
                .all(|goal| !goal.met)
        );
    }
}
