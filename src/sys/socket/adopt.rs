// SPDX-License-Identifier: GPL-2.0

//! Sockets that begin to listen, and are told of while any group adopts.

use crate::{
    logic::adopt::Place,
    sys::{
        bindings,
        core::parts::Group,
        socket::listener::{Locked, Sock}, //
    },
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

impl Sock {
    /// Where it listens, or is to.
    pub(crate) fn place(&self) -> Place {
        let mut raw = bindings::svcg_place::default();
        // SAFETY: `self` is a full TCP socket, and `raw` is writable.
        unsafe { bindings::svcg_sock_place(self.as_ptr(), &mut raw) };
        Place {
            family: raw.family,
            port: raw.port,
            device: raw.device,
            address: raw.address,
            serves_ipv4: raw.serves_ipv4,
        }
    }
}

impl Locked<'_> {
    /// Whether it has been a member, and a call has taken it out.
    pub(crate) fn has_left(&self) -> bool {
        // SAFETY: The lock is held.
        unsafe { bindings::svcg_has_left(self.as_ptr()) }
    }

    /// Has `svcg_listen_begun()` called for the group, by the calling task before it returns to its
    /// program, unless the socket was closed by then. `ENOMEM`, or `ESRCH` if it does not return.
    /// Process context.
    pub(crate) fn adopt_later(&self, group: Arc<Group>) -> Result {
        let group = Arc::into_raw(group);
        // SAFETY: The socket is there, and the group is owned by who gets it.
        let error = unsafe { bindings::svcg_adopt_later(self.as_ptr(), group.cast_mut().cast()) };
        let result = to_result(error);
        if result.is_err() {
            // SAFETY: Nobody has taken it.
            drop(unsafe { Arc::from_raw(group) });
        }
        result
    }
}

/// Has sockets that begin to listen be told of, as long as it is there.
pub(crate) struct Watching(());

impl Watching {
    /// `EOPNOTSUPP` if the kernel has no tracepoints. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Process context.
        to_result(unsafe { bindings::svcg_listen_watch() })?;
        Ok(Self(()))
    }

    /// Keeps it for who remembers that by a number: [`Watching::kept`] gives it back.
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }

    /// What was kept: once for each that was.
    pub(crate) fn kept() -> Self {
        Self(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // SAFETY: It may be called in any context; whoever calls more often than was asked for has no
        // more than the probe gone too early.
        unsafe { bindings::svcg_listen_unwatch() };
    }
}

/// The probe, which is there if any group adopts. When it is dropped nothing is told any more.
pub(crate) struct ListenProbe(());

impl ListenProbe {
    pub(crate) fn new() -> Self {
        // SAFETY: Called once, when the module is loaded.
        unsafe { bindings::svcg_listen_init() };
        Self(())
    }
}

impl Drop for ListenProbe {
    fn drop(&mut self) {
        // SAFETY: Called once, when the module goes, and before what its callbacks need.
        unsafe { bindings::svcg_listen_exit() };
    }
}
