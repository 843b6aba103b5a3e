// SPDX-License-Identifier: GPL-2.0

//! One line of a benchmark's result: a value, what it is compared with, and how
//! much it varies. Rows go to a JSON file as they are, and to a table.

use crate::stats;
use comfy_table::{CellAlignment, Table, TableComponent, presets};
use serde::Serialize;

/// A result, as the JSON file has it.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    /// The mean over the runs, or a percentile of all that they measured.
    pub value: f64,
    /// What `value` is compared with.
    pub peer: &'static str,
    /// The same of the peer.
    pub peer_value: f64,
    /// `value` over `peer_value`; none when the peer is zero.
    pub ratio: Option<f64>,
    pub runs: usize,
    /// Of `value`, over the runs.
    pub stddev: f64,
    /// What the project wants, and whether this is it. Not in the file.
    #[serde(skip)]
    pub goal: Option<Goal>,
}

/// A bound that the project sets itself.
#[derive(Debug)]
pub struct Goal {
    pub text: &'static str,
    pub met: bool,
}

impl Row {
    /// A row of two series, one value a run.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        values: &[f64],
        peer: &'static str,
        peer_values: &[f64],
    ) -> Self {
        let (value, peer_value) = (stats::mean(values), stats::mean(peer_values));
        Self {
            name: name.into(),
            unit,
            value,
            peer,
            peer_value,
            ratio: stats::ratio(value, peer_value),
            runs: values.len(),
            stddev: stats::stddev(values),
            goal: None,
        }
    }

    /// A row of a value that is of all runs together, and of each run alone; it needs
    /// a peer.
    pub fn of_all(name: String, unit: &'static str, value: f64, values: &[f64]) -> Self {
        Self {
            value,
            ..Self::new(name, unit, values, "", &[])
        }
    }

    pub fn with_peer(mut self, peer: &'static str, peer_value: f64) -> Self {
        (self.peer, self.peer_value) = (peer, peer_value);
        self.ratio = stats::ratio(self.value, peer_value);
        self
    }

    pub fn renamed(mut self, suffix: &str) -> Self {
        self.name += suffix;
        self
    }

    pub fn with_goal(mut self, text: &'static str, met: bool) -> Self {
        self.goal = Some(Goal { text, met });
        self
    }
}

/// A number as wide as it needs to be: more digits the smaller it is.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size < 10.0 => 2,
        size if size < 1000.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

fn describe(goal: Option<&Goal>) -> String {
    match goal {
        Some(Goal { text, met: true }) => format!("{text}: met"),
        Some(Goal { text, met: false }) => format!("{text}: NOT met"),
        None => String::new(),
    }
}

/// An empty table in the form that all of ours have.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The rows of one benchmark for a reader.
pub fn print(title: &str, rows: &[Row]) {
    let mut shown = table(&["", "unit", "value", "±", "peer", "ratio", "runs", "goal"]);
    for row in rows {
        shown.add_row([
            row.name.clone(),
            row.unit.to_string(),
            number(row.value),
            number(row.stddev),
            number(row.peer_value),
            row.ratio.map_or("-".into(), |ratio| format!("{ratio:.4}")),
            row.runs.to_string(),
            describe(row.goal.as_ref()),
        ]);
    }
    println!("{title}\n{shown}");
    let mut peers: Vec<&str> = rows.iter().map(|row| row.peer).collect();
    peers.dedup();
    println!(
        "peer: {}; ± is the standard deviation over the runs",
        peers.join(", or ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_means() {
        let row = Row::new("time", "ms", &[1.0, 3.0], "stock kernel", &[4.0, 4.0]);
        assert_eq!((row.value, row.peer_value, row.runs), (2.0, 4.0, 2));
        assert_eq!(row.ratio, Some(0.5));
        assert_eq!(row.stddev, 2.0_f64.sqrt());
    }

    #[test]
    fn a_value_of_all_runs_is_no_mean() {
        let row = Row::of_all("max".into(), "ms", 9.0, &[1.0, 9.0]).with_peer("other", 3.0);
        assert_eq!((row.value, row.ratio, row.runs), (9.0, Some(3.0), 2));
        assert_eq!(row.stddev, 32.0_f64.sqrt());
        assert_eq!(row.renamed(", alone").name, "max, alone");
    }

    #[test]
    fn file_has_the_agreed_fields_only() {
        let row = Row::new("share", "%", &[0.0], "stock kernel", &[0.0]).with_goal("none", true);
        let json = serde_json::to_string(&row).expect("plain data");
        assert_eq!(
            json,
            r#"{"name":"share","unit":"%","value":0.0,"peer":"stock kernel","#.to_owned()
                + r#""peer_value":0.0,"ratio":null,"runs":1,"stddev":0.0}"#
        );
    }

    #[test]
    fn numbers_stay_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.127, "0.13"),
            (12.34, "12.3"),
            (79214.3, "79214"),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
