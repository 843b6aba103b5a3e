// SPDX-License-Identifier: GPL-2.0

//! The picture of a group's size: instructions for the decision, by the number of
//! members, both on scales of powers.

use crate::canvas::{Align, BAD, Canvas, GOOD, INK, LogScale, Result, SMALL, TEXT, power_below};
use crate::members::BOUND;
use crate::row::Row;
use std::path::Path;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 420;
const LEFT: i32 = 110;
const RIGHT: i32 = WIDTH - 120;
const TOP: i32 = 70;
const BOTTOM: i32 = HEIGHT - 80;

/// `rows` are of `sizes`, in that order.
pub fn curve(svg: &Path, sizes: &[u32], rows: &[Row]) -> Result {
    let title = "Finding the one member that has room: instructions, by the size of the group";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let (Some(smallest), Some(largest)) = (sizes.first(), sizes.last()) else {
        return canvas.finish();
    };
    let across = LogScale::new(
        (
            f64::from(*smallest),
            f64::from(*largest).max(2.0 * f64::from(*smallest)),
        ),
        (LEFT + 30, RIGHT),
    );
    let up = scale(rows);
    for power in up.powers() {
        canvas.rung((LEFT, RIGHT), up.pixel(power), &format!("{power:.0}"))?;
    }
    goal(&canvas, up, rows)?;
    let places: Vec<(i32, i32)> = sizes
        .iter()
        .zip(rows)
        .map(|(size, row)| (across.pixel(f64::from(*size)), up.pixel(row.value)))
        .collect();
    canvas.path(places.clone(), GOOD, 2)?;
    for ((size, row), at) in sizes.iter().zip(rows).zip(places) {
        canvas.dot(at, GOOD)?;
        canvas.text(
            at.0 + 10,
            at.1 + 14,
            Align::Left,
            TEXT,
            INK,
            &format!("{:.0}", row.value),
        )?;
        canvas.label(at.0, BOTTOM + 20, &size.to_string())?;
    }
    let below = "members, all but one full";
    canvas.label((LEFT + RIGHT) / 2, HEIGHT - 24, below)?;
    canvas.finish()
}

/// Room for all values and for the goal.
fn scale(rows: &[Row]) -> LogScale {
    let values = || {
        rows.iter()
            .flat_map(|row| [row.value, row.peer_value * BOUND])
    };
    let low = values()
        .filter(|value| *value > 0.0)
        .fold(f64::INFINITY, f64::min);
    let high = values().fold(10.0, f64::max);
    LogScale::new(
        (power_below(low.min(high / 10.0)), 10.0 * power_below(high)),
        (BOTTOM, TOP),
    )
}

/// What the largest group is to stay below.
fn goal(canvas: &Canvas, up: LogScale, rows: &[Row]) -> Result {
    let Some(row) = rows.iter().find(|row| row.goal.is_some()) else {
        return Ok(());
    };
    let y = up.pixel(row.peer_value * BOUND);
    canvas.line((LEFT, y), (RIGHT, y), BAD, 2)?;
    canvas.text(RIGHT + 10, y, Align::Left, SMALL, BAD, "the goal")
}
