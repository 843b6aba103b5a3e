// SPDX-License-Identifier: GPL-2.0
//! Where the module's family is, and whether it comes or goes, as the family tells
//! that resolves families.

use super::wire::{self, GENL_HEADER};
use super::{attributes, Channel, Error};

/// Type of the messages of the family that resolves families.
pub(super) const GENL_ID_CTRL: u16 = 16;
/// Its name and that of its multicast group, with the zeros that end them on the wire.
const CTRL: &[u8] = b"nlctrl\0";
const NOTICES: &[u8] = b"notify\0";

const NEWFAMILY: u8 = 1;
const DELFAMILY: u8 = 2;
const GETFAMILY: u8 = 3;

const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const MCAST_GROUPS: u16 = 7;

/// The module's name of its family and of its multicast group.
const FAMILY: &[u8] = b"service-group\0";
const EVENTS: &[u8] = b"events\0";

/// The numbers of a family, which are others each time that its module is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// The type of its messages.
    pub id: u16,
    /// Its multicast group.
    pub events: u32,
}

/// What is told of the module's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Came(Family),
    /// The one with this number.
    Went(u16),
}

impl Family {
    /// Finds the module's; the kernel loads the module if it can.
    pub(super) fn open(channel: &mut Channel) -> Result<Self, Error> {
        by_name(channel, FAMILY, EVENTS)
    }

    /// The module's, if there is one. The module is not loaded for it: an administrator may have unloaded it.
    pub(super) fn find(channel: &mut Channel) -> Result<Option<Self>, Error> {
        let messages = channel.dump(GENL_ID_CTRL, &wire::request(GETFAMILY, 1, &[]))?;
        for bytes in attributes(&messages) {
            if name(bytes)? == FAMILY {
                return resolve(bytes, EVENTS).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether it is there still.
    pub(super) fn is_there(self, channel: &mut Channel) -> Result<bool, Error> {
        let id = wire::attribute(FAMILY_ID, &self.id.to_ne_bytes());
        match channel.ask(GENL_ID_CTRL, &wire::request(GETFAMILY, 1, &id)) {
            Err(Error::Refused(libc::ENOENT)) => Ok(false),
            answer => answer.map(|_| true),
        }
    }
}

/// The multicast group that tells of families.
pub(super) fn notices(channel: &mut Channel) -> Result<u32, Error> {
    by_name(channel, CTRL, NOTICES).map(|family| family.events)
}

/// What a message of the family that resolves families tells of the module's; nothing of others.
pub(super) fn notice(payload: &[u8]) -> Result<Option<Notice>, Error> {
    let (Some(command), Some(bytes)) = (payload.first(), payload.get(GENL_HEADER..)) else {
        return Err(Error::Malformed);
    };
    if name(bytes)? != FAMILY {
        return Ok(None);
    }
    Ok(match *command {
        NEWFAMILY => Some(Notice::Came(resolve(bytes, EVENTS)?)),
        DELFAMILY => Some(Notice::Went(number(bytes)?)),
        _ => None,
    })
}

fn by_name(channel: &mut Channel, family: &[u8], group: &[u8]) -> Result<Family, Error> {
    let request = wire::request(GETFAMILY, 1, &wire::attribute(FAMILY_NAME, family));
    let messages = match channel.ask(GENL_ID_CTRL, &request) {
        Err(Error::Refused(libc::ENOENT)) => return Err(Error::NotLoaded),
        answer => answer?,
    };
    let bytes = attributes(&messages).next().ok_or(Error::Malformed)?;
    resolve(bytes, group)
}

/// The value of an attribute; nothing, if it is not there.
fn value(bytes: &[u8], wanted: u16) -> Result<Option<Vec<u8>>, Error> {
    let mut found = None;
    wire::each(bytes, |kind, value| {
        if kind == wanted {
            found = Some(value.to_vec());
        }
    })?;
    Ok(found)
}

fn name(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    value(bytes, FAMILY_NAME).map(Option::unwrap_or_default)
}

fn number(bytes: &[u8]) -> Result<u16, Error> {
    let id = value(bytes, FAMILY_ID)?.ok_or(Error::Malformed)?;
    Ok(wire::half(&id))
}

/// A family's number and that of its multicast group with this name.
fn resolve(bytes: &[u8], group: &[u8]) -> Result<Family, Error> {
    let groups = value(bytes, MCAST_GROUPS)?.unwrap_or_default();
    let mut nests = Vec::new();
    wire::each(&groups, |_, value| nests.push(value.to_vec()))?;
    for nest in nests {
        let (mut is_wanted, mut events) = (false, None);
        wire::each(&nest, |kind, value| match kind {
            1 => is_wanted = value == group,
            2 => events = Some(wire::word(value)),
            _ => {}
        })?;
        if let (true, Some(events)) = (is_wanted, events) {
            let id = number(bytes)?;
            return Ok(Family { id, events });
        }
    }
    Err(Error::Malformed)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message that the module's family came or went.
    pub(in super::super) fn told(is_there: bool, family: Family) -> Vec<u8> {
        let command = if is_there { NEWFAMILY } else { DELFAMILY };
        wire::request(command, 2, &described(FAMILY, family))
    }

    fn described(name: &[u8], family: Family) -> Vec<u8> {
        let mut group = wire::attribute(1, EVENTS);
        group.extend(wire::attribute(2, &family.events.to_ne_bytes()));
        let mut bytes = wire::attribute(FAMILY_ID, &family.id.to_ne_bytes());
        bytes.extend(wire::attribute(FAMILY_NAME, name));
        bytes.extend(wire::attribute(MCAST_GROUPS, &wire::attribute(1, &group)));
        bytes
    }

    const OURS: Family = Family { id: 31, events: 9 };

    #[test]
    fn the_family_and_its_events_are_found() {
        let bytes = described(FAMILY, OURS);
        assert_eq!(resolve(&bytes, EVENTS).ok(), Some(OURS));
        assert!(matches!(resolve(&bytes, NOTICES), Err(Error::Malformed)));
        assert!(matches!(resolve(&[], EVENTS), Err(Error::Malformed)));
    }

    #[test]
    fn only_the_modules_family_is_told() {
        let came = notice(&told(true, OURS));
        assert_eq!(came.ok(), Some(Some(Notice::Came(OURS))));
        let went = notice(&told(false, OURS));
        assert_eq!(went.ok(), Some(Some(Notice::Went(31))));
        for (command, name) in [(NEWFAMILY, CTRL), (DELFAMILY, CTRL), (7, FAMILY)] {
            let other = wire::request(command, 2, &described(name, OURS));
            assert_eq!(notice(&other).ok(), Some(None), "{command}");
        }
        assert!(notice(&[NEWFAMILY]).is_err());
    }
}
