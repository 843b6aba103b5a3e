// SPDX-License-Identifier: GPL-2.0
//! Whether a service is healthy, by what its checks say one after the other.
//!
//! Several in a row are needed to change that, as with HAProxy and keepalived; but the first check of
//! all makes a service unhealthy by itself, so that one that does not work when the agent begins gets
//! no connections for as long as several would take.

use crate::cluster::file::checks::Check;

/// What was found out of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    healthy: bool,
    /// How many checks in a row said the other thing.
    against: u32,
    /// Whether none was heard yet.
    is_first: bool,
}

impl Verdict {
    /// Before the first check; this is what it was taken for.
    pub fn new(healthy: bool) -> Self {
        Self {
            healthy,
            against: 0,
            is_first: true,
        }
    }

    /// Whether it is healthy.
    pub fn is_healthy(self) -> bool {
        self.healthy
    }

    /// A check has succeeded, or failed. Whether that has changed something.
    pub fn hear(&mut self, succeeded: bool, check: &Check) -> bool {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if succeeded == self.healthy {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let needed = match self.healthy {
            true if is_first => 1,
            true => check.fall,
            false => check.rise,
        };
        if self.against < needed {
            return false;
        }
        (self.healthy, self.against) = (succeeded, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    /// What a service is after each of these checks, of which `+` succeed.
    fn after(healthy: bool, checks: &str) -> String {
        let mut verdict = Verdict::new(healthy);
        let told = checks.chars().map(|outcome| {
            let before = verdict.is_healthy();
            let is_news = verdict.hear(outcome == '+', &check());
            assert_eq!(is_news, before != verdict.is_healthy());
            if verdict.is_healthy() {
                '+'
            } else {
                '-'
            }
        });
        told.collect()
    }

    #[test]
    fn several_in_a_row_change_it() {
        // Two to rise, three to fall.
        assert_eq!(after(true, "+--+---+-++-"), "++++++----++");
        assert_eq!(after(true, "+---++"), "+++--+");
        assert_eq!(after(false, "+-++"), "---+");
    }

    #[test]
    fn the_first_one_is_believed_if_it_fails() {
        assert_eq!(after(true, "-"), "-");
        assert_eq!(after(true, "-++"), "--+");
        assert_eq!(after(true, "+-"), "++");
        assert_eq!(after(false, "++"), "-+");
    }
}
