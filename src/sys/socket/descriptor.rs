// SPDX-License-Identifier: GPL-2.0

//! Sockets by their descriptors, and binding them. All of it process context.

use crate::{
    logic::request::Address,
    sys::{
        bindings,
        core::clock::Deadline,
        socket::listener::{AnySock, Kind, Sock}, //
    },
};
use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*, //
};

/// `AF_INET`.
const AF_INET: u16 = 2;
/// `AF_INET6`.
const AF_INET6: u16 = 10;

/// A socket of whatever kind that a descriptor stood for. It stays open as long as this is there.
///
/// # Invariants
///
/// It owns a reference to the socket's file.
pub(crate) struct Descriptor(NonNull<bindings::socket>);

impl Descriptor {
    /// `EBADF` or `ENOTSOCK` if there is none.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: Any number will do.
        let socket = from_err_ptr(unsafe { bindings::svcg_socket_from_fd(fd) })?;
        // INVARIANT: The reference was just taken.
        NonNull::new(socket).map(Self).ok_or(EBADF)
    }

    fn sock(&self) -> &AnySock {
        // SAFETY: An open socket has a sock.
        unsafe { AnySock::from_ptr(bindings::svcg_socket_sock(self.0.as_ptr())) }
    }

    /// It as a TCP socket, or what else it is.
    pub(crate) fn tcp(self) -> Result<Socket, Kind> {
        self.sock().tcp()?;
        // INVARIANT: It is one, and does not become another one.
        Ok(Socket(self))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_socket_put(self.0.as_ptr()) };
    }
}

/// A TCP socket that stays open as long as this is there.
///
/// # Invariants
///
/// It is one.
pub(crate) struct Socket(Descriptor);

impl Socket {
    /// `None` for NULL.
    ///
    /// # Safety
    ///
    /// Else it is a TCP socket, and comes with a reference to its file.
    pub(in crate::sys) unsafe fn from_ptr(ptr: *mut bindings::socket) -> Option<Self> {
        // INVARIANT: By the requirement.
        NonNull::new(ptr).map(Descriptor).map(Self)
    }

    fn as_ptr(&self) -> *mut bindings::socket {
        self.0 .0.as_ptr()
    }

    pub(crate) fn sock(&self) -> &Sock {
        // SAFETY: An open socket has a sock; and by the invariant.
        unsafe { Sock::from_ptr(bindings::svcg_socket_sock(self.as_ptr())) }
    }

    /// Whether an address of this kind is one for this socket.
    pub(crate) fn fits(&self, address: &Address) -> bool {
        let family = match address {
            Address::Ipv4(_) => AF_INET,
            Address::Ipv6(..) => AF_INET6,
        };
        self.family() == family
    }

    fn family(&self) -> u16 {
        // SAFETY: The socket is open.
        unsafe { bindings::svcg_sock_family(self.sock().as_ptr()) }
    }

    /// Binds it to the port, 0 for one that the kernel chooses, at the address, or else the
    /// wildcard. The errors are those of `bind()`, and `EBUSY` if somebody has it locked until the
    /// deadline; on an error nothing has changed.
    pub(crate) fn bind(
        &self,
        address: Option<&Address>,
        port: u16,
        reuseport: bool,
        deadline: &Deadline,
    ) -> Result<SavedBind> {
        let mut raw = bindings::svcg_address {
            family: self.family(),
            port,
            ..Default::default()
        };
        match address {
            Some(Address::Ipv4(addr)) => {
                for (to, from) in raw.address.iter_mut().zip(addr) {
                    *to = *from;
                }
            }
            Some(Address::Ipv6(addr, scope_id)) => {
                raw.address = *addr;
                raw.scope_id = *scope_id;
            }
            None => (),
        }
        let mut before = bindings::svcg_saved_bind::default();
        // SAFETY: The socket is open, and both structures are there.
        to_result(unsafe {
            bindings::svcg_socket_bind(self.as_ptr(), &raw, reuseport, deadline.ns(), &mut before)
        })?;
        Ok(SavedBind(before))
    }

    /// Undoes [`Socket::bind`], unless somebody has it locked until the deadline.
    pub(crate) fn unbind(&self, before: &SavedBind, deadline: &Deadline) {
        // SAFETY: The socket is open.
        unsafe { bindings::svcg_socket_unbind(self.as_ptr(), &before.0, deadline.ns()) };
    }
}

/// What a socket was before it was bound.
pub(crate) struct SavedBind(bindings::svcg_saved_bind);
