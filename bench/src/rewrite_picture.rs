// SPDX-License-Identifier: GPL-2.0

//! The picture of rewriting: what it adds to a packet and to a connection's memory,
//! and what DNAT adds, as two bars each, with the goal as a mark.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::rewrite::{BOUND, FIGURES, Figure, Run, added_rows, difference, plain};
use crate::row::Row;
use plotters::prelude::Color;
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
    let title = "What it adds that a connection is not with the address that was asked for";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let mut y = TOP;
    for (figure, row) in FIGURES.iter().zip(added_rows(runs)) {
        panel(&canvas, y, figure, &row, plain(runs, figure))?;
        y += PANEL;
    }
    let below =
        "bar: added to a plain connection's; line: the goal, at most half of what DNAT adds";
    canvas.below(HEIGHT - 20, below)?;
    canvas.finish()
}

fn panel(canvas: &Canvas, top: i32, figure: &Figure, row: &Row, plain: f64) -> Result {
    let heading = format!("{}: {plain:.0} {} if plain", figure.title, figure.unit);
    canvas.text(24, top + HEADING / 2, Align::Left, TEXT, FAINT, &heading)?;
    let from = top + HEADING;
    canvas.line((LEFT, from), (LEFT, from + 2 * LINE), RULE, 1)?;
    let bars = Bars {
        left: LEFT,
        right: RIGHT,
        most: row.value.max(row.peer_value).max(1.0),
        half: 9,
    };
    let values = [
        ("service_group", row.value, GOOD),
        ("nftables DNAT", row.peer_value, BAD),
    ];
    for (place, (name, value, colour)) in (0..).zip(values) {
        let y = from + place * LINE + LINE / 2;
        let end = bars.draw(canvas, y, name, value, colour.mix(1.0))?;
        let told = difference(value, plain);
        canvas.text(end + 10, y, Align::Left, TEXT, INK, &told)?;
    }
    if row.goal.is_some() {
        let x = bars.pixel(row.peer_value * BOUND);
        canvas.line((x, from), (x, from + 2 * LINE), INK, 2)?;
    }
    Ok(())
}
