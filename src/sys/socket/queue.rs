// SPDX-License-Identifier: GPL-2.0

//! Accept queues, and the queue of work that is too much for a packet's context.

use crate::sys::{
    bindings,
    core::rcu::Barrier,
    socket::{
        listener::{Locked, Sock},
        trail::{Families, Flow}, //
    },
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu::Guard, //
    },
};

impl Locked<'_> {
    /// Moves the oldest connection of these families that can be moved to the other's accept
    /// queue, and wakes its owner, who gets it first or last; with `home`, of those that are looked
    /// up for this listener. Tells which it was; `None` if there is none, or the other does not
    /// listen, or is of another family or namespace.
    pub(crate) fn move_oldest(
        &self,
        to: &Sock,
        families: Families,
        home: Option<&Sock>,
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
                or_null(home),
                first,
                &mut flow,
            )
        }
        .then_some(flow)
    }
}

impl Sock {
    /// When the handshake of the connection began that [`Locked::move_oldest`] would move, in
    /// microseconds; 0 if it is not known.
    pub(crate) fn queued_since(&self, families: Families, _guard: &Guard) -> Option<u64> {
        let (home, lookups) = (core::ptr::null(), core::ptr::null_mut());
        // SAFETY: `self` is a full TCP socket, and the guard shows that this is a read section.
        let since =
            unsafe { bindings::sg_queue_since(self.as_ptr(), families.bits(), home, lookups) };
        (since != u64::MAX).then_some(since)
    }

    /// The same of those that are looked up for this listener. As many are looked up as there are
    /// `lookups` left.
    pub(crate) fn queued_since_of(
        &self,
        families: Families,
        home: &Sock,
        lookups: &mut u32,
        _guard: &Guard,
    ) -> Option<u64> {
        let (sk, home) = (self.as_ptr(), home.as_ptr());
        // SAFETY: Both are full TCP sockets, `lookups` is writable, and the guard shows that this is
        // a read section.
        let since = unsafe { bindings::sg_queue_since(sk, families.bits(), home, lookups) };
        (since != u64::MAX).then_some(since)
    }
}

fn or_null(sock: Option<&Sock>) -> *const bindings::sock {
    sock.map_or(core::ptr::null(), |sock| sock.as_ptr().cast_const())
}

/// Waits until every RCU read section that there is has ended; in a hurry, which is a burden for
/// all CPUs. Process context.
pub(crate) fn readers_end(hurry: bool) {
    // SAFETY: No read section is open: guards are values, and the callers have none.
    unsafe { bindings::sg_readers_end(hurry) };
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
        self.0.store(unsafe { bindings::sg_readers_now() }, Relaxed);
    }

    /// Whether all have ended that there were at [`Readers::restart`]. Any context.
    pub(crate) fn have_ended(&self) -> bool {
        // SAFETY: It has no requirements: any number is one that may have been told.
        unsafe { bindings::sg_readers_ended(self.0.load(Relaxed)) }
    }
}

/// Lets others run, in long work. Process context.
pub(crate) fn yield_now() {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_yield() };
}

/// Lets who has a lock be done with it, for a fifth of a millisecond at most. Process context.
pub(crate) fn breathe() {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_breathe() };
}

/// The module's work queue; dropping it waits for the work that is queued, and for what that has left
/// to be freed.
pub(crate) struct WorkQueue {
    _groups: Barrier,
}

impl WorkQueue {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::sg_workqueue_register() })?;
        Ok(Self { _groups: Barrier })
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_workqueue_unregister() };
    }
}
