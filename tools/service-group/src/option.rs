// SPDX-License-Identifier: GPL-2.0
//! The socket option: forming, joining, leaving and asking.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::bind::{bind_all, sockets};
use crate::error::Error;
use crate::request::{encode, Entry, Options};
use crate::sys;

/// Size of the struct that the kernel fills.
const INFO_SIZE: usize = 88;
/// Flag of leaving: move the waiting connections to siblings.
const DRAIN: u32 = 1;
/// Protocol number of MPTCP.
const IPPROTO_MPTCP: u32 = 262;

/// Forms a group of these sockets and tells its id.
///
/// The sockets may be unbound, bound or listening, of either family. With a
/// port in the options those that are not bound yet are bound to it before, with
/// `bind()`; they get `SO_REUSEPORT`, unless each entry names an address that is no
/// wildcard and no other entry's:
///
/// ```no_run
/// use rustix::net::{listen, socket, AddressFamily, SocketType};
/// use service_group::{form, Entry, Options};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let first = socket(AddressFamily::INET, SocketType::STREAM, None)?;
/// let second = socket(AddressFamily::INET6, SocketType::STREAM, None)?;
/// let group = form(
///     &[Entry::new(&first), Entry::at(&second, "::1".parse()?)],
///     Options::port(8080),
/// )?;
/// listen(&first, 64)?;
/// listen(&second, 64)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// On any [`Error`] there is no group. That a socket is no TCP socket or is in a group,
/// what is wrong with the entries, and what `bind()` would say to each of them – the port
/// is in use, or is not for this program – is found before a socket is bound: it is tried
/// with sockets like them, which are closed again. Nothing unbinds a socket but closing it.
/// So some may be bound that were not, with `SO_REUSEPORT`, when another program takes the
/// port in that moment, when the kernel then refuses the group, or when that could not be
/// tried: a socket was made by another user, or has options that this program may not set.
/// Drop them all then, or leave the sockets to [`form_at`].
pub fn form(entries: &[Entry<'_>], options: Options) -> Result<u32, Error> {
    let Some(first) = entries.first() else {
        return Err(Error::Empty);
    };
    if options.binds() {
        entries
            .iter()
            .try_for_each(|entry| check_free(entry.fd()))?;
    }
    bind_all(entries, options)?;
    sys::set(first.fd(), sys::SO_SERVICE_GROUP, &encode(entries))
        .map_err(|errno| refine(first.fd(), errno))?;
    info(&first.fd()).map(|info| info.id)
}

/// Checks that a socket can be a member of a group, and is of none: that the module is
/// there and knows the socket.
fn check_free(fd: BorrowedFd<'_>) -> Result<(), Error> {
    match info(&fd) {
        Ok(_) => Err(Error::AlreadyGrouped),
        Err(Error::NotMember) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a socket for each of these addresses, binds them all to the port, zero for
/// one that the kernel chooses, and forms a group of them; tells its id. The sockets
/// do not listen yet, and are closed by `exec`. Addresses may be the same.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let address = "127.0.0.1".parse()?;
/// let (group, sockets) = service_group::form_at(&[address, address], 8080)?;
/// for socket in &sockets {
///     rustix::net::listen(socket, 64)?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`form`]. No socket is left then, so nothing is bound.
pub fn form_at(addresses: &[IpAddr], port: u16) -> Result<(u32, Vec<OwnedFd>), Error> {
    let sockets = sockets(addresses)?;
    let places = sockets.iter().zip(addresses);
    let entries: Vec<Entry<'_>> = places
        .map(|(socket, address)| Entry::at(socket, *address))
        .collect();
    let group = form(&entries, Options::port(port))?;
    Ok((group, sockets))
}

/// Joins a socket to the group with this id.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let late = std::net::TcpListener::bind("127.0.0.3:8080")?;
/// service_group::join(&late, 1)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Any of those that [`Calls::join`](crate::Calls) is set for.
pub fn join(socket: &impl AsFd, group: u32) -> Result<(), Error> {
    let fd = socket.as_fd();
    sys::set(fd, sys::SO_SERVICE_GROUP, &group.to_ne_bytes()).map_err(|errno| refine(fd, errno))
}

/// Takes a socket out of its group; with `drain` the connections that wait in
/// its queue, and its half-open requests, move to siblings that have room.
///
/// # Errors
///
/// [`Error::NotMember`] when it is in none, and those that
/// [`Calls::leave`](crate::Calls) is set for.
pub fn leave(socket: &impl AsFd, drain: bool) -> Result<(), Error> {
    let fd = socket.as_fd();
    let flags = if drain { DRAIN } else { 0 };
    sys::set(fd, sys::SO_SERVICE_GROUP_LEAVE, &flags.to_ne_bytes())
        .map_err(|errno| refine(fd, errno))
}

/// Reads a socket's group and how this member of it is.
///
/// # Errors
///
/// [`Error::NotMember`] when it is in none, and those that
/// [`Calls::get`](crate::Calls) is set for.
pub fn info(socket: &impl AsFd) -> Result<Info, Error> {
    let fd = socket.as_fd();
    let mut bytes = [0; INFO_SIZE];
    sys::get(fd, sys::SO_SERVICE_GROUP, &mut bytes).map_err(|errno| refine(fd, errno))?;
    Ok(Info::decode(&bytes))
}

/// An MPTCP socket, and one that is no internet socket at all, answer an option
/// they do not know themselves, with an errno that means something else here.
pub(crate) fn refine(fd: BorrowedFd<'_>, errno: i32) -> Error {
    if matches!(errno, libc::EOPNOTSUPP | libc::ENOPROTOOPT) {
        let protocol = rustix::net::sockopt::socket_protocol(fd).ok().flatten();
        if protocol.is_some_and(|protocol| protocol.as_raw().get() == IPPROTO_MPTCP) {
            return Error::Mptcp;
        }
        use rustix::net::AddressFamily;
        let family = rustix::net::sockopt::socket_domain(fd);
        if family.is_ok_and(|family| !matches!(family, AddressFamily::INET | AddressFamily::INET6))
        {
            return Error::NotTcp;
        }
    }
    Error::from_errno(errno)
}

/// What a member's socket is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberState {
    /// Closed and not bound to a port.
    Unbound,
    /// Bound to a port, not listening.
    Bound,
    /// Listening; takes connections for its siblings.
    Listening,
    /// Neither closed nor listening.
    Connected,
    /// Listening, and takes connections for its siblings, but its own are not
    /// redirected, as something else replaced its operations.
    Unhooked,
    /// Listening, but has accepted nothing for the group's stall time while
    /// connections waited; given connections only when no other has room.
    Stalled,
    /// Going; its connections move to its siblings.
    Leaving,
    /// One that this version of the crate does not know.
    Unknown(u32),
}

impl MemberState {
    /// The state of this number in the kernel's enum.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Unbound,
            1 => Self::Bound,
            2 => Self::Listening,
            3 => Self::Connected,
            4 => Self::Unhooked,
            5 => Self::Stalled,
            6 => Self::Leaving,
            other => Self::Unknown(other),
        }
    }

    /// Its number in the kernel's enum.
    pub fn number(self) -> u32 {
        match self {
            Self::Unbound => 0,
            Self::Bound => 1,
            Self::Listening => 2,
            Self::Connected => 3,
            Self::Unhooked => 4,
            Self::Stalled => 5,
            Self::Leaving => 6,
            Self::Unknown(number) => number,
        }
    }

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unbound => "unbound",
            Self::Bound => "bound",
            Self::Listening => "listening",
            Self::Connected => "connected",
            Self::Unhooked => "unhooked",
            Self::Stalled => "stalled",
            Self::Leaving => "leaving",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl std::fmt::Display for MemberState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A socket's group, and how this member of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The group's id, unique in the network namespace while the group lives.
    pub id: u32,
    /// Number of members.
    pub members: u32,
    /// What this member's socket is doing.
    pub state: MemberState,
    /// Connections in its accept queue.
    pub queued: u32,
    /// Requests that wait for the last packet of their handshake.
    pub half_open: u32,
    /// What `listen` asked for; the accept queue takes one more.
    pub backlog: u32,
    /// SYNs that it took as the listener that the lookup found.
    pub home: u64,
    /// SYNs that it took for a sibling that was full.
    pub redirected_in: u64,
    /// SYNs of its own that a sibling took.
    pub redirected_out: u64,
    /// SYNs of its own that were dropped or reset, as no member had room.
    pub dropped: u64,
    /// Complete connections that it took over from a sibling.
    pub rescued_in: u64,
    /// Complete connections that a sibling took over from it.
    pub rescued_out: u64,
    /// Connections that the program accepted.
    pub accepted: u64,
}

impl Info {
    /// The kernel's struct; what an older module did not write is zero.
    fn decode(bytes: &[u8; INFO_SIZE]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(array(&bytes[at..]));
        let wide = |at: usize| u64::from_ne_bytes(array(&bytes[at..]));
        Self {
            id: word(4),
            members: word(8),
            state: MemberState::from_number(word(12)),
            queued: word(16),
            half_open: word(20),
            backlog: word(24),
            home: wide(32),
            redirected_in: wide(40),
            redirected_out: wide(48),
            dropped: wide(56),
            rescued_in: wide(64),
            rescued_out: wide(72),
            accepted: wide(80),
        }
    }
}

/// The first bytes of a slice; zero where it is too short.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn info_is_read_field_by_field() {
        let mut bytes = [0; INFO_SIZE];
        for (at, value) in [
            (0, 88u32),
            (4, 1),
            (8, 2),
            (12, 2),
            (16, 4),
            (20, 5),
            (24, 6),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in (32..INFO_SIZE).step_by(8).zip(7u64..) {
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        let info = Info::decode(&bytes);
        assert_eq!(
            (info.id, info.members, info.state),
            (1, 2, MemberState::Listening)
        );
        assert_eq!((info.queued, info.half_open, info.backlog), (4, 5, 6));
        assert_eq!(
            (info.home, info.redirected_in, info.redirected_out),
            (7, 8, 9)
        );
        assert_eq!(
            (info.dropped, info.rescued_in, info.rescued_out),
            (10, 11, 12)
        );
        assert_eq!(info.accepted, 13);
    }

    #[test]
    fn states_keep_their_numbers() {
        for (number, name) in [
            "unbound",
            "bound",
            "listening",
            "connected",
            "unhooked",
            "stalled",
            "leaving",
            "unknown",
        ]
        .iter()
        .enumerate()
        {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            assert_eq!(MemberState::from_number(number).name(), *name);
            assert_eq!(MemberState::from_number(number).number(), number);
        }
    }

    #[test]
    fn an_empty_list_is_refused_before_the_kernel_is_asked() {
        assert_eq!(form(&[], Options::default()), Err(Error::Empty));
    }

    #[test]
    fn another_family_is_told_apart_from_an_unknown_flag() {
        let (one, _other) = match std::os::unix::net::UnixStream::pair() {
            Ok(pair) => pair,
            Err(error) => panic!("no socket pair: {error}"),
        };
        assert_eq!(join(&one, 1), Err(Error::NotTcp));
    }

    #[test]
    fn a_socket_without_group_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let error = info(&listener).expect_err("it has no group");
        assert!(
            matches!(error, Error::NotLoaded | Error::NotMember),
            "{error}"
        );
    }
}
