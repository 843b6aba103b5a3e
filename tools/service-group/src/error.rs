// SPDX-License-Identifier: GPL-2.0
//! What the option refuses, why, and what to do: one table.
//!
//! The kernel's list is at the end of `linux/service_group.h`; a test compares
//! the two.

use std::{fmt, io};

/// Which calls an error may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Forming a group.
    pub form: bool,
    /// Joining one by its id.
    pub join: bool,
    /// Leaving it.
    pub leave: bool,
    /// Reading or changing its settings.
    pub settings: bool,
    /// Reading it.
    pub get: bool,
}

/// One line of the table of errors.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The error.
    pub error: Error,
    /// Its number.
    pub errno: i32,
    /// Its name, such as `EPERM`.
    pub name: &'static str,
    /// The calls that it may come from.
    pub calls: Calls,
    /// What was wrong.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Makes the enum and its table from one list.
macro_rules! errors {
    ($($variant:ident $errno:ident [$($call:ident)*] $what:literal, $remedy:literal;)*) => {
        /// Why a call was refused. Each has one meaning and one errno.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Error {
            $(
                #[doc = concat!("`", stringify!($errno), "`: ", $what, "; ", $remedy, ".")]
                $variant,
            )*
            /// An errno that the option does not document.
            Other(i32),
        }

        /// In the order in which the kernel looks for them.
        const TABLE: &[Row] = &[$(Row {
            error: Error::$variant,
            errno: libc::$errno,
            name: stringify!($errno),
            calls: calls(&[$(stringify!($call)),*]),
            what: $what,
            remedy: $remedy,
        }),*];
    };
}

/// The letters of one line: F form, J join, L leave, S settings, G get.
const fn calls(letters: &[&str]) -> Calls {
    let mut calls = Calls {
        form: false,
        join: false,
        leave: false,
        settings: false,
        get: false,
    };
    let mut at = 0;
    while at < letters.len() {
        match letters[at].as_bytes() {
            b"F" => calls.form = true,
            b"J" => calls.join = true,
            b"L" => calls.leave = true,
            b"S" => calls.settings = true,
            _ => calls.get = true,
        }
        at += 1;
    }
    calls
}

errors! {
    NotLoaded ENOPROTOOPT [F J L S G]
        "the kernel does not know the option",
        "load the module with \"modprobe service_group\"";
    Memory EFAULT [F J L S G]
        "the memory of the request cannot be read or written",
        "pass a valid pointer and length";
    BadSize EINVAL [F L S G]
        "the option has the wrong size",
        "make its length that of the request and its entries, or 4";
    NewerProgram E2BIG [F S]
        "the request uses a field that the module does not know",
        "load the module that belongs to this program";
    UnknownFlag EOPNOTSUPP [F L S]
        "the request has a flag that the module does not know, or a group is to adopt, and the kernel has no tracepoints",
        "load the module that belongs to this program, or do without adopting";
    NotZero EBADMSG [F S]
        "a reserved field, a byte of an address that must be, or a setting that is not to be changed is not zero",
        "clear the whole request before filling it in";
    OutOfRange EDOM [S]
        "a setting is out of its range",
        "use a policy and an action that the module knows, a stall time of at most 60 s, an adopt time of at most 24 h, and a weight from 1 to 65535";
    Empty ENODATA [F]
        "the list of sockets is empty",
        "list at least one socket";
    TooManyEntries ETOOMANYREFS [F]
        "the list has more sockets than a group takes",
        "list at most 1024";
    Family EAFNOSUPPORT [F]
        "the family of an entry's address is not its socket's",
        "give an IPv4 address to an IPv4 socket and an IPv6 one to an IPv6 socket";
    AddressWithoutPort EDESTADDRREQ [F]
        "an entry has an address, but the request has no port",
        "give a port, or ask for any";
    BadDescriptor EBADF [F]
        "a descriptor is not open",
        "keep the sockets open until the call has returned";
    NotSocket ENOTSOCK [F]
        "a descriptor is not a socket",
        "list TCP sockets only";
    NotTcp EPROTONOSUPPORT [F J L S G]
        "the socket is not a TCP socket",
        "use TCP sockets over IPv4 or IPv6";
    Mptcp EPROTOTYPE [F J S]
        "it is an MPTCP socket, which cannot be grouped",
        "make it with protocol IPPROTO_TCP (Go programs: set GODEBUG=multipathtcp=0)";
    OtherNamespace EXDEV [F J S]
        "the socket is of another network namespace",
        "run in that namespace (ip netns exec, nsenter --net)";
    Duplicate ENOTUNIQ [F]
        "a socket is listed twice",
        "list each socket once, also when it has several descriptors";
    NotPermitted EPERM [F J S]
        "the sockets, or the socket and the group, belong to different users, another user formed the group, the kernel was to bind the sockets, the stall time is below 10 ms, or the adopt time is above a minute",
        "use sockets and a group of one user and bind() them yourself, or run with CAP_NET_ADMIN in the network namespace; for such a stall time in the initial user namespace";
    AlreadyGrouped EALREADY [F J]
        "the socket is in a group already",
        "take it out of that group first, or join the others to it";
    OtherUlp EEXIST [F J]
        "the socket carries another upper layer protocol (TCP_ULP), or is in a BPF sockmap",
        "group it before, or instead";
    Connected EISCONN [F J]
        "the socket is neither closed nor listening",
        "group listening sockets, not connections";
    Busy EBUSY [F J L]
        "another call has had the socket locked for a second",
        "try again when that call has ended";
    OwnChecks EKEYREJECTED [F J]
        "the socket has TCP-MD5 or TCP-AO keys, a socket filter, an IPsec policy, a PSP association or IPv6 options, or another minimum TTL, mark, TOS, IP_TRANSPARENT, SO_DONTROUTE or other BPF programs of its cgroup than the others, which a redirected connection would pass by",
        "make it as the others, or leave this socket out; labels of security modules, and what a program keeps for each cgroup, cannot be compared";
    OtherDevice ENODEV [F J]
        "the sockets are bound to different devices",
        "group the sockets of each device for themselves";
    OtherPort ERANGE [F J]
        "the socket is bound to another port than the group's, or to another address than its entry names",
        "bind it as the others, or make another group";
    NoSuchGroup ENOENT [J]
        "there is no group with this id",
        "look with \"sgctl show\"; a group ends with its last member, unless it adopts";
    NotMember ESRCH [L S G]
        "the socket is in no group",
        "form or join a group first";
    UserLimit EUSERS [F]
        "the user has 1024 groups, which is the limit",
        "end some groups, or join existing ones";
    GroupFull ENOSPC [F J]
        "the group has 1024 members, which is the limit",
        "make another group";
    NoMemory ENOMEM [F J L S G]
        "there is not enough memory",
        "free some, or raise the limit of the control group";
    Confined EACCES [F]
        "the caller may not have sockets bound to this port",
        "use a port from 1024 on, or run with CAP_NET_BIND_SERVICE; look for what confines the program: Landlock, AppArmor, SELinux, seccomp";
    AddressInUse EADDRINUSE [F]
        "the address and port are in use",
        "stop the other program, or set SO_REUSEPORT on its sockets and these";
    AddressNotAvailable EADDRNOTAVAIL [F]
        "the address is not one of this machine",
        "look at the machine's addresses with \"ip address\"";
}

impl Error {
    /// Every error, in the order in which the kernel looks for them.
    pub fn table() -> &'static [Row] {
        TABLE
    }

    /// The error of this errno.
    pub fn from_errno(errno: i32) -> Self {
        TABLE
            .iter()
            .find(|row| row.errno == errno)
            .map_or(Self::Other(errno), |row| row.error)
    }

    /// Its errno.
    pub fn errno(self) -> i32 {
        match self {
            Self::Other(errno) => errno,
            documented => documented.row().map_or(0, |row| row.errno),
        }
    }

    /// What was wrong, and what to do; an undocumented error has none.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.error == self)
    }
}

impl fmt::Display for Error {
    /// A sentence without its full stop: what was wrong, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "{}: {} ({})", row.what, row.remedy, row.name),
            None => write!(f, "{}", io::Error::from_raw_os_error(self.errno())),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::from_raw_os_error(error.errno())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// What the kernel's header says: name → calls.
    fn header() -> HashMap<String, Calls> {
        let text = include_str!("../../../include/uapi/linux/service_group.h");
        let (_, list) = text.rsplit_once("Errors of setsockopt").expect("a list");
        let mut found = HashMap::new();
        for line in list.lines() {
            let Some(line) = line.strip_prefix(" *   E") else {
                continue;
            };
            let name = line.split([' ', '\t']).next().expect("a name");
            let mark = line[name.len()..]
                .trim_start()
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .map_or("", |(mark, _)| mark);
            let name = format!("E{name}");
            let calls = Calls {
                form: !matches!(name.as_str(), "ENOENT" | "ESRCH" | "EDOM"),
                join: mark.contains('J'),
                leave: mark.contains('L'),
                settings: mark.contains('S'),
                get: mark.contains('G'),
            };
            found.insert(name, calls);
        }
        found
    }

    #[test]
    fn the_table_says_what_the_header_says() {
        let header = header();
        assert!(header.len() > 25, "{header:?}");
        for row in TABLE.iter().filter(|row| row.error != Error::NotLoaded) {
            assert_eq!(Some(&row.calls), header.get(row.name), "{}", row.name);
        }
        // The one more is the answer of a kernel without the module.
        assert_eq!(TABLE.len(), header.len() + 1);
    }

    #[test]
    fn each_errno_has_one_meaning() {
        for row in TABLE {
            assert_eq!(Error::from_errno(row.errno), row.error);
            assert_eq!(row.error.errno(), row.errno);
            assert_eq!(io::Error::from(row.error).raw_os_error(), Some(row.errno));
        }
        assert_eq!(Error::from_errno(libc::EXFULL), Error::Other(libc::EXFULL));
    }

    #[test]
    fn texts_are_parts_of_one_sentence() {
        for row in TABLE {
            for text in [row.what, row.remedy] {
                assert!(!text.ends_with('.') && !text.is_empty(), "{text}");
            }
        }
    }
}
