// SPDX-License-Identifier: GPL-2.0

//! A node goes: which share of the live connections breaks.
//!
//! Reads what `guest/change` wrote. The connections of a node that is dead are lost in any
//! case; they are told apart from those of the others.

use crate::row::{Row, print};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "the share of the node that went";

/// One run of one system and event.
#[derive(Debug, Deserialize)]
pub struct Run {
    system: System,
    nodes: u32,
    event: Event,
    /// Connections.
    flows: f64,
    /// Those of the node that went.
    of_node: f64,
    /// Of these, what broke.
    own: f64,
    /// Of those of the other nodes, what broke.
    others: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Directed,
    Shared,
    Mh,
    Rr,
    Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Drained,
    Dead,
    Takeover,
}

pub const SYSTEMS: [(System, &str); 5] = [
    (System::Directed, "service_group, directed"),
    (System::Shared, "service_group, shared"),
    (System::Mh, "IPVS, mh"),
    (System::Rr, "IPVS, rr"),
    (System::Cluster, "xt_cluster, renumbered"),
];

pub const EVENTS: [(Event, &str, &str); 3] = [
    (Event::Drained, "drained", "none"),
    (Event::Dead, "dead", "only its own"),
    (Event::Takeover, "drained, and another director", "none"),
];

impl Run {
    fn percent(&self, connections: f64) -> f64 {
        100.0 * connections / self.flows
    }

    fn broken(&self) -> f64 {
        self.own + self.others
    }
}

fn chosen(runs: &[Run], system: System, nodes: u32, event: Event) -> Vec<&Run> {
    let wanted = (system, nodes, event);
    runs.iter()
        .filter(|run| (run.system, run.nodes, run.event) == wanted)
        .collect()
}

/// The numbers of nodes that were measured.
pub fn sizes(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.nodes))
}

/// Percent that break; none if it was not measured.
pub fn row(runs: &[Run], nodes: u32, system: (System, &str), event: Event) -> Option<Row> {
    let runs = chosen(runs, system.0, nodes, event);
    if runs.is_empty() {
        return None;
    }
    let told = EVENTS.iter().find(|(one, ..)| *one == event)?;
    let name = format!("1 of {nodes} {}: {}", told.1, system.1);
    let broken: Vec<f64> = runs.iter().map(|run| run.percent(run.broken())).collect();
    let node: Vec<f64> = runs.iter().map(|run| run.percent(run.of_node)).collect();
    let row = Row::new(name, "% broken", &broken, PEER, &node);
    if !matches!(system.0, System::Directed | System::Shared) {
        return Some(row);
    }
    let met = runs.iter().all(|run| match event {
        Event::Dead => run.others == 0.0,
        _ => run.broken() == 0.0,
    });
    Some(row.with_goal(told.2, met))
}

pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (event, ..) in EVENTS {
        for nodes in sizes(runs) {
            let all = SYSTEMS.iter();
            rows.extend(all.filter_map(|&system| row(runs, nodes, system, event)));
        }
    }
    rows
}

pub fn report(rows: &[Row]) {
    print("Live connections that break when a node goes", rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(event: Event, own: f64, others: f64) -> Run {
        Run {
            system: System::Shared,
            nodes: 10,
            event,
            flows: 200.0,
            of_node: 20.0,
            own,
            others,
        }
    }

    fn met(runs: &[Run]) -> bool {
        let rows = rows(runs);
        rows[0].goal.as_ref().expect("ours is judged").met
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"system": "mh", "nodes": 3, "event": "dead", "flows": 60,
            "of_node": 19, "own": 19, "others": 0}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.system, run.event), (System::Mh, Event::Dead));
        assert_eq!((run.of_node, run.broken()), (19.0, 19.0));
    }

    #[test]
    fn all_that_break_are_told() {
        let rows = rows(&[run(Event::Dead, 20.0, 10.0), run(Event::Dead, 20.0, 0.0)]);
        assert_eq!((rows[0].value, rows[0].peer_value), (12.5, 10.0));
        assert_eq!(rows[0].name, "1 of 10 dead: service_group, shared");
    }

    #[test]
    fn a_dead_node_may_lose_its_own_only() {
        assert!(met(&[run(Event::Dead, 20.0, 0.0)]));
        assert!(!met(&[
            run(Event::Dead, 20.0, 0.0),
            run(Event::Dead, 20.0, 1.0)
        ]));
    }

    #[test]
    fn a_drained_node_may_lose_nothing() {
        assert!(met(&[run(Event::Drained, 0.0, 0.0)]));
        assert!(!met(&[run(Event::Drained, 1.0, 0.0)]));
        assert!(!met(&[run(Event::Takeover, 0.0, 1.0)]));
    }

    #[test]
    fn peers_have_no_goal() {
        let mut one = run(Event::Drained, 1.0, 0.0);
        one.system = System::Cluster;
        assert!(rows(&[one])[0].goal.is_none());
    }
}
