// SPDX-License-Identifier: GPL-2.0

//! The picture of ownership: what each that decides adds to a packet, as bars, with the
//! goal as a mark.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use crate::owner::{BOUND, Case, DECIDERS, PACKETS, Packet, Run, base, mean_added};
use crate::rewrite::difference;
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 210;
const RIGHT: i32 = WIDTH - 180;
const TOP: i32 = 58;
const HEADING: i32 = 36;
const LINE: i32 = 28;
const PANEL: i32 = HEADING + DECIDERS.len() as i32 * LINE + 10;
const HEIGHT: i32 = TOP + PACKETS.len() as i32 * PANEL + 48;

/// One panel for each of PACKETS.
pub fn bars(svg: &Path, runs: &[Run]) -> Result {
    let title = "Whose packet is it? Instructions that are added to a packet";
    let canvas = Canvas::titled(svg, (WIDTH, HEIGHT), title)?;
    for (place, packet) in (0..).zip(PACKETS) {
        panel(&canvas, TOP + place * PANEL, runs, packet)?;
    }
    let below = "line: the goal, at most a third of what xt_cluster adds";
    canvas.below(HEIGHT - 20, below)?;
    canvas.finish()
}

fn panel(canvas: &Canvas, top: i32, runs: &[Run], packet: Packet) -> Result {
    let base = base(runs, packet);
    let compared = match packet {
        Packet::Ignored => "one of a protocol that nobody knows",
        _ => "one that nothing decides about",
    };
    let heading = format!("{}; {compared} takes {base:.0}", packet.name());
    canvas.text(24, top + HEADING / 2, Align::Left, TEXT, FAINT, &heading)?;
    let from = top + HEADING;
    let to = from + DECIDERS.len() as i32 * LINE;
    canvas.line((LEFT, from), (LEFT, to), RULE, 1)?;
    let added = DECIDERS.map(|(case, _)| mean_added(runs, case, packet).unwrap_or(0.0));
    let bars = Bars {
        left: LEFT,
        right: RIGHT,
        most: added.iter().copied().fold(1.0, f64::max),
        half: 9,
    };
    for (place, ((case, name), value)) in (0..).zip(DECIDERS.into_iter().zip(added)) {
        let y = from + place * LINE + LINE / 2;
        let colour = match case {
            Case::Sum5 | Case::Keyed => GOOD,
            _ => BAD,
        };
        let end = bars.draw(canvas, y, name, value, colour.mix(1.0))?;
        let told = difference(value, base);
        canvas.text(end + 10, y, Align::Left, TEXT, INK, &told)?;
    }
    let peer = mean_added(runs, Case::Cluster, packet);
    if let (Some(peer), Packet::Owned | Packet::Ignored) = (peer, packet) {
        let x = bars.pixel(peer * BOUND);
        canvas.line((x, from), (x, to), INK, 2)?;
    }
    Ok(())
}
