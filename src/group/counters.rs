// SPDX-License-Identifier: GPL-2.0

//! What became of connections, counted.
//!
//! The names are those of the netlink specification, where their meaning is written down.

#![forbid(unsafe_code)]

use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    Home,
    HomeUnpromised,
    RedirectedIn,
    RedirectedQueueFull,
    RedirectedPromised,
    RedirectedStalled,
    RedirectedBalanced,
    RedirectedLeaving,
    DroppedFull,
    DroppedUnfit,
    Reset,
    RescuedIn,
    RescuedOverflow,
    RescuedStalled,
    RescuedBalanced,
    RescuedLeaving,
    HandedIn,
    HandedOut,
    Accepted,
    Stalls,
    Rewritten,
    Spilled,
}

impl Counter {
    /// Number of counters.
    const COUNT: usize = 22;

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

    /// All of them, in the order of their attributes.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Home,
        Self::HomeUnpromised,
        Self::RedirectedIn,
        Self::RedirectedQueueFull,
        Self::RedirectedPromised,
        Self::RedirectedStalled,
        Self::RedirectedBalanced,
        Self::RedirectedLeaving,
        Self::DroppedFull,
        Self::DroppedUnfit,
        Self::Reset,
        Self::RescuedIn,
        Self::RescuedOverflow,
        Self::RescuedStalled,
        Self::RescuedBalanced,
        Self::RescuedLeaving,
        Self::HandedIn,
        Self::HandedOut,
        Self::Accepted,
        Self::Stalls,
        Self::Rewritten,
        Self::Spilled,
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

    /// Moves all that was counted to `total`, so that it is counted once whoever adds up.
    pub(crate) fn retire_to(&self, total: &Counters) {
        for counter in Counter::ALL {
            if let (Some(from), Some(to)) = (self.at(counter), total.at(counter)) {
                to.add(from.xchg(0, Full), Relaxed);
            }
        }
    }
}
