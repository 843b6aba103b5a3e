// SPDX-License-Identifier: GPL-2.0
//! `sgctl top`: members' queues and rates, cluster IPs and machines, again and again, or once.
//!
//! It reads the kernel at each interval; [`rates`] makes rates of two readings,
//! and [`draw`] a picture of those. What it has seen is kept nowhere.

mod clusters;
mod columns;
mod draw;
mod keys;
mod rates;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use ratatui::DefaultTerminal;
use serde::Serialize;
use service_group::netlink::{Connection, Error};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use crate::cli::TopArgs;
use crate::signals::Signals;
use crate::snapshot::{no_such_group, Snapshot};
use crate::view::{GroupView, MemberView};
use crate::{output, Failure};
use clusters::{Line, Names, Seen};
use draw::{page, Picture};
use keys::Action;
use rates::{between, GroupRates, Rates, Sample};

/// Most lines that are printed once.
const LINES: u16 = 10_000;
/// What is told when there are no groups.
const NONE: &str = "no groups: make one with \"sgctl attach\" or \"sgctl run\"";
/// The same when there is no module any more.
const UNLOADED: &str = "the module was unloaded: waiting for it";

/// Runs the subcommand.
pub fn run(args: &TopArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    if args.once {
        return once(args, &mut kernel);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new(
            "top needs a terminal to draw on: use \"sgctl top --once\", or \"sgctl show --json\" \
             in scripts",
        ));
    }
    let mut signals = Signals::catch(&[SIGHUP, SIGINT, SIGTERM, SIGWINCH])?;
    // Before the terminal is changed, so that a failure leaves no trace of that.
    let first = read(args, &mut kernel)?;
    let mut screen = ratatui::try_init().map_err(|error| terminal_failed(&error))?;
    let result = Live::new(args, first).run(&mut kernel, &mut signals, &mut screen);
    ratatui::restore();
    result
}

fn terminal_failed(error: &io::Error) -> Failure {
    Failure::new(format!(
        "the terminal cannot be used ({error}): try \"sgctl top --once\""
    ))
}

/// All that is shown: with one group nothing else.
type All = (Snapshot, Seen);

fn read_all(args: &TopArgs, kernel: &mut Connection) -> Result<All, Error> {
    let snapshot = Snapshot::read(kernel, args.group)?;
    let seen = match args.group {
        Some(_) => Seen::default(),
        None => Seen::read(kernel)?,
    };
    Ok((snapshot, seen))
}

fn read(args: &TopArgs, kernel: &mut Connection) -> Result<Sample, Failure> {
    sample(args, read_all(args, kernel)?)
}

fn sample(args: &TopArgs, (snapshot, seen): All) -> Result<Sample, Failure> {
    match args.group {
        Some(id) if snapshot.groups.is_empty() => Err(no_such_group(id)),
        _ => Ok(Sample {
            time: Instant::now(),
            snapshot,
            seen,
        }),
    }
}

/// What is told behind the groups.
fn lines(before: Option<&Sample>, now: &Sample, names: &Names) -> Vec<Line> {
    let before = before.map(|before| {
        let passed = now.time.saturating_duration_since(before.time);
        (&before.seen, passed)
    });
    now.seen.lines(before, names)
}

/// What is on the screen, and what it was made from.
struct Live<'args> {
    args: &'args TopArgs,
    sample: Sample,
    groups: Vec<GroupRates>,
    lines: Vec<Line>,
    more: String,
    names: Names,
    scroll: usize,
    is_loaded: bool,
}

impl<'args> Live<'args> {
    fn new(args: &'args TopArgs, sample: Sample) -> Self {
        let names = Names::read();
        Self {
            args,
            groups: between(None, &sample),
            lines: lines(None, &sample, &names),
            more: sample.seen.title(),
            names,
            sample,
            scroll: 0,
            is_loaded: true,
        }
    }

    fn run(
        mut self,
        kernel: &mut Connection,
        signals: &mut Signals,
        screen: &mut DefaultTerminal,
    ) -> Result<(), Failure> {
        loop {
            let due = self.sample.time + self.args.interval;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.read(kernel)?;
                continue;
            }
            screen
                .draw(|frame| frame.render_widget(self.picture(), frame.area()))
                .map_err(|error| terminal_failed(&error))?;
            let woken = signals.wait(Some(io::stdin().as_fd()), Some(left))?;
            let told_to_end = woken.signals.iter().any(|&signal| signal != SIGWINCH);
            if told_to_end || self.handle_keys(screen)? {
                return Ok(());
            }
        }
    }

    /// Reads again. When the module was unloaded it waits for it, and begins anew.
    fn read(&mut self, kernel: &mut Connection) -> Result<(), Failure> {
        let seen = read_all(self.args, kernel);
        let is_same = !matches!(seen, Err(Error::NotLoaded));
        let seen = match is_same {
            true => seen,
            false => kernel
                .find_again()
                .and_then(|()| read_all(self.args, kernel)),
        };
        self.is_loaded = !matches!(seen, Err(Error::NotLoaded));
        let sample = match self.is_loaded {
            true => sample(self.args, seen?)?,
            false => Sample {
                time: Instant::now(),
                snapshot: Snapshot::default(),
                seen: Seen::default(),
            },
        };
        let before = Some(&self.sample).filter(|_| is_same);
        self.groups = between(before, &sample);
        self.lines = lines(before, &sample, &self.names);
        self.more = sample.seen.title();
        self.sample = sample;
        Ok(())
    }

    fn picture(&self) -> Picture<'_> {
        Picture {
            groups: &self.groups,
            lines: &self.lines,
            more: &self.more,
            interval: self.args.interval,
            scroll: self.scroll,
            keys: true,
            none: if self.is_loaded { NONE } else { UNLOADED },
        }
    }

    /// Does what the keys say that were pressed; tells whether to end.
    fn handle_keys(&mut self, screen: &DefaultTerminal) -> Result<bool, Failure> {
        let height = screen
            .size()
            .map_err(|error| terminal_failed(&error))?
            .height;
        let furthest = self.picture().furthest(height);
        while event::poll(Duration::ZERO).map_err(|error| terminal_failed(&error))? {
            let event = event::read().map_err(|error| terminal_failed(&error))?;
            let action = match event {
                Event::Key(key) => keys::action(key, page(height)),
                _ => None,
            };
            match action {
                Some(Action::Quit) => return Ok(true),
                Some(Action::Scroll(rows)) => {
                    let to = self.scroll.min(furthest).saturating_add_signed(rows);
                    self.scroll = to.min(furthest);
                }
                None => {}
            }
        }
        Ok(false)
    }
}

/// Prints one picture.
fn once(args: &TopArgs, kernel: &mut Connection) -> Result<(), Failure> {
    let before = read(args, kernel)?;
    let mut signals = Signals::catch(&[SIGINT, SIGTERM])?;
    let woken = signals.wait(None, Some(args.interval))?;
    if !woken.signals.is_empty() {
        return Ok(());
    }
    let now = read(args, kernel)?;
    let groups = between(Some(&before), &now);
    if args.json {
        let views = groups.iter().map(RatedGroupView::from);
        return output::json(&views.collect::<Vec<_>>());
    }
    let width = match terminal::size() {
        Ok((width, _)) if io::stdout().is_terminal() => Some(width),
        _ => None,
    };
    let lines = lines(Some(&before), &now, &Names::read());
    let rest = (&*lines, &*now.seen.title());
    output::text(&text(&groups, rest, args.interval, width))
}

/// The picture as text; without a width, as wide as it needs to be.
fn text(
    groups: &[GroupRates],
    (lines, more): (&[Line], &str),
    interval: Duration,
    width: Option<u16>,
) -> String {
    let picture = Picture {
        groups,
        lines,
        more,
        interval,
        scroll: 0,
        keys: false,
        none: NONE,
    };
    let width = width.unwrap_or_else(|| picture.full_width());
    let height = u16::try_from(picture.height()).unwrap_or(LINES).min(LINES);
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    picture.render(buffer.area, &mut buffer);
    let lines = buffer.content().chunks(usize::from(width).max(1));
    let lines = lines.map(|line| {
        let text: String = line.iter().map(|cell| cell.symbol()).collect();
        text.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// A group as JSON shows it, with rates.
#[derive(Debug, Serialize)]
struct RatedGroupView {
    #[serde(flatten)]
    group: GroupView,
    rates: Option<Rates>,
    members: Vec<RatedMemberView>,
}

#[derive(Debug, Serialize)]
struct RatedMemberView {
    #[serde(flatten)]
    member: MemberView,
    rates: Option<Rates>,
}

impl From<&GroupRates> for RatedGroupView {
    fn from(rates: &GroupRates) -> Self {
        let members = rates.members.iter().map(|(member, rates)| RatedMemberView {
            member: member.into(),
            rates: *rates,
        });
        Self {
            group: (&rates.group).into(),
            rates: rates.rates,
            members: members.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::{Group, Member};
    use service_group::GroupSettings;

    fn groups() -> Vec<GroupRates> {
        let rates = Rates {
            accepted: 1.5,
            redirected_in: 2.0,
            redirected_out: 3.0,
            rescued: 4.0,
            dropped: 5.0,
        };
        vec![GroupRates {
            group: Group {
                id: 3,
                settings: GroupSettings {
                    rewrite: true,
                    adopt: Duration::from_secs(60),
                    ..GroupSettings::default()
                },
                ..Group::default()
            },
            rates: Some(rates),
            members: vec![(Member::default(), None)],
        }]
    }

    #[test]
    fn one_picture_is_plain_text() {
        let text = text(&groups(), (&[], ""), Duration::from_secs(2), None);
        assert_eq!(text.lines().count(), 4);
        assert!(
            text.starts_with("sgctl top: 1 group, 1 member, every 2s\n"),
            "{text}"
        );
        assert!(text.contains("INODE") && !text.contains('\u{1b}'), "{text}");
        assert!(
            text.contains("group 3: overflow, drop, stall off, rewrite, adopt 1m"),
            "{text}"
        );
    }

    #[test]
    fn json_has_rates_beside_what_show_tells() {
        let views: Vec<_> = groups().iter().map(RatedGroupView::from).collect();
        let json = to_value(views).expect("it is JSON");
        let rates = json!({"accepted": 1.5, "redirected_in": 2.0, "redirected_out": 3.0,
                           "rescued": 4.0, "dropped": 5.0});
        assert_eq!((&json[0]["id"], &json[0]["rates"]), (&json!(3), &rates));
        let member = &json[0]["members"][0];
        assert_eq!(
            (&member["weight"], &member["rates"]),
            (&json!(1), &json!(null))
        );
    }
}
