// SPDX-License-Identifier: GPL-2.0
//! The attributes of the family, read into plain structs.
//!
//! Unknown attributes are passed over, and missing ones are zero, so that this
//! works with an older and with a newer module.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;

use super::{Counters, Error, Group, Member, Stats};
use crate::option::{array, MemberState};

/// Length of the generic netlink header.
pub(super) const GENL_HEADER: usize = 4;

/// The commands of the family.
pub(super) mod command {
    pub const GROUP_GET: u8 = 1;
    pub const MEMBER_GET: u8 = 2;
    pub const STATS_GET: u8 = 3;
    pub const GROUP_ADD_NTF: u8 = 4;
    pub const GROUP_DEL_NTF: u8 = 5;
    pub const MEMBER_ADD_NTF: u8 = 6;
    pub const MEMBER_DEL_NTF: u8 = 7;
}

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

/// The kernel sends the 64-bit ones with 4 or 8 bytes.
fn wide(value: &[u8]) -> u64 {
    match value.len() {
        0..=7 => u64::from(word(value)),
        _ => u64::from_ne_bytes(array(value)),
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(array(value)).into()),
        16 => Some(Ipv6Addr::from(array::<16>(value)).into()),
        _ => None,
    }
}

fn counters(bytes: &[u8]) -> Result<Counters, Error> {
    let mut counters = Counters::default();
    each(bytes, |kind, value| {
        let field = match kind {
            2 => &mut counters.home,
            3 => &mut counters.home_unpromised,
            4 => &mut counters.redirected_in,
            5 => &mut counters.redirected_queue_full,
            6 => &mut counters.redirected_promised,
            7 => &mut counters.dropped_full,
            8 => &mut counters.dropped_unfit,
            9 => &mut counters.rescued_in,
            10 => &mut counters.rescued_out,
            _ => return,
        };
        *field = wide(value);
    })?;
    Ok(counters)
}

/// A group, from the attributes of a message.
pub(super) fn group(bytes: &[u8]) -> Result<Group, Error> {
    let mut group = Group::default();
    let mut nest = Ok(Counters::default());
    each(bytes, |kind, value| match kind {
        1 => group.id = word(value),
        2 => group.uid = word(value),
        3 => group.members = word(value),
        4 => nest = counters(value),
        _ => {}
    })?;
    group.counters = nest?;
    Ok(group)
}

/// A member, from the attributes of a message.
pub(super) fn member(bytes: &[u8]) -> Result<Member, Error> {
    let mut member = Member::default();
    let mut nest = Ok(Counters::default());
    each(bytes, |kind, value| match kind {
        1 => member.group = word(value),
        2 => member.cookie = wide(value),
        3 => member.inode = wide(value),
        4 => member.family = half(value),
        5 => member.port = u16::from_be_bytes(array(value)),
        6 => member.address = address(value),
        7 => member.state = MemberState::from_number(word(value)),
        8 => member.queued = word(value),
        9 => member.half_open = word(value),
        10 => member.backlog = word(value),
        11 => nest = counters(value),
        _ => {}
    })?;
    member.counters = nest?;
    Ok(member)
}

/// The totals, from the attributes of a message.
pub(super) fn stats(bytes: &[u8]) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    each(bytes, |kind, value| match kind {
        1 => stats.groups = word(value),
        2 => stats.members = word(value),
        3 => stats.refused_limit = wide(value),
        4 => stats.refused_permission = wide(value),
        5 => stats.refused_other = wide(value),
        _ => {}
    })?;
    Ok(stats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_read_with_its_counters() {
        let mut nest = attribute(1, &[]);
        for (kind, value) in (2u16..=10).zip(100u64..) {
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
            (7, &2u32.to_ne_bytes()),
            (8, &8u32.to_ne_bytes()),
            (9, &9u32.to_ne_bytes()),
            (10, &10u32.to_ne_bytes()),
            (0x8000 | 11, &nest),
            (99, &[1]),
        ] {
            bytes.extend(attribute(kind, value));
        }
        let member = member(&bytes).expect("it is well formed");
        assert_eq!((member.group, member.cookie, member.inode), (5, 6, 7));
        assert_eq!((member.family, member.port), (2, 80));
        assert_eq!(member.address, Some(Ipv4Addr::new(10, 0, 0, 1).into()));
        assert_eq!(member.state, MemberState::Listening);
        assert_eq!(
            (member.queued, member.half_open, member.backlog),
            (8, 9, 10)
        );
        assert_eq!(
            (member.counters.home, member.counters.rescued_out),
            (100, 108)
        );
    }

    #[test]
    fn what_is_missing_is_zero_and_what_is_broken_is_refused() {
        assert_eq!(group(&[]).ok(), Some(Group::default()));
        assert_eq!(stats(&[]).ok(), Some(Stats::default()));
        assert!(matches!(member(&[9, 0, 1]), Err(Error::Malformed)));
        let nest = attribute(4, &[200, 0, 1, 0]);
        assert!(matches!(group(&nest), Err(Error::Malformed)));
    }

    #[test]
    fn wide_numbers_come_in_two_lengths() {
        assert_eq!(wide(&7u32.to_ne_bytes()), 7);
        assert_eq!(wide(&u64::MAX.to_ne_bytes()), u64::MAX);
    }
}
