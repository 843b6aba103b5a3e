// SPDX-License-Identifier: GPL-2.0
//! Properties of the choice of a listener, whatever the group looks like.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::room::Load;
use service_group_logic::logic::select::{choose, choose_rescuer, Decision, Facts, Family, Reason};

/// Small numbers, so that ties and full queues are frequent.
fn load() -> impl Strategy<Value = Load> {
    (0u32..6, 0u32..4, 0u32..5).prop_map(|(queued, half_open, backlog)| Load {
        queued,
        half_open,
        backlog,
    })
}

/// Mostly listeners that fit each other.
fn facts() -> impl Strategy<Value = Facts> {
    let often = || prop::bool::weighted(0.85);
    let rarely = || prop::bool::weighted(0.1);
    let flags = (often(), often(), often(), rarely(), rarely());
    let numbers = (rarely(), rarely(), rarely());
    (load(), flags, numbers).prop_map(|(load, flags, (port, device, min_ttl))| {
        let (listening, serves_ipv4, serves_ipv6, guarded, ipv6_socket) = flags;
        Facts {
            listening,
            load,
            port: 80 + u16::from(port),
            device: u32::from(device),
            min_ttl: u16::from(min_ttl),
            guarded,
            ipv6_socket,
            serves_ipv4,
            serves_ipv6,
        }
    })
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

/// The siblings as a caller gives them that begins with `start`.
fn from(siblings: &[Facts], start: usize) -> impl Iterator<Item = (usize, Facts)> + '_ {
    let count = siblings.len();
    (0..count).map(move |step| {
        let index = (start + step) % count;
        (index, siblings[index])
    })
}

fn eligible<'a>(
    home: &'a Facts,
    family: Family,
    siblings: &'a [Facts],
) -> impl Iterator<Item = &'a Facts> + 'a {
    siblings
        .iter()
        .filter(move |sibling| sibling.can_replace(home, family))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn home_keeps_what_it_has_room_for(
        home in facts(), family in family(), siblings in vec(facts(), 0..8),
    ) {
        let decision = choose(&home, family, from(&siblings, 0));
        prop_assert_eq!(decision == Decision::Home, home.load.has_unpromised_room());
    }

    #[test]
    fn nobody_full_is_chosen_while_one_with_room_is_eligible(
        home in facts(), family in family(), siblings in vec(facts(), 0..8), start in 0usize..8,
    ) {
        let room = eligible(&home, family, &siblings).any(|s| s.load.has_unpromised_room());
        let queue_room = eligible(&home, family, &siblings).any(|s| s.load.has_queue_room());
        match choose(&home, family, from(&siblings, start)) {
            Decision::Home => {}
            Decision::HomeUnpromised => {
                prop_assert!(!room && home.load.has_queue_room());
            }
            Decision::Sibling(index, _) => {
                prop_assert_eq!(siblings[index].load.has_unpromised_room(), room);
                prop_assert!(siblings[index].load.has_queue_room());
            }
            Decision::DropFull | Decision::DropUnfit => {
                prop_assert!(!queue_room && !home.load.has_queue_room());
            }
        }
    }

    #[test]
    fn the_chosen_one_is_eligible_and_the_least_loaded(
        home in facts(), family in family(), siblings in vec(facts(), 0..8), start in 0usize..8,
    ) {
        if let Decision::Sibling(index, reason) = choose(&home, family, from(&siblings, start)) {
            let chosen = &siblings[index];
            prop_assert!(chosen.can_replace(&home, family));
            let unpromised = chosen.load.has_unpromised_room();
            let least = eligible(&home, family, &siblings)
                .filter(|s| s.load.has_queue_room())
                .filter(|s| !unpromised || s.load.has_unpromised_room())
                .map(|s| s.load.waiting())
                .min();
            prop_assert_eq!(Some(chosen.load.waiting()), least);
            prop_assert_eq!(reason == Reason::QueueFull, !home.load.has_queue_room());
        }
    }

    #[test]
    fn the_start_only_breaks_ties(
        home in facts(), family in family(), siblings in vec(facts(), 1..8), start in 0usize..8,
    ) {
        let first = choose(&home, family, from(&siblings, 0));
        let other = choose(&home, family, from(&siblings, start));
        match (first, other) {
            (Decision::Sibling(one, why), Decision::Sibling(two, because)) => {
                prop_assert_eq!(why, because);
                prop_assert_eq!(siblings[one].load.waiting(), siblings[two].load.waiting());
            }
            (one, two) => prop_assert_eq!(one, two),
        }
    }

    #[test]
    fn a_drop_is_unfit_only_when_somebody_had_room(
        home in facts(), family in family(), siblings in vec(facts(), 0..8),
    ) {
        let decision = choose(&home, family, from(&siblings, 0));
        let spare = siblings.iter().any(|s| s.listening && s.load.has_queue_room());
        match decision {
            Decision::DropUnfit => prop_assert!(spare),
            Decision::DropFull => prop_assert!(!spare),
            _ => {}
        }
    }

    #[test]
    fn a_rescuer_has_room_is_eligible_and_least_loaded(
        home in facts(), family in family(), siblings in vec(facts(), 0..8), start in 0usize..8,
        owed in 0u32..4,
    ) {
        // Each of the connections on their way takes one of backlog + 1 slots.
        let room = |s: &Facts| u64::from(s.load.queued) + u64::from(owed) <= u64::from(s.load.backlog);
        let least = eligible(&home, family, &siblings)
            .filter(|s| room(s) && s.ipv6_socket == home.ipv6_socket)
            .map(|s| s.load.waiting())
            .min();
        let chosen = choose_rescuer(&home, family, owed, from(&siblings, start));
        prop_assert_eq!(chosen.map(|index| siblings[index].load.waiting()), least);
        if let Some(index) = chosen {
            prop_assert!(siblings[index].can_replace(&home, family));
            prop_assert!(room(&siblings[index]));
            prop_assert_eq!(siblings[index].ipv6_socket, home.ipv6_socket);
        }
    }

    #[test]
    fn a_load_of_any_size_is_judged_as_the_kernel_does(
        queued: u32, half_open: u32, backlog: u32,
    ) {
        let load = Load { queued, half_open, backlog };
        prop_assert_eq!(load.has_queue_room(), queued <= backlog);
        prop_assert!(!load.has_unpromised_room() || load.has_queue_room());
        prop_assert_eq!(load.overflow() > 0, u64::from(queued) > u64::from(backlog) + 1);
    }
}
