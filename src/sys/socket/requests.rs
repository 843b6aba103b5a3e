// SPDX-License-Identifier: GPL-2.0

//! Half-open requests of a listener.

use crate::sys::{
    bindings,
    socket::{
        flowlog::{Families, Flow}, //
        listener::Sock,
    },
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::rcu::Guard, //
};

/// A walk over the half-open requests of a listener. Those that come meanwhile may be missed.
pub(crate) struct Requests<'a> {
    of: &'a Sock,
    bucket: c_uint,
}

impl<'a> Requests<'a> {
    pub(crate) fn new(of: &'a Sock) -> Self {
        Self { of, bucket: 0 }
    }

    /// A request of these families; the same one again until it is moved or gone. Process
    /// context, and no RCU read section.
    pub(crate) fn next(&mut self, families: Families) -> Option<Request<'a>> {
        // SAFETY: The listener is there.
        let found = unsafe {
            bindings::svcg_request_next(self.of.as_ptr(), families.bits(), &mut self.bucket)
        };
        // INVARIANT: The reference was just taken.
        NonNull::new(found).map(|ptr| Request { ptr, of: self.of })
    }
}

/// What became of a request that was to be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is the other listener's.
    Done,
    /// It was not there any more: its handshake was completed, or given up.
    Gone,
    /// There is no memory, or the other listener ends.
    Failed,
}

/// A half-open request of a listener.
///
/// # Invariants
///
/// It owns a reference to the request.
pub(crate) struct Request<'a> {
    ptr: NonNull<bindings::request_sock>,
    of: &'a Sock,
}

impl Request<'_> {
    /// The connection that it is to become.
    pub(crate) fn flow(&self) -> Flow {
        let mut flow = Flow::default();
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_flow_of_request(self.ptr.as_ptr(), &mut flow) };
        flow
    }

    /// Moves it to another listener, of the same socket family. Process context.
    pub(crate) fn move_to(&self, to: &Sock, _guard: &Guard) -> Moved {
        // SAFETY: By the invariant; the listeners are there.
        let moved = unsafe {
            bindings::svcg_request_move(self.ptr.as_ptr(), self.of.as_ptr(), to.as_ptr())
        };
        match moved {
            bindings::svcg_moved_SVCG_MOVED => Moved::Done,
            bindings::svcg_moved_SVCG_MOVED_GONE => Moved::Gone,
            _ => Moved::Failed,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_request_put(self.ptr.as_ptr()) };
    }
}
