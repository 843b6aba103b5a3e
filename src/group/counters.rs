// SPDX-License-Identifier: GPL-2.0

//! What became of connections, counted.
//!
//! Which counters there are is in the netlink specification, with what each counts.

#![forbid(unsafe_code)]

pub(crate) use super::counter_gen::Counter;
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

impl Counter {
    /// Why siblings took SYNs of a member.
    pub(super) const REDIRECTED_OUT: [Self; 5] = [
        Self::RedirectedQueueFull,
        Self::RedirectedPromised,
        Self::RedirectedStalled,
        Self::RedirectedBalanced,
        Self::RedirectedLeaving,
    ];

    /// Why siblings took connections of a member.
    pub(super) const RESCUED_OUT: [Self; 4] = [
        Self::RescuedOverflow,
        Self::RescuedStalled,
        Self::RescuedBalanced,
        Self::RescuedLeaving,
    ];
}

/// One number for each [`Counter`]; they wrap.
#[derive(Default)]
pub(crate) struct Counters([Count; Counter::COUNT]);

struct Count(Atomic<u64>);

impl Default for Count {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counters {
    fn at(&self, counter: Counter) -> Option<&Atomic<u64>> {
        self.0.get(counter as usize).map(|count| &count.0)
    }

    /// Counts one. Any context.
    pub(crate) fn count(&self, counter: Counter) {
        if let Some(count) = self.at(counter) {
            count.add(1, Relaxed);
        }
    }

    /// Reads one.
    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.at(counter).map_or(0, |count| count.load(Relaxed))
    }

    /// Moves all that was counted to `total`, so that it is counted once in each sum.
    pub(crate) fn retire_to(&self, total: &Counters) {
        for counter in Counter::ALL {
            if let (Some(from), Some(to)) = (self.at(counter), total.at(counter)) {
                to.add(from.xchg(0, Full), Relaxed);
            }
        }
    }
}
