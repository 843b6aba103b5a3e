// SPDX-License-Identifier: GPL-2.0

//! A clock, and a timer of each network namespace.

use super::bindings;
use crate::group::{
    registry::Registry,
    stall, //
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::ArcBorrow, //
};

/// Nanoseconds of a tick, by which [`now`] goes on.
pub(crate) fn tick_ns() -> u64 {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_tick_ns() }
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
    unsafe { bindings::sg_now() }
}

/// A timer that has [`stall::tick`] called, in process context.
///
/// # Invariants
///
/// The pointer comes from `sg_ticker_new()` and is owned.
pub(crate) struct Ticker(NonNull<bindings::sg_ticker>);

// SAFETY: The timer and its work may be used from any CPU.
unsafe impl Send for Ticker {}
// SAFETY: As above.
unsafe impl Sync for Ticker {}

impl Ticker {
    /// A timer that is not set. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: It has no requirements.
        let ticker = unsafe { bindings::sg_ticker_new() };
        // INVARIANT: It was just made.
        NonNull::new(ticker).map(Self).ok_or(ENOMEM)
    }

    /// # Safety
    ///
    /// `registry` is what owns this, and outlives [`Ticker::stop`]. The timer was never set.
    pub(super) unsafe fn set_registry(&self, registry: *const Registry) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_ticker_set_state(self.0.as_ptr(), registry.cast()) };
    }

    /// Has it tick in so many nanoseconds, or before. Any context.
    pub(crate) fn arm(&self, nanoseconds: u64) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_ticker_arm(self.0.as_ptr(), nanoseconds) };
    }

    /// Waits until nothing runs, and lets it tick no more. Process context.
    pub(super) fn stop(&self) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_ticker_stop(self.0.as_ptr()) };
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: By the invariant. It was stopped, see `sg_netns_free()`, or never set.
        unsafe { bindings::sg_ticker_free(self.0.as_ptr()) };
    }
}

/// # Safety
///
/// Called by `ticker.c`, with what [`Ticker::set_registry`] was given.
#[no_mangle]
unsafe extern "C" fn sg_tick(state: *const c_void) {
    // SAFETY: By the requirement, it is the registry of an `Arc`, and there for the call.
    stall::tick(unsafe { ArcBorrow::from_raw(state.cast::<Registry>()) });
}
