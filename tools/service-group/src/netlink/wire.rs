// SPDX-License-Identifier: GPL-2.0
//! The attributes of the family, read into plain structs.
//!
//! Unknown attributes are passed over, and missing ones are zero, so that this
//! works with an older and with a newer module.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;

use super::{numbers, Counters, Error, Group, Member, Stats};
use crate::option::{array, MemberState};

/// Length of the generic netlink header.
pub(super) const GENL_HEADER: usize = 4;

/// A request: the generic header, then attributes.
pub(super) fn request(command: u8, version: u8, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![command, version, 0, 0];
    bytes.extend(attributes);
    bytes
}

/// One attribute, padded; its value is a few bytes.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Gives each attribute's type and value to `take`.
pub(super) fn each(bytes: &[u8], mut take: impl FnMut(u16, &[u8])) -> Result<(), Error> {
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute.map_err(|_| Error::Malformed)?;
        take(attribute.kind(), attribute.value());
    }
    Ok(())
}

pub(super) fn word(value: &[u8]) -> u32 {
    u32::from_ne_bytes(array(value))
}

pub(super) fn half(value: &[u8]) -> u16 {
    u16::from_ne_bytes(array(value))
}

fn errno(value: &[u8]) -> i32 {
    i32::try_from(word(value)).unwrap_or(libc::EIO)
}

/// The kernel sends the 64-bit ones with 4 or 8 bytes.
pub(super) fn wide(value: &[u8]) -> u64 {
    match value.len() {
        0..=7 => u64::from(word(value)),
        _ => u64::from_ne_bytes(array(value)),
    }
}

pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(array(value)).into()),
        16 => Some(Ipv6Addr::from(array::<16>(value)).into()),
        _ => None,
    }
}

fn counters(bytes: &[u8]) -> Result<Counters, Error> {
    let mut counters = Counters::default();
    each(bytes, |kind, value| counters.set(kind, wide(value)))?;
    Ok(counters)
}

/// A group, from the attributes of a message.
pub(super) fn group(bytes: &[u8]) -> Result<Group, Error> {
    use numbers::group;
    let mut record = Group::default();
    let mut nest = Ok(Counters::default());
    each(bytes, |kind, value| match kind {
        group::ID => record.id = word(value),
        group::UID => record.uid = word(value),
        group::MEMBERS => record.members = word(value),
        group::ADOPTED => record.adopted = wide(value),
        group::NOT_ADOPTED => record.not_adopted = wide(value),
        group::NOT_ADOPTED_ERRNO => record.not_adopted_errno = errno(value),
        group::COUNTERS => nest = counters(value),
        setting => {
            let place = numbers::SETTINGS.iter().position(|it| *it == Some(setting));
            if let Some(place) = place {
                record.settings.set(place, word(value));
            }
        }
    })?;
    record.counters = nest?;
    Ok(record)
}

/// A member, from the attributes of a message.
pub(super) fn member(bytes: &[u8]) -> Result<Member, Error> {
    use numbers::member;
    let mut record = Member::default();
    let mut nest = Ok(Counters::default());
    each(bytes, |kind, value| match kind {
        member::GROUP => record.group = word(value),
        member::COOKIE => record.cookie = wide(value),
        member::INODE => record.inode = wide(value),
        member::FAMILY => record.family = half(value),
        member::PORT => record.port = u16::from_be_bytes(array(value)),
        member::ADDRESS => record.address = address(value),
        member::STATE => record.state = MemberState::from_number(word(value)),
        member::QUEUED => record.queued = word(value),
        member::HALF_OPEN => record.half_open = word(value),
        member::BACKLOG => record.backlog = word(value),
        member::WEIGHT => record.weight = word(value),
        member::ADOPTED => record.adopted = word(value) != 0,
        member::COUNTERS => nest = counters(value),
        _ => {}
    })?;
    record.counters = nest?;
    Ok(record)
}

/// The totals, from the attributes of a message.
pub(super) fn stats(bytes: &[u8]) -> Result<Stats, Error> {
    use numbers::stats;
    let mut record = Stats::default();
    each(bytes, |kind, value| match kind {
        stats::GROUPS => record.groups = word(value),
        stats::MEMBERS => record.members = word(value),
        stats::REFUSED_LIMIT => record.refused_limit = wide(value),
        stats::REFUSED_PERMISSION => record.refused_permission = wide(value),
        stats::REFUSED_OTHER => record.refused_other = wide(value),
        stats::CLUSTER_GENERATION => record.cluster_generation = Some(wide(value)),
        _ => {}
    })?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{GroupSettings, Policy, WhenFull};
    use std::time::Duration;

    #[test]
    fn a_member_is_read_with_its_counters() {
        let mut nest = attribute(1, &[]);
        for (kind, value) in (2u16..=21).zip(100u64..) {
            nest.extend(attribute(kind, &value.to_ne_bytes()));
        }
        let mut bytes = Vec::new();
        for (kind, value) in [
            (1, &5u32.to_ne_bytes()[..]),
            (2, &6u64.to_ne_bytes()),
            (3, &7u64.to_ne_bytes()),
            (4, &2u16.to_ne_bytes()),
            (5, &80u16.to_be_bytes()),
            (6, &[10, 0, 0, 1]),
            (7, &5u32.to_ne_bytes()),
            (8, &8u32.to_ne_bytes()),
            (9, &9u32.to_ne_bytes()),
            (10, &10u32.to_ne_bytes()),
            (11, &3u32.to_ne_bytes()),
            (0x8000 | 12, &nest),
            (99, &[1]),
        ] {
            bytes.extend(attribute(kind, value));
        }
        let member = member(&bytes).expect("it is well formed");
        assert_eq!((member.group, member.cookie, member.inode), (5, 6, 7));
        assert_eq!((member.family, member.port), (2, 80));
        assert_eq!(member.address, Some(Ipv4Addr::new(10, 0, 0, 1).into()));
        assert_eq!(member.state, MemberState::Stalled);
        let numbers = (member.queued, member.half_open, member.backlog);
        assert_eq!((numbers, member.weight), ((8, 9, 10), 3));
        let counters = member.counters;
        assert_eq!((counters.home, counters.stalls), (100, 119));
    }

    #[test]
    fn a_group_is_read_with_its_settings() {
        let mut bytes = Vec::new();
        for (kind, number) in [(1, 3u32), (2, 33), (3, 2), (4, 1), (5, 1), (6, 250), (7, 1)] {
            bytes.extend(attribute(kind, &number.to_ne_bytes()));
        }
        for (kind, number) in [(9, 60_000u32), (10, 4), (11, 5), (12, 1)] {
            bytes.extend(attribute(kind, &number.to_ne_bytes()));
        }
        let expected = Group {
            id: 3,
            uid: 33,
            members: 2,
            settings: GroupSettings {
                policy: Policy::Balance,
                when_full: WhenFull::Reset,
                stall: Duration::from_millis(250),
                rewrite: true,
                adopt: Duration::from_secs(60),
            },
            adopted: 4,
            not_adopted: 5,
            not_adopted_errno: libc::EPERM,
            ..Group::default()
        };
        assert_eq!(group(&bytes).ok(), Some(expected));
    }

    #[test]
    fn what_is_missing_is_zero_and_what_is_broken_is_refused() {
        assert_eq!(group(&[]).ok(), Some(Group::default()));
        assert_eq!(stats(&[]).ok(), Some(Stats::default()));
        assert!(matches!(member(&[9, 0, 1]), Err(Error::Malformed)));
        let nest = attribute(super::super::numbers::group::COUNTERS, &[200, 0, 1, 0]);
        assert!(matches!(group(&nest), Err(Error::Malformed)));
    }

    #[test]
    fn wide_numbers_come_in_two_lengths() {
        assert_eq!(wide(&7u32.to_ne_bytes()), 7);
        assert_eq!(wide(&u64::MAX.to_ne_bytes()), u64::MAX);
    }
}
