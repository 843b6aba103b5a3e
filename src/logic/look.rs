// SPDX-License-Identifier: GPL-2.0

//! What a program gets that looks for connections: calls `accept()`, or polls.
//!
//! A connection that waits is not given away ahead of time: it stays where it is until a program
//! accepts it. A member whose program looks is served from its own queue. If nothing is there, it
//! gets one of its own that a sibling was given, or else one that waits for a hung program. So for
//! every order of looks
//!
//! - no look comes back empty while one of the looker's own connections waits anywhere, or any
//!   waits at a stalled member;
//! - a connection is served no later than without a group: at the first look of its home or of the
//!   member that holds it, behind what that has served before it.
//!
//! Only what a program was told of by `poll()`, and has not accepted yet, is left to it.

#![forbid(unsafe_code)]

use super::{
    facts::Facts,
    select::Policy, //
};

/// What a sibling of the looker has to offer.
#[derive(Clone, Copy, Debug)]
pub struct Sibling {
    pub facts: Facts,
    /// When the oldest came of those that the looker may have: one of its own, if there is one. 0 if
    /// it is not known, as with SYN cookies: it comes after all that are.
    pub since: u64,
    /// Whether there is one of the looker's own.
    pub own: bool,
}

impl Sibling {
    /// How many the looker may be given. What a supervisor has seen is left to the program that it starts, but
    /// only what is that one's: once it is stalled the looker gets its own, promised or not.
    fn spare(&self) -> u32 {
        let facts = &self.facts;
        let own = self.own && facts.stalled && !facts.leaving && facts.load.queued > 0;
        facts.spare().max(u32::from(own))
    }

    fn is_older_than(&self, own: u64) -> bool {
        self.since != 0 && self.since < own
    }

    fn rank(&self) -> u64 {
        match self.since {
            0 => u64::MAX,
            since => since,
        }
    }
}

/// Why a sibling gives a connection away, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The looker is its home.
    Own,
    /// Its program is hung.
    Stalled,
    /// Its program is busy with another one.
    Busy,
}

/// What there is for a looker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<K> {
    pub from: K,
    pub source: Source,
    /// How many there are for it, at all siblings.
    pub spare: u64,
}

/// Decides which sibling gives a connection to `looker`, whose program looks for one.
///
/// `own` is when the oldest of its queue came. As long as it has one, it gets another only under
/// [`Policy::Balance`], from a busy sibling, and if that has waited for longer: what came first is
/// served first, as if all members had one accept queue. `eager` tells that it may have what waits
/// behind busy programs at all; a program that accepts until there is nothing would empty the
/// queues of its siblings.
///
/// All siblings are to be of the looker's socket family, and able to be replaced by it.
pub fn choose_source<K: Copy>(
    looker: &Facts,
    own: Option<u64>,
    policy: Policy,
    eager: bool,
    siblings: impl Iterator<Item = (K, Sibling)>,
) -> Option<Found<K>> {
    if !looker.can_take() {
        return None;
    }
    let eager = eager && policy == Policy::Balance;
    let mut best: Option<(K, Source, (bool, u64))> = None;
    let mut spare = 0u64;
    for (key, sibling) in siblings {
        let Some(source) = source(&sibling, eager) else {
            continue;
        };
        if own.is_some_and(|own| source != Source::Busy || !sibling.is_older_than(own)) {
            continue;
        }
        spare = spare.saturating_add(u64::from(sibling.spare()));
        let rank = (source != Source::Own, sibling.rank());
        if best.is_none_or(|(.., best)| rank < best) {
            best = Some((key, source, rank));
        }
    }
    best.map(|(from, source, _)| Found {
        from,
        source,
        spare,
    })
}

/// Why the sibling gives one away, if it does.
fn source(sibling: &Sibling, eager: bool) -> Option<Source> {
    match &sibling.facts {
        _ if sibling.spare() == 0 => None,
        _ if sibling.own => Some(Source::Own),
        facts if facts.stalled => Some(Source::Stalled),
        facts if facts.busy && eager => Some(Source::Busy),
        _ => None,
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_look))]
mod tests {
    use super::{super::facts::samples::*, *};

    fn since(since: u64, facts: Facts) -> Sibling {
        Sibling {
            facts,
            since,
            own: false,
        }
    }

    fn own(sibling: Sibling) -> Sibling {
        Sibling {
            own: true,
            ..sibling
        }
    }

    fn promised(facts: Facts) -> Facts {
        Facts {
            promised: true,
            ..facts
        }
    }

    fn look(looker: Facts, eager: bool, siblings: &[Sibling]) -> Option<(usize, Source)> {
        let siblings = siblings.iter().copied().enumerate();
        choose_source(&looker, None, Policy::Balance, eager, siblings)
            .map(|found| (found.from, found.source))
    }

    #[test]
    fn own_ones_come_first_and_then_the_oldest() {
        let siblings = [
            since(10, listener(9, 0)),
            since(30, busy(listener(2, 0))),
            since(20, stalled(listener(5, 0))),
            own(since(40, listener(1, 0))),
        ];
        let (looker, others) = (listener(0, 0), siblings.get(..3).unwrap_or_default());
        assert_eq!(look(looker, true, &siblings), Some((3, Source::Own)));
        assert_eq!(look(looker, true, others), Some((2, Source::Stalled)));
        let busy_ones = siblings.get(..2).unwrap_or_default();
        assert_eq!(look(looker, true, busy_ones), Some((1, Source::Busy)));
        assert_eq!(look(looker, false, busy_ones), None);
        assert_eq!(look(stalled(looker), true, &siblings), None);
        assert_eq!(look(listener(10, 0), true, &siblings), None);
    }

    #[test]
    fn what_was_promised_stays() {
        let kept = [
            own(since(1, promised(listener(1, 0)))),
            since(1, promised(stalled(listener(1, 0)))),
        ];
        assert_eq!(look(listener(0, 0), true, &kept), None);
        let more = [since(1, promised(stalled(listener(2, 0))))];
        let found = look(listener(0, 0), true, &more);
        assert_eq!(found, Some((0, Source::Stalled)));
    }

    #[test]
    fn a_supervisor_is_left_only_its_own() {
        let kept = promised(stalled(listener(1, 0)));
        let leaving = Facts {
            leaving: true,
            ..kept
        };
        let look = |sibling| look(listener(0, 0), true, &[sibling]);
        assert_eq!(look(own(since(1, kept))), Some((0, Source::Own)));
        assert_eq!(look(since(1, kept)), None);
        assert_eq!(look(own(since(1, leaving))), None);
    }

    #[test]
    fn one_of_unknown_age_takes_precedence_over_none() {
        let siblings = [
            since(0, stalled(listener(1, 0))),
            since(30, stalled(listener(1, 0))),
        ];
        let found = look(listener(0, 0), true, &siblings);
        assert_eq!(found, Some((1, Source::Stalled)));
        let unknown = [((), since(0, busy(listener(1, 0))))];
        let found = choose_source(
            &listener(1, 0),
            Some(5),
            Policy::Balance,
            true,
            unknown.into_iter(),
        );
        assert_eq!(found, None);
    }

    #[test]
    fn who_has_one_takes_only_older_ones_of_busy_siblings() {
        let siblings = [
            since(1, stalled(listener(1, 0))),
            own(since(2, listener(1, 0))),
            since(20, busy(listener(3, 0))),
        ];
        let look = |policy, since| {
            let siblings = siblings.iter().copied().enumerate();
            choose_source(&listener(1, 0), Some(since), policy, true, siblings)
        };
        let found = Found {
            from: 2,
            source: Source::Busy,
            spare: 3,
        };
        assert_eq!(look(Policy::Balance, 21), Some(found));
        assert_eq!(look(Policy::Balance, 20), None);
        assert_eq!(look(Policy::Overflow, 21), None);
    }
}
