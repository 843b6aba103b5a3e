// SPDX-License-Identifier: GPL-2.0
//! The listening TCP sockets of this network namespace, through sock_diag.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use service_group::netlink::{Channel, Error};

use crate::Failure;

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Length of `struct inet_diag_msg`.
const ANSWER: usize = 72;
const ENOENT: i32 = 2;

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its inode number, as `/proc/PID/fd` tells it.
    pub inode: u64,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The user that made it.
    pub uid: u32,
}

/// The listeners of this port, IPv4 and IPv6.
pub fn of_port(port: u16) -> Result<Vec<Listener>, Failure> {
    let mut channel = Channel::open(NETLINK_SOCK_DIAG)?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let messages = match channel.dump(SOCK_DIAG_BY_FAMILY, &request(family, port)) {
            Err(Error::Refused(ENOENT)) => {
                return Err(Failure::new(
                    "the kernel cannot list TCP sockets: load that with \"modprobe tcp_diag\"",
                ))
            }
            answer => answer?,
        };
        let listeners = messages.iter().filter_map(|message| read(&message.payload));
        found.extend(listeners.filter(|listener| listener.address.port() == port));
    }
    found.sort_by_key(|listener| (listener.address, listener.inode));
    found.dedup_by_key(|listener| listener.inode);
    Ok(found)
}

/// Asks for the listeners of a family, and of a port where the kernel filters.
fn request(family: u8, port: u16) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let states = 1u32 << TCP_LISTEN;
    bytes[0] = family;
    bytes[1] = IPPROTO_TCP;
    bytes[4..8].copy_from_slice(&states.to_ne_bytes());
    bytes[8..10].copy_from_slice(&port.to_be_bytes());
    bytes
}

/// A listener, from the struct that the kernel answers with.
fn read(bytes: &[u8]) -> Option<Listener> {
    let bytes: &[u8; ANSWER] = bytes.first_chunk()?;
    let word = |at: usize| {
        let [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        u32::from_ne_bytes([a, b, c, d])
    };
    let (family, state) = (bytes[0], bytes[1]);
    let address: IpAddr = match family {
        AF_INET => Ipv4Addr::new(bytes[8], bytes[9], bytes[10], bytes[11]).into(),
        AF_INET6 => Ipv6Addr::from(*bytes[8..].first_chunk::<16>()?).into(),
        _ => return None,
    };
    let port = u16::from_be_bytes([bytes[4], bytes[5]]);
    (state == TCP_LISTEN).then_some(Listener {
        inode: word(68).into(),
        address: SocketAddr::new(address, port),
        uid: word(64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_is_read() {
        let mut bytes = [0; ANSWER];
        bytes[0] = AF_INET;
        bytes[1] = TCP_LISTEN;
        bytes[4..6].copy_from_slice(&80u16.to_be_bytes());
        bytes[8..12].copy_from_slice(&[10, 0, 0, 1]);
        bytes[64..68].copy_from_slice(&33u32.to_ne_bytes());
        bytes[68..72].copy_from_slice(&4711u32.to_ne_bytes());
        let listener = read(&bytes).expect("it is one");
        assert_eq!(listener.address.to_string(), "10.0.0.1:80");
        assert_eq!((listener.inode, listener.uid), (4711, 33));
        assert_eq!(read(&bytes[..71]), None);
        bytes[1] = 1;
        assert_eq!(read(&bytes), None);
    }

    #[test]
    fn the_kernel_lists_our_own() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        // A confined machine may have no sock_diag; there is nothing to see then.
        if let Ok(found) = of_port(address.port()) {
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].address, address);
        }
    }
}
