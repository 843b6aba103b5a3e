// SPDX-License-Identifier: GPL-2.0

//! Accept queues.

use crate::sys::{
    bindings,
    socket::{
        flowlog::{Families, Flow}, //
        listener::{Locked, Sock},
    },
};
use kernel::sync::rcu::Guard;

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
            bindings::svcg_queue_move(
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
            unsafe { bindings::svcg_queue_since(self.as_ptr(), families.bits(), home, lookups) };
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
        let since = unsafe { bindings::svcg_queue_since(sk, families.bits(), home, lookups) };
        (since != u64::MAX).then_some(since)
    }
}

fn or_null(sock: Option<&Sock>) -> *const bindings::sock {
    sock.map_or(core::ptr::null(), |sock| sock.as_ptr().cast_const())
}
