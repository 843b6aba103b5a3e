// SPDX-License-Identifier: GPL-2.0

//! The picture of a node that goes: the share of the connections that break, as bars, in
//! one panel for each event and number of nodes.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::change::{EVENTS, Event, Run, SYSTEMS, System, row, sizes};
use crate::row::number;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 230;
const RIGHT: i32 = WIDTH - 110;
const TOP: i32 = 58;
const HEADING: i32 = 34;
const LINE: i32 = 26;

/// What one panel has: a name, percent broken, whether it is ours, and the node's share.
struct Panel {
    heading: String,
    bars: Vec<(&'static str, f64, bool)>,
    share: f64,
}

impl Panel {
    fn height(&self) -> i32 {
        HEADING + self.bars.len() as i32 * LINE + 10
    }
}

fn panels(runs: &[Run]) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (event, name, _) in EVENTS {
        for nodes in sizes(runs) {
            panels.push(bars_of(runs, nodes, event, name));
        }
    }
    panels.retain(|panel| !panel.bars.is_empty());
    panels
}

fn bars_of(runs: &[Run], nodes: u32, event: Event, name: &str) -> Panel {
    let mut panel = Panel {
        heading: format!("1 of {nodes} nodes is {name}"),
        bars: Vec::new(),
        share: 100.0 / f64::from(nodes),
    };
    for system in SYSTEMS {
        if let Some(row) = row(runs, nodes, system, event) {
            let ours = matches!(system.0, System::Directed | System::Shared);
            panel.bars.push((system.1, row.value, ours));
        }
    }
    panel
}

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let panels = panels(runs);
    let height = TOP + panels.iter().map(Panel::height).sum::<i32>() + 48;
    let title = "A node goes: live connections that break, in percent";
    let canvas = Canvas::titled(svg, (WIDTH, height), title)?;
    let mut top = TOP;
    for panel in &panels {
        draw(&canvas, top, panel)?;
        top += panel.height();
    }
    let below = "line: an even share of the node's own connections";
    canvas.below(height - 20, below)?;
    canvas.finish()
}

fn draw(canvas: &Canvas, top: i32, panel: &Panel) -> Result {
    canvas.text(
        24,
        top + HEADING / 2,
        Align::Left,
        TEXT,
        FAINT,
        &panel.heading,
    )?;
    let from = top + HEADING;
    let to = from + panel.bars.len() as i32 * LINE;
    let bars = Bars {
        left: LEFT,
        right: RIGHT,
        most: 100.0,
        half: 8,
    };
    canvas.line((LEFT, from), (LEFT, to), RULE, 1)?;
    for (place, &(name, percent, ours)) in (0..).zip(&panel.bars) {
        let y = from + place * LINE + LINE / 2;
        let colour = if ours { GOOD } else { BAD };
        let end = bars.draw(canvas, y, name, percent, colour.mix(1.0))?;
        let told = format!("{} %", number(percent));
        canvas.text(end + 10, y, Align::Left, TEXT, INK, &told)?;
    }
    let x = bars.pixel(panel.share);
    canvas.line((x, from), (x, to), INK, 2)
}
