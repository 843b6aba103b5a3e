// SPDX-License-Identifier: GPL-2.0

//! Whether a peer is there, as its heartbeats tell.
//!
//! | the peer | is |
//! |---|---|
//! | was never heard of, for at most 10 heartbeats | [`State::None`]: nothing speaks against it |
//! | is heard of, and hears of this machine | [`State::Up`] |
//! | was not heard of for more than 3 heartbeats, or has not heard of this machine for as long | [`State::Suspect`] |
//! | has lost its link, or was not heard of for more than 10 heartbeats | [`State::Unreachable`] |
//!
//! A peer that is suspect or unreachable is *away*: it gets no new flows. So is one that says that it
//! is not ready, and one that is *held* back because it comes and goes. After its first fault it has to
//! be up for one heartbeat before it gets new flows again, after each further one for twice as long,
//! for a minute at most; once it was up for a minute all faults are forgotten.
//!
//! Suspicion is no death: what follows from it is undone when it turns out to be wrong. And a peer may
//! suspect this machine, which hears of that later or not at all. So [`Peer::assured_until()`] tells
//! how long this machine may rely on that they agree: see [`super::assurance`].
//!
//! All times are nanoseconds of a clock that only goes forward, and that may be behind by a tick on
//! another processor. What time alone changes is noticed by [`Peer::tick()`], once a heartbeat or more
//! often.

#![forbid(unsafe_code)]

const NS_OF_MS: u64 = 1_000_000;

/// After so many silent heartbeats a peer is suspect.
const SUSPECT_AFTER: u64 = 3;
/// After so many silent heartbeats it is unreachable, and its link is given up.
pub const UNREACHABLE_AFTER: u64 = 10;
/// How long a peer is held back at most, and how long it has to be up until its faults are forgotten.
const MINUTE: u64 = 60_000 * NS_OF_MS;

/// What is believed of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There was no link since it is expected.
    None,
    /// It is there.
    Up,
    /// It is silent, or does not hear this machine.
    Suspect,
    /// There is no link that works.
    Unreachable,
}

/// What a heartbeat says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// How long ago the peer heard of this machine when it was sent, in milliseconds.
    pub hears_us: u32,
    /// Whether the peer takes new flows.
    pub ready: bool,
    /// Whether this machine is away for the peer.
    pub away: bool,
    /// When this machine sent the last heartbeat that the peer had heard on this link; 0 if none.
    pub echo: u64,
}

/// A machine that is expected to have a link with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    state: State,
    /// When the state changed.
    since: u64,
    /// Whether there is a link whose hello has come.
    linked: bool,
    /// When it was heard of, on any link.
    heard: Option<u64>,
    /// What it said last, on this link.
    ready: bool,
    /// Until when it does not suspect this machine, by what it said last.
    trusted_until: u64,
    /// Until when it is not away although its link has ended.
    spared_until: u64,
    /// How long it has to be up; 0 if it has no faults.
    hold: u64,
    /// Until when it is held back, once it is up.
    held_until: Option<u64>,
    /// The time between two heartbeats.
    heartbeat: u64,
    away: bool,
}

impl Peer {
    /// One that is expected from now on. `heartbeat` is the time between two of them.
    pub const fn expected(now: u64, heartbeat: u64) -> Self {
        Self {
            state: State::None,
            since: now,
            linked: false,
            heard: None,
            ready: true,
            trusted_until: 0,
            spared_until: 0,
            hold: 0,
            held_until: None,
            heartbeat,
            away: false,
        }
    }

    /// Heartbeats come so often from now on: the slower one of both machines counts.
    pub fn set_heartbeat(&mut self, heartbeat: u64) {
        self.heartbeat = heartbeat;
    }

    /// It has a link, on which its hello has come; another one has ended. It is up when it is heard
    /// of there. Returns whether what others see has changed.
    pub fn linked(&mut self, now: u64) -> bool {
        let before = *self;
        self.linked = true;
        self.heard = Some(now);
        self.trusted_until = 0;
        self.look(now);
        self.differs(&before)
    }

    /// A heartbeat has come. Returns whether what others see has changed.
    pub fn heard(&mut self, now: u64, said: Said) -> bool {
        let before = *self;
        if self.linked {
            self.heard = Some(now);
            self.ready = said.ready;
            let deafness = u64::from(said.hears_us).saturating_mul(NS_OF_MS);
            // It heard that later, and so takes as long or longer to suspect this machine.
            self.trusted_until = match said.away || said.echo == 0 {
                true => 0,
                false => said
                    .echo
                    .min(now)
                    .saturating_add(self.heartbeats(SUSPECT_AFTER)),
            };
            match deafness > self.heartbeats(SUSPECT_AFTER) {
                true => self.suspect(now),
                false => self.up(now),
            }
            self.look(now);
        }
        self.differs(&before)
    }

    /// The peer has ended its link. Returns whether what others see has changed.
    pub fn lost(&mut self, now: u64) -> bool {
        self.ended(now, 0)
    }

    /// This machine has ended its link, and there is no other one. Returns whether what others see has
    /// changed.
    ///
    /// As the peer does not know that yet it is away when it would have been suspect, had it been
    /// silent: see [`Peer::assured_until()`].
    pub fn closed(&mut self, now: u64) -> bool {
        let heard = self.heard.unwrap_or(0);
        self.ended(now, heard.saturating_add(self.heartbeats(SUSPECT_AFTER)))
    }

    /// Time has passed. Returns whether what others see has changed.
    pub fn tick(&mut self, now: u64) -> bool {
        let before = *self;
        let silence = now.saturating_sub(self.heard.unwrap_or(self.since));
        let is_silent = silence > self.heartbeats(SUSPECT_AFTER);
        match self.state {
            _ if silence > self.heartbeats(UNREACHABLE_AFTER) => self.unreachable(now),
            State::None if self.linked && is_silent => self.suspect(now),
            State::Up if is_silent => self.suspect(now),
            _ => (),
        }
        self.look(now);
        self.differs(&before)
    }

    /// What is believed of it.
    pub fn state(&self) -> State {
        self.state
    }

    /// When that changed.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// When it was heard of last; none if never.
    pub fn last_heard(&self) -> Option<u64> {
        self.heard
    }

    /// Whether it gets no new flows.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Whether it said that it takes new flows, or has not said anything yet.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Until when this machine and the peer both hold the other one to be there, if nothing else is
    /// heard; it may have passed.
    pub fn assured_until(&self) -> u64 {
        match self.away || self.state != State::Up {
            true => 0,
            false => self.trusted_until,
        }
    }

    /// Until when it is held back, if it is up and held.
    pub fn held_until(&self) -> Option<u64> {
        self.held_until
    }

    /// Whether it is held back, or will be when it is up.
    pub fn is_held(&self) -> bool {
        match self.state {
            State::Up => self.held_until.is_some(),
            State::None | State::Suspect | State::Unreachable => self.hold > 0,
        }
    }

    fn ended(&mut self, now: u64, spared_until: u64) -> bool {
        let before = *self;
        if self.linked {
            self.linked = false;
            self.trusted_until = 0;
            self.spared_until = match before.state {
                State::Up if !before.away => spared_until,
                _ => 0,
            };
            self.unreachable(now);
            self.look(now);
        }
        self.differs(&before)
    }

    fn heartbeats(&self, count: u64) -> u64 {
        self.heartbeat.saturating_mul(count)
    }

    fn differs(&self, before: &Self) -> bool {
        let seen = |peer: &Self| (peer.state, peer.away, peer.held_until, peer.ready);
        seen(self) != seen(before)
    }

    fn enter(&mut self, state: State, now: u64) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
    }

    fn up(&mut self, now: u64) {
        if self.state != State::Up && self.hold > 0 {
            self.held_until = Some(now.saturating_add(self.hold));
        }
        self.enter(State::Up, now);
    }

    fn suspect(&mut self, now: u64) {
        self.fault(now);
        self.enter(State::Suspect, now);
    }

    fn unreachable(&mut self, now: u64) {
        self.fault(now);
        self.enter(State::Unreachable, now);
    }

    /// If it was up, it is to be up for longer the next time.
    fn fault(&mut self, now: u64) {
        if self.state != State::Up {
            return;
        }
        self.forgive(now);
        self.hold = match self.hold {
            0 => self.heartbeat,
            hold => hold.saturating_mul(2),
        };
        self.hold = self.hold.min(MINUTE);
        self.held_until = None;
    }

    fn forgive(&mut self, now: u64) {
        if self.state == State::Up && now.saturating_sub(self.since) >= MINUTE {
            self.hold = 0;
        }
    }

    /// What follows from its state.
    fn look(&mut self, now: u64) {
        self.forgive(now);
        self.held_until = self.held_until.filter(|&until| now < until);
        let is_bad = match self.state {
            State::None | State::Up => false,
            State::Suspect => true,
            State::Unreachable => now > self.spared_until,
        };
        self.away = is_bad || self.held_until.is_some() || !self.ready;
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[path = "liveness_tests.rs"]
mod liveness_tests;
