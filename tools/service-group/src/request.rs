// SPDX-License-Identifier: GPL-2.0
//! What is asked for when a group is formed, and its bytes.
//!
//! ```text
//!  0      4       8       12     14         16
//!  | size | flags | count | port | reserved | entry 0 (32 bytes) | entry 1 | …
//!  entry: | fd i32 | family u16 | reserved u16 | scope u32 | reserved u32 | addr 16 |
//! ```
//! All in the machine's byte order but the port and the addresses.

use std::net::{IpAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Size of the request's header, which the kernel knows as its version.
const HEADER_SIZE: u32 = 16;
/// Flag: bind the unbound sockets although the request names no port.
const BIND: u32 = 1;

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
    /// port, else the kernel refuses ([`Error::AddressWithoutPort`](crate::Error)).
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

    fn encode(&self, bytes: &mut Vec<u8>) {
        let mut octets = [0; 16];
        let family = match self.address {
            None => libc::AF_UNSPEC,
            Some(IpAddr::V4(address)) => {
                octets[..4].copy_from_slice(&address.octets());
                libc::AF_INET
            }
            Some(IpAddr::V6(address)) => {
                octets = address.octets();
                libc::AF_INET6
            }
        };
        bytes.extend(self.fd.as_raw_fd().to_ne_bytes());
        // An address family is a small number.
        bytes.extend(u16::try_from(family).unwrap_or(u16::MAX).to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.scope.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(octets);
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
        Self {
            port,
            bind: port == 0,
        }
    }

    /// The unbound sockets are bound to the port of the bound ones, or, when
    /// there are none, to one that the kernel chooses.
    pub fn any_port() -> Self {
        Self::port(0)
    }
}

/// The option's value for a group of these sockets.
pub(crate) fn encode(entries: &[Entry<'_>], options: Options) -> Vec<u8> {
    // A list that is too long for the field is refused by the kernel as well.
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let flags = if options.bind { BIND } else { 0 };
    let mut bytes = Vec::with_capacity(16 + 32 * entries.len());
    bytes.extend(HEADER_SIZE.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(count.to_ne_bytes());
    bytes.extend(options.port.to_be_bytes());
    bytes.extend([0; 2]);
    for entry in entries {
        entry.encode(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn bytes_are_those_of_the_header() {
        let stream = std::io::stdin();
        let fd = stream.as_raw_fd().to_ne_bytes();
        let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0, 7);
        let entries = [
            Entry::new(&stream),
            Entry::at(&stream, Ipv4Addr::new(10, 0, 0, 1).into()),
            Entry::at_scoped(&stream, v6),
        ];
        let bytes = encode(&entries, Options::port(80));
        assert_eq!(bytes.len(), 16 + 3 * 32);
        assert_eq!(bytes[..4], 16u32.to_ne_bytes());
        assert_eq!(bytes[4..8], [0; 4]);
        assert_eq!(bytes[8..12], 3u32.to_ne_bytes());
        assert_eq!(bytes[12..16], [0, 80, 0, 0]);
        assert_eq!(bytes[16..20], fd);
        assert_eq!(bytes[20..48], [0; 28]);
        assert_eq!(bytes[52..54], 2u16.to_ne_bytes());
        assert_eq!(bytes[64..68], [10, 0, 0, 1]);
        assert_eq!(bytes[68..80], [0; 12]);
        assert_eq!(bytes[84..86], 10u16.to_ne_bytes());
        assert_eq!(bytes[88..92], 7u32.to_ne_bytes());
        assert_eq!(bytes[96..], Ipv6Addr::LOCALHOST.octets());
    }

    #[test]
    fn port_zero_asks_to_bind() {
        assert_eq!(Options::port(0), Options::any_port());
        assert_eq!(encode(&[], Options::any_port())[4..8], 1u32.to_ne_bytes());
        assert_eq!(encode(&[], Options::default())[4..8], [0; 4]);
    }
}
