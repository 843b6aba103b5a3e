// SPDX-License-Identifier: GPL-2.0

//! Bars in panels below each other, as the pictures of nodes that go have them.

use crate::canvas::{Align, BAD, Bars, Canvas, FAINT, GOOD, INK, RULE, Result, TEXT};
use plotters::prelude::Color;
use std::path::Path;

const WIDTH: i32 = 1000;
const LEFT: i32 = 230;
const TOP: i32 = 58;
const HEADING: i32 = 34;
const LINE: i32 = 26;

/// One bar.
pub struct Bar {
    pub name: &'static str,
    pub value: f64,
    /// What stands beside it.
    pub told: String,
    pub ours: bool,
}

/// The bars below a heading.
pub struct Panel {
    pub heading: String,
    pub bars: Vec<Bar>,
    /// Where a line stands.
    pub mark: Option<f64>,
}

impl Panel {
    fn height(&self) -> i32 {
        HEADING + self.bars.len() as i32 * LINE + 10
    }
}

/// What all panels of a picture have in common.
pub struct Picture<'a> {
    pub title: &'a str,
    pub below: &'a str,
    /// How many pixels are left beside the bars.
    pub margin: i32,
    /// The value at the end of the scale.
    pub most: f64,
}

impl Picture<'_> {
    /// Draws these panels.
    pub fn draw(&self, svg: &Path, panels: &[Panel]) -> Result {
        let height = TOP + panels.iter().map(Panel::height).sum::<i32>() + 48;
        let canvas = Canvas::titled(svg, (WIDTH, height), self.title)?;
        let mut top = TOP;
        for panel in panels {
            self.draw_panel(&canvas, top, panel)?;
            top += panel.height();
        }
        canvas.below(height - 20, self.below)?;
        canvas.finish()
    }

    fn draw_panel(&self, canvas: &Canvas, top: i32, panel: &Panel) -> Result {
        let middle = top + HEADING / 2;
        canvas.text(24, middle, Align::Left, TEXT, FAINT, &panel.heading)?;
        let from = top + HEADING;
        let to = from + panel.bars.len() as i32 * LINE;
        let bars = Bars {
            left: LEFT,
            right: WIDTH - self.margin,
            most: self.most,
            half: 8,
        };
        canvas.line((LEFT, from), (LEFT, to), RULE, 1)?;
        for (place, bar) in (0..).zip(&panel.bars) {
            let y = from + place * LINE + LINE / 2;
            let colour = if bar.ours { GOOD } else { BAD };
            let end = bars.draw(canvas, y, bar.name, bar.value, colour.mix(1.0))?;
            canvas.text(end + 10, y, Align::Left, TEXT, INK, &bar.told)?;
        }
        match panel.mark.map(|mark| bars.pixel(mark)) {
            Some(x) => canvas.line((x, from), (x, to), INK, 2),
            None => Ok(()),
        }
    }
}
