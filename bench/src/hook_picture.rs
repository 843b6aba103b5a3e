// SPDX-License-Identifier: GPL-2.0

//! The picture of the hook: what each case adds to a connection's instructions,
//! as a bar, and the goal as a mark on the same line.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::hook::{CASES, Case, WAYS, added_percent};
use crate::row::Row;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 214;
const RIGHT: i32 = WIDTH - 40;
const TOP: i32 = 64;
/// The height of a bar's line, and of the heading of a way.
const LINE: i32 = 36;
const HEADING: i32 = 40;
const BOTTOM: i32 = TOP + WAYS.len() as i32 * (HEADING + CASES.len() as i32 * LINE) + 6;
const HEIGHT: i32 = BOTTOM + 66;

/// In percent; wide enough for every goal and every bar.
fn scale(rows: &[Row]) -> Bars {
    let goal = CASES.iter().map(|case| case.bound).fold(0.0, f64::max);
    let widest = rows.iter().map(added_percent).fold(goal, f64::max);
    Bars {
        left: LEFT,
        right: RIGHT,
        most: widest.ceil() + 1.0,
        half: 9,
    }
}

/// One bar a row: for each way its cases, in their order.
pub fn bars(svg: &Path, rows: &[Row]) -> Result {
    let title = "What service_group adds to a connection, from SYN to accept";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let scale = scale(rows);
    axis(&canvas, &scale)?;
    let mut y = TOP;
    for ((_, what), rows) in WAYS.iter().zip(rows.chunks(CASES.len())) {
        let base = rows.first().map_or(0.0, |row| row.peer_value);
        let heading = format!("{what}: {base:.0} instructions without the module");
        canvas.text(24, y + HEADING / 2, Align::Left, TEXT, FAINT, &heading)?;
        y += HEADING;
        for (case, row) in CASES.iter().zip(rows) {
            bar(&canvas, &scale, y + LINE / 2, case, row)?;
            y += LINE;
        }
    }
    let below = "bar: instructions added, in percent and (their number); line: the goal, at most";
    canvas.below(HEIGHT - 18, below)?;
    canvas.finish()
}

fn axis(canvas: &Canvas, scale: &Bars) -> Result {
    for percent in (0..=scale.most as i32).step_by(1 + scale.most as usize / 12) {
        let x = scale.pixel(f64::from(percent));
        let mut y = TOP;
        for _ in WAYS {
            let from = y + HEADING;
            y = from + CASES.len() as i32 * LINE;
            canvas.line((x, from), (x, y), RULE, 1)?;
        }
        let label = format!("+{percent} %");
        canvas.label(x, BOTTOM + 10, &label)?;
    }
    Ok(())
}

fn bar(canvas: &Canvas, scale: &Bars, y: i32, case: &Case, row: &Row) -> Result {
    let added = added_percent(row);
    let end = scale.draw(canvas, y, case.title, added, GOOD.mix(1.0))?;
    let goal = scale.pixel(case.bound);
    canvas.line((goal, y - 14), (goal, y + 14), BAD, 3)?;
    let told = format!("{added:+.2} %  ({:+.0})", row.value - row.peer_value);
    canvas.text(end.max(goal) + 10, y, Align::Left, TEXT, INK, &told)
}
