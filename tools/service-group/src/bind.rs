// SPDX-License-Identifier: GPL-2.0
//! Binding the sockets of a group to one port, with `bind()`: that is what security modules are asked
//! about, and what needs no privilege.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    bind, getsockname, ipproto, socket_with, sockopt, AddressFamily, SocketFlags, SocketType,
};

use crate::error::Error;
use crate::request::{Entry, Options};
use crate::trial;

/// A socket as the kernel tells it.
struct Socket {
    family: AddressFamily,
    /// What it is bound to; a port of zero is none.
    bound: SocketAddr,
    /// The same for all of its descriptors, and no other socket's.
    cookie: u64,
}

/// As many sockets as a group takes.
const MOST: usize = 1024;

/// Binds the sockets that are not bound, all to one port.
///
/// Whatever is wrong with the entries, and what `bind()` has against one of them, is found before a
/// socket is bound. If it fails all the same, the sockets before that one stay bound.
pub(crate) fn bind_all(entries: &[Entry<'_>], options: Options) -> Result<(), Error> {
    if entries.len() > MOST {
        return Err(Error::TooManyEntries);
    }
    let sockets: Vec<Socket> = entries
        .iter()
        .map(|entry| look_at(entry.fd()))
        .collect::<Result<_, _>>()?;
    let cookies: HashSet<u64> = sockets.iter().map(|socket| socket.cookie).collect();
    if cookies.len() < sockets.len() {
        return Err(Error::Duplicate);
    }
    let mut port = check(entries, &sockets, options)?;
    if !options.binds() {
        return Ok(());
    }
    let shared = addresses_are_shared(entries);
    port = try_all(entries, &sockets, port, shared).map_err(refusal)?;
    for (entry, socket) in entries.iter().zip(&sockets) {
        if socket.bound.port() == 0 {
            let address = address_of(entry, socket.family, port);
            bind_one(entry.fd(), address, shared).map_err(refusal)?;
            port = look_at(entry.fd())?.bound.port();
        }
    }
    Ok(())
}

/// Makes TCP sockets, one for each of these addresses.
pub(crate) fn sockets(addresses: &[IpAddr]) -> Result<Vec<OwnedFd>, Error> {
    let make = |address: &IpAddr| {
        let family = match address {
            IpAddr::V4(_) => AddressFamily::INET,
            IpAddr::V6(_) => AddressFamily::INET6,
        };
        let tcp = Some(ipproto::TCP);
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, tcp)
    };
    let sockets: Result<Vec<OwnedFd>, Errno> = addresses.iter().map(make).collect();
    sockets.map_err(|errno| match errno {
        Errno::NOMEM | Errno::NOBUFS => Error::NoMemory,
        other => Error::Other(other.raw_os_error()),
    })
}

fn look_at(fd: BorrowedFd<'_>) -> Result<Socket, Error> {
    let family = sockopt::socket_domain(fd).map_err(|_| Error::NotSocket)?;
    let name = getsockname(fd).map_err(|_| Error::NotSocket)?;
    let bound = SocketAddr::try_from(name).map_err(|_| Error::NotTcp)?;
    let cookie = sockopt::socket_cookie(fd).map_err(|_| Error::NotSocket)?;
    Ok(Socket {
        family,
        bound,
        cookie,
    })
}

/// Checks that the entries are for their sockets, and tells the port to bind to; zero is for one that
/// the kernel chooses.
fn check(entries: &[Entry<'_>], sockets: &[Socket], options: Options) -> Result<u16, Error> {
    let mut bound = sockets.iter().map(|socket| socket.bound.port());
    let port = match options.wanted() {
        0 => bound.clone().find(|port| *port != 0).unwrap_or(0),
        wanted => wanted,
    };
    for (entry, socket) in entries.iter().zip(sockets) {
        let Some(address) = entry.address() else {
            continue;
        };
        if !options.binds() {
            return Err(Error::AddressWithoutPort);
        }
        if address.is_ipv4() != (socket.family == AddressFamily::INET) {
            return Err(Error::Family);
        }
        if socket.bound.port() != 0 && socket.bound.ip() != address {
            return Err(Error::OtherPort);
        }
    }
    if options.binds() && bound.any(|other| other != 0 && other != port) {
        return Err(Error::OtherPort);
    }
    Ok(port)
}

/// Whether sockets may have the same address, and so need SO_REUSEPORT: unless there is one entry only,
/// or each names an address that is no wildcard and no other entry's.
fn addresses_are_shared(entries: &[Entry<'_>]) -> bool {
    let alone = |(index, entry): (usize, &Entry<'_>)| {
        let others = || entries.iter().skip(index + 1);
        entry.address().is_some_and(|address| {
            !address.is_unspecified() && others().all(|other| other.place() != entry.place())
        })
    };
    entries.len() > 1 && !entries.iter().enumerate().all(alone)
}

/// Tries whether all that are to be bound can be; tells the port, which is the one that the kernel has
/// chosen if none was given.
fn try_all(
    entries: &[Entry<'_>],
    sockets: &[Socket],
    mut port: u16,
    shared: bool,
) -> Result<u16, Errno> {
    // All are kept until the last one: they may be in each other's way.
    let mut bound = Vec::new();
    for (entry, socket) in entries.iter().zip(sockets) {
        if socket.bound.port() != 0 {
            continue;
        }
        let Some(like) = trial::like(entry.fd(), socket.family) else {
            continue;
        };
        let address = address_of(entry, socket.family, port);
        match bind_one(like.as_fd(), address, shared) {
            Ok(()) => (),
            Err(errno @ (Errno::ADDRINUSE | Errno::ADDRNOTAVAIL)) => return Err(errno),
            // A security module may allow that socket what it does not allow one of this program.
            Err(_) => continue,
        }
        if let Ok(address) = SocketAddr::try_from(getsockname(&like)?) {
            port = address.port();
        }
        bound.push(like);
    }
    Ok(port)
}

/// What an entry's socket is to be bound to.
fn address_of(entry: &Entry<'_>, family: AddressFamily, port: u16) -> SocketAddr {
    match entry.address() {
        Some(IpAddr::V6(address)) => SocketAddrV6::new(address, port, 0, entry.scope()).into(),
        Some(address) => SocketAddr::new(address, port),
        None if family == AddressFamily::INET => SocketAddr::from(([0; 4], port)),
        None => SocketAddr::from(([0; 16], port)),
    }
}

/// Binds a socket, which is as it was when that fails.
fn bind_one(fd: BorrowedFd<'_>, address: SocketAddr, shared: bool) -> Result<(), Errno> {
    let before = sockopt::socket_reuseport(fd)?;
    if shared {
        sockopt::set_socket_reuseport(fd, true)?;
    }
    bind(fd, &address).inspect_err(|_| {
        // It is the program's; there is nothing more to be done if that fails.
        let _ = sockopt::set_socket_reuseport(fd, before);
    })
}

/// What `bind()` says, in the words of the option.
fn refusal(errno: Errno) -> Error {
    match errno {
        Errno::ADDRINUSE => Error::AddressInUse,
        Errno::ADDRNOTAVAIL => Error::AddressNotAvailable,
        Errno::ACCESS | Errno::PERM => Error::Confined,
        Errno::NOMEM | Errno::NOBUFS => Error::NoMemory,
        other => Error::Other(other.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    fn made(addresses: &[IpAddr]) -> Vec<OwnedFd> {
        sockets(addresses).expect("sockets")
    }

    fn at<'fd>(sockets: &'fd [OwnedFd], addresses: &[IpAddr]) -> Vec<Entry<'fd>> {
        let pairs = sockets.iter().zip(addresses);
        pairs.map(|(fd, address)| Entry::at(fd, *address)).collect()
    }

    fn bound(fd: &OwnedFd) -> SocketAddr {
        let name = getsockname(fd).expect("it is open");
        SocketAddr::try_from(name).expect("an internet socket")
    }

    fn shares(fd: &OwnedFd) -> bool {
        sockopt::socket_reuseport(fd).expect("it is open")
    }

    #[test]
    fn all_get_the_port_that_the_kernel_chooses() {
        for (addresses, shared) in [
            (vec![ONE, ONE, ONE], true),
            (vec![ONE, OTHER], false),
            (vec![ONE, OTHER, ONE], true),
            (vec![ONE], false),
            (vec![IpAddr::from([0; 4]), ONE], true),
        ] {
            let sockets = made(&addresses);
            assert_eq!(
                bind_all(&at(&sockets, &addresses), Options::port(0)),
                Ok(())
            );
            let port = bound(&sockets[0]).port();
            assert_ne!(port, 0);
            for (socket, address) in sockets.iter().zip(&addresses) {
                assert_eq!(bound(socket), SocketAddr::new(*address, port));
                assert_eq!(shares(socket), shared, "{addresses:?}");
            }
        }
    }

    #[test]
    fn the_wildcard_is_each_ones_own() {
        let sockets = made(&[ONE, IpAddr::from([0; 16])]);
        let entries: Vec<Entry<'_>> = sockets.iter().map(Entry::new).collect();
        assert_eq!(bind_all(&entries, Options::any_port()), Ok(()));
        let port = bound(&sockets[0]).port();
        assert_eq!(bound(&sockets[0]), SocketAddr::from(([0; 4], port)));
        assert_eq!(bound(&sockets[1]), SocketAddr::from(([0; 16], port)));
        assert!(shares(&sockets[0]) && shares(&sockets[1]));
    }

    #[test]
    fn what_is_bound_stays_and_gives_the_port() {
        let listener = TcpListener::bind((ONE, 0)).expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        let free = made(&[OTHER]);
        let entries = [Entry::at(&free[0], OTHER), Entry::at(&listener, ONE)];
        assert_eq!(
            bind_all(&entries, Options::default()),
            Err(Error::AddressWithoutPort)
        );
        let wrong = Options::port(address.port() ^ 1);
        assert_eq!(bind_all(&entries, wrong), Err(Error::OtherPort));
        let entries_elsewhere = [Entry::at(&free[0], OTHER), Entry::at(&listener, OTHER)];
        let refused = bind_all(&entries_elsewhere, Options::any_port());
        assert_eq!(refused, Err(Error::OtherPort));
        assert_eq!(bound(&free[0]).port(), 0);
        assert_eq!(bind_all(&entries, Options::any_port()), Ok(()));
        assert_eq!(bound(&free[0]), SocketAddr::new(OTHER, address.port()));
        assert_eq!(listener.local_addr().ok(), Some(address));
    }

    #[test]
    fn without_a_port_nothing_is_bound() {
        let sockets = made(&[ONE, ONE]);
        let entries: Vec<Entry<'_>> = sockets.iter().map(Entry::new).collect();
        assert_eq!(bind_all(&entries, Options::default()), Ok(()));
        assert!(sockets
            .iter()
            .all(|fd| bound(fd).port() == 0 && !shares(fd)));
    }

    #[test]
    fn wrong_entries_are_found_before_anything_is_bound() {
        let sockets = made(&[ONE, ONE]);
        let six = IpAddr::from([0; 16]);
        let entries = [Entry::at(&sockets[0], ONE), Entry::at(&sockets[1], six)];
        assert_eq!(bind_all(&entries, Options::port(0)), Err(Error::Family));
        let (stream, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let entries = [Entry::at(&sockets[0], ONE), Entry::new(&stream)];
        assert_eq!(bind_all(&entries, Options::port(0)), Err(Error::NotTcp));
        let file = std::fs::File::open("/").expect("there is one");
        let entries = [Entry::at(&sockets[0], ONE), Entry::new(&file)];
        assert_eq!(bind_all(&entries, Options::port(0)), Err(Error::NotSocket));
        assert_eq!(bound(&sockets[0]).port(), 0);
        assert!(!shares(&sockets[0]));
    }

    #[test]
    fn lists_that_are_wrong_as_a_whole_bind_nothing() {
        let sockets = made(&[ONE]);
        let same = sockets[0].try_clone().expect("a descriptor more");
        let twice = [Entry::at(&sockets[0], ONE), Entry::at(&same, ONE)];
        assert_eq!(bind_all(&twice, Options::port(0)), Err(Error::Duplicate));
        let many = vec![Entry::new(&sockets[0]); MOST + 1];
        let refused = bind_all(&many, Options::port(0));
        assert_eq!(refused, Err(Error::TooManyEntries));
        assert_eq!(bound(&sockets[0]).port(), 0);
        assert!(!shares(&sockets[0]));
    }

    /// None of these has changed.
    fn are_unbound(sockets: &[OwnedFd]) -> bool {
        sockets
            .iter()
            .all(|socket| bound(socket).port() == 0 && !shares(socket))
    }

    #[test]
    fn a_port_in_use_leaves_all_as_they_are() {
        let taken = TcpListener::bind((OTHER, 0)).expect("a listener");
        let port = taken.local_addr().expect("it is bound").port();
        let addresses = [ONE, OTHER, ONE];
        let sockets = made(&addresses);
        let entries = at(&sockets, &addresses);
        let refused = bind_all(&entries, Options::port(port));
        assert_eq!(refused, Err(Error::AddressInUse));
        assert!(are_unbound(&sockets));
        // Nor is anything left of what was tried: no SO_REUSEPORT here.
        assert!(TcpListener::bind((ONE, port)).is_ok());
    }

    #[test]
    fn so_does_an_address_of_another_machine() {
        let addresses = [ONE, IpAddr::from([192, 0, 2, 77])];
        let sockets = made(&addresses);
        for port in [0, 8099] {
            let refused = bind_all(&at(&sockets, &addresses), Options::port(port));
            assert_eq!(refused, Err(Error::AddressNotAvailable));
            assert!(are_unbound(&sockets));
        }
        // But not if the socket may have any.
        sockopt::set_ip_freebind(&sockets[1], true).expect("it is open");
        assert_eq!(
            bind_all(&at(&sockets, &addresses), Options::port(0)),
            Ok(())
        );
    }

    #[test]
    fn sockets_of_our_own_do_not_outlive_a_failure() {
        let taken = TcpListener::bind((OTHER, 0)).expect("a listener");
        let port = taken.local_addr().expect("it is bound").port();
        let refused = crate::form_at(&[ONE, ONE, OTHER], port);
        // Whether the kernel has the module or not.
        assert!(
            matches!(refused, Err(Error::AddressInUse | Error::NotLoaded)),
            "{refused:?}"
        );
        // No SO_REUSEPORT here: nobody may have it.
        assert!(TcpListener::bind((ONE, port)).is_ok());
    }

    #[test]
    fn a_foreign_address_and_a_privileged_port_are_told() {
        assert_eq!(refusal(Errno::PERM), Error::Confined);
        assert_eq!(refusal(Errno::INVAL), Error::Other(libc::EINVAL));
        let foreign = IpAddr::from([192, 0, 2, 77]);
        let sockets = made(&[foreign]);
        let refused = bind_all(&at(&sockets, &[foreign]), Options::port(0));
        assert_eq!(refused, Err(Error::AddressNotAvailable));
    }
}
