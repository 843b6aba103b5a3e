// SPDX-License-Identifier: GPL-2.0

//! Sockets that are links: taken over by their descriptors, with a kernel thread each.

use crate::sys::{
    bindings,
    core::{netns::Net, parts::LinkThread},
    socket::flowlog::Flow, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::NotThreadSafe, //
};

/// A connected TCP socket that the module has taken over. It stays open as long as this is there, and
/// so does its namespace.
///
/// # Invariants
///
/// It comes from `svcg_link_take()`, and is owned.
pub(crate) struct LinkSocket(NonNull<bindings::svcg_link>);

// SAFETY: It may be given back in any process. What is not for any is asked for with a `Waiter`.
unsafe impl Send for LinkSocket {}
// SAFETY: As above.
unsafe impl Sync for LinkSocket {}

impl LinkSocket {
    /// Takes the socket over that the caller has this descriptor of. `EBADF`, `ENOTSOCK`; `EPROTONOSUPPORT`
    /// if it is no TCP socket, `EXDEV` if it is not of the namespace, `ENOTCONN` if it is not connected.
    /// Process context.
    pub(crate) fn take(net: Net<'_>, fd: u32) -> Result<Self> {
        let fd = i32::try_from(fd).map_err(|_| EBADF)?;
        let mut taken = ptr::null_mut();
        // SAFETY: The namespace is there, and any number will do.
        to_result(unsafe { bindings::svcg_link_take(net.as_ptr(), fd, &mut taken) })?;
        // INVARIANT: It was just taken.
        NonNull::new(taken).map(Self).ok_or(ENOMEM)
    }

    fn as_ptr(&self) -> *mut bindings::svcg_link {
        self.0.as_ptr()
    }

    /// Whether both are the same socket.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // SAFETY: By the invariant of both.
        unsafe { bindings::svcg_link_is_same(self.as_ptr(), other.as_ptr()) }
    }

    /// Whether it was taken with kTLS in both directions.
    pub(crate) fn is_secure(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_link_is_secure(self.as_ptr()) }
    }

    /// Between which addresses it is.
    pub(crate) fn flow(&self) -> Flow {
        let mut flow = Flow::default();
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_link_flow(self.as_ptr(), &mut flow) };
        flow
    }

    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: An open socket has a reference to its namespace.
        unsafe { Net::from_ptr(bindings::svcg_link_net(self.as_ptr())) }
    }

    /// Whether the namespace is kept by links only, of which it has so many.
    pub(crate) fn is_abandoned(&self, links: usize) -> bool {
        let links = c_uint::try_from(links).unwrap_or(c_uint::MAX);
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_link_is_abandoned(self.as_ptr(), links) }
    }

    /// Has its thread look what there is to do. Any context.
    pub(crate) fn kick(&self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_link_kick(self.as_ptr()) };
    }

    /// Before anything is sent.
    pub(crate) fn begin(&self, _waiter: &Waiter) {
        // SAFETY: By the invariant; nobody waits for the caller.
        unsafe { bindings::svcg_link_begin(self.as_ptr()) };
    }

    /// Waits until something has come, or for a kick, for so many nanoseconds at most.
    pub(crate) fn wait(&self, ns: u64, _waiter: &Waiter) {
        // SAFETY: By the invariant; the caller is the link's thread.
        unsafe { bindings::svcg_link_wait(self.as_ptr(), ns) };
    }

    /// Receives what has come, as far as it fits in: none if nothing has, `Some(0)` at the end. `EBADMSG`
    /// for a record of TLS that is no data.
    pub(crate) fn receive(&self, to: &mut [u8], _waiter: &Waiter) -> Result<Option<usize>> {
        let len = c_uint::try_from(to.len()).map_err(|_| EINVAL)?;
        // SAFETY: By the invariant, and `to` has so much room; the caller is the link's thread.
        moved(unsafe { bindings::svcg_link_receive(self.as_ptr(), to.as_mut_ptr().cast(), len) })
    }

    /// Sends what can be sent at once: none if that is nothing.
    pub(crate) fn send(&self, from: &[u8], _waiter: &Waiter) -> Result<Option<usize>> {
        let len = c_uint::try_from(from.len()).map_err(|_| EINVAL)?;
        // SAFETY: By the invariant, and `from` has so many bytes; nobody waits for the caller.
        moved(unsafe { bindings::svcg_link_send(self.as_ptr(), from.as_ptr().cast(), len) })
    }

    /// Ends the connection.
    pub(crate) fn shut(&self, _waiter: &Waiter) {
        // SAFETY: By the invariant; nobody waits for the caller.
        unsafe { bindings::svcg_link_shut(self.as_ptr()) };
    }
}

impl Drop for LinkSocket {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_link_put(self.as_ptr()) };
    }
}

/// What a call has moved, which tells 0, a number of bytes, or an error.
fn moved(got: c_int) -> Result<Option<usize>> {
    match usize::try_from(got) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => match Error::from_errno(got) {
            EAGAIN => Ok(None),
            error => Err(error),
        },
    }
}

/// Says that this is a link's thread, which may wait for the lock of the link's socket. A user may
/// hold that for ever; nobody waits for such a thread.
pub(crate) struct Waiter(NotThreadSafe);

impl Waiter {
    /// # Safety
    ///
    /// The caller is a link's thread, and holds no lock while this is there that anybody waits for.
    pub(in crate::sys) unsafe fn new() -> Self {
        Self(NotThreadSafe)
    }
}

/// Has a thread do what a link does, which owns this from then on. `ENOENT` if the module is being
/// loaded or unloaded; then it is given back. Process context.
pub(crate) fn start(thread: KBox<LinkThread>, peer: u32) -> Result<(), (Error, KBox<LinkThread>)> {
    let data = KBox::into_raw(thread);
    // SAFETY: `svcg_link_run()` is for such a box.
    match to_result(unsafe { bindings::svcg_link_start(data.cast(), peer) }) {
        Ok(()) => Ok(()),
        // SAFETY: It comes from above, and was not taken.
        Err(error) => Err((error, unsafe { KBox::from_raw(data) })),
    }
}
