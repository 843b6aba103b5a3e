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
    /// listen, or is of another family or namespace. How many are looked at is added to `looks`.
    pub(crate) fn move_oldest(
        &self,
        to: &Sock,
        families: Families,
        home: Option<&Sock>,
        first: bool,
        looks: &mut u64,
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
                looks,
            )
        }
        .then_some(flow)
    }
}

impl Sock {
    /// When the handshake of the connection began that [`Locked::move_oldest`] would move, in
    /// microseconds; 0 if it is not known. How many are looked at is added to `looks`.
    pub(crate) fn queued_since(
        &self,
        families: Families,
        looks: &mut u64,
        _guard: &Guard,
    ) -> Option<u64> {
        let (sk, home) = (self.as_ptr(), core::ptr::null());
        // SAFETY: `self` is a full TCP socket, `looks` is writable, and the guard shows that this is a
        // read section.
        let since = unsafe { bindings::svcg_queue_since(sk, families.bits(), home, 0, looks) };
        (since != u64::MAX).then_some(since)
    }

    /// The same of those that are looked up for this listener. As many are looked up as there are
    /// `lookups` left.
    pub(crate) fn queued_since_of(
        &self,
        families: Families,
        home: &Sock,
        lookups: &mut u32,
        looks: &mut u64,
        _guard: &Guard,
    ) -> Option<u64> {
        let (sk, home) = (self.as_ptr(), home.as_ptr());
        let before = *looks;
        // SAFETY: Both are full TCP sockets, `looks` is writable, and the guard shows that this is a
        // read section.
        let since =
            unsafe { bindings::svcg_queue_since(sk, families.bits(), home, *lookups, looks) };
        let used = u32::try_from(looks.saturating_sub(before)).unwrap_or(u32::MAX);
        *lookups = lookups.saturating_sub(used);
        (since != u64::MAX).then_some(since)
    }
}

fn or_null(sock: Option<&Sock>) -> *const bindings::sock {
    sock.map_or(core::ptr::null(), |sock| sock.as_ptr().cast_const())
}
