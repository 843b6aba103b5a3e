// SPDX-License-Identifier: GPL-2.0

//! The picture of a neighbour: how many connections the honest service served, as a
//! bar for each case and a dot for each run, in percent of what it does alone.

use crate::canvas::{Align, BAD, Canvas, FAINT, GOOD, INK, RULE, Result, SMALL, TEXT, TITLE};
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
/// What the scale ends with.
const MOST: f64 = 120.0;

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let title = "An honest service beside a hostile namespace: connections a second";
    canvas.text(24, 30, Align::Left, TITLE, INK, title)?;
    for percent in (0..=MOST as i32).step_by(20) {
        let x = pixel(f64::from(percent));
        canvas.line((x, TOP), (x, BOTTOM), RULE, 1)?;
        let label = format!("{percent} %");
        canvas.text(x, BOTTOM + 12, Align::Middle, SMALL, FAINT, &label)?;
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
    canvas.text(24, HEIGHT - 18, Align::Left, SMALL, FAINT, below)?;
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

fn pixel(percent: f64) -> i32 {
    LEFT + (percent.clamp(0.0, MOST) / MOST * f64::from(RIGHT - LEFT)).round() as i32
}

fn bar(canvas: &Canvas, y: i32, name: &str, shares: &[f64], colour: RGBColor) -> Result {
    let mean = stats::mean(shares);
    let end = pixel(mean);
    canvas.text(LEFT - 14, y, Align::Right, TEXT, INK, name)?;
    canvas.rectangle((LEFT, y - 9), (end, y + 9), colour.mix(0.5))?;
    for share in shares {
        canvas.dot((pixel(*share), y), BAD)?;
    }
    let told = format!("{mean:.1} %");
    canvas.text(RIGHT + 14, y, Align::Left, TEXT, INK, &told)
}
