// SPDX-License-Identifier: GPL-2.0

//! The stall: new connections to an nginx of which one worker hangs, its accept
//! queue full; with the stock kernel alone, and with a service group.
//!
//! Reads what `guest/stall` wrote. A connection is *lost* if curl gave it up, not
//! connected or not answered, and *late* if its SYN had to be sent again, which
//! takes a second. It is the kernel's trace that says so, not the time: in an
//! emulator a connection may be slow for other reasons.

use crate::row::{Row, number, table};
use crate::stats;
use serde::Deserialize;

/// What the rows are compared with.
const PEER: &str = "stock kernel";

/// One series of connections, as the guest wrote it.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub mode: Mode,
    pub workers: u32,
    pub kernel: String,
    /// Whether the guest's processor is, so that every time is long.
    pub emulated: bool,
    pub give_up_ms: f64,
    /// Connections that wait in the stopped worker's queue, not measured.
    pub hung_queue: u32,
    pub syns_dropped: u64,
    pub syns_sent_again: u64,
    /// Connections, lost or not, whose SYN was sent again.
    pub connections_sent_again: u64,
    /// SYNs for the stopped worker that siblings took.
    pub redirected: u64,
    pub connections: Vec<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Stock,
    Grouped,
}

/// Its number, the milliseconds to connect and to the first byte, the end, and,
/// if it was made, whether its SYN was sent again.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection(pub u32, pub f64, pub f64, pub End, pub bool);

impl Connection {
    /// Whether it was served, but only by a SYN sent again.
    pub fn is_late(&self) -> bool {
        self.3 == End::Served && self.4
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    Served,
    /// Connected, but given up before an answer came.
    Unanswered,
    Unconnected,
}

impl Run {
    /// The times to connect; a connection that was not made has at least the
    /// time after which it was given up.
    pub fn connect(&self) -> Vec<f64> {
        let time = |c: &Connection| match c.3 {
            End::Unconnected => self.give_up_ms,
            _ => c.1,
        };
        self.connections.iter().map(time).collect()
    }

    fn first_byte(&self) -> Vec<f64> {
        let time = |c: &Connection| match c.3 {
            End::Served => c.2,
            End::Unanswered | End::Unconnected => self.give_up_ms,
        };
        self.connections.iter().map(time).collect()
    }

    pub fn lost(&self) -> usize {
        self.connections
            .iter()
            .filter(|c| c.3 != End::Served)
            .count()
    }

    pub fn late(&self) -> usize {
        self.connections.iter().filter(|c| c.is_late()).count()
    }

    fn share_lost_or_late(&self) -> f64 {
        let bad = |c: &&Connection| c.3 != End::Served || c.is_late();
        let count = self.connections.iter().filter(bad).count();
        100.0 * count as f64 / self.connections.len().max(1) as f64
    }

    /// Connections that the lookup gave to the stopped worker: those that a
    /// sibling took, and those whose SYN was dropped, as all are sent again.
    fn for_stopped(&self) -> u64 {
        self.redirected + self.connections_sent_again
    }
}

/// The runs of one mode.
fn of(mode: Mode, runs: &[Run]) -> Vec<&Run> {
    runs.iter().filter(|run| run.mode == mode).collect()
}

/// The benchmark's rows: the group's runs against those of the stock kernel.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let (stock, grouped) = (of(Mode::Stock, runs), of(Mode::Grouped, runs));
    let row = |name: &str, unit, value: &dyn Fn(&Run) -> f64| {
        let values: Vec<f64> = grouped.iter().map(|run| value(run)).collect();
        let peers: Vec<f64> = stock.iter().map(|run| value(run)).collect();
        Row::new(name, unit, &values, PEER, &peers)
    };
    let share = row("connections late or failed", "%", &Run::share_lost_or_late);
    let met = share.value == 0.0;
    let again = row("SYNs sent again", "SYNs", &|run| run.syns_sent_again as f64);
    let none = again.value == 0.0;
    let mut rows = vec![
        share.with_goal("none", met),
        again.with_goal("none", none),
        row("connections for the hung worker", "connections", &|run| {
            run.for_stopped() as f64
        }),
    ];
    for (title, times) in SERIES {
        for (label, percent) in PERCENTILES {
            let value = |run: &Run| stats::percentile(&times(run), percent).unwrap_or(0.0);
            rows.push(row(&format!("{title}, {label}"), "ms", &value));
        }
    }
    rows
}

type Times = fn(&Run) -> Vec<f64>;
const SERIES: [(&str, Times); 2] = [
    ("time to connect", Run::connect),
    ("time to first byte", Run::first_byte),
];
const PERCENTILES: [(&str, f64); 3] = [("p50", 50.0), ("p99", 99.0), ("max", 100.0)];

/// A time for a reader. A lost connection counts as the time after which it was
/// given up; nobody knows how long it would have taken.
fn milliseconds(value: f64, run: &Run) -> String {
    if value >= run.give_up_ms && run.lost() > 0 {
        format!("> {} ms", run.give_up_ms)
    } else {
        format!("{} ms", number(value))
    }
}

/// The demo's table: one run of each, side by side.
pub fn print_comparison(stock: &Run, grouped: &Run) {
    let both = [stock, grouped];
    let mut shown = table(&["", "stock kernel", "with service_group"]);
    let mut add = |name: &str, cell: &dyn Fn(&Run) -> String| {
        shown.add_row([name.to_owned(), cell(both[0]), cell(both[1])]);
    };
    let give_up = stock.give_up_ms / 1000.0;
    add("new connections", &|run| run.connections.len().to_string());
    add("  for the stopped worker", &|run| {
        run.for_stopped().to_string()
    });
    add("  served", &|run| {
        (run.connections.len() - run.lost()).to_string()
    });
    add(&format!("  failed: given up after {give_up} s"), &|run| {
        run.lost().to_string()
    });
    add("  late: served, but only by a SYN sent again", &|run| {
        run.late().to_string()
    });
    add("SYNs that the kernel dropped", &|run| {
        run.syns_dropped.to_string()
    });
    add("SYNs that had to be sent again", &|run| {
        run.syns_sent_again.to_string()
    });
    for (title, times) in SERIES {
        for (label, percent) in PERCENTILES {
            add(&format!("{title}, {label}"), &|run| {
                stats::percentile(&times(run), percent)
                    .map_or("-".into(), |value| milliseconds(value, run))
            });
        }
    }
    println!(
        "kernel {}; nginx with {} workers, one of them stopped; {} connections wait in its queue",
        stock.kernel, stock.workers, stock.hung_queue
    );
    if stock.emulated {
        println!("the machine is emulated: all times are some ten times longer than on a real one");
    }
    println!("{shown}");
}

/// What the demo has seen, in one sentence; an error if it is not what the
/// module promises, or if the question was never put to it.
pub fn verdict(stock: &Run, grouped: &Run) -> Result<String, String> {
    let all = grouped.connections.len();
    let (lost, late) = (grouped.lost(), grouped.late());
    if lost + late > 0 || grouped.syns_sent_again > 0 {
        return Err(format!(
            "With service_group {lost} of {all} connections failed and {late} were late \
             ({} SYNs sent again), although {} workers had room: that must not happen.",
            grouped.syns_sent_again,
            grouped.workers - 1,
        ));
    }
    if stock.for_stopped() == 0 || grouped.redirected == 0 {
        return Err("No connection was meant for the stopped worker: this shows nothing.".into());
    }
    let bad = stock.lost() + stock.late();
    Ok(format!(
        "With one of {} nginx workers hung and its queue full, the stock kernel lost or delayed \
         {bad} of {} new connections; with service_group all {all} were served on their first \
         SYN, {} of them by a sibling of the hung worker.",
        stock.workers,
        stock.connections.len(),
        grouped.redirected,
    ))
}

#[cfg(test)]
#[path = "stall_tests.rs"]
mod tests;
