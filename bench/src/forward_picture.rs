// SPDX-License-Identifier: GPL-2.0

//! The picture of a director: instructions for a packet by the number of flows, on a scale
//! of powers, as one line for each that forwards.

use crate::canvas::{Align, BAD, Canvas, GOOD, LogScale, Result, SMALL};
use crate::forward::{CURVES, Case, Run, flows, mean, memory};
use plotters::style::RGBColor;
use std::path::Path;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 420;
const LEFT: i32 = 110;
const RIGHT: i32 = WIDTH - 290;
const TOP: i32 = 70;
const BOTTOM: i32 = HEIGHT - 80;
const STEP: f64 = 2000.0;

/// The instructions go up from zero.
struct Scale(f64);

impl Scale {
    fn new(runs: &[Run]) -> Self {
        let all = CURVES.iter().flat_map(|&case| {
            let numbers = flows(runs).into_iter();
            numbers.filter_map(move |flows| mean(runs, case, flows))
        });
        let highest = all.fold(STEP, f64::max);
        Self((highest / STEP).ceil() * STEP)
    }

    fn pixel(&self, value: f64) -> i32 {
        BOTTOM - (value / self.0 * f64::from(BOTTOM - TOP)).round() as i32
    }

    fn draw(&self, canvas: &Canvas) -> Result {
        let mut value = 0.0;
        while value <= self.0 {
            canvas.rung((LEFT, RIGHT), self.pixel(value), &format!("{value:.0}"))?;
            value += STEP;
        }
        Ok(())
    }
}

pub fn curves(svg: &Path, runs: &[Run]) -> Result {
    let title = "A packet through a director: instructions, by the number of flows";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    let numbers = flows(runs);
    let (Some(&fewest), Some(&most)) = (numbers.first(), numbers.last()) else {
        return canvas.finish();
    };
    let range = (
        f64::from(fewest),
        f64::from(most).max(2.0 * f64::from(fewest)),
    );
    let across = LogScale::new(range, (LEFT + 30, RIGHT));
    let up = Scale::new(runs);
    up.draw(&canvas)?;
    for &number in &numbers {
        let x = across.pixel(f64::from(number));
        let text = number.to_string();
        canvas.label(x, BOTTOM + 20, &text)?;
    }
    for case in CURVES {
        let measured = numbers
            .iter()
            .filter_map(|&flows| Some((flows, mean(runs, case, flows)?)));
        let places: Vec<(i32, i32)> = measured
            .map(|(flows, value)| (across.pixel(f64::from(flows)), up.pixel(value)))
            .collect();
        line(&canvas, case, &places, memory(runs, case, most))?;
    }
    let middle = (LEFT + RIGHT) / 2;
    let below = "flows";
    canvas.label(middle, HEIGHT - 24, below)?;
    canvas.finish()
}

/// Both of IPVS's lie nearly on one another: their names stand above and below.
fn line(canvas: &Canvas, case: Case, places: &[(i32, i32)], memory: Option<f64>) -> Result {
    let (colour, shift): (RGBColor, i32) = match case {
        Case::Sum5 => (GOOD, 0),
        Case::Rr => (BAD, 12),
        _ => (BAD, -12),
    };
    canvas.path(places.to_vec(), colour, 2)?;
    for &place in places {
        canvas.dot(place, colour)?;
    }
    let Some(&(x, y)) = places.last() else {
        return Ok(());
    };
    let told = match memory {
        Some(bytes) => format!("{}: {:.1} MB", case.name(), bytes.max(0.0) / 1e6),
        None => case.name().to_string(),
    };
    canvas.text(x + 12, y + shift, Align::Left, SMALL, colour, &told)
}
