// SPDX-License-Identifier: GPL-2.0

//! The picture of a node that dies: how long new connections are lost or late, as bars, in one
//! panel for each number of nodes.

use crate::canvas::Result;
use crate::failover::{Event, Run, SYSTEMS, System, chosen, outage, sizes};
use crate::panels::{Bar, Panel, Picture};
use crate::row::number;
use std::path::Path;

/// Milliseconds at the end of the scale. What takes longer is told by its figure.
const MOST: f64 = 1000.0;

fn panel(runs: &[Run], nodes: u32) -> Panel {
    let mut panel = Panel {
        heading: format!("1 of {nodes} nodes is dead"),
        bars: Vec::new(),
        mark: None,
    };
    for (system, name) in SYSTEMS {
        let runs = chosen(runs, system, nodes, Event::Dead);
        if runs.is_empty() {
            continue;
        }
        let (milliseconds, lost, late) = outage(&runs);
        panel.bars.push(Bar {
            name,
            value: milliseconds,
            told: format!(
                "{} ms; {} lost, {} late",
                number(milliseconds),
                number(lost),
                number(late)
            ),
            ours: matches!(system, System::Directed | System::Shared),
        });
    }
    panel
}

pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let panels: Vec<Panel> = sizes(runs)
        .iter()
        .map(|&nodes| panel(runs, nodes))
        .collect();
    let picture = Picture {
        title: "A node dies: for how long new connections are lost or late",
        below: &format!("milliseconds, and connections; a bar ends at {MOST}"),
        margin: 290,
        most: MOST,
    };
    picture.draw(svg, &panels)
}
