// SPDX-License-Identifier: GPL-2.0
//! What is asked for when a group is formed, and its bytes.
//!
//! ```text
//!  0      4       8       12     14         16
//!  | size | flags | count | port | reserved | entry 0 (32 bytes) | entry 1 | …
//!  entry: | fd i32 | family u16 | reserved u16 | scope u32 | reserved u32 | addr 16 |
//! ```
//! All in the machine's byte order but the port and the addresses. This crate binds sockets itself, and so
//! leaves the flags, the port and the addresses zero.

use std::net::{IpAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Size of the request's header, which the kernel knows as its version.
const HEADER_SIZE: u32 = 16;
/// Size of an entry.
const ENTRY_SIZE: usize = 32;

/// One socket of a group to be, and the address to bind it to.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'fd> {
    fd: BorrowedFd<'fd>,
    address: Option<IpAddr>,
    scope: u32,
}

impl<'fd> Entry<'fd> {
    /// A socket as it is: bound already, or to be bound to the wildcard.
    pub fn new(socket: &'fd impl AsFd) -> Self {
        Self {
            fd: socket.as_fd(),
            address: None,
            scope: 0,
        }
    }

    /// A socket that is bound to this address, or is to be.
    ///
    /// The address has the socket's own family. [`Options`] must ask for a
    /// port, else it is refused ([`Error::AddressWithoutPort`](crate::Error)).
    pub fn at(socket: &'fd impl AsFd, address: IpAddr) -> Self {
        Self {
            fd: socket.as_fd(),
            address: Some(address),
            scope: 0,
        }
    }

    /// A socket at a link-local IPv6 address: the address and the scope (an
    /// interface's index) are taken, the port is not.
    pub fn at_scoped(socket: &'fd impl AsFd, address: SocketAddrV6) -> Self {
        Self {
            fd: socket.as_fd(),
            address: Some(IpAddr::V6(*address.ip())),
            scope: address.scope_id(),
        }
    }

    /// The socket.
    pub(crate) fn fd(&self) -> BorrowedFd<'fd> {
        self.fd
    }

    /// The address that it is bound to, or is to be.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The index of a link-local address's interface, or zero.
    pub(crate) fn scope(&self) -> u32 {
        self.scope
    }

    /// The address as a whole, to be compared with others'.
    pub(crate) fn place(&self) -> (Option<IpAddr>, u32) {
        (self.address, self.scope)
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.fd.as_raw_fd().to_ne_bytes());
        // AF_UNSPEC and no address: the socket is bound, and stays as it is.
        bytes.extend([0; ENTRY_SIZE - 4]);
    }
}

/// What to do with the port of a group to be. The default binds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    port: u16,
    bind: bool,
}

impl Options {
    /// Every unbound socket is bound to this port; those that are bound must
    /// have it. Zero lets the kernel choose, as [`Options::any_port`] does.
    pub fn port(port: u16) -> Self {
        Self { port, bind: true }
    }

    /// The unbound sockets are bound to the port of the bound ones, or, when
    /// there are none, to one that the kernel chooses.
    pub fn any_port() -> Self {
        Self::port(0)
    }

    /// Whether unbound sockets are to be bound.
    pub(crate) fn binds(self) -> bool {
        self.bind
    }

    /// The port to bind to; zero is for any.
    pub(crate) fn wanted(self) -> u16 {
        self.port
    }
}

/// The option's value for a group of these sockets as they are.
pub(crate) fn encode(entries: &[Entry<'_>]) -> Vec<u8> {
    // A list that is too long for the field is refused by the kernel as well.
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(16 + ENTRY_SIZE * entries.len());
    bytes.extend(HEADER_SIZE.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count.to_ne_bytes());
    bytes.extend([0; 4]);
    for entry in entries {
        entry.encode(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn bytes_are_those_of_the_header() {
        let stream = std::io::stdin();
        let fd = stream.as_raw_fd().to_ne_bytes();
        let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 7);
        let entries = [Entry::new(&stream), Entry::at_scoped(&stream, v6)];
        let bytes = encode(&entries);
        assert_eq!(bytes.len(), 16 + 2 * 32);
        assert_eq!(bytes[..4], 16u32.to_ne_bytes());
        assert_eq!(bytes[8..12], 2u32.to_ne_bytes());
        assert_eq!((&bytes[16..20], &bytes[48..52]), (&fd[..], &fd[..]));
        // Neither a flag, nor a port, nor an address: the kernel binds nothing.
        for zeroes in [4..8, 12..16, 20..48, 52..80] {
            assert!(bytes[zeroes].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn port_zero_asks_to_bind() {
        assert_eq!(Options::port(0), Options::any_port());
        for (options, wanted) in [
            (Options::default(), (false, 0)),
            (Options::any_port(), (true, 0)),
            (Options::port(80), (true, 80)),
        ] {
            assert_eq!((options.binds(), options.wanted()), wanted);
        }
    }
}
