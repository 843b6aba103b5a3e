// SPDX-License-Identifier: GPL-2.0
//! The picture of `top`: a pure function from rates to the cells of a screen.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Style, Stylize};
use ratatui::widgets::Widget;
use service_group::netlink::{Group, Member};

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
}

impl Picture<'_> {
    /// How many rows there are: one a group, one a member.
    pub fn rows(&self) -> usize {
        self.groups
            .iter()
            .map(|group| 1 + group.members.len())
            .sum()
    }

    /// How many lines it needs to show everything.
    pub fn height(&self) -> usize {
        usize::from(HEAD) + self.rows().max(1)
    }

    /// The width into which everything fits.
    pub fn full_width(&self) -> u16 {
        full_width(self.longest_address())
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
        self.groups.iter().flat_map(|group| {
            let members = group.members.iter();
            let members = members.map(|(member, rates)| Row::Member(member, rates.as_ref()));
            std::iter::once(Row::Group(group)).chain(members)
        })
    }

    fn title(&self, area: Rect, buffer: &mut Buffer) {
        let members: usize = self.groups.iter().map(|group| group.members.len()).sum();
        let title = format!(
            "sgctl top: {}, {}, every {}",
            output::count(self.groups.len(), "group"),
            output::count(members, "member"),
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
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;
    use ratatui::Terminal;
    use service_group::netlink::Counters;
    use service_group::{GroupSettings, MemberState, Policy};

    const SECOND: Duration = Duration::from_secs(1);

    fn rates(accepted: f64) -> Option<Rates> {
        Some(Rates {
            accepted,
            redirected_in: 0.0,
            redirected_out: 0.5,
            rescued: 2.0,
            dropped: 12_345.0,
        })
    }

    fn member(address: &str, state: MemberState, queued: u32) -> Member {
        Member {
            group: 3,
            inode: 4711,
            port: 8080,
            address: address.parse().ok(),
            state,
            queued,
            backlog: 511,
            half_open: 7,
            ..Member::default()
        }
    }

    fn groups() -> Vec<GroupRates> {
        let group = Group {
            id: 3,
            members: 3,
            settings: GroupSettings {
                policy: Policy::Balance,
                stall: Duration::from_millis(100),
                ..GroupSettings::default()
            },
            counters: Counters::default(),
            ..Group::default()
        };
        let members = vec![
            (
                member("127.0.0.1", MemberState::Listening, 0),
                rates(1520.0),
            ),
            (member("127.0.0.2", MemberState::Stalled, 512), rates(0.0)),
            (
                member("2001:db8::a:b:c:d", MemberState::Listening, 256),
                None,
            ),
        ];
        vec![GroupRates {
            group,
            rates: rates(1520.0),
            members,
        }]
    }

    fn screen(groups: &[GroupRates], scroll: usize, width: u16, height: u16) -> Vec<String> {
        let backend = TestBackend::new(width, height);
        let mut terminal = Terminal::new(backend).expect("it has no faults");
        let picture = Picture {
            groups,
            interval: SECOND,
            scroll,
            keys: true,
            none: "no groups",
        };
        let drawn = terminal.draw(|frame| frame.render_widget(picture, frame.area()));
        let cells = drawn.expect("it has no faults").buffer.content();
        let lines = cells.chunks(usize::from(width).max(1));
        let text = lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        text.map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn a_terminal_of_80_by_24_shows_everything() {
        let lines = screen(&groups(), 0, 80, 24);
        let expected = [
            "sgctl top: 1 group, 3 members, every 1s                                  q quits",
            "ADDRESS         STATE         QUEUE       HALF  WGT ACC/s IN/s OUT/s RES/s DRP/s",
            "group 3 port 8080: balance, drop, stall 100ms        1520    0   0.5     2   12k",
            "127.0.0.1       listening     0/511          7    1  1520    0   0.5     2   12k",
            "127.0.0.2       stalled     512/511 █████    7    1     0    0   0.5     2   12k",
            "…1:db8::a:b:c:d listening   256/511 ██▌      7    1     -    -     -     -     -",
        ];
        assert_eq!(lines[..6], expected);
        assert!(lines[6..].iter().all(String::is_empty));
    }

    #[test]
    fn a_small_screen_shows_what_matters_and_scrolls() {
        let lines = screen(&groups(), 0, 30, 4);
        let expected = [
            "sgctl top: … 1-2 of 4, q quits",
            "ADDRESS               QUEUE",
            "group 3 port 8080: balance, d…",
            "127.0.0.1             0/511",
        ];
        assert_eq!(lines, expected);
        let last = screen(&groups(), 99, 30, 4);
        assert!(last[0].ends_with("3-4 of 4, q quits"), "{last:?}");
        assert!(
            last[2].starts_with("127.0.0.2") && last[3].contains("2001:"),
            "{last:?}"
        );
    }

    #[test]
    fn no_size_is_too_small() {
        for (width, height) in [(0, 0), (1, 1), (1, 9), (9, 1), (14, 3), (200, 2)] {
            screen(&groups(), 1, width, height);
            screen(&[], 0, width, height);
        }
    }

    #[test]
    fn nothing_is_said_sensibly() {
        let lines = screen(&[], 0, 80, 4);
        assert!(lines[2].starts_with("no groups"), "{lines:?}");
    }

    #[test]
    fn a_stalled_member_stands_out() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 6));
        let picture = Picture {
            groups: &groups(),
            interval: SECOND,
            scroll: 0,
            keys: false,
            none: "no groups",
        };
        picture.render(buffer.area, &mut buffer);
        assert_eq!(buffer[(16, 4)].fg, ratatui::style::Color::Red);
        assert_ne!(buffer[(16, 3)].fg, ratatui::style::Color::Red);
    }
}
