// SPDX-License-Identifier: GPL-2.0
//! Shares as bars, for a terminal or for paper.

use super::spread::{HashSpread, Share, Spread};
use super::Report;
use crate::output;

/// Length of the longest bar.
const WIDTH: usize = 40;

/// All charts.
pub fn draw(report: &Report) -> String {
    let mut text = format!("{} packets counted", report.packets);
    if report.left_out > 0 {
        text += &format!(
            ", {} left out: no IP, fragments, cut off or malformed",
            report.left_out
        );
    }
    text.push('\n');
    text + &report.addresses.iter().map(address).collect::<String>()
}

fn address(spread: &Spread) -> String {
    let name = spread.address.as_deref().unwrap_or("all packets");
    let flows = output::count(spread.flows, "flow");
    let slots = output::count(spread.slots, "slot");
    let title = format!("\n{name}: {flows}, {slots}\n");
    if spread.flows == 0 {
        return title;
    }
    title + &spread.hashes.iter().map(hash).collect::<String>()
}

fn hash(spread: &HashSpread) -> String {
    let shares = spread.nodes.iter();
    let largest = shares
        .clone()
        .map(|it| it.share.max(it.ideal))
        .fold(0.0, f64::max);
    let names = shares.clone().map(|it| it.node.chars().count()).max();
    let names = names.unwrap_or(0);
    let mut text = format!(
        "\n{} (the most loaded has {:.2} x its share)\n",
        spread.hash, spread.worst
    );
    text.extend(shares.map(|share| line(share, largest, names)));
    text.extend(spread.hint.iter().map(|hint| format!("  ! {hint}\n")));
    text
}

fn line(share: &Share, largest: f64, names: usize) -> String {
    let Share { node, flows, .. } = share;
    let bar = bar(share, largest);
    let (percent, ideal) = (share.share * 100.0, share.ideal * 100.0);
    format!("  {node:<names$}  {bar}  {percent:5.1} % of {ideal:5.1} %  {flows} flows\n")
}

/// The share as a bar, with a line where it should end.
fn bar(share: &Share, largest: f64) -> String {
    let place = |part: f64| {
        let cells = if largest > 0.0 { part / largest } else { 0.0 } * WIDTH as f64;
        // From 0 to the width.
        cells.round() as usize
    };
    let (filled, ideal) = (place(share.share), place(share.ideal));
    let cell = |at: usize| match at {
        at if at + 1 == ideal => '┃',
        at if at < filled => '█',
        _ => ' ',
    };
    (0..WIDTH).map(cell).collect()
}
