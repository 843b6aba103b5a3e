// SPDX-License-Identifier: GPL-2.0
//! The listening sockets that `run` makes, and what is wrong with an address.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    bind, getsockname, ipproto, listen, socket_with, sockopt, AddressFamily, SocketFlags,
    SocketType,
};

use crate::Failure;

/// Reads ADDR:PORT.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "give an address and a port, such as 0.0.0.0:80, 127.0.0.1:8080 or [::]:80".to_owned()
    })
}

/// The sockets of all workers at one address, each of them listening.
#[derive(Debug)]
pub struct Listeners {
    /// The address, with the port that they have.
    pub address: SocketAddr,
    /// One socket a worker.
    pub sockets: Vec<OwnedFd>,
}

/// Makes `workers` listening sockets at each address.
pub fn make(
    addresses: &[SocketAddr],
    workers: usize,
    backlog: u16,
) -> Result<Vec<Listeners>, Failure> {
    let mut all = Vec::new();
    for &address in addresses {
        let only_ipv6 = address.is_ipv6()
            && addresses
                .iter()
                .any(|other| other.is_ipv4() && other.port() == address.port());
        let mut address = address;
        let mut sockets = Vec::new();
        for _ in 0..workers {
            let socket = open(address, only_ipv6, backlog)
                .map_err(|error| Failure::new(refusal(address, error)))?;
            if address.port() == 0 {
                address = bound(&socket)?;
            }
            sockets.push(socket);
        }
        all.push(Listeners { address, sockets });
    }
    Ok(all)
}

fn open(address: SocketAddr, only_ipv6: bool, backlog: u16) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let tcp = Some(ipproto::TCP);
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, tcp)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only_ipv6)?;
    }
    bind(&socket, &address)?;
    listen(&socket, i32::from(backlog))?;
    Ok(socket)
}

/// What a socket is bound to.
fn bound(socket: &impl AsFd) -> Result<SocketAddr, Failure> {
    let address = getsockname(socket).ok();
    address
        .and_then(|address| SocketAddr::try_from(address).ok())
        .ok_or_else(|| Failure::new("the kernel does not tell the address of a new socket"))
}

/// Why an address cannot be listened on, and what to do.
pub fn refusal(address: SocketAddr, error: Errno) -> String {
    let remedy = match error {
        Errno::ADDRINUSE => "stop the program that listens there, see \"ss -ltnp\"",
        Errno::ADDRNOTAVAIL => "use an address of this machine, see \"ip address\"",
        Errno::ACCESS => "use a port from 1024 on, or run as root",
        Errno::AFNOSUPPORT => "this machine has no IPv6; use an IPv4 address",
        Errno::MFILE => "raise the limit of open files, see \"ulimit -n\"",
        _ => "see --listen",
    };
    format!("{address} cannot be listened on ({error}): {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for good in ["0.0.0.0:80", "127.0.0.1:0", "[::]:80", "[fe80::1%2]:443"] {
            assert_eq!(parse(good).map(|a| a.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "80",
            ":80",
            "::80",
            "0.0.0.0",
            "0.0.0.0:65536",
            "localhost:80",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn workers_share_a_port_that_the_kernel_chooses() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let all = make(&[any, any], 3, 16).expect("they can be made");
        for listeners in &all {
            assert_ne!(listeners.address.port(), 0);
            assert_eq!(listeners.sockets.len(), 3);
            for socket in &listeners.sockets {
                assert_eq!(bound(socket), Ok(listeners.address));
            }
        }
        assert_ne!(all[0].address, all[1].address);
    }

    #[test]
    fn a_taken_port_is_a_sentence() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = taken.local_addr().expect("it is bound");
        let failure = make(&[address], 1, 1).expect_err("it is taken").to_string();
        assert!(failure.contains("stop the program"), "{failure}");
    }
}
