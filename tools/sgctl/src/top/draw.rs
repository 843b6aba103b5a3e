// SPDX-License-Identifier: GPL-2.0
//! The picture of `top`: a pure function from rates to the cells of a screen.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize};
use ratatui::widgets::Widget;
use service_group::netlink::{Group, Member};

use super::clusters::{Line, Tone};
use super::columns::{fitting, full_width, Column, Place};
use super::rates::{GroupRates, Rates};
use crate::{output, view};

/// Lines above the rows: the title and the heads of the columns.
const HEAD: u16 = 2;

/// What is drawn.
#[derive(Debug)]
pub struct Picture<'rates> {
    /// The groups, in order.
    pub groups: &'rates [GroupRates],
    /// Time between two pictures.
    pub interval: Duration,
    /// What is told behind the groups.
    pub lines: &'rates [Line],
    /// What that is, for the title.
    pub more: &'rates str,
    /// How many rows are passed over at the top.
    pub scroll: usize,
    /// Whether keys can be pressed.
    pub keys: bool,
    /// What is told in place of groups if there are none.
    pub none: &'static str,
}

/// One row of the list.
enum Row<'rates> {
    Group(&'rates GroupRates),
    Member(&'rates Member, Option<&'rates Rates>),
    Line(&'rates Line),
}

impl Picture<'_> {
    /// How many rows there are: one a group, one a member, and the lines behind them.
    pub fn rows(&self) -> usize {
        let groups = self.groups.iter().map(|group| 1 + group.members.len());
        groups.sum::<usize>() + self.lines.len()
    }

    /// How many lines it needs to show everything.
    pub fn height(&self) -> usize {
        usize::from(HEAD) + self.rows().max(1)
    }

    /// The width into which everything fits.
    pub fn full_width(&self) -> u16 {
        let lines = self.lines.iter().map(|line| line.text.chars().count());
        let longest = u16::try_from(lines.max().unwrap_or_default()).unwrap_or(u16::MAX);
        full_width(self.longest_address()).max(longest)
    }

    /// The length of the longest address, which is all ASCII.
    fn longest_address(&self) -> u16 {
        let members = self.groups.iter().flat_map(|group| &group.members);
        let length = members
            .map(|(member, _)| Column::Address.of_member(member).len())
            .max();
        u16::try_from(length.unwrap_or_default()).unwrap_or(u16::MAX)
    }

    /// How far it can be scrolled on a screen of this height.
    pub fn furthest(&self, height: u16) -> usize {
        self.rows().saturating_sub(page(height))
    }

    fn list(&self) -> impl Iterator<Item = Row<'_>> {
        let groups = self.groups.iter().flat_map(|group| {
            let members = group.members.iter();
            let members = members.map(|(member, rates)| Row::Member(member, rates.as_ref()));
            std::iter::once(Row::Group(group)).chain(members)
        });
        groups.chain(self.lines.iter().map(Row::Line))
    }

    fn title(&self, area: Rect, buffer: &mut Buffer) {
        let members: usize = self.groups.iter().map(|group| group.members.len()).sum();
        let title = format!(
            "sgctl top: {}, {}{}, every {}",
            output::count(self.groups.len(), "group"),
            output::count(members, "member"),
            self.more,
            humantime::format_duration(self.interval)
        );
        let hint = if self.keys {
            self.hint(area.height)
        } else {
            String::new()
        };
        right(buffer, area, &hint, Style::new());
        // The hint is plain ASCII.
        let taken = u16::try_from(hint.len()).unwrap_or(u16::MAX);
        let room = area.width.saturating_sub(taken);
        let title = shortened(&title, room);
        buffer.set_stringn(area.x, area.y, title, room.into(), Style::new().bold());
    }

    /// What part is seen, if not all, and how to go on.
    fn hint(&self, height: u16) -> String {
        let (rows, page) = (self.rows(), page(height));
        if rows <= page {
            return " q quits".to_owned();
        }
        let from = self.scroll.min(self.furthest(height));
        format!(" {}-{} of {rows}, q quits", from + 1, from + page)
    }
}

/// How many rows a screen of this height shows.
pub fn page(height: u16) -> usize {
    height.saturating_sub(HEAD).into()
}

impl Widget for Picture<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        let places = fitting(area.width, self.longest_address());
        let mut lines = area.rows();
        if let Some(line) = lines.next() {
            // The whole area, as the hint depends on its height.
            self.title(
                Rect {
                    height: area.height,
                    ..line
                },
                buffer,
            );
        }
        if let Some(line) = lines.next() {
            heads(&places, line, buffer);
        }
        let scroll = self.scroll.min(self.furthest(area.height));
        let mut rows = self.list().skip(scroll).peekable();
        if rows.peek().is_none() {
            if let Some(line) = lines.next() {
                buffer.set_stringn(line.x, line.y, self.none, line.width.into(), Style::new());
            }
        }
        for (row, line) in rows.zip(lines) {
            match row {
                Row::Group(group) => group_row(group, &places, line, buffer),
                Row::Member(member, rates) => member_row(member, rates, &places, line, buffer),
                Row::Line(text) => text_row(text, line, buffer),
            }
        }
    }
}

fn heads(places: &[Place], line: Rect, buffer: &mut Buffer) {
    buffer.set_style(line, Style::new().reversed());
    for place in places {
        put(buffer, line, place, place.column.title(), Style::new());
    }
}

/// What the group does, up to its totals.
fn group_row(rates: &GroupRates, places: &[Place], line: Rect, buffer: &mut Buffer) {
    let bold = Style::new().bold();
    let totals = places.iter().filter(|place| place.column.is_rate());
    let mut room = line.width;
    for place in totals {
        room = room.min(place.x.saturating_sub(1));
        let text = place.column.of_rates(rates.rates.as_ref());
        put(buffer, line, place, &text, bold);
    }
    let text = shortened(&heading(&rates.group, &rates.members), room);
    buffer.set_stringn(line.x, line.y, text, room.into(), bold);
}

fn heading(group: &Group, members: &[(Member, Option<Rates>)]) -> String {
    let port = members
        .iter()
        .map(|(member, _)| member.port)
        .find(|&port| port != 0);
    let port = port.map_or_else(String::new, |port| format!(" port {port}"));
    let (id, does) = (group.id, &group.settings);
    let (policy, when_full) = (does.policy, does.when_full);
    let stall = view::time_or_off(does.stall);
    let rewrite = if does.rewrite { ", rewrite" } else { "" };
    let adopt = match does.adopt.is_zero() {
        true => String::new(),
        false => format!(", adopt {}", view::time_or_off(does.adopt)),
    };
    format!("group {id}{port}: {policy}, {when_full}, stall {stall}{rewrite}{adopt}")
}

fn member_row(
    member: &Member,
    rates: Option<&Rates>,
    places: &[Place],
    line: Rect,
    buffer: &mut Buffer,
) {
    for place in places {
        let text = if place.column.is_rate() {
            place.column.of_rates(rates)
        } else {
            place.column.of_member(member)
        };
        put(
            buffer,
            line,
            place,
            &text,
            place.column.style(member, rates),
        );
    }
}

fn text_row(told: &Line, line: Rect, buffer: &mut Buffer) {
    let style = match told.tone {
        Tone::Heading => Style::new().bold(),
        Tone::Plain => Style::new(),
        Tone::Bad => Style::new().red(),
    };
    let text = shortened(&told.text, line.width);
    buffer.set_stringn(line.x, line.y, text, line.width.into(), style);
}

/// Writes a text at its place, numbers to the right.
fn put(buffer: &mut Buffer, line: Rect, place: &Place, text: &str, style: Style) {
    let area = Rect {
        x: line.x + place.x,
        width: place.width,
        ..line
    };
    let text = match place.column {
        // The end of an address tells more than its beginning.
        Column::Address => reversed(&shortened(&reversed(text), place.width)),
        _ => shortened(text, place.width),
    };
    if place.column.is_text() {
        buffer.set_stringn(area.x, area.y, text, area.width.into(), style);
    } else {
        right(buffer, area, &text, style);
    }
}

/// Writes a text at the right end of a line.
fn right(buffer: &mut Buffer, line: Rect, text: &str, style: Style) {
    let text = shortened(text, line.width);
    let length = u16::try_from(text.chars().count()).unwrap_or(line.width);
    let x = line.right().saturating_sub(length);
    buffer.set_stringn(x, line.y, text, length.into(), style);
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// The text, with an ellipsis for what has no room.
fn shortened(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    let end = if width == 0 { "" } else { "…" };
    kept.chain(end.chars()).collect()
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
