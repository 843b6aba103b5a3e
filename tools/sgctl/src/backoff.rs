// SPDX-License-Identifier: GPL-2.0
//! How long to wait before a worker that has died is started again.

use std::time::Duration;

/// The first wait, and the step of the doubling.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, and the life after which a worker counts as sound.
const LONGEST: Duration = Duration::from_secs(10);

/// Waits that double from one short life to the next.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait, after a life of this length.
    pub fn after(&mut self, life: Duration) -> Duration {
        if life >= LONGEST {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_double_the_wait_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let short = LONGEST - Duration::from_millis(1);
        let waits: Vec<u128> = (0..10).map(|_| backoff.after(short).as_millis()).collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000];
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_long_life_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Duration::ZERO);
        }
        assert_eq!(backoff.after(LONGEST), FIRST);
        assert_eq!(backoff.after(Duration::ZERO), FIRST * 2);
    }
}
