// SPDX-License-Identifier: GPL-2.0

//! When a member is stalled: connections wait in its queue, and for the group's stall time it has
//! accepted none.

#![forbid(unsafe_code)]

/// What is to be thought of a member, and done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing waits, and nothing has come lately.
    Idle,
    /// It has so many nanoseconds left; then it is to be judged again.
    Wait(u64),
    /// It is stalled.
    Stalled,
}

/// Judges a member that has `queued` connections, and that has been quiet for so many nanoseconds:
/// since it last accepted one, or, if that is later, since its queue was last seen empty.
///
/// `limit` is the stall time in nanoseconds; 0 means that nothing is ever stalled. A member that is
/// not quiet for long is to be judged again even when its queue is empty: a connection is announced
/// before it is queued.
pub fn judge(queued: u32, quiet: u64, limit: u64) -> Verdict {
    match limit.saturating_sub(quiet) {
        _ if limit == 0 => Verdict::Idle,
        0 if queued > 0 => Verdict::Stalled,
        0 => Verdict::Idle,
        left => Verdict::Wait(left),
    }
}

/// Until when the timers of an account rest that have looked at so many groups, members, connections, or
/// those that wait for a member's connections, whoever wants them sooner: what they do is nobody's time but
/// the machine's. `rested` is until when they were to rest before; both are in nanoseconds of the clock
/// that says `now`.
///
/// A look takes less than half a microsecond, so all are a tenth of one processor at most. A thousand
/// members can still be looked at as often as the default stall time asks for.
pub fn rest(rested: u64, now: u64, looks: u64) -> u64 {
    let longest = now.saturating_add(LONGEST_REST_NS);
    rested
        .max(now)
        .saturating_add(looks.saturating_mul(REST_NS))
        .min(longest)
}

/// In how many nanoseconds to try again for a socket that is locked, maybe for ever, after so many
/// tries: `first` the first time, and then each time after twice as long, up to a second.
pub fn retry(first: u64, tries: u32) -> u64 {
    first
        .saturating_mul(1 << tries.min(16))
        .min(first.max(LONGEST_NS))
}

/// After so many looks a tick moves no more of what is too much for the members of a group, and wakes no
/// more of them. There is another tick.
pub const LOOKS_OF_A_TICK: u64 = 4_096;

/// Of each look.
const REST_NS: u64 = 5_000;
/// A minute: more than as many groups and members as an account can have take, and both of these.
const LONGEST_REST_NS: u64 = 60_000_000_000;
/// A second.
const LONGEST_NS: u64 = 1_000_000_000;

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_stall))]
mod tests {
    use super::*;

    const NOW: u64 = 5_000_000_000;

    #[test]
    fn a_rest_is_longer_than_the_work() {
        // Until when it was to rest, the looks, and for how long it is to rest.
        let table = [
            ((0, 0), 0),
            ((0, 2), 10_000),
            ((NOW, 1_024), 5_120_000),
            ((NOW + 700, 2), 10_700),
            ((0, 200_000), 1_000_000_000),
            ((0, 12_000_001), 60_000_000_000),
            ((u64::MAX, 1), 60_000_000_000),
            ((0, u64::MAX), 60_000_000_000),
        ];
        for ((rested, looks), nanoseconds) in table {
            assert_eq!(rest(rested, NOW, looks), NOW + nanoseconds);
        }
        // Sixteen times in 100 ms.
        assert!(rest(0, 0, 1_024) < 6_250_000);
        assert_eq!(rest(0, u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn tries_become_rare() {
        let table = [
            ((100, 0), 100),
            ((100, 1), 200),
            ((100, 3), 800),
            ((100, 16), 6_553_600),
            ((100, u32::MAX), 6_553_600),
            ((6_250_000, 7), 800_000_000),
            ((6_250_000, 8), 1_000_000_000),
            // As often as a long stall time asks for, and not more often.
            ((3_750_000_000, 0), 3_750_000_000),
            ((3_750_000_000, 5), 3_750_000_000),
            ((u64::MAX, 5), u64::MAX),
        ];
        for ((first, tries), nanoseconds) in table {
            assert_eq!(retry(first, tries), nanoseconds);
        }
    }

    #[test]
    fn edges() {
        // (queued, quiet, limit) and what it means.
        let table = [
            ((0, 0, 100), Verdict::Wait(100)),
            ((0, 99, 100), Verdict::Wait(1)),
            ((0, 100, 100), Verdict::Idle),
            ((1, 0, 100), Verdict::Wait(100)),
            ((1, 99, 100), Verdict::Wait(1)),
            ((1, 100, 100), Verdict::Stalled),
            ((u32::MAX, u64::MAX, 1), Verdict::Stalled),
            ((1, u64::MAX, 0), Verdict::Idle),
            ((1, 0, 0), Verdict::Idle),
        ];
        for ((queued, quiet, limit), verdict) in table {
            assert_eq!(judge(queued, quiet, limit), verdict);
        }
    }
}
