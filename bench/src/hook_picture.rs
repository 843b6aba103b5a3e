// SPDX-License-Identifier: GPL-2.0

//! The picture of the hook: what each case adds to a connection's instructions,
//! as a bar, and the goal as a mark on the same line.

use crate::canvas::{Align, BAD, Canvas, FAINT, GOOD, INK, RULE, Result, SMALL, TEXT, TITLE};
use crate::hook::{CASES, added_percent};
use crate::row::Row;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 320;
const LEFT: i32 = 210;
const RIGHT: i32 = WIDTH - 40;
const TOP: i32 = 84;
const BOTTOM: i32 = HEIGHT - 62;

/// One bar a row, in the order of the cases.
pub fn bars(svg: &Path, rows: &[Row]) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let title = "What service_group adds to a connection, from SYN to accept";
    canvas.text(24, 28, Align::Left, TITLE, INK, title)?;
    let base = rows.first().map_or(0.0, |row| row.peer_value);
    let peer = format!("without the module: {base:.0} instructions");
    canvas.text(24, 54, Align::Left, TEXT, FAINT, &peer)?;
    let widest = rows.iter().map(added_percent).fold(5.0, f64::max).ceil() + 1.0;
    let pixel =
        |percent: f64| LEFT + (percent.max(0.0) / widest * f64::from(RIGHT - LEFT)).round() as i32;
    for percent in (0..=widest as i32).step_by(1 + widest as usize / 12) {
        let x = pixel(f64::from(percent));
        canvas.line((x, TOP), (x, BOTTOM), RULE, 1)?;
        let label = format!("+{percent} %");
        canvas.text(x, BOTTOM + 16, Align::Middle, SMALL, FAINT, &label)?;
    }
    let step = (BOTTOM - TOP) / CASES.len() as i32;
    for (place, (case, row)) in CASES.iter().zip(rows).enumerate() {
        let y = TOP + step * place as i32 + step / 2;
        let added = added_percent(row);
        let goal = pixel(case.bound);
        canvas.text(LEFT - 14, y, Align::Right, TEXT, INK, case.title)?;
        canvas.rectangle(
            (LEFT, y - 11),
            (pixel(added).max(LEFT + 2), y + 11),
            GOOD.mix(1.0),
        )?;
        canvas.line((goal, y - 18), (goal, y + 18), BAD, 3)?;
        let told = format!("{added:+.2} %  ({:+.0})", row.value - row.peer_value);
        let beside = pixel(added).max(goal) + 10;
        canvas.text(beside, y, Align::Left, TEXT, INK, &told)?;
    }
    let below = "bar: instructions added, in percent (and their number); line: the goal, at most";
    canvas.text(24, HEIGHT - 20, Align::Left, SMALL, FAINT, below)?;
    canvas.finish()
}
