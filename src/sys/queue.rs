// SPDX-License-Identifier: GPL-2.0

//! Accept queues, and the queue of work that is too much for a packet's context.

use super::{
    bindings,
    listener::{Locked, Sock},
    trail::{Families, Flow}, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::rcu::Guard,
    workqueue::Queue, //
};

impl Locked<'_> {
    /// Moves the oldest connection of these families that can be moved to the other's accept
    /// queue, and wakes its owner, who gets it first or last. Tells which it was; `None` if there is
    /// none, or the other does not listen.
    pub(crate) fn move_oldest(
        &self,
        to: &Sock,
        families: Families,
        first: bool,
        _guard: &Guard,
    ) -> Option<Flow> {
        let mut flow = Flow::default();
        // SAFETY: The lock of `self` is held, and the guard shows that this is a read section.
        unsafe {
            bindings::sg_queue_move(
                self.as_ptr(),
                to.as_ptr(),
                families.bits(),
                first,
                &mut flow,
            )
        }
        .then_some(flow)
    }
}

/// Waits until every RCU read section that there is has ended; in a hurry, which is a burden for
/// all CPUs. Process context.
pub(crate) fn readers_end(hurry: bool) {
    // SAFETY: No read section is open: guards are values, and the callers have none.
    unsafe { bindings::sg_readers_end(hurry) };
}

/// Lets others run, in long work. Process context.
pub(crate) fn yield_now() {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_yield() };
}

/// The module's work queue; dropping it waits for the work that is queued.
pub(crate) struct WorkQueue(());

impl WorkQueue {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::sg_workqueue_register() })?;
        Ok(Self(()))
    }

    /// The queue. It is there whenever there are groups.
    pub(crate) fn get() -> &'static Queue {
        // SAFETY: Groups are made after the queue, and the module goes after both.
        unsafe { Queue::from_raw(bindings::sg_workqueue().cast()) }
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_workqueue_unregister() };
    }
}
