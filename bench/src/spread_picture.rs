// SPDX-License-Identifier: GPL-2.0

//! The picture of the spread: for each kind of traffic the shares of ten nodes as bars,
//! by hash, with a line at the ideal share.
//!
//! The busiest node stands first, so that the mean over the runs does not hide that it
//! is another one in each.

use crate::canvas::{Align, BAD, Canvas, FAINT, GOOD, INK, RULE, Result, SMALL, TEXT};
use crate::spread::{Choice, HASHES, Run, chosen};
use crate::spread_traffic::{TRAFFIC, Traffic};
use crate::stats;
use plotters::prelude::Color;
use plotters::style::RGBColor;
use std::path::Path;

const NODES: usize = 10;
/// The columns: numbers of slots.
const COLUMNS: [(usize, &str); 2] = [
    (251, "251 slots, the default"),
    (256, "256 slots, an even number"),
];

const WIDTH: i32 = 1000;
const LEFT: i32 = 62;
const COLUMN: i32 = 468;
/// A hash's bars, and one of them, with what is between them.
const GROUP: i32 = 108;
const BAR: i32 = 9;
const TOP: i32 = 96;
const PANEL: i32 = 172;
const HEADING: i32 = 36;
/// The height of the bars of a panel, and what it stands for.
const DEEP: i32 = 90;
const HIGHEST: f64 = 3.0;
const HEIGHT: i32 = TOP + TRAFFIC.len() as i32 * PANEL + 52;

/// One row of panels for each kind of traffic.
pub fn panels(svg: &Path, runs: &[Run]) -> Result {
    let title = "Who gets how much? Shares of ten nodes of equal weight, by hash";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    for ((_, title), left) in COLUMNS.iter().zip(lefts()) {
        canvas.text(left, 70, Align::Left, TEXT, INK, title)?;
    }
    let mut top = TOP;
    for traffic in TRAFFIC {
        let heading = format!("{}: {}", traffic.title(), traffic.about());
        canvas.text(LEFT, top + 10, Align::Left, SMALL, INK, &heading)?;
        for ((slots, _), left) in COLUMNS.iter().zip(lefts()) {
            panel(&canvas, (left, top + HEADING), |choice| {
                mean_shares(runs, traffic, *slots, choice)
            })?;
        }
        top += PANEL;
    }
    let below = [
        "bar: a node's share of the flows, the busiest first, mean over the runs; line: the ideal, 10 %",
        "chance: as many flows, each given to any node by chance",
    ];
    for (line, text) in (0..).zip(below) {
        let y = HEIGHT - 42 + line * 22;
        canvas.text(24, y, Align::Left, SMALL, FAINT, text)?;
    }
    canvas.finish()
}

fn lefts() -> impl Iterator<Item = i32> {
    (0..).map(|place| LEFT + place * COLUMN)
}

/// The share of the busiest node, of the next one and so on, each over the ideal and as
/// the mean over the runs.
fn mean_shares(runs: &[Run], traffic: Traffic, slots: usize, choice: Choice) -> Vec<f64> {
    let shares: Vec<Vec<f64>> = chosen(runs, traffic, (NODES, slots), choice)
        .map(Run::shares)
        .collect();
    let mean = |rank: usize| {
        let of_rank = shares.iter().filter_map(|shares| shares.get(rank).copied());
        stats::mean(&of_rank.collect::<Vec<f64>>())
    };
    (0..NODES).map(mean).collect()
}

/// The bars of all hashes, and of chance.
fn panel(canvas: &Canvas, at: (i32, i32), shares: impl Fn(Choice) -> Vec<f64>) -> Result {
    let (left, top) = at;
    let bottom = top + DEEP;
    let right = left + 4 * GROUP - (GROUP - NODES as i32 * BAR);
    canvas.line((left, bottom), (right, bottom), RULE, 1)?;
    for share in [0.0, 1.0, 2.0, 3.0] {
        let label = format!("{:.0} %", 100.0 * share / NODES as f64);
        let y = bottom - height(share);
        canvas.text(left - 6, y, Align::Right, SMALL, FAINT, &label)?;
    }
    let choices = HASHES.into_iter().chain([Choice::Random]);
    for (choice, place) in choices.zip(0..) {
        let from = left + place * GROUP;
        group(canvas, (from, bottom), colour(choice), &shares(choice))?;
        let middle = from + NODES as i32 * BAR / 2;
        let title = choice.title();
        canvas.text(middle, bottom + 14, Align::Middle, SMALL, INK, title)?;
    }
    let ideal = bottom - height(1.0);
    canvas.line((left, ideal), (right, ideal), BAD, 2)
}

fn colour(choice: Choice) -> RGBColor {
    match choice {
        Choice::Random => FAINT,
        _ => GOOD,
    }
}

/// Bars from the point `at` to the right. One that does not fit says how long it is.
fn group(canvas: &Canvas, at: (i32, i32), colour: RGBColor, shares: &[f64]) -> Result {
    let (mut left, bottom) = at;
    for &share in shares {
        let top = bottom - height(share);
        canvas.rectangle((left, top), (left + BAR - 2, bottom), colour.mix(1.0))?;
        if share > HIGHEST {
            let label = format!("↑ {:.0} %", 100.0 * share / NODES as f64);
            canvas.text(left + BAR + 4, top + 7, Align::Left, SMALL, INK, &label)?;
        }
        left += BAR;
    }
    Ok(())
}

/// The pixels of a share; those that are larger than the highest are cut off.
fn height(share: f64) -> i32 {
    (share.clamp(0.0, HIGHEST) / HIGHEST * f64::from(DEEP)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u32, last: u32) -> Run {
        let mut flows = vec![0; NODES];
        (flows[0], flows[NODES - 1]) = (first, last);
        Run {
            seed: 1,
            traffic: Traffic::Mixed,
            nodes: NODES,
            slots: 256,
            choice: Choice::Sum3,
            flows,
        }
    }

    #[test]
    fn the_busiest_node_of_each_run_stands_first() {
        let runs = [run(100, 0), run(0, 100), run(50, 50)];
        let shares = mean_shares(&runs, Traffic::Mixed, 256, Choice::Sum3);
        assert_eq!(shares.len(), NODES);
        assert!((shares[0] - 25.0 / 3.0).abs() < 1e-9);
        assert!((shares[1] - 5.0 / 3.0).abs() < 1e-9);
        assert_eq!(shares[2..], [0.0; NODES - 2]);
    }

    #[test]
    fn a_case_without_runs_is_empty() {
        let shares = mean_shares(&[], Traffic::Mixed, 256, Choice::Sum3);
        assert_eq!(shares, [0.0; NODES]);
    }

    #[test]
    fn long_bars_are_cut_off() {
        assert_eq!((height(0.0), height(1.0)), (0, DEEP / 3));
        assert_eq!((height(3.0), height(10.0)), (DEEP, DEEP));
    }
}
