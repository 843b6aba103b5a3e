// SPDX-License-Identifier: GPL-2.0
//! Reading and changing groups over generic netlink, following them, and asking
//! what became of a connection.
//!
//! Groups are made with the socket option, not here. Cluster IPs, addresses that
//! several machines serve, are read and set, and so are the links between these machines.
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
mod cluster;
mod cluster_wire;
mod clusters;
mod counters;
mod counters_gen;
mod decision;
mod error;
mod events;
mod family;
#[cfg(test)]
mod header;
mod link;
mod link_wire;
mod links;
// All numbers of the specification, used or not.
#[allow(dead_code)]
mod numbers;
mod records;
mod setting_gen;
mod wire;

pub use channel::{Channel, Message};
pub use cluster::{
    Cluster, ClusterHash, ClusterKey, ClusterLocal, ClusterName, ClusterNode, ClusterRole,
    ClusterSettings, ClusterWay, NodeState, RoleReason, MAX_CLUSTERS, MAX_DIRECTORS,
};
pub use counters::{ClusterCounters, Counter, Counters};
pub use decision::{Decision, Outcome, Reason};
pub use error::Error;
pub use events::Events;
pub use link::{Link, LinkEnds, LinkReason, LinkState, LinkTraffic, Machine, MAX_PEERS};
pub use records::{Event, Group, Member, Stats};

use std::net::SocketAddr;

use crate::settings::Settings;
use family::Family;
use numbers::{command, group, member};
use wire::GENL_HEADER;

const VERSION: u8 = 1;

/// A way to the kernel's groups in the network namespace of the caller.
///
/// When the module is unloaded all calls end with [`Error::NotLoaded`], also when it is loaded again, until
/// [`Connection::find_again`] has found it.
pub struct Connection {
    channel: Channel,
    family: Family,
}

impl Connection {
    /// Finds the module's netlink family; the kernel loads the module if it is installed.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoaded`] when there is none.
    pub fn open() -> Result<Self, Error> {
        let mut channel = Channel::open(libc::NETLINK_GENERIC)?;
        let family = Family::open(&mut channel)?;
        Ok(Self { channel, family })
    }

    /// The same, but if the module is not loaded it stays so, and there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn if_loaded() -> Result<Option<Self>, Error> {
        let mut channel = Channel::open(libc::NETLINK_GENERIC)?;
        let family = Family::find(&mut channel)?;
        Ok(family.map(|family| Self { channel, family }))
    }

    /// Finds the module's netlink family again, as the module may have been loaded anew. It is not loaded
    /// for this, as an administrator may have unloaded it.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoaded`] when there is none.
    pub fn find_again(&mut self) -> Result<(), Error> {
        self.family = Family::find(&mut self.channel)?.ok_or(Error::NotLoaded)?;
        Ok(())
    }

    /// Asks the module for one thing.
    fn ask(&mut self, request: &[u8]) -> Result<Vec<Message>, Error> {
        let answer = self.channel.ask(self.family.id, request);
        self.unless_gone(answer)
    }

    /// Asks the module for everything.
    fn dump(&mut self, request: &[u8]) -> Result<Vec<Message>, Error> {
        let answer = self.channel.dump(self.family.id, request);
        self.unless_gone(answer)
    }

    /// The answer; but what the kernel does not find may be the family.
    fn unless_gone<T>(&mut self, answer: Result<T, Error>) -> Result<T, Error> {
        match answer {
            Err(Error::Refused(libc::ENOENT)) if !self.family.is_there(&mut self.channel)? => {
                Err(Error::NotLoaded)
            }
            answer => answer,
        }
    }

    /// Every group.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn groups(&mut self) -> Result<Vec<Group>, Error> {
        let request = wire::request(command::GROUP_GET, VERSION, &[]);
        let messages = self.dump(&request)?;
        attributes(&messages).map(wire::group).collect()
    }

    /// The group with this id, if there is one.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn group(&mut self, id: u32) -> Result<Option<Group>, Error> {
        let id = wire::attribute(group::ID, &id.to_ne_bytes());
        let request = wire::request(command::GROUP_GET, VERSION, &id);
        match self.ask(&request) {
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
        let filter = group.map(|id| wire::attribute(member::GROUP, &id.to_ne_bytes()));
        let filter = filter.unwrap_or_default();
        let request = wire::request(command::MEMBER_GET, VERSION, &filter);
        match self.dump(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(Vec::new()),
            answer => attributes(&answer?).map(wire::member).collect(),
        }
    }

    /// Changes what a group does; the fields that are not given stay.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace. Who holds a
    /// member's socket can do without, with [`configure`](crate::configure).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when
    /// there is no such group, `EINVAL` when nothing is to be changed or a weight
    /// is given, which a group does not have, and `ERANGE` for a value outside
    /// its range; and any other [`Error`].
    pub fn set_group(&mut self, id: u32, settings: &Settings) -> Result<(), Error> {
        if settings.weight.is_some() {
            return Err(Error::Refused(libc::EINVAL));
        }
        let request = wire::request(command::GROUP_SET, VERSION, &group_change(id, settings));
        self.ask(&request).map(|_| ())
    }

    /// Gives the group's member with this cookie another weight.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace. Who holds the
    /// socket can do without, with [`configure`](crate::configure).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when
    /// there is no such group or member, and `ERANGE` for a weight outside 1 to
    /// [`MAX_WEIGHT`](crate::MAX_WEIGHT); and any other [`Error`].
    pub fn set_weight(&mut self, group: u32, cookie: u64, weight: u32) -> Result<(), Error> {
        let mut change = wire::attribute(member::GROUP, &group.to_ne_bytes());
        change.extend(wire::attribute(member::COOKIE, &cookie.to_ne_bytes()));
        change.extend(wire::attribute(member::WEIGHT, &weight.to_ne_bytes()));
        let request = wire::request(command::MEMBER_SET, VERSION, &change);
        self.ask(&request).map(|_| ())
    }

    /// The totals of the network namespace.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn stats(&mut self) -> Result<Stats, Error> {
        let request = wire::request(command::STATS_GET, VERSION, &[]);
        let messages = self.ask(&request)?;
        let attributes = attributes(&messages).next().ok_or(Error::Malformed)?;
        wire::stats(attributes)
    }

    /// What became of the connection of these two ends, the server's and the
    /// client's, if it did not stay with its home listener. Nothing when it did,
    /// or when later connections have taken its place in the kernel's memory.
    ///
    /// An IPv4-mapped IPv6 address is meant as IPv4, which is what the packets are.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EINVAL` when the ends are of different families,
    /// and any other [`Error`].
    pub fn decision(
        &mut self,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<Option<Decision>, Error> {
        let question = decision::question(local, peer).ok_or(Error::Refused(libc::EINVAL))?;
        let request = wire::request(command::DECISION_GET, VERSION, &question);
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(None),
            answer => attributes(&answer?).map(decision::read).next().transpose(),
        }
    }

    /// Follows what happens to groups from now on, and on when the module is unloaded and loaded again.
    ///
    /// # Errors
    ///
    /// [`Error::NotLoaded`] when the module is not loaded any more, and what the system says.
    pub fn subscribe(self) -> Result<Events, Error> {
        Events::follow(self.channel)
    }
}

/// The attributes that change a group.
fn group_change(id: u32, settings: &Settings) -> Vec<u8> {
    let mut change = wire::attribute(group::ID, &id.to_ne_bytes());
    for (kind, number) in numbers::SETTINGS.into_iter().zip(settings.numbers()) {
        if let (Some(kind), Some(number)) = (kind, number) {
            change.extend(wire::attribute(kind, &number.to_ne_bytes()));
        }
    }
    change
}

/// The attributes of each message, behind the generic header.
fn attributes(messages: &[Message]) -> impl Iterator<Item = &[u8]> {
    messages
        .iter()
        .filter_map(|message| message.payload.get(GENL_HEADER..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;
    use std::time::Duration;

    #[test]
    fn a_change_has_what_is_given_and_no_more() {
        let id = wire::attribute(1, &3u32.to_ne_bytes());
        assert_eq!(group_change(3, &Settings::new()), id);
        let settings = Settings::new()
            .policy(Policy::Balance)
            .stall(Duration::ZERO)
            .weight(7)
            .rewrite(true)
            .adopt(Duration::from_secs(1));
        let mut expected = id;
        expected.extend(wire::attribute(4, &1u32.to_ne_bytes()));
        expected.extend(wire::attribute(6, &0u32.to_ne_bytes()));
        expected.extend(wire::attribute(7, &1u32.to_ne_bytes()));
        expected.extend(wire::attribute(9, &1000u32.to_ne_bytes()));
        assert_eq!(group_change(3, &settings), expected);
    }
}
