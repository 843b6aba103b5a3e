// SPDX-License-Identifier: GPL-2.0

//! The picture of a node that dies: how long new connections are lost or late, as bars, in one
//! panel for each number of nodes.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::failover::{Event, Run, SYSTEMS, System, chosen, outage, sizes};
use crate::row::number;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 230;
const RIGHT: i32 = WIDTH - 290;
const TOP: i32 = 58;
const HEADING: i32 = 34;
const LINE: i32 = 26;
/// Milliseconds at the end of the scale. What takes longer is told by its figure.
const MOST: f64 = 1000.0;

/// What one panel has: a name, milliseconds, what stands beside the bar, and whether it is ours.
struct Panel {
    heading: String,
    bars: Vec<(&'static str, f64, String, bool)>,
}

impl Panel {
    fn height(&self) -> i32 {
        HEADING + self.bars.len() as i32 * LINE + 10
    }
}

fn panel(runs: &[Run], nodes: u32) -> Panel {
    let mut panel = Panel {
        heading: format!("1 of {nodes} nodes is dead"),
        bars: Vec::new(),
    };
    for (system, name) in SYSTEMS {
        let runs = chosen(runs, system, nodes, Event::Dead);
        if runs.is_empty() {
            continue;
        }
        let (milliseconds, lost, late) = outage(&runs);
        let told = format!(
            "{} ms; {} lost, {} late",
            number(milliseconds),
            number(lost),
            number(late)
        );
        let ours = matches!(system, System::Directed | System::Shared);
        panel.bars.push((name, milliseconds, told, ours));
    }
    panel
}

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let panels: Vec<Panel> = sizes(runs)
        .iter()
        .map(|&nodes| panel(runs, nodes))
        .collect();
    let height = TOP + panels.iter().map(Panel::height).sum::<i32>() + 48;
    let title = "A node dies: for how long new connections are lost or late";
    let canvas = Canvas::titled(svg, (WIDTH, height), title)?;
    let mut top = TOP;
    for panel in &panels {
        draw(&canvas, top, panel)?;
        top += panel.height();
    }
    let below = format!("milliseconds, and connections; a bar ends at {MOST}");
    canvas.below(height - 20, &below)?;
    canvas.finish()
}

fn draw(canvas: &Canvas, top: i32, panel: &Panel) -> Result {
    let middle = top + HEADING / 2;
    canvas.text(24, middle, Align::Left, TEXT, FAINT, &panel.heading)?;
    let from = top + HEADING;
    let to = from + panel.bars.len() as i32 * LINE;
    let bars = Bars {
        left: LEFT,
        right: RIGHT,
        most: MOST,
        half: 8,
    };
    canvas.line((LEFT, from), (LEFT, to), RULE, 1)?;
    for (place, (name, milliseconds, told, ours)) in (0..).zip(&panel.bars) {
        let y = from + place * LINE + LINE / 2;
        let colour = if *ours { GOOD } else { BAD };
        let end = bars.draw(canvas, y, name, *milliseconds, colour.mix(1.0))?;
        canvas.text(end + 10, y, Align::Left, TEXT, INK, told)?;
    }
    Ok(())
}
