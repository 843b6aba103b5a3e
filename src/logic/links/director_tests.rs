// SPDX-License-Identifier: GPL-2.0

//! Tests of who is active, on the host and under KUnit.

#![forbid(unsafe_code)]

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_director)
)]
mod tests {
    use super::super::*;

    const ABSENT: Seen = Seen::Absent;
    const UNKNOWN: Seen = Seen::Unknown;
    const IDLE: Seen = there(false, false, 5);
    const ACTIVE: Seen = there(true, false, 5);
    const HELD: Seen = there(true, true, 5);
    const NEWER: Seen = there(true, false, 6);
    const OLDER: Seen = there(true, false, 4);

    const fn there(active: bool, held: bool, epoch: u32) -> Seen {
        Seen::There(Claim {
            active,
            held,
            epoch,
        })
    }

    fn own(active: bool) -> Own {
        Own {
            able: true,
            active,
            epoch: 5,
        }
    }

    /// Of the director 7 between 9 and 3, which it sees like this.
    fn between(own: Own, better: Seen, worse: Seen) -> Decision {
        let directors = [9, 7, 3].map(NodeId::new);
        let [Some(best), Some(this), Some(last)] = directors else {
            return decide(&[], None, own, |_| ABSENT);
        };
        decide(&[best, this, last], Some(this), own, |id| {
            match id == best {
                true => better,
                false => worse,
            }
        })
    }

    #[test]
    fn who_stands_by() {
        for (better, worse, expected) in [
            (ABSENT, ABSENT, (true, Reason::First)),
            (ABSENT, IDLE, (true, Reason::First)),
            (IDLE, ABSENT, (false, Reason::Preferred)),
            (IDLE, ACTIVE, (false, Reason::Preferred)),
            (ACTIVE, ABSENT, (false, Reason::Preferred)),
            (OLDER, ABSENT, (false, Reason::Preferred)),
            // Whether somebody is active is to be known first.
            (UNKNOWN, ABSENT, (false, Reason::Waiting)),
            (ABSENT, UNKNOWN, (false, Reason::Waiting)),
            (UNKNOWN, ACTIVE, (false, Reason::Waiting)),
            // One of a worse rank is preempted, but for these.
            (ABSENT, ACTIVE, (true, Reason::First)),
            (ABSENT, OLDER, (true, Reason::First)),
            (ABSENT, HELD, (false, Reason::Held)),
            (ABSENT, NEWER, (false, Reason::Older)),
            // What is held or has a newer table counts only while it is active.
            (ABSENT, there(false, true, 6), (true, Reason::First)),
        ] {
            let decision = between(own(false), better, worse);
            assert_eq!((decision.active, decision.reason), expected);
        }
    }

    #[test]
    fn who_stays_active() {
        for (better, worse, expected) in [
            (ABSENT, ABSENT, (true, Reason::First)),
            (UNKNOWN, UNKNOWN, (true, Reason::First)),
            // Until it is active itself.
            (IDLE, ABSENT, (true, Reason::Leaving)),
            (ACTIVE, ABSENT, (false, Reason::Preferred)),
            (HELD, ABSENT, (false, Reason::Preferred)),
            // Both are active.
            (ABSENT, ACTIVE, (true, Reason::First)),
            (ABSENT, HELD, (true, Reason::First)),
            (ABSENT, NEWER, (false, Reason::Older)),
            (NEWER, ABSENT, (false, Reason::Older)),
            (OLDER, ABSENT, (true, Reason::Leaving)),
            (ABSENT, OLDER, (true, Reason::First)),
        ] {
            let decision = between(own(true), better, worse);
            assert_eq!((decision.active, decision.reason), expected);
        }
    }

    #[test]
    fn who_cannot_direct_stands_by() {
        for active in [false, true] {
            let unable = Own {
                able: false,
                ..own(active)
            };
            let decision = between(unable, ABSENT, ACTIVE);
            assert_eq!((decision.active, decision.reason), (false, Reason::Unable));
            assert_eq!(decision.acting, NodeId::new(3));
            let none = decide(&[], NodeId::new(7), own(active), |_| ACTIVE);
            assert_eq!((none.active, none.reason), (false, Reason::Unlinked));
        }
    }

    #[test]
    fn who_is_active_is_told() {
        for (better, worse, expected) in [
            (ABSENT, ABSENT, 7),
            (IDLE, ABSENT, 0),
            (ACTIVE, ACTIVE, 9),
            (IDLE, ACTIVE, 3),
        ] {
            let decision = between(own(false), better, worse);
            assert_eq!(decision.acting, NodeId::new(expected));
        }
        // A machine that is none of them sees them all.
        let (Some(one), Some(other)) = (NodeId::new(1), NodeId::new(2)) else {
            return;
        };
        let decision = decide(&[one, other], None, own(false), |id| match id == other {
            true => ACTIVE,
            false => IDLE,
        });
        assert_eq!(decision.acting, Some(other));
    }

    #[test]
    fn what_neighbours_may_have_been_told() {
        let sight = |better, worse| between(own(true), better, worse).sight;
        let doubt = |before: Sight, now| before.is_followed_by_doubt(&now);
        let alone = sight(ABSENT, ABSENT);
        assert!(!doubt(alone, alone));
        assert!(doubt(alone, sight(ABSENT, IDLE)));
        assert!(doubt(alone, sight(IDLE, ABSENT)));
        assert!(doubt(sight(ABSENT, ACTIVE), sight(ABSENT, IDLE)));
        assert!(doubt(sight(ABSENT, ACTIVE), alone));
        assert!(!doubt(sight(ABSENT, IDLE), sight(ABSENT, ACTIVE)));
        assert!(!doubt(sight(IDLE, IDLE), sight(ABSENT, IDLE)));
        assert!(!doubt(alone, sight(UNKNOWN, UNKNOWN)));
    }

    #[test]
    fn an_address_is_announced_a_few_times() {
        let second = |count: u64| count.saturating_mul(BETWEEN);
        let mut none = Announcements::default();
        assert!(!none.take(second(9)) && none.due_in(0).is_none());
        let mut all = none.again(second(7));
        assert_eq!(all.due_in(second(6)), Some(second(1)));
        assert!(!all.take(second(7).saturating_sub(1)));
        for count in 7..12 {
            assert!(all.take(second(count)) && !all.take(second(count)));
        }
        assert_eq!(all.due_in(second(12)), None);
        assert!(!all.take(second(99)));
    }

    /// Whoever has a role change often, or directors come and go, has no more sent.
    #[test]
    fn an_address_is_not_announced_more_often() {
        let mut all = Announcements::default().again(5);
        assert!(all.take(5));
        for now in 6..50 {
            all.stop();
            assert!(!all.take(now) && all.due_in(now).is_none());
            all = all.again(now);
            assert!(!all.take(now));
        }
        assert!(all.take(BETWEEN.saturating_add(5)));
    }

    /// The 33rd is none, and does not take the bit of another one.
    #[test]
    fn there_are_not_too_many() {
        let mut directors = [None; 33];
        for (id, director) in Iterator::zip(1.., &mut directors) {
            *director = NodeId::new(id);
        }
        let Some(all) = all(directors) else { return };
        let (Some(first), Some(last)) = (NodeId::new(1), NodeId::new(33)) else {
            return;
        };
        let decision = decide(&all, Some(first), own(true), |id| match id == last {
            true => ACTIVE,
            false => ABSENT,
        });
        assert_eq!(decision.sight, Sight::default());
    }

    fn all(ids: [Option<NodeId>; 33]) -> Option<[NodeId; 33]> {
        let mut all = [NodeId::new(1)?; 33];
        for (to, from) in all.iter_mut().zip(ids) {
            *to = from?;
        }
        Some(all)
    }
}
