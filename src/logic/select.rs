// SPDX-License-Identifier: GPL-2.0

//! Which member of a group takes a connection.
//!
//! The *home* listener is the one that the kernel's lookup found. A *sibling* is a member that
//! could have been looked up in its place, see [`Facts::can_replace`]. How good a place each is
//! tells [`Facts::place`]; of several in equally good places it is the least loaded one.

#![forbid(unsafe_code)]

use super::{
    facts::{Facts, Family, Place},
    room::Load,
};

/// Which member a connection is given to, as far as they have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The home listener, unless a sibling is in a better place.
    Overflow,
    /// The least loaded of those in the best place.
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

/// The best sibling so far; the first met wins a tie.
struct Best<K>(Option<(K, Place, Facts)>);

impl<K: Copy> Best<K> {
    fn offer(&mut self, key: K, place: Place, facts: Facts) {
        if self.0.is_none_or(|(_, best_place, best)| {
            place < best_place || place == best_place && facts.is_less_loaded(&best)
        }) {
            self.0 = Some((key, place, facts));
        }
    }
}

/// Whether a SYN stays with the listener that was looked up, whatever its siblings are. It is a
/// part of what [`choose`] decides, for which less is to be known.
#[inline]
pub fn stays(policy: Policy, load: Load, stalled: bool, leaving: bool) -> bool {
    policy == Policy::Overflow && !stalled && !leaving && load.has_unpromised_room()
}

/// Decides who takes a SYN that was looked up for `home`.
///
/// 1. A listener with a slot that is neither taken nor promised.
/// 2. Else promises fill every member, which a SYN flood can bring about. Then the kernel's own
///    rule decides, the accept queue alone, so that a flood gets no worse than it is without a
///    group.
/// 3. Else the same two once more with stalled ones.
/// 4. Else it is dropped.
///
/// Among several it is the home listener under [`Policy::Overflow`], and the least loaded one under
/// [`Policy::Balance`], the home listener if it is one of them.
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
    let own = home.place();

    let mut best = Best(None);
    let mut unfit = false;
    for (key, sibling) in siblings {
        match sibling.place() {
            Some(place) if sibling.can_replace(home, family) => best.offer(key, place, sibling),
            Some(_) => unfit = true,
            None => (),
        }
    }

    match (own, best.0) {
        (Some(own), Some((key, place, facts))) if goes(policy, home, own, &facts, place) => {
            Decision::Sibling(key, reason(home))
        }
        (Some(Place::Free | Place::StalledFree), _) => Decision::Home,
        (Some(Place::Promised | Place::StalledPromised), _) => Decision::HomeUnpromised,
        (None, Some((key, ..))) => Decision::Sibling(key, reason(home)),
        (None, None) if unfit => Decision::DropUnfit,
        (None, None) => Decision::DropFull,
    }
}

/// Whether a connection goes to the sibling, when both have a place for it.
fn goes(policy: Policy, home: &Facts, own: Place, sibling: &Facts, place: Place) -> bool {
    place < own || policy == Policy::Balance && place == own && sibling.is_less_loaded(home)
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

/// Decides which sibling takes a complete connection, or with `owed` 0 a half-open request, off a
/// home listener that is to give it up: the best one whose accept queue has room, if there is one.
///
/// `owed` connections are on their way already, and the sibling must have room for them as well.
///
/// It must be of the home listener's family: a connection's socket is of the family of the
/// listener that it was made of, and must be of that of the listener that it is accepted from. And
/// a connection that is taken off a stalled listener is not given to another one, unless the
/// listener leaves.
pub fn choose_rescuer<K: Copy>(
    home: &Facts,
    family: Family,
    owed: u32,
    siblings: impl Iterator<Item = (K, Facts)>,
) -> Option<K> {
    let mut best = Best(None);
    for (key, sibling) in siblings {
        let place = match sibling.place() {
            // Promises do not count here: a connection that is there takes the slot.
            Some(Place::Free | Place::Promised) => Place::Free,
            Some(_) if !home.stalled || home.leaving => Place::StalledFree,
            _ => continue,
        };
        if sibling.load.has_queue_room_for(owed)
            && sibling.ipv6_socket == home.ipv6_socket
            && sibling.can_replace(home, family)
        {
            best.offer(key, place, sibling);
        }
    }
    best.0.map(|(key, ..)| key)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_select))]
mod tests {
    use super::*;

    fn listener(queued: u32, half_open: u32) -> Facts {
        Facts {
            listening: true,
            load: Load {
                queued,
                half_open,
                backlog: 9,
            },
            port: 80,
            serves_ipv4: true,
            ..Facts::default()
        }
    }

    fn decide(home: Facts, siblings: &[Facts]) -> Decision<usize> {
        decide_by(Policy::Overflow, home, siblings)
    }

    fn decide_by(policy: Policy, home: Facts, siblings: &[Facts]) -> Decision<usize> {
        let siblings = siblings.iter().copied().enumerate();
        choose(policy, &home, Family::Ipv4, siblings)
    }

    fn stalled(facts: Facts) -> Facts {
        Facts {
            stalled: true,
            ..facts
        }
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
                guarded: true,
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
        let guarded_home = Facts {
            guarded: true,
            ..listener(10, 0)
        };
        assert_eq!(decide(guarded_home, &[fit]), Decision::DropUnfit);
    }

    #[test]
    fn rescuer_needs_room_in_its_queue_only() {
        let home = listener(11, 0);
        let rescuer = |siblings: &[Facts]| {
            choose_rescuer(&home, Family::Ipv4, 0, siblings.iter().copied().enumerate())
        };
        assert_eq!(rescuer(&[]), None);
        assert_eq!(rescuer(&[listener(10, 0)]), None);
        assert_eq!(
            rescuer(&[listener(10, 0), listener(9, 9), listener(8, 0)]),
            Some(2)
        );
        let all = [listener(8, 0)].into_iter().enumerate();
        assert_eq!(choose_rescuer(&home, Family::Ipv4, 1, all.clone()), Some(0));
        assert_eq!(choose_rescuer(&home, Family::Ipv4, 2, all), None);
        let mapped = Facts {
            ipv6_socket: true,
            ..listener(0, 0)
        };
        assert_eq!(rescuer(&[mapped]), None);
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
    fn a_stalled_home_is_not_rescued_by_a_stalled_one() {
        let rescuer = |home: Facts| {
            let siblings = [stalled(listener(0, 0)), listener(5, 9)];
            let first = siblings.iter().take(1).copied().enumerate();
            let all = siblings.into_iter().enumerate();
            (
                choose_rescuer(&home, Family::Ipv4, 0, first),
                choose_rescuer(&home, Family::Ipv4, 0, all),
            )
        };
        let leaving = Facts {
            leaving: true,
            ..stalled(listener(3, 0))
        };
        assert_eq!(rescuer(stalled(listener(3, 0))), (None, Some(1)));
        assert_eq!(rescuer(listener(11, 0)), (Some(0), Some(1)));
        assert_eq!(rescuer(leaving), (Some(0), Some(1)));
    }
}
