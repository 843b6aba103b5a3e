// SPDX-License-Identifier: GPL-2.0

//! What became of the packets of a cluster IP, counted.
//!
//! Which counters there are is in the netlink specification, with what each counts.

#![forbid(unsafe_code)]

pub(super) use super::counter_gen::Counter;
use kernel::{
    cpu::CpuId,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Counts of one CPU, or of a few that share them; no other's are on its cache lines.
#[repr(align(128))]
struct Share([Atomic<u64>; Counter::COUNT]);

/// Over how many shares packets spread; a power of two.
const SHARES: usize = 8;

/// One count for each [`Counter`].
pub(super) struct Counters([Share; SHARES]);

impl Counters {
    /// All zero.
    pub(super) fn new() -> Self {
        let share = |_| Share(core::array::from_fn(|_| Atomic::new(0)));
        Self(core::array::from_fn(share))
    }

    /// Counts one more. No preemption, or the count may be another CPU's, which does no harm.
    pub(super) fn count(&self, counter: Counter) {
        let cpu = CpuId::current().as_u32() as usize;
        let share = self.0.get(cpu & (SHARES - 1));
        if let Some(count) = share.and_then(|share| share.0.get(counter as usize)) {
            count.add(1, Relaxed);
        }
    }

    /// The count, over all CPUs.
    pub(super) fn get(&self, counter: Counter) -> u64 {
        self.0
            .iter()
            .filter_map(|share| share.0.get(counter as usize))
            .map(|count| count.load(Relaxed))
            .fold(0, u64::wrapping_add)
    }
}
