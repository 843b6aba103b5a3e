// SPDX-License-Identifier: GPL-2.0

//! Whether the machines of a cluster agree about who is there.
//!
//! A machine that others take to be away may be alive, and not know what they believe. Its deputies take
//! its new flows then, and it would reset connections that they have. So while it is not *assured* by all
//! other nodes that they and it hold each other to be there, the latest change of its tables is young: as
//! after any change, nobody resets what somebody else may have. The change stays young for the `settle`
//! time of the cluster IP from when all agree again.
//!
//! It is no change of a table, and moves no slot.

#![forbid(unsafe_code)]

/// What all peers together assure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assurance {
    /// Since when, without a gap.
    since: u64,
    /// Until when, if nothing else is heard.
    until: u64,
}

impl Assurance {
    /// One that is kept as its [`times()`](Self::times).
    pub const fn of_times(since: u64, until: u64) -> Self {
        Self { since, until }
    }

    /// Since when and until when.
    pub const fn times(&self) -> (u64, u64) {
        (self.since, self.until)
    }

    /// After news of any of the peers that matter: all of them that are nodes. `until` is
    /// [`Peer::assured_until()`](super::liveness::Peer::assured_until) of each.
    pub fn renew(&mut self, now: u64, until: impl Iterator<Item = u64>) {
        let until = until.min().unwrap_or(u64::MAX);
        if now > self.until {
            self.since = now;
        }
        self.until = until;
    }

    /// Whether machines disagree, or may have disagreed within the last `settle`, in nanoseconds.
    pub fn is_young(&self, now: u64, settle: u64) -> bool {
        now > self.until || now.saturating_sub(self.since) < settle
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_assurance)
)]
mod tests {
    use super::*;

    #[test]
    fn from_the_beginning_until_all_agree_for_long_enough() {
        let mut assurance = Assurance::default();
        assert!(assurance.is_young(1, 10));
        assurance.renew(5, [8, 9].into_iter());
        assert!(assurance.is_young(5, 10) && !assurance.is_young(8, 3));
        assert!(assurance.is_young(9, 3));
        // In time, and not in time.
        assurance.renew(8, [30, 40].into_iter());
        assert!(assurance.is_young(14, 10) && !assurance.is_young(15, 10));
        assurance.renew(31, [50].into_iter());
        assert!(assurance.is_young(40, 10) && !assurance.is_young(41, 10));
    }

    #[test]
    fn one_that_disagrees_is_enough() {
        let mut assurance = Assurance::default();
        assurance.renew(1, [100, 100].into_iter());
        assert!(!assurance.is_young(50, 10));
        assurance.renew(50, [150, 0].into_iter());
        assert!(assurance.is_young(50, 0));
        assurance.renew(60, [150, 150].into_iter());
        assert!(!assurance.is_young(60, 0) && assurance.is_young(69, 10));
        assert!(!assurance.is_young(70, 10));
    }

    #[test]
    fn without_peers_nobody_disagrees() {
        let mut assurance = Assurance::default();
        assurance.renew(1, core::iter::empty());
        assert!(!assurance.is_young(u64::MAX, 10));
    }
}
