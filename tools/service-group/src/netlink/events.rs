// SPDX-License-Identifier: GPL-2.0
//! What happens to groups and cluster IPs, as the kernel tells it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use super::numbers::command;
use super::wire::{self, GENL_HEADER};
use super::{cluster_wire, Channel, Error, Event};

/// What happens to groups and cluster IPs, as it happens. The iterator waits for the next one
/// and never ends; its descriptor is readable when something has happened.
pub struct Events {
    channel: Channel,
    family: u16,
    waiting: VecDeque<Event>,
}

impl Events {
    /// Events that come from this channel, in messages of this family.
    pub(super) fn new(channel: Channel, family: u16) -> Self {
        Self {
            channel,
            family,
            waiting: VecDeque::new(),
        }
    }

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
        command::GROUP_CHANGE_NTF => Event::GroupChanged(wire::group(bytes)?),
        command::MEMBER_CHANGE_NTF => Event::MemberChanged(wire::member(bytes)?),
        command::MEMBER_STALL_NTF => Event::MemberStalled(wire::member(bytes)?),
        command::MEMBER_READY_NTF => Event::MemberReady(wire::member(bytes)?),
        command::CLUSTER_CHANGE_NTF => Event::ClusterChanged(cluster_wire::read(bytes)?),
        command::CLUSTER_DEL_NTF => Event::ClusterRemoved(cluster_wire::read(bytes)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::numbers::cluster;
    use super::super::{Group, Member};
    use super::*;

    #[test]
    fn events_are_told_apart_and_unknown_ones_passed_over() {
        let id = wire::attribute(1, &3u32.to_ne_bytes());
        let of = |command| event(&wire::request(command, 1, &id));
        let group = Group {
            id: 3,
            ..Group::default()
        };
        assert_eq!(
            of(command::GROUP_ADD_NTF).ok(),
            Some(Some(Event::GroupAdded(group)))
        );
        assert_eq!(
            of(command::GROUP_DEL_NTF).ok(),
            Some(Some(Event::GroupRemoved(group)))
        );
        assert_eq!(
            of(command::GROUP_CHANGE_NTF).ok(),
            Some(Some(Event::GroupChanged(group)))
        );
        let member = Member {
            group: 3,
            ..Member::default()
        };
        assert_eq!(
            of(command::MEMBER_ADD_NTF).ok(),
            Some(Some(Event::MemberAdded(member)))
        );
        assert_eq!(
            of(command::MEMBER_DEL_NTF).ok(),
            Some(Some(Event::MemberRemoved(member)))
        );
        assert_eq!(
            of(command::MEMBER_CHANGE_NTF).ok(),
            Some(Some(Event::MemberChanged(member)))
        );
        assert_eq!(
            of(command::MEMBER_STALL_NTF).ok(),
            Some(Some(Event::MemberStalled(member)))
        );
        assert_eq!(
            of(command::MEMBER_READY_NTF).ok(),
            Some(Some(Event::MemberReady(member)))
        );
        let epoch = wire::attribute(cluster::EPOCH, &5u32.to_ne_bytes());
        for command in [command::CLUSTER_CHANGE_NTF, command::CLUSTER_DEL_NTF] {
            let told = event(&wire::request(command, 1, &epoch)).ok().flatten();
            let Some(Event::ClusterChanged(it) | Event::ClusterRemoved(it)) = told else {
                panic!("{told:?}");
            };
            assert_eq!(it.epoch, 5);
        }
        assert_eq!(of(99).ok(), Some(None));
        assert!(event(&[4]).is_err());
    }
}
