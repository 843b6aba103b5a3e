// SPDX-License-Identifier: GPL-2.0

//! What the pictures have in common: colours that colour-blind readers tell
//! apart (Okabe and Ito's), text sizes, and a thin layer over the drawing crate
//! that places marks by pixel. Each picture does its own scaling.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

pub const INK: RGBColor = RGBColor(31, 35, 40);
pub const FAINT: RGBColor = RGBColor(101, 109, 118);
pub const RULE: RGBColor = RGBColor(222, 226, 230);
pub const GOOD: RGBColor = RGBColor(0, 114, 178);
pub const BAD: RGBColor = RGBColor(213, 94, 0);

// Without a font system the crate takes a size for the line's height, and writes
// four fifths of it into the file.
pub const TITLE: i32 = 25;
pub const TEXT: i32 = 18;
pub const SMALL: i32 = 16;

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Where a text lies relative to its point.
#[derive(Clone, Copy)]
pub enum Align {
    Left,
    Middle,
    Right,
}

/// A picture under construction.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Canvas<'a> {
    /// A white picture that will be the file `path`.
    pub fn new(path: &'a Path, width: u32, height: u32) -> Result<Self> {
        let area = SVGBackend::new(path, (width, height)).into_drawing_area();
        area.fill(&WHITE)?;
        Ok(Self { area })
    }

    /// A picture with a title.
    pub fn titled(path: &'a Path, (width, height): (i32, i32), title: &str) -> Result<Self> {
        let canvas = Self::new(path, width as u32, height as u32)?;
        canvas.text(24, 30, Align::Left, TITLE, INK, title)?;
        Ok(canvas)
    }

    /// What is to be known of a picture, below it.
    pub fn below(&self, y: i32, text: &str) -> Result {
        self.text(24, y, Align::Left, SMALL, FAINT, text)
    }

    /// What stands at a place of an axis that goes to the right.
    pub fn label(&self, x: i32, y: i32, text: &str) -> Result {
        self.text(x, y, Align::Middle, SMALL, FAINT, text)
    }

    /// A line across, with what it stands for on an axis that goes up.
    pub fn rung(&self, (left, right): (i32, i32), y: i32, label: &str) -> Result {
        self.line((left, y), (right, y), RULE, 1)?;
        self.text(left - 10, y, Align::Right, SMALL, FAINT, label)
    }

    /// Text whose middle line is at `y`.
    pub fn text(
        &self,
        x: i32,
        y: i32,
        align: Align,
        size: i32,
        colour: RGBColor,
        text: &str,
    ) -> Result {
        let side = match align {
            Align::Left => HPos::Left,
            Align::Middle => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style = ("sans-serif", size).into_font().color(&colour);
        let style = style.pos(Pos::new(side, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), (x, y), style))?;
        Ok(())
    }

    pub fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor, width: u32) -> Result {
        let style = colour.stroke_width(width);
        self.area.draw(&PathElement::new([from, to], style))?;
        Ok(())
    }

    /// A steplike or other line through many points.
    pub fn path(&self, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) -> Result {
        self.area
            .draw(&PathElement::new(points, colour.stroke_width(width)))?;
        Ok(())
    }

    pub fn rectangle(&self, from: (i32, i32), to: (i32, i32), colour: RGBAColor) -> Result {
        self.area
            .draw(&Rectangle::new([from, to], colour.filled()))?;
        Ok(())
    }

    pub fn dot(&self, at: (i32, i32), colour: RGBColor) -> Result {
        self.area
            .draw(&Circle::new(at, 3, colour.mix(0.6).filled()))?;
        Ok(())
    }

    pub fn cross(&self, at: (i32, i32), colour: RGBColor) -> Result {
        self.area.draw(&Cross::new(at, 4, colour.stroke_width(2)))?;
        Ok(())
    }

    pub fn triangle(&self, at: (i32, i32), colour: RGBColor) -> Result {
        self.area
            .draw(&TriangleMarker::new(at, 5, colour.filled()))?;
        Ok(())
    }

    /// Writes the file; without it an error would be lost.
    pub fn finish(self) -> Result {
        self.area.present()?;
        Ok(())
    }
}

/// Bars to the right: from pixel `left`, for zero, to pixel `right`, for `most`.
#[derive(Clone, Copy)]
pub struct Bars {
    pub left: i32,
    pub right: i32,
    pub most: f64,
    /// Half of a bar's height.
    pub half: i32,
}

impl Bars {
    /// The pixel of a value; one outside the scale is put at its end.
    pub fn pixel(&self, value: f64) -> i32 {
        let share = value.clamp(0.0, self.most) / self.most;
        self.left + (share * f64::from(self.right - self.left)).round() as i32
    }

    /// A bar with its name; tells where it ends. Also one of zero can be seen.
    pub fn draw(
        &self,
        canvas: &Canvas,
        y: i32,
        name: &str,
        value: f64,
        colour: RGBAColor,
    ) -> Result<i32> {
        let end = self.pixel(value).max(self.left + 2);
        canvas.text(self.left - 14, y, Align::Right, TEXT, INK, name)?;
        canvas.rectangle((self.left, y - self.half), (end, y + self.half), colour)?;
        Ok(end)
    }
}

/// A scale of powers of ten, from pixels to pixels.
#[derive(Clone, Copy)]
pub struct LogScale {
    low: f64,
    high: f64,
    from: i32,
    to: i32,
}

impl LogScale {
    /// `low` is at pixel `from`, `high` at pixel `to`; both are above zero.
    pub fn new((low, high): (f64, f64), (from, to): (i32, i32)) -> Self {
        Self {
            low,
            high,
            from,
            to,
        }
    }

    /// The pixel of a value; one outside the scale is put at its end.
    pub fn pixel(&self, value: f64) -> i32 {
        let inside = value.clamp(self.low, self.high);
        let share = (inside / self.low).ln() / (self.high / self.low).ln();
        self.from + (share * f64::from(self.to - self.from)).round() as i32
    }

    /// The powers of ten on the scale.
    pub fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        let (low, high) = (self.low, self.high);
        (-3..=6)
            .map(|exponent| 10_f64.powi(exponent))
            .filter(move |power| (low..=high).contains(power))
    }
}

/// The largest power of ten that is not above `value`.
pub fn power_below(value: f64) -> f64 {
    10_f64.powf(value.max(1e-3).log10().floor())
}

/// A time that is a power of ten milliseconds, as an axis names it.
pub fn time_label(milliseconds: f64) -> String {
    if milliseconds >= 1000.0 {
        format!("{} s", milliseconds / 1000.0)
    } else if milliseconds >= 1.0 {
        format!("{milliseconds} ms")
    } else {
        format!("{} µs", (milliseconds * 1000.0).round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_maps_powers_evenly() {
        let scale = LogScale::new((1.0, 1000.0), (300, 0));
        for (value, pixel) in [(1.0, 300), (10.0, 200), (100.0, 100), (1000.0, 0)] {
            assert_eq!(scale.pixel(value), pixel);
        }
        assert_eq!((scale.pixel(0.0), scale.pixel(1e9)), (300, 0));
        assert_eq!(
            scale.powers().collect::<Vec<_>>(),
            [1.0, 10.0, 100.0, 1000.0]
        );
    }

    #[test]
    fn bars_end_within_the_scale() {
        let bars = Bars {
            left: 100,
            right: 300,
            most: 50.0,
            half: 9,
        };
        for (value, pixel) in [
            (-1.0, 100),
            (0.0, 100),
            (25.0, 200),
            (50.0, 300),
            (51.0, 300),
        ] {
            assert_eq!(bars.pixel(value), pixel);
        }
    }

    #[test]
    fn powers_and_labels() {
        assert_eq!(power_below(42.0), 10.0);
        assert_eq!(power_below(0.0), 1e-3);
        for (value, label) in [
            (0.1, "100 µs"),
            (1.0, "1 ms"),
            (100.0, "100 ms"),
            (3000.0, "3 s"),
        ] {
            assert_eq!(time_label(value), label);
        }
    }
}
