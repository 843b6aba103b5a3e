// SPDX-License-Identifier: GPL-2.0

//! The picture of what heartbeats cost: millions of instructions of a second, by the number of
//! machines, both on scales of powers.

use crate::canvas::{Align, BAD, Canvas, GOOD, INK, LogScale, Result, TEXT, power_below};
use crate::heartbeat::{KINDS, Kind, Run, millions, sizes};
use std::path::Path;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 420;
const LEFT: i32 = 110;
const RIGHT: i32 = WIDTH - 160;
const TOP: i32 = 70;
const BOTTOM: i32 = HEIGHT - 80;

pub fn curves(svg: &Path, runs: &[Run]) -> Result {
    let title = "Links while nothing happens: a machine's instructions, in millions a second";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let sizes = sizes(runs);
    let (Some(&smallest), Some(&largest)) = (sizes.first(), sizes.last()) else {
        return canvas.finish();
    };
    let least = f64::from(smallest);
    let most = f64::from(largest).max(2.0 * least);
    let across = LogScale::new((least, most), (LEFT + 30, RIGHT));
    let up = scale(runs, &sizes);
    for power in up.powers() {
        canvas.rung((LEFT, RIGHT), up.pixel(power), &power.to_string())?;
    }
    for &size in &sizes {
        canvas.label(
            across.pixel(f64::from(size)),
            BOTTOM + 20,
            &size.to_string(),
        )?;
    }
    for (kind, name) in KINDS {
        curve(&canvas, (across, up), runs, (kind, name))?;
    }
    canvas.label((LEFT + RIGHT) / 2, HEIGHT - 24, "machines")?;
    canvas.finish()
}

/// Room for all values.
fn scale(runs: &[Run], sizes: &[u32]) -> LogScale {
    let of = |&size: &u32| KINDS.map(|(kind, _)| millions(runs, kind, size));
    let values: Vec<f64> = sizes.iter().flat_map(of).filter(|one| *one > 0.0).collect();
    let low = values
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min)
        .min(1.0);
    let high = values.iter().copied().fold(10.0, f64::max);
    LogScale::new((power_below(low), 10.0 * power_below(high)), (BOTTOM, TOP))
}

fn curve(
    canvas: &Canvas,
    (across, up): (LogScale, LogScale),
    runs: &[Run],
    (kind, name): (Kind, &str),
) -> Result {
    let (colour, below) = match kind {
        Kind::Tls => (GOOD, -14),
        Kind::Plain => (BAD, 16),
    };
    let place = |&size: &u32| {
        let value = millions(runs, kind, size);
        let at = (across.pixel(f64::from(size)), up.pixel(value));
        (at, value)
    };
    let places: Vec<((i32, i32), f64)> = sizes(runs).iter().map(place).collect();
    canvas.path(places.iter().map(|(at, _)| *at).collect(), colour, 2)?;
    for &(at, value) in &places {
        canvas.dot(at, colour)?;
        let text = format!("{value:.1}");
        canvas.text(at.0 + 8, at.1 + below, Align::Left, TEXT, INK, &text)?;
    }
    match places.last() {
        Some(&(at, _)) => canvas.text(RIGHT + 14, at.1, Align::Left, TEXT, colour, name),
        None => Ok(()),
    }
}
