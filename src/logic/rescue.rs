// SPDX-License-Identifier: GPL-2.0

//! Which member takes a connection over that waits for another one.
//!
//! The listener that it waits for is full, stalled or about to leave ([`choose_rescuer`]); or the
//! program of another one has nothing to do ([`choose_giver`]).

#![forbid(unsafe_code)]

use super::{
    facts::{Facts, Family, Place},
    select::Best,
};

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
    let mut best = Best::new();
    for (key, sibling) in siblings {
        if best.is_enough() {
            break;
        }
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
    best.best.map(|(key, ..)| key)
}

/// Decides which sibling gives a waiting connection to `taker`, whose program is about to accept one:
/// of those that can spare one, the one whose oldest has waited for longest, if the taker's own
/// oldest came later. So the members of a group serve first who came first, as if all of them had
/// one accept queue.
///
/// `own` is when the taker's oldest came, and `siblings` gives that with each sibling; 0, which is
/// before all others, stands for one that nobody knows it of. Both listeners are to be of one
/// family, as with [`choose_rescuer`].
pub fn choose_giver<K: Copy>(
    taker: &Facts,
    own: Option<u64>,
    siblings: impl Iterator<Item = (K, Facts, Option<u64>)>,
) -> Option<K> {
    if !taker.can_take() {
        return None;
    }
    let mut oldest: Option<(K, u64)> = None;
    for (key, sibling, since) in siblings {
        let Some(since) = since else { continue };
        let before = oldest.map(|(_, since)| since).or(own);
        if sibling.can_spare()
            && sibling.ipv6_socket == taker.ipv6_socket
            && [Family::Ipv4, Family::Ipv6]
                .into_iter()
                .any(|family| taker.can_replace(&sibling, family))
            && before.is_none_or(|before| since < before)
        {
            oldest = Some((key, since));
        }
    }
    oldest.map(|(key, _)| key)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_rescue))]
mod tests {
    use super::{super::facts::samples::*, *};

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

    #[test]
    fn who_came_first_is_served_first() {
        let siblings = [
            (listener(9, 0), Some(10)),
            (busy(listener(2, 0)), Some(30)),
            (busy(listener(5, 0)), Some(20)),
            (busy(listener(1, 0)), Some(20)),
            (busy(listener(0, 8)), None),
        ];
        let giver = |taker: Facts, own| {
            let siblings = siblings.iter().enumerate();
            choose_giver(
                &taker,
                own,
                siblings.map(|(key, (facts, since))| (key, *facts, *since)),
            )
        };
        assert_eq!(giver(listener(0, 0), None), Some(2));
        assert_eq!(giver(listener(1, 0), Some(21)), Some(2));
        assert_eq!(giver(listener(1, 0), Some(20)), None);
        assert_eq!(giver(stalled(listener(0, 0)), None), None);
        assert_eq!(giver(listener(10, 0), Some(40)), None);
        assert_eq!(giver(listener(5, 9), Some(40)), Some(2));
        let guarded = Facts {
            guarded: true,
            ..listener(0, 0)
        };
        assert_eq!(giver(guarded, None), None);
        assert_eq!(giver(Facts::default(), None), None);
        let other_family = Facts {
            ipv6_socket: true,
            ..listener(0, 0)
        };
        assert_eq!(giver(other_family, None), None);
    }
}
