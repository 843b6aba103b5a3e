// SPDX-License-Identifier: GPL-2.0
//! The listening TCP sockets of this network namespace, through sock_diag.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use service_group::netlink::{Channel, Error};

use crate::{devices, Failure};

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;
/// What has a port, and neither listens nor is connected; kernels before 6.8 do not list it.
const TCP_BOUND_INACTIVE: u8 = 13;
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
    /// The index of the device that it is bound to, 0 for none.
    pub device: u32,
    /// The user that made it.
    pub uid: u32,
}

/// The listeners of this port, IPv4 and IPv6.
pub fn of_port(port: u16) -> Result<Vec<Listener>, Failure> {
    let mut found = sockets(&[TCP_LISTEN], port).map_err(|error| match error {
        Error::Refused(ENOENT) => {
            Failure::new("the kernel cannot list TCP sockets: load that with \"modprobe tcp_diag\"")
        }
        error => error.into(),
    })?;
    found.retain(|listener| listener.address.port() == port);
    found.sort_by_key(|listener| (listener.address, listener.inode));
    found.dedup_by_key(|listener| listener.inode);
    Ok(found)
}

/// The names of the devices that sockets which listen, or are bound to a port, are bound to, by inode.
/// What is bound to none is left out, and so is everything where the kernel cannot tell.
pub fn bound_to_devices() -> HashMap<u64, String> {
    let found = sockets(&[TCP_LISTEN, TCP_BOUND_INACTIVE], 0).unwrap_or_default();
    let bound = found.iter().filter(|socket| socket.device != 0);
    let mut names = HashMap::new();
    bound
        .map(|socket| {
            let name = names.entry(socket.device);
            let name = name.or_insert_with(|| devices::name(socket.device));
            (socket.inode, name.clone())
        })
        .collect()
}

/// The sockets in these states, of both families; of one port, if it is not 0 and where the kernel
/// filters.
fn sockets(states: &[u8], port: u16) -> Result<Vec<Listener>, Error> {
    let mut channel = Channel::open(NETLINK_SOCK_DIAG)?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let messages = channel.dump(SOCK_DIAG_BY_FAMILY, &request(family, states, port))?;
        let sockets = messages.iter().filter_map(|message| read(&message.payload));
        found.extend(sockets);
    }
    Ok(found)
}

/// Asks for the sockets of a family in these states.
fn request(family: u8, states: &[u8], port: u16) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let states = states.iter().fold(0u32, |all, state| all | (1 << state));
    bytes[0] = family;
    bytes[1] = IPPROTO_TCP;
    bytes[4..8].copy_from_slice(&states.to_ne_bytes());
    bytes[8..10].copy_from_slice(&port.to_be_bytes());
    bytes
}

/// A socket, from the struct that the kernel answers with.
fn read(bytes: &[u8]) -> Option<Listener> {
    let bytes: &[u8; ANSWER] = bytes.first_chunk()?;
    let word = |at: usize| {
        let [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        u32::from_ne_bytes([a, b, c, d])
    };
    let address: IpAddr = match bytes[0] {
        AF_INET => Ipv4Addr::new(bytes[8], bytes[9], bytes[10], bytes[11]).into(),
        AF_INET6 => Ipv6Addr::from(*bytes[8..].first_chunk::<16>()?).into(),
        _ => return None,
    };
    let port = u16::from_be_bytes([bytes[4], bytes[5]]);
    Some(Listener {
        inode: word(68).into(),
        address: SocketAddr::new(address, port),
        device: word(40),
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
        bytes[40..44].copy_from_slice(&7u32.to_ne_bytes());
        bytes[64..68].copy_from_slice(&33u32.to_ne_bytes());
        bytes[68..72].copy_from_slice(&4711u32.to_ne_bytes());
        let listener = read(&bytes).expect("it is one");
        assert_eq!(listener.address.to_string(), "10.0.0.1:80");
        assert_eq!((listener.inode, listener.uid), (4711, 33));
        assert_eq!(listener.device, 7);
        assert_eq!(read(&bytes[..71]), None);
        bytes[0] = 1;
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
            assert_eq!(found[0].device, 0);
            assert_eq!(bound_to_devices().get(&found[0].inode), None);
        }
    }
}
