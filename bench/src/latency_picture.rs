// SPDX-License-Identifier: GPL-2.0

//! The picture of a loaded service: how long clients waited for their first byte.
//! For each load and each way to tie the workers' sockets together there is a line,
//! from the median to the longest, on a scale of powers of ten.

use crate::canvas::{
    Align, BAD, Canvas, FAINT, GOOD, INK, LogScale, RULE, Result, SMALL, TEXT, power_below,
    time_label,
};
use crate::load::{self, Case, MEASURES, Measure, Run, Series, Variant};
use crate::row::number;
use plotters::style::RGBColor;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 276;
const RIGHT: i32 = WIDTH - 190;
const TOP: i32 = 58;
/// The height of a line, and of the heading of a load.
const LINE: i32 = 30;
const HEADING: i32 = 38;
const BELOW: i32 = 62;

/// The marks of a line, in the order of `MEASURES`.
const LEGEND: &str = "dot: p50, triangle: p99, bar: p99.9, cross: the longest";

pub fn lines(svg: &Path, runs: &[Run], case: Case, title: &str) -> Result {
    let blocks: Vec<(u32, Vec<Series>)> = load::loads(runs)
        .into_iter()
        .map(|load| (load, load::series(runs, case, load)))
        .collect();
    let bottom = TOP + blocks.iter().map(|(_, all)| height(all)).sum::<i32>();
    let canvas = Canvas::titled(svg, (WIDTH, bottom + BELOW), title)?;
    let scale = scale(runs, &blocks);
    let mut y = TOP;
    for (load, all) in &blocks {
        grid(&canvas, scale, y + HEADING, y + height(all))?;
        block(&canvas, scale, y, *load, all)?;
        y += height(all);
    }
    for power in scale.powers() {
        canvas.label(scale.pixel(power), bottom + 12, &time_label(power))?;
    }
    let below = format!("time from connect() to the first byte; {LEGEND}");
    canvas.below(bottom + BELOW - 20, &below)?;
    canvas.finish()
}

fn height(all: &[Series]) -> i32 {
    HEADING + all.len() as i32 * LINE
}

/// From the power of ten below the shortest median to the clients' patience.
fn scale(runs: &[Run], blocks: &[(u32, Vec<Series>)]) -> LogScale {
    let measured = blocks.iter().flat_map(|(_, all)| all);
    let shortest = measured
        .filter(|series| series.connections() > 0)
        .map(|series| series.value(MEASURES[0]))
        .fold(f64::INFINITY, f64::min);
    let patience = runs.iter().map(|run| run.patience_ms).fold(1.0, f64::max);
    let low = power_below(shortest.min(patience / 10.0));
    LogScale::new((low, patience), (LEFT, RIGHT))
}

fn grid(canvas: &Canvas, scale: LogScale, from: i32, to: i32) -> Result {
    for power in scale.powers() {
        let x = scale.pixel(power);
        canvas.line((x, from), (x, to), RULE, 1)?;
    }
    Ok(())
}

fn block(canvas: &Canvas, scale: LogScale, top: i32, load: u32, all: &[Series]) -> Result {
    let heading = format!("load: {load} % of what those workers that run can serve");
    canvas.text(
        24,
        top + HEADING / 2 + 2,
        Align::Left,
        TEXT,
        FAINT,
        &heading,
    )?;
    for (place, series) in all.iter().enumerate() {
        line(
            canvas,
            scale,
            top + HEADING + place as i32 * LINE + LINE / 2,
            series,
        )?;
    }
    Ok(())
}

fn colour(series: &Series) -> RGBColor {
    match (series.case, series.variant) {
        (Case::Healthy, _) | (_, Variant::Shared) => FAINT,
        (_, variant) if variant.is_group() => GOOD,
        _ => BAD,
    }
}

fn line(canvas: &Canvas, scale: LogScale, y: i32, series: &Series) -> Result {
    canvas.text(LEFT - 14, y, Align::Right, TEXT, INK, &series.title())?;
    if series.connections() == 0 {
        return Ok(());
    }
    let colour = colour(series);
    let [median, high, higher, longest] =
        [0, 1, 2, 3].map(|place| scale.pixel(series.value(MEASURES[place])));
    canvas.line((median, y), (longest, y), colour, 2)?;
    canvas.dot((median, y), colour)?;
    canvas.triangle((high, y), colour)?;
    canvas.line((higher, y - 6), (higher, y + 6), colour, 2)?;
    canvas.cross((longest, y), colour)?;
    let unserved = series.value(Measure::Unserved);
    let told = if unserved > 0.0 {
        (BAD, format!("{} a run never served", number(unserved)))
    } else {
        (
            FAINT,
            format!("longest: {} ms", number(series.value(MEASURES[3]))),
        )
    };
    canvas.text(RIGHT + 14, y, Align::Left, SMALL, told.0, &told.1)
}
