// SPDX-License-Identifier: GPL-2.0

//! The picture of rewriting: what it adds to a packet and to a connection's memory,
//! and what DNAT adds, as two bars each, with the goal as a mark.

use crate::canvas::{Align, BAD, Canvas, FAINT, GOOD, INK, RULE, Result, SMALL, TEXT, TITLE};
use crate::rewrite::{BOUND, FIGURES, Figure, Run, added_rows, difference, plain};
use crate::row::Row;
use plotters::prelude::Color;
use plotters::style::RGBColor;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 184;
const RIGHT: i32 = WIDTH - 190;
const TOP: i32 = 58;
const HEADING: i32 = 36;
const LINE: i32 = 30;
const PANEL: i32 = HEADING + 2 * LINE + 10;
const HEIGHT: i32 = TOP + FIGURES.len() as i32 * PANEL + 48;

/// One panel for each of FIGURES, each as wide as its longest bar.
pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let title = "What it adds that a connection is not with the address that was asked for";
    canvas.text(24, 30, Align::Left, TITLE, INK, title)?;
    let mut y = TOP;
    for (figure, row) in FIGURES.iter().zip(added_rows(runs)) {
        panel(&canvas, y, figure, &row, plain(runs, figure))?;
        y += PANEL;
    }
    let below =
        "bar: added to a plain connection's; line: the goal, at most half of what DNAT adds";
    canvas.text(24, HEIGHT - 20, Align::Left, SMALL, FAINT, below)?;
    canvas.finish()
}

fn panel(canvas: &Canvas, top: i32, figure: &Figure, row: &Row, plain: f64) -> Result {
    let heading = format!("{}: {plain:.0} {} if plain", figure.title, figure.unit);
    canvas.text(24, top + HEADING / 2, Align::Left, TEXT, FAINT, &heading)?;
    let from = top + HEADING;
    canvas.line((LEFT, from), (LEFT, from + 2 * LINE), RULE, 1)?;
    let widest = row.value.max(row.peer_value).max(1.0);
    let pixel =
        |value: f64| LEFT + (value.max(0.0) / widest * f64::from(RIGHT - LEFT)).round() as i32;
    let bars = [
        ("service_group", row.value, GOOD),
        ("nftables DNAT", row.peer_value, BAD),
    ];
    for (place, (name, value, colour)) in (0..).zip(bars) {
        let y = from + place * LINE + LINE / 2;
        let told = difference(value, plain);
        bar(canvas, y, name, pixel(value), colour, &told)?;
    }
    if row.goal.is_some() {
        let x = pixel(row.peer_value * BOUND);
        canvas.line((x, from), (x, from + 2 * LINE), INK, 2)?;
    }
    Ok(())
}

fn bar(canvas: &Canvas, y: i32, name: &str, end: i32, colour: RGBColor, told: &str) -> Result {
    let end = end.max(LEFT + 2);
    canvas.text(LEFT - 14, y, Align::Right, TEXT, INK, name)?;
    canvas.rectangle((LEFT, y - 9), (end, y + 9), colour.mix(1.0))?;
    canvas.text(end + 10, y, Align::Left, TEXT, INK, told)
}
