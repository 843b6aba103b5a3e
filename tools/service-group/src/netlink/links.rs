// SPDX-License-Identifier: GPL-2.0
//! Saying which machine this is, and reading and making its links.

use std::os::fd::{AsFd, AsRawFd};

use super::numbers::command;
use super::{attributes, link_wire, wire, Connection, Error, Link, Machine, VERSION};

impl Connection {
    /// Which machine of which cluster this one is, if that has been said.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EOPNOTSUPP` when the module knows no links, and any other
    /// [`Error`].
    pub fn machine(&mut self) -> Result<Option<Machine>, Error> {
        let request = wire::request(command::MACHINE_GET, VERSION, &[]);
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(None),
            answer => attributes(&answer?)
                .map(link_wire::read_machine)
                .next()
                .transpose(),
        }
    }

    /// Says which machine this is, and which others a link is expected to, in place of what was
    /// said before. Links to others end.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `E2BIG` for more than
    /// [`MAX_PEERS`](super::MAX_PEERS), and any other [`Error`].
    pub fn set_machine(&mut self, machine: &Machine) -> Result<(), Error> {
        let request = wire::request(command::MACHINE_SET, VERSION, &link_wire::machine(machine));
        self.ask(&request).map(|_| ())
    }

    /// Has all that was said with [`Connection::set_machine`] be forgotten; all links end. Whether there
    /// was something to forget.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, and any other [`Error`].
    pub fn delete_machine(&mut self) -> Result<bool, Error> {
        let request = wire::request(command::MACHINE_DEL, VERSION, &[]);
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Every machine that a link is expected to, and the links that there are.
    ///
    /// # Errors
    ///
    /// As [`Connection::machine`].
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = wire::request(command::LINK_GET, VERSION, &[]);
        let messages = self.dump(&request)?;
        attributes(&messages).map(link_wire::read).collect()
    }

    /// Gives a connected socket to the module, as the link to this machine; the caller may close its
    /// descriptor then, and is not to use it any more. Another link to that machine ends.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when no link to that machine
    /// is expected, `ENOTCONN` when the socket is not connected, `EXDEV` when it is of another
    /// network namespace, `EOPNOTSUPP` when it has no [TLS in the kernel](crate::ktls) and has to have
    /// it, and any other [`Error`].
    pub fn add_link(&mut self, peer: u32, socket: &impl AsFd) -> Result<(), Error> {
        let fd = socket.as_fd().as_raw_fd();
        let fd = u32::try_from(fd).map_err(|_| Error::Refused(libc::EBADF))?;
        let both = link_wire::peer_and_socket(peer, fd);
        let request = wire::request(command::LINK_ADD, VERSION, &both);
        self.ask(&request).map(|_| ())
    }

    /// Ends the link to this machine. Whether there was one.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, and any other [`Error`].
    pub fn delete_link(&mut self, peer: u32) -> Result<bool, Error> {
        let request = wire::request(command::LINK_DEL, VERSION, &link_wire::peer(peer));
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(false),
            answer => answer.map(|_| true),
        }
    }
}
