// SPDX-License-Identifier: GPL-2.0

//! The pictures of the stall. `panels` is the demo's: every connection is one
//! mark, in the order in which they were started, and the higher it is the longer
//! it took to connect; the stock kernel on the left, the group on the right.
//! `shares` is the benchmark's: over all runs, which share of the connections
//! was made within a time.

use crate::canvas::{
    Align, BAD, Canvas, FAINT, GOOD, INK, LogScale, RULE, Result, SMALL, TEXT, TITLE, power_below,
    time_label,
};
use crate::stall::{End, Mode, Run};
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const HEIGHT: i32 = 460;
const LEFT: i32 = 88;
const RIGHT: i32 = WIDTH - 24;
const GAP: i32 = 36;
const TOP: i32 = 112;
const BOTTOM: i32 = HEIGHT - 52;

/// One panel's place and contents.
struct Panel<'a> {
    run: &'a Run,
    title: &'a str,
    from: i32,
    to: i32,
    scale: LogScale,
}

/// The demo's picture.
pub fn panels(svg: &Path, stock: &Run, grouped: &Run) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let scale = time_scale(&[stock, grouped], (BOTTOM - 8, TOP + 14));
    let half = (RIGHT - LEFT - GAP) / 2;
    let left = Panel {
        run: stock,
        title: "Stock kernel",
        from: LEFT,
        to: LEFT + half,
        scale,
    };
    let right = Panel {
        run: grouped,
        title: "With service_group",
        from: RIGHT - half,
        to: RIGHT,
        scale,
    };
    let question = format!(
        "{} nginx workers, one of them hung, its accept queue full: how long does a new connection take?",
        stock.workers
    );
    canvas.text(LEFT, 24, Align::Left, TEXT, FAINT, &question)?;
    for panel in [&left, &right] {
        heading(&canvas, panel)?;
        grid(&canvas, panel)?;
        marks(&canvas, panel)?;
    }
    time_labels(&canvas, scale, left.run)?;
    let middle = (LEFT + RIGHT) / 2;
    let below = if stock.emulated {
        "each mark is one new connection, in the order they were started (emulated machine: all times are long)"
    } else {
        "each mark is one new connection, in the order they were started"
    };
    canvas.label(middle, HEIGHT - 22, below)?;
    canvas.finish()
}

/// From the power of ten below the fastest to the time of giving up.
fn time_scale(runs: &[&Run], pixels: (i32, i32)) -> LogScale {
    let fastest = runs
        .iter()
        .flat_map(|run| run.connect())
        .fold(f64::INFINITY, f64::min);
    let limit = runs.iter().map(|run| run.give_up_ms).fold(0.0, f64::max);
    LogScale::new((power_below(fastest), limit), pixels)
}

fn heading(canvas: &Canvas, panel: &Panel) -> Result {
    let run = panel.run;
    let (all, lost, late) = (run.connections.len(), run.lost(), run.late());
    let (colour, told) = match (lost, late) {
        (0, 0) => (GOOD, format!("all {all} got through with their first SYN")),
        (_, 0) => (BAD, format!("{lost} of {all} never got through")),
        _ => (
            BAD,
            format!("{lost} of {all} never got through, {late} waited for a second SYN"),
        ),
    };
    canvas.text(panel.from, 58, Align::Left, TITLE, INK, panel.title)?;
    canvas.text(panel.from, 82, Align::Left, TEXT, colour, &told)
}

fn grid(canvas: &Canvas, panel: &Panel) -> Result {
    let (from, to) = (panel.from, panel.to);
    for power in panel.scale.powers() {
        let y = panel.scale.pixel(power);
        canvas.line((from, y), (to, y), RULE, 1)?;
    }
    let limit = panel.scale.pixel(panel.run.give_up_ms);
    canvas.rectangle((from, limit - 9), (to, limit + 9), BAD.mix(0.08))?;
    canvas.line((from, BOTTOM), (to, BOTTOM), FAINT, 1)
}

fn marks(canvas: &Canvas, panel: &Panel) -> Result {
    let run = panel.run;
    let count = run.connections.len().max(2) as f64 - 1.0;
    let span = f64::from(panel.to - panel.from - 16);
    for connection in &run.connections {
        let place = f64::from(connection.0 - 1) / count;
        let x = panel.from + 8 + (place * span).round() as i32;
        let at = (x, panel.scale.pixel(connection.1));
        let limit = (x, panel.scale.pixel(run.give_up_ms));
        match connection.3 {
            End::Unconnected => canvas.cross(limit, BAD)?,
            End::Unanswered => canvas.cross(at, BAD)?,
            End::Served if connection.is_late() => canvas.triangle(at, BAD)?,
            End::Served => canvas.dot(at, GOOD)?,
        }
    }
    Ok(())
}

fn time_labels(canvas: &Canvas, scale: LogScale, run: &Run) -> Result {
    for power in scale.powers() {
        let label = time_label(power);
        canvas.text(
            LEFT - 8,
            scale.pixel(power),
            Align::Right,
            SMALL,
            FAINT,
            &label,
        )?;
    }
    let limit = scale.pixel(run.give_up_ms);
    let after = format!("after {} s", run.give_up_ms / 1000.0);
    canvas.text(LEFT - 8, limit - 7, Align::Right, SMALL, BAD, "given up")?;
    canvas.text(LEFT - 8, limit + 7, Align::Right, SMALL, BAD, &after)
}

const SHARES_BOTTOM: i32 = HEIGHT - 72;

/// The benchmark's picture: the share of connections made within a time.
pub fn shares(svg: &Path, runs: &[Run]) -> Result {
    let canvas = Canvas::new(svg, WIDTH as u32, HEIGHT as u32)?;
    let all: Vec<&Run> = runs.iter().collect();
    let times = time_scale(&all, (LEFT, RIGHT - 40));
    let title = "Connections made within a time, while one of the workers hangs";
    canvas.text(LEFT, 30, Align::Left, TITLE, INK, title)?;
    for percent in (0..=100).step_by(25) {
        let y = share_pixel(f64::from(percent) / 100.0);
        canvas.rung((LEFT, RIGHT - 40), y, &format!("{percent} %"))?;
    }
    for power in times.powers() {
        canvas.label(times.pixel(power), SHARES_BOTTOM + 18, &time_label(power))?;
    }
    let below = "time to connect";
    canvas.label((LEFT + RIGHT) / 2, HEIGHT - 24, below)?;
    for (mode, name, colour, row) in [
        (Mode::Grouped, "with service_group", GOOD, 62),
        (Mode::Stock, "stock kernel", BAD, 84),
    ] {
        let (points, share) = curve(runs, mode, times);
        canvas.path(points, colour, 3)?;
        canvas.line((LEFT, row), (LEFT + 22, row), colour, 3)?;
        let legend = format!("{name}: {share:.1} % of connections made");
        canvas.text(LEFT + 30, row, Align::Left, TEXT, colour, &legend)?;
    }
    canvas.finish()
}

fn share_pixel(share: f64) -> i32 {
    SHARES_BOTTOM - (share * f64::from(SHARES_BOTTOM - TOP)).round() as i32
}

/// The steps of one mode's connections over all its runs, and the share that
/// was made before the time was up, in percent.
fn curve(runs: &[Run], mode: Mode, times: LogScale) -> (Vec<(i32, i32)>, f64) {
    let of_mode = || runs.iter().filter(|run| run.mode == mode);
    let all: usize = of_mode().map(|run| run.connections.len()).sum();
    let made = of_mode()
        .flat_map(|run| &run.connections)
        .filter(|c| c.3 != End::Unconnected);
    let mut connect: Vec<f64> = made.map(|connection| connection.1).collect();
    connect.sort_by(f64::total_cmp);
    let mut points = vec![(LEFT, share_pixel(0.0))];
    let mut height = share_pixel(0.0);
    for (place, time) in connect.iter().enumerate() {
        let x = times.pixel(*time);
        points.push((x, height));
        height = share_pixel((place + 1) as f64 / all.max(1) as f64);
        points.push((x, height));
    }
    points.push((RIGHT - 40, height));
    (points, 100.0 * connect.len() as f64 / all.max(1) as f64)
}
