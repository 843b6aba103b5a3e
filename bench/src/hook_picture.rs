// SPDX-License-Identifier: GPL-2.0

//! The picture of the hook: what each case adds to a connection's instructions,
//! as a bar, and the goal as a mark on the same line.

use crate::canvas::{Align, BAD, Canvas, FAINT, GOOD, INK, RULE, Result, SMALL, TEXT, TITLE};
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

/// From percent to pixels.
struct Scale {
    widest: f64,
}

impl Scale {
    /// Wide enough for every goal and every bar.
    fn of(rows: &[Row]) -> Self {
        let goal = CASES.iter().map(|case| case.bound).fold(0.0, f64::max);
        let widest = rows.iter().map(added_percent).fold(goal, f64::max);
        Self {
            widest: widest.ceil() + 1.0,
        }
    }

    fn pixel(&self, percent: f64) -> i32 {
        LEFT + (percent.max(0.0) / self.widest * f64::from(RIGHT - LEFT)).round() as i32
    }
}

/// One bar a row: for each way its cases, in their order.
pub fn bars(svg: &Path, rows: &[Row]) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let title = "What service_group adds to a connection, from SYN to accept";
    canvas.text(24, 30, Align::Left, TITLE, INK, title)?;
    let scale = Scale::of(rows);
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
    canvas.text(24, HEIGHT - 18, Align::Left, SMALL, FAINT, below)?;
    canvas.finish()
}

fn axis(canvas: &Canvas, scale: &Scale) -> Result {
    for percent in (0..=scale.widest as i32).step_by(1 + scale.widest as usize / 12) {
        let x = scale.pixel(f64::from(percent));
        let mut y = TOP;
        for _ in WAYS {
            let from = y + HEADING;
            y = from + CASES.len() as i32 * LINE;
            canvas.line((x, from), (x, y), RULE, 1)?;
        }
        let label = format!("+{percent} %");
        canvas.text(x, BOTTOM + 10, Align::Middle, SMALL, FAINT, &label)?;
    }
    Ok(())
}

fn bar(canvas: &Canvas, scale: &Scale, y: i32, case: &Case, row: &Row) -> Result {
    let added = added_percent(row);
    let end = scale.pixel(added).max(LEFT + 2);
    let goal = scale.pixel(case.bound);
    canvas.text(LEFT - 14, y, Align::Right, TEXT, INK, case.title)?;
    canvas.rectangle((LEFT, y - 9), (end, y + 9), GOOD.mix(1.0))?;
    canvas.line((goal, y - 14), (goal, y + 14), BAD, 3)?;
    let told = format!("{added:+.2} %  ({:+.0})", row.value - row.peer_value);
    canvas.text(end.max(goal) + 10, y, Align::Left, TEXT, INK, &told)
}
