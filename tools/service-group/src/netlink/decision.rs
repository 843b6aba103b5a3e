// SPDX-License-Identifier: GPL-2.0
//! What became of one connection: the question, and the answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::numbers::decision;
use super::{wire, Error};
use crate::kernel_enum::kernel_enum;

kernel_enum! {
    /// What became of a connection that did not stay with its home listener.
    Outcome, "something was done that this version does not know",
    Redirected "redirected" "a sibling took its SYN";
    Handed "handed" "a sibling took over its half-open request";
    Rescued "rescued" "a sibling took over the complete connection";
    Dropped "dropped" "its SYN was dropped";
    Reset "reset" "its SYN was answered with a reset";
    Spilled "spilled" "its SYN was given to another machine of the cluster";
}

kernel_enum! {
    /// Why it did not stay; the text goes behind "because".
    Reason, "of something that this version does not know",
    QueueFull "queue-full" "the member's accept queue was full";
    Promised "promised" "half-open requests had promised the last slots of the member's queue";
    Stalled "stalled" "the member was stalled";
    Balanced "balanced" "the sibling was less loaded";
    Leaving "leaving" "the member was leaving";
    Overflow "overflow" "the member's accept queue overflowed between SYN and ACK";
    Full "full" "no member had room";
    Unfit "unfit" "no member that could serve it had room";
}

/// What became of one connection that did not stay with its home listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Id of the group.
    pub group: u32,
    /// What was done last.
    pub outcome: Outcome,
    /// And why.
    pub reason: Reason,
    /// Cookie of the member that had it first.
    pub home: u64,
    /// Cookie of the member that has it now, if one has.
    pub taker: Option<u64>,
    /// How many times it went from one member to another.
    pub moves: u32,
    /// How long ago that was.
    pub age: Duration,
}

/// The attributes that name a connection; nothing if the two addresses cannot
/// be those of one. An IPv4-mapped IPv6 address is meant as IPv4, which is what
/// the packets are.
pub(super) fn question(local: SocketAddr, peer: SocketAddr) -> Option<Vec<u8>> {
    let [(local_address, local_port), (peer_address, peer_port)] = [local, peer].map(parts);
    let family = match (local_address.len(), peer_address.len()) {
        (4, 4) => libc::AF_INET,
        (16, 16) => libc::AF_INET6,
        _ => return None,
    };
    let family = u16::try_from(family).ok()?.to_ne_bytes();
    let attributes = [
        wire::attribute(decision::FAMILY, &family),
        wire::attribute(decision::LOCAL_ADDRESS, &local_address),
        wire::attribute(decision::LOCAL_PORT, &local_port),
        wire::attribute(decision::PEER_ADDRESS, &peer_address),
        wire::attribute(decision::PEER_PORT, &peer_port),
    ];
    Some(attributes.concat())
}

/// The bytes of an address and of a port.
fn parts(endpoint: SocketAddr) -> (Vec<u8>, [u8; 2]) {
    let address = match endpoint.ip().to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    (address, endpoint.port().to_be_bytes())
}

/// What became of it, from the attributes of the answer.
pub(super) fn read(bytes: &[u8]) -> Result<Decision, Error> {
    let mut record = Decision {
        group: 0,
        outcome: Outcome::Unknown(u32::MAX),
        reason: Reason::Unknown(u32::MAX),
        home: 0,
        taker: None,
        moves: 0,
        age: Duration::ZERO,
    };
    wire::each(bytes, |kind, value| match kind {
        decision::GROUP => record.group = wire::word(value),
        decision::OUTCOME => record.outcome = Outcome::from_number(wire::word(value)),
        decision::REASON => record.reason = Reason::from_number(wire::word(value)),
        decision::HOME => record.home = wire::wide(value),
        decision::TAKER => record.taker = Some(wire::wide(value)),
        decision::MOVES => record.moves = wire::word(value),
        decision::AGE => record.age = Duration::from_millis(wire::wide(value)),
        _ => {}
    })?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::super::header::check;
    use super::*;

    #[test]
    fn outcomes_and_reasons_are_those_of_the_header() {
        check("OUTCOME", Outcome::ALL.iter().map(|one| one.name()));
        check("REASON", Reason::ALL.iter().map(|one| one.name()));
    }

    /// The scripts for bpftrace have names of their own for the reasons.
    #[test]
    fn scripts_name_the_reasons() {
        let names: Vec<String> = Reason::ALL
            .iter()
            .map(|reason| reason.name().replace('-', "_"))
            .collect();
        for script in [
            include_str!("../../../bpftrace/drop.bt"),
            include_str!("../../../bpftrace/hand_over.bt"),
            include_str!("../../../bpftrace/redirect.bt"),
            include_str!("../../../bpftrace/rescue.bt"),
            include_str!("../../../bpftrace/spill.bt"),
        ] {
            let (_, list) = script.split_once("enum reason {").expect("it has one");
            let (list, _) = list.split_once('}').expect("it ends");
            let entries = list.split(',').map(str::trim);
            let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
            assert_eq!(entries, names);
        }
    }

    #[test]
    fn numbers_that_are_not_known_are_kept() {
        assert_eq!(Outcome::from_number(2), Outcome::Rescued);
        assert_eq!(Outcome::from_number(6), Outcome::Unknown(6));
        assert_eq!(Outcome::Unknown(6).number(), 6);
        assert_eq!(Outcome::Rescued.number(), 2);
        assert_eq!(Reason::from_number(8), Reason::Unknown(8));
        assert_eq!(Reason::Unknown(8).to_string(), "unknown");
    }

    #[test]
    fn texts_are_parts_of_one_sentence() {
        let outcomes = Outcome::ALL.iter().map(|one| one.text());
        for text in outcomes.chain(Reason::ALL.iter().map(|one| one.text())) {
            assert!(!text.ends_with('.') && text.starts_with(char::is_lowercase));
        }
    }

    #[test]
    fn a_connection_is_asked_for_by_its_packets() {
        let ask = |local: &str, peer: &str| {
            let parse = |text: &str| text.parse().expect("an address and a port");
            question(parse(local), parse(peer))
        };
        let mut expected = wire::attribute(1, &2u16.to_ne_bytes());
        expected.extend(wire::attribute(2, &[10, 0, 0, 1]));
        expected.extend(wire::attribute(3, &80u16.to_be_bytes()));
        expected.extend(wire::attribute(4, &[10, 0, 0, 2]));
        expected.extend(wire::attribute(5, &4000u16.to_be_bytes()));
        for (local, peer) in [
            ("10.0.0.1:80", "10.0.0.2:4000"),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.2]:4000"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.2:4000"),
        ] {
            assert_eq!(ask(local, peer).as_ref(), Some(&expected), "{local}");
        }
        let ipv6 = ask("[::1]:80", "[::2]:4000").expect("one family");
        assert_eq!(ipv6[..8], wire::attribute(1, &10u16.to_ne_bytes()));
        assert_eq!(ipv6.len(), 3 * 8 + 2 * 20);
        assert_eq!(ask("[::1]:80", "10.0.0.2:4000"), None);
    }

    #[test]
    fn an_answer_is_read() {
        let mut bytes = Vec::new();
        for (kind, number) in [(6, 3u32), (7, 2), (8, 2), (11, 1)] {
            bytes.extend(wire::attribute(kind, &number.to_ne_bytes()));
        }
        for (kind, number) in [(9, 11u64), (12, 1500)] {
            bytes.extend(wire::attribute(kind, &number.to_ne_bytes()));
        }
        let mut expected = Decision {
            group: 3,
            outcome: Outcome::Rescued,
            reason: Reason::Stalled,
            home: 11,
            taker: None,
            moves: 1,
            age: Duration::from_millis(1500),
        };
        assert_eq!(read(&bytes).ok(), Some(expected));
        bytes.extend(wire::attribute(10, &12u64.to_ne_bytes()));
        expected.taker = Some(12);
        assert_eq!(read(&bytes).ok(), Some(expected));
        assert!(matches!(read(&[9, 0, 1]), Err(Error::Malformed)));
    }
}
