// SPDX-License-Identifier: GPL-2.0

//! Accept queues, and the queue of work that is too much for a packet's context.

use super::{
    bindings,
    listener::{Locked, Sock}, //
};
use crate::logic::select::Family;
use kernel::{
    error::to_result,
    prelude::*,
    sync::rcu::Guard,
    workqueue::Queue, //
};

impl Locked<'_> {
    /// Moves the oldest connection that can be moved to the other's accept queue, and wakes its
    /// owner. False if there is none, or the other does not listen.
    pub(crate) fn move_oldest(&self, to: &Sock, _guard: &Guard) -> bool {
        // SAFETY: The lock of `self` is held, and the guard shows that this is a read section.
        unsafe { bindings::sg_queue_move(self.as_ptr(), to.as_ptr()) }
    }

    /// The family of the connection that [`Locked::move_oldest`] would move.
    pub(crate) fn oldest_family(&self) -> Family {
        // SAFETY: The lock of `self` is held.
        if unsafe { bindings::sg_queue_next_is_ipv6(self.as_ptr()) } {
            Family::Ipv6
        } else {
            Family::Ipv4
        }
    }
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
