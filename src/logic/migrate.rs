// SPDX-License-Identifier: GPL-2.0

//! Which member takes a connection over that its listener cannot keep, as that is full or about to
//! leave. What waits for a hung program is not given away: see [`look`](super::look).

#![forbid(unsafe_code)]

use super::{
    facts::{Facts, Family, Tier},
    select::best,
};

/// Decides which sibling takes a complete connection, or with `in_flight` 0 a half-open request,
/// off a home listener that is to give it up: the best one whose accept queue has room, if there is
/// one.
///
/// `in_flight` connections are on their way already, and the sibling must have room for them as
/// well.
///
/// It must be of the home listener's family: a connection's socket is of the family of the
/// listener that it was made of, and must be of that of the listener that it is accepted from.
pub fn choose_target<K: Copy>(
    home: &Facts,
    family: Family,
    in_flight: u32,
    siblings: impl Iterator<Item = (K, Facts)>,
) -> Option<K> {
    let best = best(siblings, |sibling| {
        let tier = match sibling.tier()? {
            // Promises do not count here: a connection that is there takes the slot.
            Tier::Free | Tier::Promised => Tier::Free,
            Tier::StalledFree | Tier::StalledPromised => Tier::StalledFree,
        };
        let fits = sibling.load.has_queue_room_for(in_flight)
            && sibling.ipv6_socket == home.ipv6_socket
            && sibling.can_replace(home, family);
        fits.then_some(tier)
    });
    best.map(|(key, ..)| key)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_migrate))]
mod tests {
    use super::{super::facts::samples::*, *};

    #[test]
    fn target_needs_room_in_its_queue_only() {
        let home = listener(11, 0);
        let target = |siblings: &[Facts]| {
            choose_target(&home, Family::Ipv4, 0, siblings.iter().copied().enumerate())
        };
        assert_eq!(target(&[]), None);
        assert_eq!(target(&[listener(10, 0)]), None);
        assert_eq!(
            target(&[listener(10, 0), listener(9, 9), listener(8, 0)]),
            Some(2)
        );
        let all = [listener(8, 0)].into_iter().enumerate();
        assert_eq!(choose_target(&home, Family::Ipv4, 1, all.clone()), Some(0));
        assert_eq!(choose_target(&home, Family::Ipv4, 2, all), None);
        let mapped = Facts {
            ipv6_socket: true,
            ..listener(0, 0)
        };
        assert_eq!(target(&[mapped]), None);
    }

    #[test]
    fn a_stalled_target_is_better_than_none() {
        let target = |home: Facts| {
            let siblings = [stalled(listener(0, 0)), listener(5, 9)];
            let first = siblings.iter().take(1).copied().enumerate();
            let all = siblings.into_iter().enumerate();
            (
                choose_target(&home, Family::Ipv4, 0, first),
                choose_target(&home, Family::Ipv4, 0, all),
            )
        };
        let leaving = Facts {
            leaving: true,
            ..stalled(listener(3, 0))
        };
        assert_eq!(target(stalled(listener(11, 0))), (Some(0), Some(1)));
        assert_eq!(target(listener(11, 0)), (Some(0), Some(1)));
        assert_eq!(target(leaving), (Some(0), Some(1)));
    }
}
