// SPDX-License-Identifier: GPL-2.0

//! Half-open requests of a listener.

use super::{
    bindings,
    listener::Sock,
    trail::Flow, //
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

    /// A request; the same one again until it is moved or gone. Process context, and no RCU read
    /// section.
    pub(crate) fn next(&mut self) -> Option<Request<'a>> {
        // SAFETY: The listener is there.
        let found = unsafe { bindings::sg_request_next(self.of.as_ptr(), &mut self.bucket) };
        // INVARIANT: The reference was just taken.
        NonNull::new(found).map(|ptr| Request { ptr, of: self.of })
    }
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
        unsafe { bindings::sg_flow_of_request(self.ptr.as_ptr(), &mut flow) };
        flow
    }

    /// Moves it to another listener, of the same socket family. False if its handshake was
    /// completed or given up meanwhile, or without memory. Process context.
    pub(crate) fn move_to(&self, to: &Sock, _guard: &Guard) -> bool {
        // SAFETY: By the invariant; the listeners are there.
        unsafe { bindings::sg_request_move(self.ptr.as_ptr(), self.of.as_ptr(), to.as_ptr()) }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_request_put(self.ptr.as_ptr()) };
    }
}
