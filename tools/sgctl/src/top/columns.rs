// SPDX-License-Identifier: GPL-2.0
//! The columns of `top`: which ones fit, where they are, and what they say.

use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::block;
use service_group::netlink::Member;
use service_group::MemberState;

use super::rates::Rates;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// What the member is bound to, without the port.
    Address,
    /// The socket's inode number.
    Inode,
    /// What the socket is doing.
    State,
    /// Connections in the accept queue, of the backlog.
    Queue,
    /// The same as a picture.
    Bar,
    /// Half-open requests.
    HalfOpen,
    /// The weight.
    Weight,
    /// Accepted a second.
    Accepted,
    /// Taken for siblings a second.
    In,
    /// Taken by siblings a second.
    Out,
    /// Rescued by siblings a second.
    Rescued,
    /// Dropped a second.
    Dropped,
}

use Column::{
    Accepted, Address, Bar, Dropped, HalfOpen, In, Inode, Out, Queue, Rescued, State, Weight,
};

/// From left to right.
const ORDER: [Column; 12] = [
    Address, Inode, State, Queue, Bar, HalfOpen, Weight, Accepted, In, Out, Rescued, Dropped,
];
/// The first to be had on a narrow terminal comes first.
const RANK: [Column; 12] = [
    Address, Queue, State, Accepted, Dropped, Out, In, Rescued, Bar, HalfOpen, Weight, Inode,
];

/// A column and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The column.
    pub column: Column,
    /// How far it is from the left.
    pub x: u16,
    /// How wide it is.
    pub width: u16,
}

impl Column {
    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Address => "ADDRESS",
            Inode => "INODE",
            State => "STATE",
            Queue => "QUEUE",
            Bar => "",
            HalfOpen => "HALF",
            Weight => "WGT",
            Accepted => "ACC/s",
            In => "IN/s",
            Out => "OUT/s",
            Rescued => "RES/s",
            Dropped => "DRP/s",
        }
    }

    /// The least width; an address takes more if there is more, and it is longer.
    fn width(self) -> u16 {
        match self {
            Address => 15,
            Inode => 10,
            State | Queue => 9,
            Bar | Accepted | Out | Rescued | Dropped => 5,
            HalfOpen | Weight | In => 4,
        }
    }

    /// Whether it holds a text, which begins at the left.
    pub fn is_text(self) -> bool {
        matches!(self, Address | State | Bar)
    }

    /// Whether it holds a rate, of which a group has a total.
    pub fn is_rate(self) -> bool {
        matches!(self, Accepted | In | Out | Rescued | Dropped)
    }

    /// What it says of a member, except for the rates.
    pub fn of_member(self, member: &Member) -> String {
        match self {
            Address => member
                .address
                .map_or_else(|| "-".to_owned(), |address| address.to_string()),
            Inode => member.inode.to_string(),
            State => member.state.name().to_owned(),
            Queue => {
                let number = |number: u32| compact(number.into());
                format!("{}/{}", number(member.queued), number(member.backlog))
            }
            Bar => bar(fullness(member), self.width()),
            HalfOpen => compact(member.half_open.into()),
            Weight => compact(member.weight.into()),
            _ => String::new(),
        }
    }

    /// What it says of rates; nothing if it is not about them.
    pub fn of_rates(self, rates: Option<&Rates>) -> String {
        let Some(rates) = rates.filter(|_| self.is_rate()) else {
            return if self.is_rate() { "-" } else { "" }.to_owned();
        };
        compact(match self {
            Accepted => rates.accepted,
            In => rates.redirected_in,
            Out => rates.redirected_out,
            Rescued => rates.rescued,
            _ => rates.dropped,
        })
    }

    /// How it looks for a member.
    pub fn style(self, member: &Member, rates: Option<&Rates>) -> Style {
        let plain = Style::new();
        match self {
            State => match member.state {
                MemberState::Listening => plain,
                MemberState::Stalled => plain.red().bold(),
                _ => plain.yellow(),
            },
            Bar => match fullness(member) {
                full if full >= 0.9 => plain.fg(Color::Red),
                half if half >= 0.5 => plain.fg(Color::Yellow),
                _ => plain.fg(Color::Green),
            },
            Dropped if rates.is_some_and(|rates| rates.dropped > 0.0) => plain.red(),
            _ => plain,
        }
    }
}

/// The columns that fit into this width, where the longest address has `longest`
/// characters.
pub fn fitting(width: u16, longest: u16) -> Vec<Place> {
    let mut chosen = Vec::new();
    let mut left = width;
    for column in RANK {
        // One more for the gap, which the first column does not have.
        let needed = column.width() + u16::from(!chosen.is_empty());
        if needed > left {
            break;
        }
        left -= needed;
        chosen.push(column);
    }
    let mut x = 0;
    let mut places = Vec::new();
    for column in ORDER.into_iter().filter(|column| chosen.contains(column)) {
        let mut width = column.width();
        if column == Address {
            width = longest.clamp(width, width.saturating_add(left));
        }
        places.push(Place { column, x, width });
        x += width + 1;
    }
    places
}

/// The width into which all columns fit, and such an address.
pub fn full_width(longest: u16) -> u16 {
    let columns: u16 = RANK.iter().map(|column| column.width() + 1).sum();
    columns - 1 + longest.saturating_sub(Address.width())
}

/// How full the accept queue is, from 0 to 1.
fn fullness(member: &Member) -> f64 {
    let room = f64::from(member.backlog) + 1.0;
    (f64::from(member.queued) / room).min(1.0)
}

/// A bar of eighths of a character; what is not empty is seen.
fn bar(fullness: f64, width: u16) -> String {
    const EIGHTHS: [&str; 8] = [
        "",
        block::ONE_EIGHTH,
        block::ONE_QUARTER,
        block::THREE_EIGHTHS,
        block::HALF,
        block::FIVE_EIGHTHS,
        block::THREE_QUARTERS,
        block::SEVEN_EIGHTHS,
    ];
    // It is not negative, and smaller than the number of eighths.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let eighths = (fullness * f64::from(width) * 8.0).ceil() as usize;
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    block::FULL.repeat(eighths / 8) + rest
}

/// A number in four characters: 0.5, 37, 9999, 10k, 250M.
pub fn compact(number: f64) -> String {
    let tenths = (number * 10.0).round();
    if tenths < 100.0 && tenths % 10.0 != 0.0 {
        return format!("{:.1}", tenths / 10.0);
    }
    let mut number = number.round();
    if number < 10_000.0 {
        return format!("{number}");
    }
    for unit in ["k", "M", "G", "T"] {
        number = (number / 1000.0).round();
        if number < 1000.0 {
            return format!("{number}{unit}");
        }
    }
    "many".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(width: u16) -> Vec<&'static str> {
        let places = fitting(width, 9);
        let end = places.last().map_or(0, |place| place.x + place.width);
        assert!(end <= width, "{end} of {width}");
        places.iter().map(|place| place.column.title()).collect()
    }

    #[test]
    fn eighty_columns_have_all_but_the_inode() {
        assert_eq!(names(80).len(), ORDER.len() - 1);
        assert!(!names(80).contains(&"INODE"));
        let last = fitting(80, 39).pop().expect("there are some");
        assert_eq!((last.column, last.x + last.width), (Dropped, 80));
        assert!(names(91).contains(&"INODE"));
        assert_eq!(names(full_width(9)).len(), ORDER.len());
    }

    #[test]
    fn narrow_terminals_have_the_first_of_the_rank() {
        assert_eq!(names(40), ["ADDRESS", "STATE", "QUEUE"]);
        assert_eq!(names(41), ["ADDRESS", "STATE", "QUEUE", "ACC/s"]);
        assert_eq!(names(15), ["ADDRESS"]);
        assert_eq!(names(14), Vec::<&str>::new());
        assert_eq!(names(0), Vec::<&str>::new());
    }

    #[test]
    fn an_address_takes_what_is_left_as_far_as_it_needs_it() {
        assert_eq!(fitting(84, 39)[0].width, 19);
        assert_eq!(fitting(84, 9)[0].width, 15);
        for longest in [0, 15, 39] {
            let wide = fitting(200, longest);
            assert_eq!(wide[0].width, longest.max(15));
            let last = wide.last().expect("there are some");
            assert_eq!(last.x + last.width, full_width(longest));
        }
    }

    #[test]
    fn numbers_have_four_characters() {
        for (number, text) in [
            (0.0, "0"),
            (0.04, "0"),
            (2.98, "3"),
            (0.5, "0.5"),
            (7.0, "7"),
            (9.94, "9.9"),
            (9.96, "10"),
            (9999.4, "9999"),
            (9999.6, "10k"),
            (999_499.0, "999k"),
            (999_600.0, "1M"),
            (4_294_967_295.0, "4G"),
            (1e18, "many"),
        ] {
            assert_eq!(compact(number), text, "{number}");
            assert!(text.len() <= 4);
        }
    }

    #[test]
    fn bars_begin_with_the_first_connection_and_end_with_the_last() {
        assert_eq!(bar(0.0, 5), "");
        assert_eq!(bar(0.001, 5), block::ONE_EIGHTH);
        assert_eq!(bar(0.5, 5), "██▌");
        assert_eq!(bar(1.0, 5), "█████");
        let member = Member {
            queued: 9,
            backlog: 8,
            ..Member::default()
        };
        assert!((fullness(&member) - 1.0).abs() < f64::EPSILON);
    }
}
