// SPDX-License-Identifier: GPL-2.0

//! How often something may be done that is a burden for others: so many times at once, and then at
//! a steady rate.

#![forbid(unsafe_code)]

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// So many times at once, after a rest.
    pub burst: u32,
    /// A time more each so many nanoseconds.
    pub every: u64,
}

impl Limit {
    /// Whether it may be done once more at `now`, in nanoseconds of a clock that only goes forward:
    /// then until when all of it is used up, which is what `used_up` was after the last time; 0 at
    /// first.
    pub fn take(&self, used_up: u64, now: u64) -> Option<u64> {
        let most = self.every.saturating_mul(u64::from(self.burst));
        let next = used_up.max(now).saturating_add(self.every);
        (next.saturating_sub(now) <= most).then_some(next)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_allowance)
)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        burst: 3,
        every: 100,
    };

    /// How many of so many tries at that time are allowed.
    fn allowed(limit: Limit, used_up: &mut u64, now: u64, tries: u32) -> u32 {
        let mut allowed = 0u32;
        for _ in 0..tries {
            if let Some(next) = limit.take(*used_up, now) {
                *used_up = next;
                allowed = allowed.saturating_add(1);
            }
        }
        allowed
    }

    #[test]
    fn a_burst_and_then_one_by_one() {
        let mut used_up = 0;
        // (now, how many of ten tries are allowed)
        let table = [
            (1_000, 3),
            (1_000, 0),
            (1_099, 0),
            (1_100, 1),
            (1_199, 0),
            (1_350, 2),
            (1_400, 1),
            // It does not save up more than a burst.
            (9_000, 3),
            (9_050, 0),
            (9_100, 1),
        ];
        for (now, many) in table {
            assert_eq!(allowed(LIMIT, &mut used_up, now, 10), many);
        }
    }

    #[test]
    fn edges() {
        let none = Limit { burst: 0, every: 1 };
        assert_eq!(none.take(0, 5), None);
        let free = Limit { burst: 1, every: 0 };
        assert_eq!(free.take(7, 5), None);
        assert_eq!(free.take(5, 5), Some(5));
        assert_eq!(LIMIT.take(0, u64::MAX), Some(u64::MAX));
        assert_eq!(LIMIT.take(u64::MAX, 0), None);
    }

    #[test]
    fn never_more_than_the_rate_and_a_burst() {
        let mut used_up = 0;
        let mut all = 0u32;
        for now in 0..2_000u64 {
            all = all.saturating_add(allowed(LIMIT, &mut used_up, now, 2));
        }
        // A burst at 0, and one each hundred from 100 to 1900.
        assert_eq!(all, 22);
    }
}
