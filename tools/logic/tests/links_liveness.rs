// SPDX-License-Identifier: GPL-2.0
//! A peer is judged as a naive observer would, whatever comes when.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::links::liveness::{Peer, Said, State};

const NS_OF_MS: u64 = 1_000_000;
const HEARTBEAT: u64 = 100 * NS_OF_MS;
const MINUTE: u64 = 60_000 * NS_OF_MS;
const BEGIN: u64 = 5 * MINUTE;

#[derive(Clone, Copy, Debug)]
enum Event {
    Linked,
    Heard {
        hears_us: u32,
        ready: bool,
        away: bool,
    },
    Lost,
    Closed,
    Nothing,
}

/// What comes next, and how much later. A tick follows each heartbeat.
fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let hears_us = prop_oneof![8 => 0u32..=300, 1 => 301u32..];
    let heard = (
        hears_us,
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.1),
    );
    let heard = heard.prop_map(|(hears_us, ready, away)| Event::Heard {
        hears_us,
        ready,
        away,
    });
    let event = prop_oneof![
        3 => Just(Event::Linked),
        20 => heard,
        1 => Just(Event::Lost),
        1 => Just(Event::Closed),
        3 => Just(Event::Nothing),
    ];
    let later = prop_oneof![
        20 => 0..=HEARTBEAT,
        4 => 0..=4 * HEARTBEAT,
        2 => 0..=12 * HEARTBEAT,
        1 => 0..=2 * MINUTE,
    ];
    vec((later, event), 0..200)
}

/// Everything that was ever seen, without a thought of what it is good for.
struct Observer {
    peer: Peer,
    now: u64,
    linked: bool,
    heard: Option<u64>,
    deaf: bool,
    ready: bool,
    /// When it came up, and each end of that since it was up for a minute.
    up: Option<u64>,
    faults: u32,
}

impl Observer {
    fn new() -> Self {
        Self {
            peer: Peer::expected(BEGIN, HEARTBEAT),
            now: BEGIN,
            linked: false,
            heard: None,
            deaf: false,
            ready: true,
            up: None,
            faults: 0,
        }
    }

    fn seen(&self) -> (State, bool, Option<u64>, bool) {
        let peer = &self.peer;
        (
            peer.state(),
            peer.is_away(),
            peer.held_until(),
            peer.is_ready(),
        )
    }

    /// Time passes, with a tick each heartbeat; the last one is at its end.
    fn wait(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + HEARTBEAT);
            self.tell(Event::Nothing);
        }
    }

    fn tell(&mut self, event: Event) {
        let (before, now) = (self.seen(), self.now);
        let peer = &mut self.peer;
        let has_changed = match event {
            Event::Linked => peer.linked(now),
            Event::Heard {
                hears_us,
                ready,
                away,
            } => {
                let echo = now - u64::from(hears_us.min(400)) * NS_OF_MS;
                peer.heard(
                    now,
                    Said {
                        hears_us,
                        ready,
                        away,
                        echo,
                    },
                )
            }
            Event::Lost => peer.lost(now),
            Event::Closed => peer.closed(now),
            Event::Nothing => peer.tick(now),
        };
        assert_eq!(has_changed, before != self.seen());
        self.note(event);
        self.check(event);
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Linked => {
                self.linked = true;
                self.heard = Some(self.now);
            }
            Event::Heard {
                hears_us, ready, ..
            } if self.linked => {
                self.heard = Some(self.now);
                self.deaf = hears_us > 300;
                self.ready = ready;
            }
            Event::Lost | Event::Closed => self.linked = false,
            _ => (),
        }
        let is_up = self.peer.state() == State::Up;
        if self.up.is_some_and(|up| self.now - up >= MINUTE) {
            self.faults = 0;
        }
        match (self.up, is_up) {
            (None, true) => self.up = Some(self.now),
            (Some(_), false) => {
                self.faults += 1;
                self.up = None;
            }
            _ => (),
        }
    }

    fn silence(&self) -> u64 {
        self.now - self.heard.unwrap_or(BEGIN)
    }

    fn hold(&self) -> u64 {
        let doubled = HEARTBEAT
            .checked_shl(self.faults.saturating_sub(1))
            .filter(|_| self.faults < 20);
        match self.faults {
            0 => 0,
            _ => doubled.unwrap_or(MINUTE).min(MINUTE),
        }
    }

    fn check(&self, event: Event) {
        let (peer, now) = (&self.peer, self.now);
        let state = peer.state();
        if matches!(event, Event::Nothing) {
            let is_known = self.heard.is_some();
            assert!(self.silence() <= 3 * HEARTBEAT || !is_known || peer.is_away());
            assert!(self.silence() <= 10 * HEARTBEAT || state == State::Unreachable);
            assert!(
                self.linked
                    || self.silence() > 10 * HEARTBEAT
                    || state == State::Unreachable
                    || !is_known
            );
        }
        if let (Event::Heard { .. }, true) = (event, self.linked) {
            assert_eq!(state, if self.deaf { State::Suspect } else { State::Up });
        }
        let held_until = self
            .up
            .map(|up| up + self.hold())
            .filter(|&until| until > now);
        // A faultless minute is noticed by what happens next, and ends no hold but the longest one.
        assert_eq!(peer.held_until(), held_until, "{} faults", self.faults);
        match state {
            State::Up => assert_eq!(peer.is_away(), !self.ready || held_until.is_some()),
            State::None => assert!(!peer.is_away()),
            State::Suspect => assert!(peer.is_away()),
            // For three heartbeats, if this machine has ended the link.
            State::Unreachable => assert!(peer.is_away() || self.silence() <= 3 * HEARTBEAT),
        }
        assert!(!peer.is_away() || peer.assured_until() == 0);
        assert!(self.linked || peer.assured_until() == 0);
        assert!(peer.assured_until() <= self.heard.unwrap_or(0) + 3 * HEARTBEAT);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn judged_as_told(events in events()) {
        let mut observer = Observer::new();
        for (later, event) in events {
            observer.wait(later);
            observer.tell(event);
        }
    }

    #[test]
    fn one_that_is_heard_of_each_heartbeat_is_never_away(gaps in vec(0..=3 * HEARTBEAT, 1..300)) {
        let mut observer = Observer::new();
        observer.tell(Event::Linked);
        for gap in gaps {
            observer.wait(gap);
            observer.tell(Event::Heard { hears_us: 0, ready: true, away: false });
            prop_assert!(!observer.peer.is_away() && observer.peer.state() == State::Up);
        }
    }

    #[test]
    fn one_that_falls_silent_is_away_in_time(events in events(), ready: bool) {
        let mut observer = Observer::new();
        for (later, event) in events {
            observer.wait(later);
            observer.tell(event);
        }
        observer.tell(Event::Linked);
        observer.tell(Event::Heard { hears_us: 0, ready, away: false });
        // With the ticks between.
        observer.wait(4 * HEARTBEAT);
        prop_assert!(observer.peer.is_away());
        observer.wait(7 * HEARTBEAT);
        prop_assert_eq!(observer.peer.state(), State::Unreachable);
    }
}
