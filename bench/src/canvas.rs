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
