// SPDX-License-Identifier: GPL-2.0

//! Sockets by their descriptors, and binding them. All of it process context.

use super::{
    bindings,
    listener::Sock, //
};
use crate::logic::request::Address;
use core::ptr::NonNull;
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*, //
};

/// `AF_INET`.
const AF_INET: u16 = 2;
/// `AF_INET6`.
const AF_INET6: u16 = 10;

/// A socket that a descriptor of the caller stood for. It stays open as long as this is there.
///
/// # Invariants
///
/// It owns a reference to the socket's file.
pub(crate) struct Socket(NonNull<bindings::socket>);

impl Socket {
    /// `EBADF` or `ENOTSOCK` if there is none.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: Any number will do.
        let socket = from_err_ptr(unsafe { bindings::sg_socket_from_fd(fd) })?;
        // INVARIANT: The reference was just taken.
        NonNull::new(socket).map(Self).ok_or(EBADF)
    }

    pub(crate) fn sock(&self) -> &Sock {
        // SAFETY: An open socket has a sock.
        unsafe { Sock::from_ptr(bindings::sg_socket_sock(self.0.as_ptr())) }
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
        unsafe { bindings::sg_sock_family(self.sock().as_ptr()) }
    }

    /// Binds it to the port, 0 for one that the kernel chooses, at the address, or else the
    /// wildcard. The errors are those of `bind()`; on an error nothing has changed.
    pub(crate) fn bind(
        &self,
        address: Option<&Address>,
        port: u16,
        reuseport: bool,
    ) -> Result<Before> {
        let mut raw = bindings::sg_address {
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
        let mut before = bindings::sg_unbound::default();
        // SAFETY: The socket is open, and both structures are there.
        to_result(unsafe {
            bindings::sg_socket_bind(self.0.as_ptr(), &raw, reuseport, &mut before)
        })?;
        Ok(Before(before))
    }

    /// Undoes [`Socket::bind`].
    pub(crate) fn unbind(&self, before: &Before) {
        // SAFETY: The socket is open.
        unsafe { bindings::sg_socket_unbind(self.0.as_ptr(), &before.0) };
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_socket_put(self.0.as_ptr()) };
    }
}

/// What a socket was before it was bound.
pub(crate) struct Before(bindings::sg_unbound);

/// The caller's effective user id, as the initial user namespace has it.
pub(crate) fn caller_uid() -> u32 {
    // SAFETY: There is always a caller.
    unsafe { bindings::sg_caller_uid() }
}

/// Whether something confines the caller that its calls of the option do not pass by.
pub(crate) fn caller_is_confined() -> bool {
    // SAFETY: There is always a caller.
    unsafe { bindings::sg_caller_is_confined() }
}
