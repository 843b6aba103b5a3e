// SPDX-License-Identifier: GPL-2.0

//! A node dies, or seems dead, and nobody says so: what becomes of new connections, and of
//! those that are there.
//!
//! Reads what `guest/failover` wrote. The connections of a node that is dead are lost in any
//! case; they are told apart from those of the others.

use crate::row::{Row, number, table};
use crate::stats;
use serde::Deserialize;

const PEER: &str = "keepalived, each 100 ms";

/// One run of one system and event. Times are milliseconds since the node died.
#[derive(Debug, Deserialize)]
pub struct Run {
    system: System,
    nodes: u32,
    event: Event,
    /// Connections that began then or later; those that got no answer, those that got one after
    /// the SYN was sent again, and those that a node had that gave none.
    new: f64,
    lost: f64,
    late: f64,
    cut: f64,
    /// When the last one began that was lost or late, and when the last late one was answered.
    outage_ms: f64,
    last_late_ms: f64,
    /// Connections that were there, and what broke of the node's and of the others'.
    live: f64,
    own: f64,
    others: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Directed,
    Shared,
    Default,
    Fast,
    Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Dead,
    Suspected,
}

pub const SYSTEMS: [(System, &str); 5] = [
    (System::Directed, "service_group, directed"),
    (System::Shared, "service_group, shared"),
    (System::Default, "keepalived, its timers"),
    (System::Fast, PEER),
    (System::Cluster, "xt_cluster, pings"),
];

pub const EVENTS: [(Event, &str, &str); 2] = [
    (
        Event::Dead,
        "dead",
        "none lost, and no connection of others broken",
    ),
    (Event::Suspected, "seems dead", "none lost, late or broken"),
];

/// What is told of a run: its name, its unit, and itself.
type Figure = (&'static str, &'static str, fn(&Run) -> f64);

const FIGURES: [Figure; 7] = [
    ("lost", "connections", |run| run.lost + run.cut),
    ("late", "connections", |run| run.late),
    ("of so many", "connections", |run| run.new),
    ("last one lost or late began", "ms", |run| run.outage_ms),
    ("last late one answered", "ms", |run| run.last_late_ms),
    ("broken of the node", "%", |run| run.percent(run.own)),
    ("broken of others", "%", |run| run.percent(run.others)),
];

impl Run {
    /// Of the connections that were there.
    fn percent(&self, connections: f64) -> f64 {
        100.0 * connections / self.live
    }

    /// A connection that the node accepted before it died is its own.
    fn is_as_wanted(&self) -> bool {
        let dead = self.lost == 0.0 && self.others == 0.0;
        match self.event {
            Event::Dead => dead,
            Event::Suspected => dead && self.late + self.cut + self.own == 0.0,
        }
    }
}

/// All runs of one system, number of nodes and event.
pub fn chosen(runs: &[Run], system: System, nodes: u32, event: Event) -> Vec<&Run> {
    let wanted = (system, nodes, event);
    runs.iter()
        .filter(|run| (run.system, run.nodes, run.event) == wanted)
        .collect()
}

/// The numbers of nodes that were measured.
pub fn sizes(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.nodes))
}

/// What is drawn: the mean time in which connections are lost or late, and how many are each.
pub fn outage(runs: &[&Run]) -> (f64, f64, f64) {
    let mean = |figure: fn(&Run) -> f64| {
        let all: Vec<f64> = runs.iter().map(|run| figure(run)).collect();
        stats::mean(&all)
    };
    (
        mean(|run| run.outage_ms),
        mean(|run| run.lost + run.cut),
        mean(|run| run.late),
    )
}

/// A row for each figure; the first one has the goal.
fn rows_of(
    runs: &[Run],
    nodes: u32,
    event: (Event, &str, &'static str),
    system: (System, &str),
) -> Vec<Row> {
    let ours = chosen(runs, system.0, nodes, event.0);
    let peers = chosen(runs, System::Fast, nodes, event.0);
    if ours.is_empty() {
        return Vec::new();
    }
    let row = |&(name, unit, figure): &Figure| {
        let of = |runs: &[&Run]| -> Vec<f64> { runs.iter().map(|run| figure(run)).collect() };
        let name = format!("1 of {nodes} {}: {}: {name}", event.1, system.1);
        Row::new(name, unit, &of(&ours), PEER, &of(&peers))
    };
    let mut rows: Vec<Row> = FIGURES.iter().map(row).collect();
    if matches!(system.0, System::Directed | System::Shared) {
        let met = ours.iter().all(|run| run.is_as_wanted());
        let first = rows.remove(0);
        rows.insert(0, first.with_goal(event.2, met));
    }
    rows
}

pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for event in EVENTS {
        for nodes in sizes(runs) {
            for system in SYSTEMS {
                rows.extend(rows_of(runs, nodes, event, system));
            }
        }
    }
    rows
}

/// One line for each system, of all its figures.
pub fn report(rows: &[Row]) {
    let mut header = vec![""];
    header.extend(FIGURES.iter().map(|figure| figure.0));
    header.extend(["runs", "goal"]);
    let mut shown = table(&header);
    for line in rows.chunks(FIGURES.len()) {
        let [first, ..] = line else { continue };
        let name = first.name.trim_end_matches(": lost").to_owned();
        let mut cells = vec![name];
        cells.extend(line.iter().map(|row| match row.stddev {
            0.0 => number(row.value),
            stddev => format!("{} ± {}", number(row.value), number(stddev)),
        }));
        cells.push(first.runs.to_string());
        cells.push(first.goal.as_ref().map_or(String::new(), |goal| {
            let met = if goal.met { "met" } else { "NOT met" };
            format!("{}: {met}", goal.text)
        }));
        shown.add_row(cells);
    }
    println!("A node dies, or seems dead, and nobody says so\n{shown}");
    println!("times are milliseconds since then; ± is the standard deviation over the runs");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(event: Event) -> Run {
        Run {
            system: System::Shared,
            nodes: 10,
            event,
            new: 200.0,
            lost: 0.0,
            late: 0.0,
            cut: 0.0,
            outage_ms: 400.0,
            last_late_ms: 1400.0,
            live: 48.0,
            own: 0.0,
            others: 0.0,
        }
    }

    fn met(run: Run) -> bool {
        let rows = rows(&[run]);
        rows[0].goal.as_ref().expect("ours is judged").met
    }

    #[test]
    fn reads_what_the_guest_writes() {
        let line = r#"{"system": "fast", "nodes": 3, "event": "dead", "new": 250, "lost": 1,
            "late": 9, "cut": 0, "outage_ms": 512.5, "last_late_ms": 1300.1, "live": 48,
            "of_node": 16, "own": 16, "others": 0}"#;
        let run: Run = serde_json::from_str(line).expect("the guest's form");
        assert_eq!((run.system, run.event), (System::Fast, Event::Dead));
        assert_eq!((run.new, run.own, run.outage_ms), (250.0, 16.0, 512.5));
    }

    #[test]
    fn each_figure_has_a_row() {
        let mut other = run(Event::Dead);
        (other.lost, other.cut, other.own) = (3.0, 1.0, 12.0);
        let rows = rows(&[run(Event::Dead), other]);
        assert_eq!(rows.len(), FIGURES.len());
        assert_eq!(rows[0].name, "1 of 10 dead: service_group, shared: lost");
        assert_eq!((rows[0].value, rows[5].value), (2.0, 12.5));
    }

    #[test]
    fn a_dead_node_may_lose_its_own_only() {
        let mut one = run(Event::Dead);
        (one.own, one.cut, one.late) = (5.0, 1.0, 9.0);
        assert!(met(one));
        let mut one = run(Event::Dead);
        one.others = 1.0;
        assert!(!met(one));
        let mut one = run(Event::Dead);
        one.lost = 1.0;
        assert!(!met(one));
    }

    #[test]
    fn who_only_seems_dead_may_lose_nothing() {
        assert!(met(run(Event::Suspected)));
        for spoil in [
            (|run| run.own = 1.0) as fn(&mut Run),
            |run| run.late = 1.0,
            |run| run.cut = 1.0,
        ] {
            let mut one = run(Event::Suspected);
            spoil(&mut one);
            assert!(!met(one));
        }
    }

    #[test]
    fn peers_have_no_goal() {
        let mut one = run(Event::Dead);
        one.system = System::Cluster;
        assert!(rows(&[one]).iter().all(|row| row.goal.is_none()));
    }
}
