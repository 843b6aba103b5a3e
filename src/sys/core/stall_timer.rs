// SPDX-License-Identifier: GPL-2.0

//! The stall timers of a network namespace.

use crate::sys::{
    bindings,
    core::parts::Registry, //
};
use core::ptr::NonNull;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex}, //
};

/// A timer that has `svcg_tick()` called, in process context, for the groups of one account in one
/// network namespace: what the groups of one account take is not what others wait for.
///
/// # Invariants
///
/// The pointer comes from `svcg_stall_timer_new()` and is owned.
pub(crate) struct StallTimer {
    raw: NonNull<bindings::svcg_stall_timer>,
    account: u64,
}

// SAFETY: The timer and its work may be used from any CPU.
unsafe impl Send for StallTimer {}
// SAFETY: As above.
unsafe impl Sync for StallTimer {}

impl StallTimer {
    /// A timer that is not set. Process context.
    ///
    /// # Safety
    ///
    /// `registry` is there until [`StallTimer::stop`].
    unsafe fn new(registry: NonNull<Registry>, account: u64) -> Result<Self> {
        // SAFETY: It has no requirements, and the work's are this function's.
        let raw = unsafe { bindings::svcg_stall_timer_new(registry.as_ptr().cast(), account) };
        // INVARIANT: It was just made.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(ENOMEM)?,
            account,
        })
    }

    /// Whose groups it is for.
    pub(crate) fn account(&self) -> u64 {
        self.account
    }

    /// Has it tick in so many nanoseconds, or before, but not while it rests. Any context.
    pub(crate) fn arm(&self, nanoseconds: u64) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_stall_timer_arm(self.raw.as_ptr(), nanoseconds) };
    }

    /// Waits until nothing runs, and lets it tick no more. Process context.
    fn stop(&self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_stall_timer_stop(self.raw.as_ptr()) };
    }
}

impl Drop for StallTimer {
    fn drop(&mut self) {
        // SAFETY: By the invariant. Who made it keeps it until it was stopped, but for one that was
        // never armed, see `StallTimers::of()`.
        unsafe { bindings::svcg_stall_timer_free(self.raw.as_ptr()) };
    }
}

/// The timers of a network namespace. There are as many as there are users who have formed groups: all
/// that a user does with user namespaces counts as one.
#[pin_data]
pub(crate) struct StallTimers {
    #[pin]
    list: Mutex<List>,
}

struct List {
    /// What they are for, while they may be made.
    registry: Option<NonNull<Registry>>,
    stall_timers: KVec<Arc<StallTimer>>,
}

// SAFETY: A registry may be used from any CPU.
unsafe impl Send for List {}

impl StallTimers {
    /// None, and none can be made.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(List { registry: None, stall_timers: KVec::new() }, "service_group::stall_timers"),
        })
    }

    /// From now on they can be made.
    ///
    /// # Safety
    ///
    /// `registry` is what owns this, and is there until [`StallTimers::stop`] has returned.
    pub(in crate::sys) unsafe fn start(&self, registry: *const Registry) {
        self.list.lock().registry = NonNull::new(registry.cast_mut());
    }

    /// The one of an account. Process context.
    pub(crate) fn of(&self, account: u64) -> Result<Arc<StallTimer>> {
        let mut list = self.list.lock();
        let known = list.stall_timers.iter().find(|it| it.account == account);
        if let Some(stall_timer) = known {
            return Ok(stall_timer.clone());
        }
        let registry = list.registry.ok_or(ENODEV)?;
        list.stall_timers.reserve(1, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: What is in the list is stopped before the registry is gone.
        let stall_timer = unsafe { StallTimer::new(registry, account) }?;
        // Until it is in the list it is not armed.
        let stall_timer = Arc::new(stall_timer, GFP_KERNEL_ACCOUNT)?;
        list.stall_timers
            .push(stall_timer.clone(), GFP_KERNEL_ACCOUNT)?;
        Ok(stall_timer)
    }

    /// Waits until nothing runs, and lets nothing tick or be made any more. Process context.
    pub(in crate::sys) fn stop(&self) {
        let mut list = self.list.lock();
        list.registry = None;
        for stall_timer in &list.stall_timers {
            stall_timer.stop();
        }
    }
}
