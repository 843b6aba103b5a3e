// SPDX-License-Identifier: GPL-2.0

//! Clocks, and until when a call waits.

use crate::sys::bindings;

/// Nanoseconds of a tick, by which [`now`] goes on.
pub(crate) fn tick_ns() -> u64 {
    // SAFETY: It has no requirements.
    unsafe { bindings::svcg_tick_ns() }
}

/// Ticks of a clock that only goes forward. It wraps where a word has 32 bits. Any context.
pub(crate) fn ticks() -> usize {
    // SAFETY: It is there, and read as the kernel changes it, as a whole. Its C type is a usize.
    unsafe { (&raw const kernel::bindings::jiffies).read_volatile() }
}

/// Nanoseconds of a millisecond.
pub(crate) const NS_OF_MS: u64 = 1_000_000;
/// Nanoseconds of a second.
pub(crate) const NS_OF_S: u64 = 1_000_000_000;

/// Nanoseconds of a clock that only goes forward, a tick at a time. Any context.
pub(crate) fn now() -> u64 {
    // SAFETY: It has no requirements.
    unsafe { bindings::svcg_now() }
}

/// Until when a call waits for what others have.
pub(crate) struct Deadline(u64);

impl Deadline {
    /// What a call waits for sockets that others have locked: all of them together, and as long by
    /// the clock. A call has the lock for less, unless its program makes it last.
    const LOCK_TIMEOUT_NS: u64 = NS_OF_S;

    pub(crate) fn lock_timeout() -> Self {
        // SAFETY: It has no requirements.
        Self(unsafe { bindings::svcg_clock() }.saturating_add(Self::LOCK_TIMEOUT_NS))
    }

    /// On the clock of `svcg_clock()`.
    pub(in crate::sys) fn ns(&self) -> u64 {
        self.0
    }
}
