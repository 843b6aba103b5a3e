// SPDX-License-Identifier: GPL-2.0
//! Pictures of `top`, on screens of several sizes.

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
    screen_with((groups, &[], ""), scroll, width, height)
}

/// The same with lines behind the groups, and a title of them.
fn screen_with(
    (groups, lines, more): (&[GroupRates], &[Line], &str),
    scroll: usize,
    width: u16,
    height: u16,
) -> Vec<String> {
    let backend = TestBackend::new(width, height);
    let mut terminal = Terminal::new(backend).expect("it has no faults");
    let picture = Picture {
        groups,
        interval: SECOND,
        scroll,
        keys: true,
        lines,
        more,
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
        lines: &[],
        more: "",
        none: "no groups",
    };
    picture.render(buffer.area, &mut buffer);
    assert_eq!(buffer[(16, 4)].fg, ratatui::style::Color::Red);
    assert_ne!(buffer[(16, 3)].fg, ratatui::style::Color::Red);
}

#[test]
fn lines_follow_the_groups_and_scroll_with_them() {
    let line = |text: &str, tone| Line {
        text: text.to_owned(),
        tone,
    };
    let lines = [
        line("198.51.100.7: shared", Tone::Heading),
        line("  b has been unreachable for 12s", Tone::Bad),
    ];
    let shown = screen_with((&groups(), &lines, ", 1 cluster IP"), 0, 80, 24);
    assert!(shown[0].starts_with("sgctl top: 1 group, 3 members, 1 cluster IP, every 1s"));
    assert_eq!(
        shown[6..8],
        ["198.51.100.7: shared", "  b has been unreachable for 12s"]
    );
    let last = screen_with((&groups(), &lines, ""), 99, 30, 4);
    assert!(last[0].ends_with("5-6 of 6, q quits"), "{last:?}");
    assert_eq!(last[3], "  b has been unreachable for …");
    // Nobody has groups on a director.
    let alone = screen_with((&[], &lines, ""), 0, 80, 4);
    assert!(!alone.concat().contains("no groups"), "{alone:?}");
}
