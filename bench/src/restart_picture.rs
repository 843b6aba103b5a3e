// SPDX-License-Identifier: GPL-2.0

//! The picture of the rolling restart: a bar for each way to tie the workers'
//! sockets together, as long as connections were lost or late.

use crate::canvas::{Align, BAD, Bars, Canvas, GOOD, INK, Result, TEXT};
use crate::load::{Run, Variant};
use crate::restart::{LOSSES, VARIANTS, made, mean};
use crate::row::number;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 190;
const RIGHT: i32 = WIDTH - 330;
const TOP: i32 = 64;
const LINE: i32 = 44;
const BOTTOM: i32 = TOP + VARIANTS.len() as i32 * LINE;
const HEIGHT: i32 = BOTTOM + 50;

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let title = "Connections lost or late while all eight workers are replaced";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let most = VARIANTS.map(|variant| lost(runs, variant));
    let bars = Bars {
        left: LEFT,
        right: RIGHT,
        most: most.into_iter().fold(1.0, f64::max),
        half: 10,
    };
    for (place, variant) in VARIANTS.into_iter().enumerate() {
        let y = TOP + place as i32 * LINE + LINE / 2;
        let colour = colour(variant).mix(1.0);
        let end = bars.draw(&canvas, y, variant.title(), lost(runs, variant), colour)?;
        canvas.text(end + 12, y, Align::Left, TEXT, INK, &told(runs, variant))?;
    }
    let below = "a run's mean; each worker in turn: a new process listens, then the old one closes its listener";
    canvas.below(HEIGHT - 20, below)?;
    canvas.finish()
}

fn lost(runs: &[Run], variant: Variant) -> f64 {
    LOSSES.map(|loss| mean(runs, variant, loss)).iter().sum()
}

fn colour(variant: Variant) -> plotters::style::RGBColor {
    if variant.is_group() { GOOD } else { BAD }
}

/// Only the losses that there were.
fn told(runs: &[Run], variant: Variant) -> String {
    let all = format!("of {:.0}", made(runs, variant));
    let losses: Vec<String> = LOSSES
        .into_iter()
        .map(|loss| (loss, mean(runs, variant, loss)))
        .filter(|(_, count)| *count > 0.0)
        .map(|(loss, count)| format!("{} {}", number(count), loss.title()))
        .collect();
    if losses.is_empty() {
        format!("none {all}")
    } else {
        format!("{} {all}", losses.join(", "))
    }
}
