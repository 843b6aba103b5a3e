// SPDX-License-Identifier: GPL-2.0

//! The picture of a neighbour: how many connections the honest service served, as a
//! bar for each case and a dot for each run, in percent of what it does alone.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::neighbour::{CASES, Case, Run, THROUGHPUT, values};
use crate::stats;
use plotters::prelude::Color;
use plotters::style::RGBColor;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 330;
const RIGHT: i32 = WIDTH - 90;
const TOP: i32 = 64;
const LINE: i32 = 36;
const LINES: i32 = 1 + 2 * CASES.len() as i32;
const BOTTOM: i32 = TOP + LINES * LINE + 6;
const HEIGHT: i32 = BOTTOM + 66;
/// In percent.
const SCALE: Bars = Bars {
    left: LEFT,
    right: RIGHT,
    most: 120.0,
    half: 9,
};

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let title = "An honest service beside a hostile namespace: connections a second";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    for percent in (0..=SCALE.most as i32).step_by(20) {
        let x = SCALE.pixel(f64::from(percent));
        canvas.line((x, TOP), (x, BOTTOM), RULE, 1)?;
        let label = format!("{percent} %");
        canvas.label(x, BOTTOM + 12, &label)?;
    }
    let base = stats::mean(&values(runs, Case::Alone, false, THROUGHPUT));
    let mut y = TOP + LINE / 2;
    for (case, grouped, colour) in lines() {
        let shares: Vec<f64> = values(runs, case, grouped, THROUGHPUT)
            .iter()
            .filter_map(|value| stats::ratio(100.0 * value, base))
            .collect();
        bar(&canvas, y, &name(case, grouped), &shares, colour)?;
        y += LINE;
    }
    let below = "in percent of what it serves alone; bar: mean, dots: the runs";
    canvas.below(HEIGHT - 18, below)?;
    canvas.finish()
}

fn lines() -> Vec<(Case, bool, RGBColor)> {
    let mut lines = vec![(Case::Alone, false, FAINT)];
    for case in CASES {
        lines.extend([(case, false, FAINT), (case, true, GOOD)]);
    }
    lines
}

fn name(case: Case, grouped: bool) -> String {
    let how = match (case, grouped) {
        (Case::Alone, _) => "",
        (_, true) => ", grouped",
        (_, false) => ", not grouped",
    };
    format!("{}{how}", case.title())
}

fn bar(canvas: &Canvas, y: i32, name: &str, shares: &[f64], colour: RGBColor) -> Result {
    let mean = stats::mean(shares);
    SCALE.draw(canvas, y, name, mean, colour.mix(0.5))?;
    for share in shares {
        canvas.dot((SCALE.pixel(*share), y), BAD)?;
    }
    let told = format!("{mean:.1} %");
    canvas.text(RIGHT + 14, y, Align::Left, TEXT, INK, &told)
}
