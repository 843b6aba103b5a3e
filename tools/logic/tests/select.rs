// SPDX-License-Identifier: GPL-2.0
//! Properties of the choice of a listener, whatever the group looks like.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::facts::{Facts, Family};
use service_group_logic::logic::look::{choose_source, Sibling, Source};
use service_group_logic::logic::migrate::choose_target;
use service_group_logic::logic::room::Load;
use service_group_logic::logic::select::{choose, Decision, Policy, Reason};

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
    let numbers = (rarely(), rarely(), rarely(), 1u32..4);
    let moods = (
        prop::bool::weighted(0.3),
        rarely(),
        prop::bool::ANY,
        rarely(),
    );
    let routes = (rarely(), rarely(), rarely(), rarely());
    (load(), flags, numbers, moods, routes).prop_map(|(load, flags, numbers, moods, routes)| {
        let (listening, serves_ipv4, serves_ipv6, has_rx_policy, ipv6_socket) = flags;
        let (port, device, min_ttl, weight) = numbers;
        let (stalled, leaving, busy, promised) = moods;
        let (mark, tos, route, programs) = routes;
        Facts {
            listening,
            load,
            weight,
            busy,
            stalled,
            promised,
            leaving,
            port: 80 + u16::from(port),
            device: u32::from(device),
            min_ttl: u16::from(min_ttl),
            mark: u32::from(mark),
            tos: u8::from(tos),
            route: u8::from(route),
            programs: u64::from(programs),
            has_rx_policy,
            ipv6_socket,
            serves_ipv4,
            serves_ipv6,
        }
    })
}

fn home() -> impl Strategy<Value = Facts> {
    facts().prop_map(|facts| Facts {
        listening: true,
        ..facts
    })
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Overflow), Just(Policy::Balance)]
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

/// The specification once more, as a number: the smaller, the better a place. Loads are compared
/// in twelfths, which are whole for weights 1 to 4.
fn rank(listener: &Facts) -> Option<(u8, u64)> {
    let load = listener.load;
    let waiting = u64::from(load.queued) + u64::from(load.half_open);
    if !listener.listening || listener.leaving || load.queued > load.backlog {
        return None;
    }
    let promised = u8::from(waiting > u64::from(load.backlog));
    let class = 2 * u8::from(listener.stalled) + promised;
    let ahead = waiting + u64::from(listener.busy);
    Some((class, (ahead + 1) * 12 / u64::from(listener.weight)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_best_place_takes_it(
        policy in policy(), home in home(), family in family(),
        siblings in vec(facts(), 0..8), start in 0usize..8,
    ) {
        let own = rank(&home);
        let best = eligible(&home, family, &siblings).filter_map(rank).min();
        let stays = match (own, best) {
            (Some(own), Some(best)) if policy == Policy::Balance => own <= best,
            (Some(own), Some(best)) => own.0 <= best.0,
            (own, _) => own.is_some(),
        };
        match choose(policy, &home, family, from(&siblings, start)) {
            Decision::Home => prop_assert!(stays && home.load.has_unpromised_room()),
            Decision::HomeUnpromised => prop_assert!(stays && !home.load.has_unpromised_room()),
            Decision::Sibling(index, _) => {
                prop_assert!(!stays);
                prop_assert!(siblings[index].can_replace(&home, family));
                prop_assert_eq!(rank(&siblings[index]), best);
            }
            Decision::DropFull => {
                prop_assert!(own.is_none() && siblings.iter().all(|s| rank(s).is_none()));
            }
            Decision::DropUnfit => {
                prop_assert!(own.is_none() && best.is_none());
                prop_assert!(siblings.iter().any(|s| rank(s).is_some()));
            }
        }
    }

    #[test]
    fn the_reason_is_true(
        policy in policy(), home in home(), family in family(), siblings in vec(facts(), 0..8),
    ) {
        if let Decision::Sibling(index, reason) = choose(policy, &home, family, from(&siblings, 0)) {
            match reason {
                Reason::Leaving => prop_assert!(home.leaving),
                Reason::QueueFull => prop_assert!(!home.load.has_queue_room()),
                Reason::Stalled => prop_assert!(home.stalled && !siblings[index].stalled
                    || !home.load.has_unpromised_room() || policy == Policy::Balance),
                Reason::Promised => prop_assert!(!home.load.has_unpromised_room()),
                Reason::Balanced => prop_assert!(policy == Policy::Balance
                    && rank(&siblings[index]) < rank(&home)),
            }
        }
    }

    #[test]
    fn the_start_only_breaks_ties(
        policy in policy(), home in home(), family in family(),
        siblings in vec(facts(), 1..8), start in 0usize..8,
    ) {
        let first = choose(policy, &home, family, from(&siblings, 0));
        let other = choose(policy, &home, family, from(&siblings, start));
        match (first, other) {
            (Decision::Sibling(one, why), Decision::Sibling(two, because)) => {
                prop_assert_eq!(why, because);
                prop_assert_eq!(rank(&siblings[one]), rank(&siblings[two]));
            }
            (one, two) => prop_assert_eq!(one, two),
        }
    }

    #[test]
    fn a_rescuer_has_room_is_eligible_and_the_best(
        home in home(), family in family(), siblings in vec(facts(), 0..8), start in 0usize..8,
        owed in 0u32..4,
    ) {
        // Each of the connections on their way takes one of backlog + 1 slots.
        let room = |s: &Facts| u64::from(s.load.queued) + u64::from(owed) <= u64::from(s.load.backlog);
        let place = |s: &Facts| rank(s).map(|(class, load)| (class >= 2, load));
        let fits = |s: &Facts| room(s)
            && s.ipv6_socket == home.ipv6_socket;
        let best = eligible(&home, family, &siblings).filter(|s| fits(s)).filter_map(place).min();
        let chosen = choose_target(&home, family, owed, from(&siblings, start));
        prop_assert_eq!(chosen.and_then(|index| place(&siblings[index])), best);
        if let Some(index) = chosen {
            prop_assert!(siblings[index].can_replace(&home, family));
            prop_assert!(fits(&siblings[index]));
        }
    }

    #[test]
    fn a_look_gets_its_own_or_else_the_oldest(
        looker in facts(), policy in policy(), eager: bool, own in prop::option::of(0u64..9),
        siblings in vec((facts(), 0u64..9, prop::bool::weighted(0.2)), 0..8),
    ) {
        let busy_too = eager && policy == Policy::Balance;
        // What a supervisor keeps of a stalled one is not what is the looker's own.
        let keeps = |s: &Facts, mine: bool| u32::from(s.promised && !(mine && s.stalled));
        let spare = |s: &Facts, mine: bool| !s.leaving && s.load.queued > keeps(s, mine);
        // An age of 0 is not known, and comes last.
        let age = |since: u64| if since == 0 { u64::MAX } else { since };
        // The class and the age of what it gives, the smallest being the best.
        let offer = |(s, since, mine): &(Facts, u64, bool)| match own {
            _ if !spare(s, *mine) => None,
            None if *mine => Some((0, age(*since))),
            None if s.stalled || s.busy && busy_too => Some((1, age(*since))),
            Some(own) if !*mine && !s.stalled && s.busy && busy_too && age(*since) < own => {
                Some((1, *since))
            }
            _ => None,
        };
        let takes = rank(&looker).is_some_and(|(class, _)| class < 2);
        let expected = siblings.iter().filter_map(offer).min().filter(|_| takes);
        let all = siblings.iter().enumerate().map(|(key, (facts, since, own))| {
            (key, Sibling { facts: *facts, since: *since, own: *own })
        });
        let found = choose_source(&looker, own, policy, eager, all);
        prop_assert_eq!(found.and_then(|found| offer(&siblings[found.from])), expected);
        if let Some(found) = found {
            let (facts, _, mine) = siblings[found.from];
            let source = match facts {
                _ if mine => Source::Own,
                facts if facts.stalled => Source::Stalled,
                _ => Source::Busy,
            };
            prop_assert_eq!(found.source, source);
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
