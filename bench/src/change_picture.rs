// SPDX-License-Identifier: GPL-2.0

//! The picture of a node that goes: the share of the connections that break, as bars, in
//! one panel for each event and number of nodes.

use crate::canvas::Result;
use crate::change::{EVENTS, Event, Run, SYSTEMS, System, row, sizes};
use crate::panels::{Bar, Panel, Picture};
use crate::row::number;
use std::path::Path;

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
        mark: Some(100.0 / f64::from(nodes)),
    };
    for system in SYSTEMS {
        if let Some(row) = row(runs, nodes, system, event) {
            panel.bars.push(Bar {
                name: system.1,
                value: row.value,
                told: format!("{} %", number(row.value)),
                ours: matches!(system.0, System::Directed | System::Shared),
            });
        }
    }
    panel
}

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let picture = Picture {
        title: "A node goes: live connections that break, in percent",
        below: "line: an even share of the node's own connections",
        margin: 110,
        most: 100.0,
    };
    picture.draw(svg, &panels(runs))
}
