// SPDX-License-Identifier: GPL-2.0
//! When this machine connects to which: at once after a break, then after times that double, up to a
//! bound, and are never quite the same, so that machines which lost each other do not meet all at
//! once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first time to wait, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// A link that has lived so long was sound.
const SOUND: Duration = Duration::from_secs(10);

/// What is done about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// There is a link, since then.
    Linked(Instant),
    /// It is tried again then.
    Waiting(Instant),
    /// It is being tried.
    Trying,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    doing: Doing,
    /// How often it was tried since a link was sound.
    tries: u32,
}

/// The machines that this one connects to.
#[derive(Debug, Default)]
pub struct Schedule(BTreeMap<u32, Entry>);

impl Schedule {
    /// These are the machines to connect to; what is known of them is kept.
    pub fn set(&mut self, ids: impl Iterator<Item = u32>, now: Instant) {
        let mut known = std::mem::take(&mut self.0);
        let new = Entry {
            doing: Doing::Waiting(now),
            tries: 0,
        };
        self.0 = ids
            .map(|id| (id, known.remove(&id).unwrap_or(new)))
            .collect();
    }

    /// The machines to try now, which are being tried then.
    pub fn due(&mut self, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        for (id, entry) in &mut self.0 {
            if matches!(entry.doing, Doing::Waiting(at) if at <= now) {
                entry.doing = Doing::Trying;
                due.push(*id);
            }
        }
        due
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        let times = self.0.values().filter_map(|entry| match entry.doing {
            Doing::Waiting(at) => Some(at),
            _ => None,
        });
        times.min()
    }

    /// There is a link to this machine.
    pub fn linked(&mut self, id: u32, now: Instant) {
        if let Some(entry) = self.0.get_mut(&id) {
            if !matches!(entry.doing, Doing::Linked(_)) {
                entry.doing = Doing::Linked(now);
            }
        }
    }

    /// There is none any more.
    pub fn lost(&mut self, id: u32, now: Instant, random: u32) {
        let Some(entry) = self.0.get_mut(&id) else {
            return;
        };
        let Doing::Linked(since) = entry.doing else {
            return;
        };
        if now.saturating_duration_since(since) >= SOUND {
            entry.tries = 0;
        }
        entry.wait(now, random);
    }

    /// A try has come to nothing.
    pub fn failed(&mut self, id: u32, now: Instant, random: u32) {
        let entry = self.0.get_mut(&id);
        if let Some(entry) = entry.filter(|entry| entry.doing == Doing::Trying) {
            entry.tries = entry.tries.max(1);
            entry.wait(now, random);
        }
    }
}

impl Entry {
    /// Waits for half of its time to all of it, which the random number says.
    fn wait(&mut self, now: Instant, random: u32) {
        let whole = match self.tries.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(1 << doublings.min(16)).min(LONGEST),
        };
        let half = whole / 2;
        let more = half.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.doing = Doing::Waiting(now + half + more);
        self.tries = self.tries.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(schedule: &Schedule, now: Instant) -> Option<u128> {
        let next = schedule.next()?;
        Some(next.saturating_duration_since(now).as_millis())
    }

    #[test]
    fn tries_are_bounded_and_spread() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set([2].into_iter(), now);
        let mut told = Vec::new();
        for random in [0, u32::MAX, 0, u32::MAX, 0, u32::MAX, 0, u32::MAX, 0] {
            let at = schedule.next().expect("it waits");
            assert_eq!(schedule.due(at), [2]);
            assert_eq!(schedule.due(at), [0; 0]);
            schedule.failed(2, now, random);
            told.extend(waits(&schedule, now));
        }
        assert_eq!(told, [50, 200, 200, 800, 800, 3200, 2500, 5000, 2500]);
    }

    #[test]
    fn a_sound_link_is_made_again_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set([2].into_iter(), now);
        schedule.due(now);
        schedule.linked(2, now);
        assert_eq!(schedule.next(), None);
        let mut later = now + SOUND;
        schedule.lost(2, later, u32::MAX);
        assert_eq!(waits(&schedule, later), Some(0));
        // One that ends at once is not.
        for wait in [100, 200, 400] {
            later += Duration::from_secs(6);
            schedule.due(later);
            schedule.linked(2, later);
            schedule.lost(2, later, u32::MAX);
            assert_eq!(waits(&schedule, later), Some(wait));
        }
    }

    #[test]
    fn what_is_known_of_a_machine_is_kept() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set([2, 3].into_iter(), now);
        assert_eq!(schedule.due(now), [2, 3]);
        schedule.linked(2, now);
        schedule.failed(3, now, 0);
        schedule.set([2, 3, 4].into_iter(), now);
        assert_eq!(schedule.due(now), [4]);
        schedule.set([3].into_iter(), now);
        assert_eq!(schedule.due(now + LONGEST), [3]);
        // Of others nothing is to be done.
        schedule.linked(9, now);
        schedule.lost(9, now, 0);
        schedule.failed(2, now, 0);
        assert_eq!(schedule.next(), None);
    }
}
