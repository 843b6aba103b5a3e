// SPDX-License-Identifier: GPL-2.0
//! What happens to groups and cluster IPs, as the kernel tells it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

use super::family::{notice, notices, Family, Notice, GENL_ID_CTRL};
use super::numbers::command;
use super::wire::{self, GENL_HEADER};
use super::{cluster_wire, link_wire, Channel, Error, Event, Message};

/// What happens to groups and cluster IPs, as it happens. The iterator waits for the next one
/// and never ends; its descriptor is readable when something has happened.
///
/// It goes on when the module is unloaded and loaded again, which are [`Event::Unloaded`] and
/// [`Event::Loaded`].
pub struct Events {
    /// By which events come, and what is told of families.
    channel: Channel,
    /// To ask where the family is, when that may have been missed.
    questions: Channel,
    source: Source,
    waiting: VecDeque<Event>,
}

/// Whose messages are events.
struct Source {
    /// Nobody's while the module is unloaded.
    family: Option<Family>,
}

impl Events {
    /// Events from now on; the channel is for questions.
    pub(super) fn follow(mut questions: Channel) -> Result<Self, Error> {
        let mut channel = Channel::open(libc::NETLINK_GENERIC)?;
        // First, so that a family that goes when it was found is told.
        channel.subscribe(notices(&mut questions)?)?;
        let family = Family::find(&mut questions)?.ok_or(Error::NotLoaded)?;
        channel.subscribe(family.events)?;
        Ok(Self {
            channel,
            questions,
            source: Source {
                family: Some(family),
            },
            waiting: VecDeque::new(),
        })
    }

    /// Waits for a datagram and tells all that is in it, which may be nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] when some were thrown away, and any other [`Error`].
    pub fn receive(&mut self) -> Result<Vec<Event>, Error> {
        let messages = match self.channel.receive() {
            Err(Error::Lost) => {
                // That the family went, or is another one, may have been among them.
                self.source.family = Family::find(&mut self.questions)?;
                self.listen()?;
                return Err(Error::Lost);
            }
            messages => messages?,
        };
        let mut events = Vec::new();
        for message in &messages {
            let event = self.source.event(message)?;
            if event == Some(Event::Loaded) {
                self.listen()?;
            }
            events.extend(event);
        }
        Ok(events)
    }

    /// Has events of the family come. It may be gone again, which is told then.
    fn listen(&mut self) -> Result<(), Error> {
        match self.source.family {
            Some(family) => self.channel.subscribe(family.events),
            None => Ok(()),
        }
    }
}

impl Source {
    /// What a message tells; nothing if it is none of the module's.
    fn event(&mut self, message: &Message) -> Result<Option<Event>, Error> {
        let family = self.family.map(|family| family.id);
        if message.kind != GENL_ID_CTRL {
            return match Some(message.kind) == family {
                true => event(&message.payload),
                false => Ok(None),
            };
        }
        Ok(match notice(&message.payload)? {
            Some(Notice::Came(new)) if family != Some(new.id) => {
                self.family = Some(new);
                Some(Event::Loaded)
            }
            Some(Notice::Went(id)) if family == Some(id) => {
                self.family = None;
                Some(Event::Unloaded)
            }
            _ => None,
        })
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
        command::LINK_CHANGE_NTF => Event::LinkChanged(link_wire::read(bytes)?),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::told;
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
        let told = of(command::LINK_CHANGE_NTF).ok().flatten();
        let Some(Event::LinkChanged(link)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(link.peer, 3);
        assert_eq!(of(99).ok(), Some(None));
        assert!(event(&[4]).is_err());
    }

    #[test]
    fn the_module_goes_and_comes() {
        let numbers = |id| Family { id, events: 9 };
        let mut source = Source {
            family: Some(numbers(31)),
        };
        let ctrl = |is_there, id| Message {
            kind: GENL_ID_CTRL,
            payload: told(is_there, numbers(id)),
        };
        let id = wire::attribute(1, &3u32.to_ne_bytes());
        let added = |kind| Message {
            kind,
            payload: wire::request(command::GROUP_ADD_NTF, 1, &id),
        };
        for (message, expected) in [
            (ctrl(false, 30), None),
            (ctrl(true, 31), None),
            (ctrl(false, 31), Some(Event::Unloaded)),
            (added(31), None),
            (ctrl(false, 31), None),
            (ctrl(true, 33), Some(Event::Loaded)),
            (added(31), None),
            (
                added(33),
                Some(Event::GroupAdded(Group {
                    id: 3,
                    ..Group::default()
                })),
            ),
            // That the other one went was missed.
            (ctrl(true, 34), Some(Event::Loaded)),
        ] {
            assert_eq!(source.event(&message).ok(), Some(expected));
        }
    }
}
