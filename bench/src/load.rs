// SPDX-License-Identifier: GPL-2.0

//! A loaded service: what `guest/load.c` writes, and how long clients waited.
//!
//! Percentiles are of the connections of all runs together: one run has too few
//! for the rarest. Their spread is that of each run's own. A connection that was
//! not served counts as the time after which a client gives up; nobody knows how
//! long it would have taken.

use crate::row::{Row, number, table};
use crate::stats;
use serde::Deserialize;

/// What most rows are compared with.
pub const STOCK: &str = "SO_REUSEPORT, no group";

/// One load of one service.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    pub case: Case,
    pub variant: Variant,
    /// In percent of the capacity.
    pub load: u32,
    pub patience_ms: f64,
    pub stall_ms: f64,
    pub connections: Vec<Connection>,
}

/// What is wrong with the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// Nothing; the load is that of `Hung`.
    Healthy,
    Hung,
    Uneven,
    Restart,
}

/// How the workers' sockets are tied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    Reuseport,
    Migrate,
    Shared,
    Bpf,
    Overflow,
    Balance,
}

impl Variant {
    pub fn title(self) -> &'static str {
        match self {
            Self::Reuseport => "SO_REUSEPORT",
            Self::Migrate => "tcp_migrate_req",
            Self::Shared => "one listener for all",
            Self::Bpf => "BPF, in turn",
            Self::Overflow => "group, overflow",
            Self::Balance => "group, balance",
        }
    }

    pub fn is_group(self) -> bool {
        matches!(self, Self::Overflow | Self::Balance)
    }
}

/// The variants whose waiting is compared, the stock kernel's own first.
const COMPARED: [Variant; 5] = [
    Variant::Reuseport,
    Variant::Shared,
    Variant::Bpf,
    Variant::Overflow,
    Variant::Balance,
];

/// The milliseconds to the end, the end, and how many times the SYN was sent again.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection(pub f64, pub End, pub u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Served,
    Reset,
    Refused,
    /// Ended without a byte.
    Closed,
    GivenUp,
}

impl Run {
    fn times(&self) -> impl Iterator<Item = f64> + '_ {
        self.connections
            .iter()
            .map(|connection| match connection.1 {
                End::Served => connection.0,
                _ => self.patience_ms,
            })
    }

    fn unserved(&self) -> f64 {
        let unserved = self.connections.iter().filter(|c| c.1 != End::Served);
        unserved.count() as f64
    }
}

/// What a client's waiting is told by.
#[derive(Debug, Clone, Copy)]
pub enum Measure {
    Percentile(&'static str, f64),
    Unserved,
}

pub const P99: Measure = Measure::Percentile("p99", 99.0);
pub const MAX: Measure = Measure::Percentile("max", 100.0);
pub const MEASURES: [Measure; 5] = [
    Measure::Percentile("p50", 50.0),
    P99,
    Measure::Percentile("p99.9", 99.9),
    MAX,
    Measure::Unserved,
];

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Percentile(name, _) => name,
            Self::Unserved => "never served",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Percentile(..) => "ms",
            Self::Unserved => "connections",
        }
    }
}

/// All runs of one case, variant and load.
pub struct Series<'a> {
    pub case: Case,
    pub variant: Variant,
    pub load: u32,
    runs: Vec<&'a Run>,
}

impl<'a> Series<'a> {
    pub fn of(runs: &'a [Run], case: Case, variant: Variant, load: u32) -> Self {
        let belongs = |run: &&Run| (run.case, run.variant, run.load) == (case, variant, load);
        Self {
            case,
            variant,
            load,
            runs: runs.iter().filter(belongs).collect(),
        }
    }

    pub fn title(&self) -> String {
        let unharmed = match self.case {
            Case::Healthy => ", no worker hung",
            _ => "",
        };
        format!("{}{unharmed}", self.variant.title())
    }

    /// Of all runs together; what is counted is the mean.
    pub fn value(&self, measure: Measure) -> f64 {
        match measure {
            Measure::Percentile(_, percent) => {
                let all: Vec<f64> = self.runs.iter().flat_map(|run| run.times()).collect();
                stats::percentile(&all, percent).unwrap_or(0.0)
            }
            Measure::Unserved => stats::mean(&self.by_run(measure)),
        }
    }

    /// Of each run alone.
    pub fn by_run(&self, measure: Measure) -> Vec<f64> {
        let of_run = |run: &&Run| match measure {
            Measure::Percentile(_, percent) => {
                stats::percentile(&run.times().collect::<Vec<_>>(), percent).unwrap_or(0.0)
            }
            Measure::Unserved => run.unserved(),
        };
        self.runs.iter().map(of_run).collect()
    }

    pub fn connections(&self) -> usize {
        self.runs.iter().map(|run| run.connections.len()).sum()
    }

    /// A row of this series beside another one.
    pub fn row(&self, measure: Measure, peer: &'static str, other: &Series) -> Row {
        let name = format!("{}, load {} %: {}", self.title(), self.load, measure.name());
        let (value, peer_value) = (self.value(measure), other.value(measure));
        Row::of_all(name, measure.unit(), value, &self.by_run(measure)).with_peer(peer, peer_value)
    }
}

/// The loads that were measured.
pub fn loads(runs: &[Run]) -> Vec<u32> {
    stats::distinct(runs.iter().map(|run| run.load))
}

/// The series of a benchmark for one load, in the order in which they are shown;
/// with a worker hung, the groups are followed by themselves with none hung.
pub fn series(runs: &[Run], case: Case, load: u32) -> Vec<Series<'_>> {
    let mut all = Vec::new();
    for variant in COMPARED {
        all.push(Series::of(runs, case, variant, load));
        if case == Case::Hung && variant.is_group() {
            all.push(Series::of(runs, Case::Healthy, variant, load));
        }
    }
    all
}

/// A row for each load, variant and measure, beside the stock kernel's own.
pub fn rows(runs: &[Run], case: Case) -> Vec<Row> {
    let mut rows = Vec::new();
    for load in loads(runs) {
        let stock = Series::of(runs, case, Variant::Reuseport, load);
        for variant in COMPARED.into_iter().skip(1) {
            let series = Series::of(runs, case, variant, load);
            rows.extend(MEASURES.map(|measure| series.row(measure, STOCK, &stock)));
        }
    }
    rows
}

/// All series, one a line.
pub fn print(title: &str, runs: &[Run], case: Case) {
    let mut header = vec!["", "load", "connections"];
    header.extend(MEASURES.map(Measure::name));
    let mut shown = table(&header);
    for load in loads(runs) {
        for series in series(runs, case, load) {
            let mut line = vec![
                series.title(),
                format!("{load} %"),
                series.connections().to_string(),
            ];
            line.extend(MEASURES.map(|measure| cell(&series, measure)));
            shown.add_row(line);
        }
    }
    println!("{title}\n{shown}");
    if let Some(run) = runs.first() {
        println!(
            "milliseconds from connect() to the first byte, of the connections of all runs; \
             given up after {:.0}; ± is the standard deviation of the runs' own figures; \
             never served: a run",
            run.patience_ms
        );
    }
}

fn cell(series: &Series, measure: Measure) -> String {
    let spread = stats::stddev(&series.by_run(measure));
    format!("{} ± {}", number(series.value(measure)), number(spread))
}

#[cfg(test)]
#[path = "load_tests.rs"]
pub(crate) mod tests;
