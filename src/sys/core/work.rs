// SPDX-License-Identifier: GPL-2.0

//! The queue of work that is too much for a packet's context, the end of RCU read sections, and letting
//! others run.

use crate::sys::{
    bindings,
    core::rcu::{wait_for_dropped, Barrier}, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};

/// Waits until every RCU read section that there is has ended; `expedited` is soon, which is a
/// burden for all CPUs. Process context.
pub(crate) fn synchronize_rcu(expedited: bool) {
    // SAFETY: No read section is open: guards are values, and the callers have none.
    unsafe { bindings::svcg_synchronize_rcu(expedited) };
}

/// The RCU read sections of a moment, whose end is asked for and not waited for.
pub(crate) struct Readers(Atomic<usize>);

impl Readers {
    /// None.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Those that there are now. Any context.
    pub(crate) fn restart(&self) {
        // SAFETY: It has no requirements. A `unsigned long` is a `usize`.
        let readers = unsafe { bindings::svcg_start_poll_rcu() };
        self.0.store(readers, Relaxed);
    }

    /// Whether all have ended that there were at [`Readers::restart`]. Any context.
    pub(crate) fn have_ended(&self) -> bool {
        // SAFETY: It has no requirements: any number is one that may have been told.
        unsafe { bindings::svcg_poll_rcu(self.0.load(Relaxed)) }
    }
}

/// Lets others run, in long work. Process context.
pub(crate) fn cond_resched() {
    // SAFETY: It has no requirements.
    unsafe { bindings::svcg_cond_resched() };
}

/// Waits for a lock to be given back, for a fifth of a millisecond at most. Process context.
pub(crate) fn sleep_briefly() {
    // SAFETY: It has no requirements.
    unsafe { bindings::svcg_usleep() };
}

/// The module's work queue; dropping it waits for the work that is queued, and for what that has left
/// to be freed.
pub(crate) struct WorkQueue {
    _groups: Barrier,
}

impl WorkQueue {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_workqueue_register() })?;
        Ok(Self { _groups: Barrier })
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // What RCU gives to it.
        wait_for_dropped();
        // SAFETY: It was registered.
        unsafe { bindings::svcg_workqueue_unregister() };
    }
}
