// SPDX-License-Identifier: GPL-2.0

//! Which member of a group takes a connection.
//!
//! The *home* listener is the one that the kernel's lookup found. A *sibling* is a member that
//! could have been looked up in its place, see [`Facts::can_replace`]. How good each is
//! tells [`Facts::tier`]; of several of the same tier it is the least loaded one.

#![forbid(unsafe_code)]

use super::{
    facts::{Facts, Family, Tier},
    room::Load,
};

/// Which member a connection is given to, as far as they have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The home listener, unless a sibling is of a better tier.
    Overflow,
    /// The least loaded of those of the best tier.
    Balance,
}

/// Why the home listener did not keep a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is leaving.
    Leaving,
    /// Its accept queue is full.
    QueueFull,
    /// It is stalled.
    Stalled,
    /// Half-open requests have promised the last slots of its accept queue.
    Promised,
    /// The sibling is less loaded.
    Balanced,
}

/// What becomes of a SYN; `K` is how the caller names a sibling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<K> {
    /// The home listener takes it.
    Home,
    /// The home listener takes it by the kernel's own rule, though every slot is promised.
    HomeUnpromised,
    /// This sibling takes it.
    Sibling(K, Reason),
    /// No member has room.
    DropFull,
    /// Members have room, but none of them can serve this connection.
    DropUnfit,
}

impl<K> Decision<K> {
    /// Whether a listener takes it.
    pub fn is_taken(&self) -> bool {
        !matches!(self, Self::DropFull | Self::DropUnfit)
    }
}

/// A search ends when it has seen so many siblings, if one of them has room and is not stalled: the
/// best of that many is hardly worse than the best of all ("the power of two choices", Mitzenmacher
/// 2001), and a packet is not to take longer in a large group, least of all in a flood.
pub const SEARCH_GOOD: usize = 64;

/// And in any case when it has seen so many.
pub const SEARCH_MAX: usize = 256;

/// The best of the siblings that have a tier: of the best tier the least loaded one, and of equals the
/// first. Ends early in a large group.
pub(super) fn best<K: Copy>(
    siblings: impl Iterator<Item = (K, Facts)>,
    mut tier_of: impl FnMut(&Facts) -> Option<Tier>,
) -> Option<(K, Tier, Facts)> {
    let mut best: Option<(K, Tier, Facts)> = None;
    let mut seen = 0usize;
    for (key, sibling) in siblings {
        let good = matches!(best, Some((_, Tier::Free | Tier::Promised, _)));
        if seen >= SEARCH_MAX || seen >= SEARCH_GOOD && good {
            break;
        }
        let Some(tier) = tier_of(&sibling) else {
            continue;
        };
        seen = seen.saturating_add(1);
        if best.is_none_or(|(_, best_tier, best)| {
            tier < best_tier || tier == best_tier && sibling.is_less_loaded(&best)
        }) {
            best = Some((key, tier, sibling));
        }
    }
    best
}

/// Whether a SYN stays with the listener that was looked up, whatever its siblings are. It is a
/// part of what [`choose`] decides, for which less is to be known.
#[inline]
pub fn stays(policy: Policy, load: Load, stalled: bool, leaving: bool) -> bool {
    policy == Policy::Overflow && !stalled && !leaving && load.has_unpromised_room()
}

/// Decides which member takes a SYN that was looked up for `home`.
///
/// 1. A listener with a slot that is neither taken nor promised.
/// 2. Else promises fill every member, which a SYN flood can bring about. Then the kernel's own
///    rule decides, the accept queue alone, so that a flood gets no worse than it is without a
///    group.
/// 3. Else the same two once more with stalled ones.
/// 4. Else it is dropped.
///
/// Among several it is the home listener under [`Policy::Overflow`], and the least loaded one under
/// [`Policy::Balance`], the home listener if it is one of them. Not all are looked at in a group of
/// more than [`SEARCH_GOOD`].
///
/// `siblings` gives a key and the facts of each other member. It is not read when the policy is
/// `Overflow` and the home listener has room. Where two are loaded alike the first one is taken, so
/// the caller should not begin with the same one each time.
pub fn choose<K: Copy>(
    policy: Policy,
    home: &Facts,
    family: Family,
    siblings: impl Iterator<Item = (K, Facts)>,
) -> Decision<K> {
    if home.listening && stays(policy, home.load, home.stalled, home.leaving) {
        return Decision::Home;
    }
    let own = home.tier();

    let mut unfit = false;
    let best = best(siblings, |sibling| {
        let tier = sibling.tier()?;
        let fits = sibling.can_replace(home, family);
        unfit |= !fits;
        fits.then_some(tier)
    });

    match (own, best) {
        (Some(own), Some((key, tier, facts))) if goes(policy, home, own, &facts, tier) => {
            Decision::Sibling(key, reason(home))
        }
        (Some(Tier::Free | Tier::StalledFree), _) => Decision::Home,
        (Some(Tier::Promised | Tier::StalledPromised), _) => Decision::HomeUnpromised,
        (None, Some((key, ..))) => Decision::Sibling(key, reason(home)),
        (None, None) if unfit => Decision::DropUnfit,
        (None, None) => Decision::DropFull,
    }
}

/// Whether a connection goes to the sibling, when both have room for it.
fn goes(policy: Policy, home: &Facts, own: Tier, sibling: &Facts, tier: Tier) -> bool {
    tier < own || policy == Policy::Balance && tier == own && sibling.is_less_loaded(home)
}

/// What stands against the home listener most.
fn reason(home: &Facts) -> Reason {
    if home.leaving {
        Reason::Leaving
    } else if !home.load.has_queue_room() {
        Reason::QueueFull
    } else if home.stalled {
        Reason::Stalled
    } else if !home.load.has_unpromised_room() {
        Reason::Promised
    } else {
        Reason::Balanced
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_select))]
mod tests {
    use super::{super::facts::samples::*, *};

    fn decide(home: Facts, siblings: &[Facts]) -> Decision<usize> {
        decide_by(Policy::Overflow, home, siblings)
    }

    fn decide_by(policy: Policy, home: Facts, siblings: &[Facts]) -> Decision<usize> {
        let siblings = siblings.iter().copied().enumerate();
        choose(policy, &home, Family::Ipv4, siblings)
    }

    #[test]
    fn home_keeps_what_it_has_room_for() {
        assert_eq!(decide(listener(0, 0), &[listener(0, 0)]), Decision::Home);
        assert_eq!(decide(listener(9, 0), &[listener(0, 0)]), Decision::Home);
        assert_eq!(decide(listener(0, 9), &[]), Decision::Home);
    }

    #[test]
    fn full_home_goes_to_the_least_loaded() {
        let siblings = [
            listener(5, 0),
            listener(1, 1),
            listener(0, 3),
            listener(2, 0),
        ];
        assert_eq!(
            decide(listener(10, 0), &siblings),
            Decision::Sibling(1, Reason::QueueFull)
        );
        assert_eq!(
            decide(listener(4, 6), &siblings),
            Decision::Sibling(1, Reason::Promised)
        );
    }

    #[test]
    fn promises_everywhere_leave_it_to_the_kernel() {
        assert_eq!(
            decide(listener(9, 5), &[listener(5, 5)]),
            Decision::HomeUnpromised
        );
        assert_eq!(
            decide(listener(10, 0), &[listener(9, 9), listener(5, 5)]),
            Decision::Sibling(1, Reason::QueueFull)
        );
    }

    #[test]
    fn all_full_is_dropped() {
        assert_eq!(decide(listener(10, 0), &[]), Decision::DropFull);
        assert_eq!(
            decide(listener(10, 0), &[listener(10, 0)]),
            Decision::DropFull
        );
    }

    #[test]
    fn unfit_siblings_are_passed_over() {
        let fit = listener(0, 0);
        let unfit = [
            Facts { port: 81, ..fit },
            Facts { device: 1, ..fit },
            Facts {
                min_ttl: 255,
                ..fit
            },
            Facts {
                has_rx_policy: true,
                ..fit
            },
            Facts {
                serves_ipv4: false,
                serves_ipv6: true,
                ..fit
            },
        ];
        assert_eq!(decide(listener(10, 0), &unfit), Decision::DropUnfit);
        let closed = Facts {
            listening: false,
            ..fit
        };
        assert_eq!(decide(listener(10, 0), &[closed]), Decision::DropFull);
        let home_with_rx_policy = Facts {
            has_rx_policy: true,
            ..listener(10, 0)
        };
        assert_eq!(decide(home_with_rx_policy, &[fit]), Decision::DropUnfit);
    }

    #[test]
    fn stalled_ones_come_last() {
        let hung = stalled(listener(1, 0));
        assert_eq!(decide(hung, &[]), Decision::Home);
        assert_eq!(
            decide(hung, &[listener(9, 9), stalled(listener(0, 0))]),
            Decision::Sibling(0, Reason::Stalled)
        );
        assert_eq!(
            decide(hung, &[stalled(listener(0, 0)), listener(10, 0)]),
            Decision::Home
        );
        assert_eq!(
            decide(stalled(listener(9, 9)), &[stalled(listener(0, 0))]),
            Decision::Sibling(0, Reason::Stalled)
        );
        assert_eq!(
            decide(stalled(listener(9, 9)), &[]),
            Decision::HomeUnpromised
        );
        assert_eq!(
            decide(listener(10, 0), &[hung, listener(9, 9)]),
            Decision::Sibling(1, Reason::QueueFull)
        );
    }

    #[test]
    fn leaving_ones_take_nothing() {
        let leaving = Facts {
            leaving: true,
            ..listener(0, 0)
        };
        assert_eq!(decide(leaving, &[]), Decision::DropFull);
        assert_eq!(
            decide(leaving, &[leaving, listener(5, 0)]),
            Decision::Sibling(1, Reason::Leaving)
        );
        assert_eq!(decide(listener(10, 0), &[leaving]), Decision::DropFull);
    }

    #[test]
    fn balance_is_by_load_and_weight() {
        let by_load = |home, siblings: &[Facts]| decide_by(Policy::Balance, home, siblings);
        let heavy = Facts {
            weight: 4,
            ..listener(5, 0)
        };
        let table = [
            (listener(0, 0), listener(0, 0), Decision::Home),
            (listener(1, 0), listener(1, 0), Decision::Home),
            (
                listener(1, 0),
                listener(0, 0),
                Decision::Sibling(0, Reason::Balanced),
            ),
            (
                listener(1, 0),
                heavy,
                Decision::Sibling(0, Reason::Balanced),
            ),
            (listener(0, 0), heavy, Decision::Home),
            (listener(1, 0), stalled(listener(0, 0)), Decision::Home),
            (
                listener(10, 0),
                listener(9, 0),
                Decision::Sibling(0, Reason::QueueFull),
            ),
        ];
        for (home, sibling, decision) in table {
            assert_eq!(by_load(home, &[sibling]), decision);
        }
    }

    #[test]
    fn a_large_group_is_not_searched_to_its_end() {
        let search = |first: Facts| {
            let first = core::iter::repeat_n(first, SEARCH_GOOD);
            let last = core::iter::repeat_n(listener(0, 0), 2);
            let siblings = first.chain(last).enumerate();
            choose(Policy::Overflow, &listener(10, 0), Family::Ipv4, siblings)
        };
        let sibling = |index| Decision::Sibling(index, Reason::QueueFull);
        assert_eq!(search(listener(5, 0)), sibling(0));
        assert_eq!(search(listener(0, 10)), sibling(0));
        // It goes on while what it has seen is full or stalled.
        assert_eq!(search(listener(10, 0)), sibling(SEARCH_GOOD));
        assert_eq!(search(stalled(listener(0, 0))), sibling(SEARCH_GOOD));
        // And not for ever: this one would be the 257th.
        let hung = core::iter::repeat_n(stalled(listener(0, 0)), SEARCH_MAX);
        let siblings = hung.chain([listener(0, 0)]).enumerate();
        let choice = choose(Policy::Overflow, &listener(10, 0), Family::Ipv4, siblings);
        assert_eq!(choice, sibling(0));
    }
}
