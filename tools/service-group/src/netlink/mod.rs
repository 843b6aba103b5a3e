// SPDX-License-Identifier: GPL-2.0
//! Reading groups over generic netlink, and following them as they change.
//!
//! Groups are made with the socket option, not here.
//!
//! ```no_run
//! use service_group::netlink::Connection;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut kernel = Connection::open()?;
//! for member in kernel.members(None)? {
//!     println!("{}: {}/{}", member.group, member.queued, member.backlog);
//! }
//! for event in kernel.subscribe()? {
//!     println!("{:?}", event?);
//! }
//! # Ok(())
//! # }
//! ```

mod channel;
mod records;
mod wire;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::{fmt, io};

pub use channel::{Channel, Message};
pub use records::{Counters, Event, Group, Member, Stats};

use wire::{command, GENL_HEADER};

/// Name of the family, with the zero that ends it on the wire.
const FAMILY: &[u8] = b"service-group\0";
/// Name of the multicast group.
const EVENTS: &[u8] = b"events\0";
const VERSION: u8 = 1;

/// Type of the messages of the family that resolves families.
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;

/// Why groups could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no such family: the module is not loaded.
    NotLoaded,
    /// The kernel refused with this errno.
    Refused(i32),
    /// The kernel threw events away, as they were not read fast enough. Those
    /// that follow are read as usual.
    Lost,
    /// What was to be read changed at each of many tries.
    Unsteady,
    /// The kernel sent something that cannot be understood.
    Malformed,
    /// The system said so.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded => {
                let row = crate::Error::NotLoaded.row();
                let remedy = row.map_or("", |row| row.remedy);
                write!(f, "the kernel module service_group is not loaded: {remedy}")
            }
            Self::Refused(errno) => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "the kernel refused: {error}")
            }
            Self::Lost => f.write_str("the kernel threw events away: read them faster"),
            Self::Unsteady => f.write_str("the groups change too fast to be read: try again"),
            Self::Malformed => f.write_str("the kernel sent a message that is not well formed"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A way to the kernel's groups in the network namespace of the caller.
pub struct Connection {
    channel: Channel,
    family: u16,
    events: u32,
}

impl Connection {
    /// Finds the module's netlink family.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoaded`] when there is none.
    pub fn open() -> Result<Self, Error> {
        let mut channel = Channel::open(libc::NETLINK_GENERIC)?;
        let name = wire::attribute(2, FAMILY);
        let request = wire::request(CTRL_CMD_GETFAMILY, 1, &name);
        let messages = match channel.ask(GENL_ID_CTRL, &request) {
            Err(Error::Refused(libc::ENOENT)) => return Err(Error::NotLoaded),
            answer => answer?,
        };
        let attributes = attributes(&messages).next().ok_or(Error::Malformed)?;
        let (family, events) = resolve(attributes)?;
        Ok(Self {
            channel,
            family,
            events,
        })
    }

    /// Every group.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn groups(&mut self) -> Result<Vec<Group>, Error> {
        let request = wire::request(command::GROUP_GET, VERSION, &[]);
        let messages = self.channel.dump(self.family, &request)?;
        attributes(&messages).map(wire::group).collect()
    }

    /// The group with this id, if there is one.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn group(&mut self, id: u32) -> Result<Option<Group>, Error> {
        let id = wire::attribute(1, &id.to_ne_bytes());
        let request = wire::request(command::GROUP_GET, VERSION, &id);
        match self.channel.ask(self.family, &request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(None),
            answer => attributes(&answer?).map(wire::group).next().transpose(),
        }
    }

    /// The members of one group, or of all.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; a group that there is not has no members.
    pub fn members(&mut self, group: Option<u32>) -> Result<Vec<Member>, Error> {
        let filter = group.map(|id| wire::attribute(1, &id.to_ne_bytes()));
        let filter = filter.unwrap_or_default();
        let request = wire::request(command::MEMBER_GET, VERSION, &filter);
        match self.channel.dump(self.family, &request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(Vec::new()),
            answer => attributes(&answer?).map(wire::member).collect(),
        }
    }

    /// The totals of the network namespace.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn stats(&mut self) -> Result<Stats, Error> {
        let request = wire::request(command::STATS_GET, VERSION, &[]);
        let messages = self.channel.ask(self.family, &request)?;
        let attributes = attributes(&messages).next().ok_or(Error::Malformed)?;
        wire::stats(attributes)
    }

    /// Follows what happens to groups from now on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn subscribe(self) -> Result<Events, Error> {
        let mut channel = self.channel;
        channel.subscribe(self.events)?;
        Ok(Events {
            channel,
            family: self.family,
            waiting: VecDeque::new(),
        })
    }
}

/// What happens to groups, as it happens. The iterator waits for the next one
/// and never ends; its descriptor is readable when something has happened.
pub struct Events {
    channel: Channel,
    family: u16,
    waiting: VecDeque<Event>,
}

impl Events {
    /// Waits for a datagram and tells all that is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when some were thrown away, and any other [`Error`].
    pub fn receive(&mut self) -> Result<Vec<Event>, Error> {
        let messages = self.channel.receive()?;
        let ours = messages
            .iter()
            .filter(|message| message.kind == self.family);
        ours.filter_map(|message| event(&message.payload).transpose())
            .collect()
    }
}

impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(Ok(event));
            }
            match self.receive() {
                Ok(events) => self.waiting.extend(events),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// The attributes of each message, behind the generic header.
fn attributes(messages: &[Message]) -> impl Iterator<Item = &[u8]> {
    messages
        .iter()
        .filter_map(|message| message.payload.get(GENL_HEADER..))
}

/// The family's number and that of its multicast group.
fn resolve(bytes: &[u8]) -> Result<(u16, u32), Error> {
    let (mut family, mut groups) = (None, Vec::new());
    wire::each(bytes, |kind, value| match kind {
        1 => family = Some(wire::half(value)),
        7 => groups = value.to_vec(),
        _ => {}
    })?;
    let mut nests = Vec::new();
    wire::each(&groups, |_, value| nests.push(value.to_vec()))?;
    for nest in nests {
        let (mut is_events, mut id) = (false, None);
        wire::each(&nest, |kind, value| match kind {
            1 => is_events = value == EVENTS,
            2 => id = Some(wire::word(value)),
            _ => {}
        })?;
        if let (true, Some(family), Some(id)) = (is_events, family, id) {
            return Ok((family, id));
        }
    }
    Err(Error::Malformed)
}

/// What a notification tells; nothing when its command is not known.
fn event(payload: &[u8]) -> Result<Option<Event>, Error> {
    let (Some(command), Some(bytes)) = (payload.first(), payload.get(GENL_HEADER..)) else {
        return Err(Error::Malformed);
    };
    Ok(Some(match *command {
        command::GROUP_ADD_NTF => Event::GroupAdded(wire::group(bytes)?),
        command::GROUP_DEL_NTF => Event::GroupRemoved(wire::group(bytes)?),
        command::MEMBER_ADD_NTF => Event::MemberAdded(wire::member(bytes)?),
        command::MEMBER_DEL_NTF => Event::MemberRemoved(wire::member(bytes)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_and_its_events_are_found() {
        let mut group = wire::attribute(1, EVENTS);
        group.extend(wire::attribute(2, &9u32.to_ne_bytes()));
        let mut bytes = wire::attribute(1, &31u16.to_ne_bytes());
        bytes.extend(wire::attribute(2, FAMILY));
        bytes.extend(wire::attribute(7, &wire::attribute(1, &group)));
        assert_eq!(resolve(&bytes).ok(), Some((31, 9)));
        assert!(matches!(resolve(&[]), Err(Error::Malformed)));
    }

    #[test]
    fn events_are_told_apart_and_unknown_ones_passed_over() {
        let id = wire::attribute(1, &3u32.to_ne_bytes());
        let of = |command| event(&wire::request(command, 1, &id));
        let group = Group {
            id: 3,
            ..Group::default()
        };
        assert_eq!(of(4).ok(), Some(Some(Event::GroupAdded(group))));
        assert_eq!(of(5).ok(), Some(Some(Event::GroupRemoved(group))));
        assert!(matches!(of(7), Ok(Some(Event::MemberRemoved(member))) if member.group == 3));
        assert_eq!(of(99).ok(), Some(None));
        assert!(event(&[4]).is_err());
    }
}
