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

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_stall))]
mod tests {
    use super::*;

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
