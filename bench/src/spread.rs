// SPDX-License-Identifier: GPL-2.0

//! How evenly the hashes of a cluster IP spread flows over its nodes.
//!
//! Reads what `spread_measure` wrote. A node's ideal share is one n-th of the flows. But
//! a fair choice does not give that to each: so the same number of flows, each given to
//! any node by chance, stands beside. There is no goal.

use crate::row::{Row, number, table};
use crate::spread_traffic::{TRAFFIC, Traffic};
use crate::stats;
use serde::{Deserialize, Serialize};

/// Numbers of nodes and of slots. With as many slots as nodes it is the plain modulo rule; 251 is
/// what `sgctl` takes if it is not told another number.
pub const SIZES: [(usize, usize); 6] = [(3, 3), (3, 251), (3, 256), (10, 10), (10, 251), (10, 256)];

const PEER: &str = "any node by chance";

/// What decides who gets a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    Sum3,
    Sum5,
    Keyed,
    Random,
}

pub const HASHES: [Choice; 3] = [Choice::Sum3, Choice::Sum5, Choice::Keyed];

impl Choice {
    pub fn title(self) -> &'static str {
        match self {
            Self::Sum3 => "sum3",
            Self::Sum5 => "sum5",
            Self::Keyed => "keyed",
            Self::Random => "chance",
        }
    }
}

/// One run of one case.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    pub seed: u64,
    pub traffic: Traffic,
    pub nodes: usize,
    pub slots: usize,
    pub choice: Choice,
    /// How many each node got.
    pub flows: Vec<u32>,
}

impl Run {
    /// Each node's share over the ideal one, the busiest node first.
    pub fn shares(&self) -> Vec<f64> {
        let counts: Vec<f64> = self.flows.iter().map(|&count| f64::from(count)).collect();
        let ideal = stats::mean(&counts);
        let share = |count| stats::ratio(count, ideal).unwrap_or(0.0);
        let mut shares: Vec<f64> = counts.into_iter().map(share).collect();
        shares.sort_by(|one, other| other.total_cmp(one));
        shares
    }

    fn largest(&self) -> f64 {
        self.shares().first().copied().unwrap_or(0.0)
    }

    fn smallest(&self) -> f64 {
        self.shares().last().copied().unwrap_or(0.0)
    }

    /// The coefficient of variation, in percent. The nodes are no sample, but all.
    fn variation(&self) -> f64 {
        let squares = self.shares().into_iter().map(|share| (share - 1.0).powi(2));
        100.0 * stats::mean(&squares.collect::<Vec<f64>>()).sqrt()
    }

    fn idle(&self) -> f64 {
        self.flows.iter().filter(|&&count| count == 0).count() as f64
    }
}

/// Something that is told of each case.
struct Figure {
    title: &'static str,
    unit: &'static str,
    of: fn(&Run) -> f64,
}

const FIGURES: [Figure; 4] = [
    Figure {
        title: "largest share",
        unit: "× ideal",
        of: Run::largest,
    },
    Figure {
        title: "smallest share",
        unit: "× ideal",
        of: Run::smallest,
    },
    Figure {
        title: "variation",
        unit: "%",
        of: Run::variation,
    },
    Figure {
        title: "idle nodes",
        unit: "nodes",
        of: Run::idle,
    },
];

/// The runs of one case.
pub fn chosen(
    runs: &[Run],
    traffic: Traffic,
    size: (usize, usize),
    choice: Choice,
) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| {
        (run.traffic, (run.nodes, run.slots), run.choice) == (traffic, size, choice)
    })
}

/// The rows of one case, one for each of FIGURES.
fn rows_of(runs: &[Run], traffic: Traffic, size: (usize, usize), choice: Choice) -> Vec<Row> {
    let values = |figure: &Figure, choice| -> Vec<f64> {
        chosen(runs, traffic, size, choice).map(figure.of).collect()
    };
    let row = |figure: &Figure| {
        let name = format!(
            "{}, {} nodes, {} slots, {}: {}",
            traffic.title(),
            size.0,
            size.1,
            choice.title(),
            figure.title
        );
        let peer = values(figure, Choice::Random);
        Row::new(name, figure.unit, &values(figure, choice), PEER, &peer)
    };
    FIGURES.iter().map(row).collect()
}

/// By traffic, size, hash and figure.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for traffic in TRAFFIC {
        let cases = SIZES
            .iter()
            .flat_map(|&size| HASHES.map(|hash| (size, hash)));
        rows.extend(cases.flat_map(|(size, hash)| rows_of(runs, traffic, size, hash)));
    }
    rows
}

/// A table for each kind of traffic.
pub fn report(runs: &[Run]) {
    for traffic in TRAFFIC {
        println!("{}: {}", traffic.title(), traffic.about());
        print_traffic(runs, traffic);
    }
    let seeds = runs.iter().map(|run| run.seed).max().unwrap_or(0);
    let flows = runs.first().map_or(0, |run| run.flows.iter().sum::<u32>());
    println!(
        "shares are over the ideal one, which is 1; variation is their coefficient of variation"
    );
    println!(
        "chance: any node by chance, for as many flows; ± is the standard deviation over the runs"
    );
    println!("{seeds} runs of {flows} flows each; {}", slots_alone());
}

fn print_traffic(runs: &[Run], traffic: Traffic) {
    let titles = FIGURES.map(|figure| figure.title);
    let mut shown = table(&[&[""][..], &titles[..]].concat());
    for size in SIZES {
        for choice in HASHES.into_iter().chain([Choice::Random]) {
            let title = format!("{} nodes, {} slots: {}", size.0, size.1, choice.title());
            let rows = rows_of(runs, traffic, size, choice);
            shown.add_row(std::iter::once(title).chain(rows.iter().map(cell)));
        }
    }
    println!("{shown}\n");
}

fn cell(row: &Row) -> String {
    let unit = match row.unit {
        "%" => " %",
        _ => "",
    };
    format!("{}{unit} ± {}", number(row.value), number(row.stddev))
}

/// What the best hash cannot do better, as slots are not divided.
fn slots_alone() -> String {
    let uneven = SIZES.iter().filter(|(nodes, slots)| slots % nodes != 0);
    let told = uneven.map(|&(nodes, slots)| {
        let most = slots.div_ceil(nodes);
        let share = (most * nodes) as f64 / slots as f64;
        format!("of {slots} slots one of {nodes} nodes has at most {most}, {share:.3} × ideal")
    });
    told.collect::<Vec<String>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(choice: Choice, flows: &[u32]) -> Run {
        Run {
            seed: 1,
            traffic: Traffic::OneClient,
            nodes: flows.len(),
            slots: flows.len(),
            choice,
            flows: flows.to_vec(),
        }
    }

    #[test]
    fn reads_what_is_written() {
        let line = r#"{"seed":2,"traffic":"last_octet","nodes":3,"slots":256,"choice":"sum5","flows":[1,2,3]}"#;
        let run: Run = serde_json::from_str(line).expect("the form of a line");
        assert_eq!(
            (run.traffic, run.choice),
            (Traffic::LastOctet, Choice::Sum5)
        );
        assert_eq!(serde_json::to_string(&run).expect("plain data"), line);
    }

    #[test]
    fn shares_are_over_the_ideal() {
        let run = run(Choice::Sum3, &[0, 30, 60]);
        assert_eq!(run.shares(), [2.0, 1.0, 0.0]);
        assert_eq!((run.largest(), run.smallest(), run.idle()), (2.0, 0.0, 1.0));
        assert!((run.variation() - 100.0 * (2.0_f64 / 3.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn even_shares_do_not_vary() {
        let run = run(Choice::Sum3, &[5, 5, 5]);
        assert_eq!(run.variation(), 0.0);
        assert_eq!((run.largest(), run.smallest(), run.idle()), (1.0, 1.0, 0.0));
    }

    #[test]
    fn nothing_is_no_share() {
        assert_eq!(run(Choice::Sum3, &[0, 0, 0]).shares(), [0.0; 3]);
        assert_eq!(run(Choice::Sum3, &[]).largest(), 0.0);
    }

    #[test]
    fn rows_compare_with_chance() {
        let runs = [
            run(Choice::Sum5, &[30, 0, 0]),
            run(Choice::Sum5, &[15, 15, 0]),
            run(Choice::Random, &[12, 10, 8]),
        ];
        let rows = rows(&runs);
        assert_eq!(rows.len(), 4 * 6 * 3 * 4);
        let name = "one client, 3 nodes, 3 slots, sum5: largest share";
        let row = rows.iter().find(|row| row.name == name).expect("the row");
        assert_eq!((row.value, row.peer_value, row.runs), (2.25, 1.2, 2));
        assert!(row.goal.is_none());
    }

    #[test]
    fn slots_are_not_divided() {
        assert_eq!(
            slots_alone(),
            "of 251 slots one of 3 nodes has at most 84, 1.004 × ideal; \
             of 256 slots one of 3 nodes has at most 86, 1.008 × ideal; \
             of 251 slots one of 10 nodes has at most 26, 1.036 × ideal; \
             of 256 slots one of 10 nodes has at most 26, 1.016 × ideal"
        );
    }
}
