// SPDX-License-Identifier: GPL-2.0
//! Sockets that are thrown away, like those of a program in all that `bind()` asks of a socket: what
//! is bound cannot be unbound, so whether it can be is tried with these before.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::net::{ipproto, socket_with, AddressFamily, SocketFlags, SocketType};

use crate::sys;

/// Since Linux 6.3.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

/// What `bind()` asks of every TCP socket.
const OPTIONS: &[(libc::c_int, libc::c_int)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
    (libc::SOL_IP, libc::IP_FREEBIND),
    (libc::SOL_IP, libc::IP_TRANSPARENT),
    (libc::SOL_IP, IP_LOCAL_PORT_RANGE),
];

/// What it asks of one of IPv6, too.
const IPV6_OPTIONS: &[(libc::c_int, libc::c_int)] = &[(libc::SOL_IPV6, libc::IPV6_V6ONLY)];

/// A socket like this one, which is not bound; none if there can be none, as the program has too many
/// open, or the other one is of another user or has options that this program may not set.
pub(crate) fn like(fd: BorrowedFd<'_>, family: AddressFamily) -> Option<OwnedFd> {
    let tcp = Some(ipproto::TCP);
    let like = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, tcp).ok()?;
    // Of SO_REUSEPORT sockets at one address all are of one user.
    if owner(fd)? != owner(like.as_fd())? {
        return None;
    }
    let more = match family {
        AddressFamily::INET6 => IPV6_OPTIONS,
        _ => &[],
    };
    for (level, name) in OPTIONS.iter().chain(more) {
        match sys::copy(fd, like.as_fd(), *level, *name) {
            // An older kernel does not have it.
            Ok(()) | Err(libc::ENOPROTOOPT) => (),
            Err(_) => return None,
        }
    }
    Some(like)
}

/// The user that made a socket.
fn owner(fd: BorrowedFd<'_>) -> Option<u32> {
    let file = File::from(fd.try_clone_to_owned().ok()?);
    file.metadata().ok().map(|metadata| metadata.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt;

    #[test]
    fn it_has_the_options_of_the_other_one() {
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            let tcp = Some(ipproto::TCP);
            let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, tcp);
            let fd = fd.expect("a socket");
            for value in [true, false] {
                sockopt::set_socket_reuseport(&fd, value).expect("it is open");
                sockopt::set_socket_reuseaddr(&fd, !value).expect("it is open");
                sockopt::set_ip_freebind(&fd, value).expect("it is open");
                if family == AddressFamily::INET6 {
                    sockopt::set_ipv6_v6only(&fd, value).expect("it is open");
                }
                let like = like(fd.as_fd(), family).expect("one like it");
                assert_eq!(sockopt::socket_reuseport(&like), Ok(value));
                assert_eq!(sockopt::socket_reuseaddr(&like), Ok(!value));
                assert_eq!(sockopt::ip_freebind(&like), Ok(value));
                if family == AddressFamily::INET6 {
                    assert_eq!(sockopt::ipv6_v6only(&like), Ok(value));
                }
            }
        }
    }
}
