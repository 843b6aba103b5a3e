// SPDX-License-Identifier: GPL-2.0
//! Machines and links as attributes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::link::{Link, LinkEnds, LinkReason, LinkState, Machine};
use super::numbers::{link, link_end, machine};
use super::{wire, Error};
use crate::option::array;

fn word(kind: u16, number: u32) -> Vec<u8> {
    wire::attribute(kind, &number.to_ne_bytes())
}

/// All that is set of a machine.
pub(super) fn machine(of: &Machine) -> Vec<u8> {
    let mut bytes = word(machine::ID, of.id);
    bytes.extend(wire::attribute(machine::CLUSTER_ID, &of.cluster));
    bytes.extend(word(machine::HEARTBEAT, of.heartbeat));
    bytes.extend(word(machine::INSECURE, of.insecure.into()));
    let peers = of.peers.iter().flat_map(|id| word(machine::PEERS, *id));
    bytes.extend(peers);
    bytes
}

/// A machine, from the attributes of a message.
pub(super) fn read_machine(bytes: &[u8]) -> Result<Machine, Error> {
    let mut record = Machine {
        id: 0,
        cluster: [0; 16],
        boot: None,
        heartbeat: 0,
        insecure: false,
        peers: Vec::new(),
    };
    wire::each(bytes, |kind, value| match kind {
        machine::ID => record.id = wire::word(value),
        machine::CLUSTER_ID => record.cluster = array(value),
        machine::BOOT_ID => record.boot = Some(array(value)),
        machine::HEARTBEAT => record.heartbeat = wire::word(value),
        machine::INSECURE => record.insecure = wire::word(value) != 0,
        machine::PEERS => record.peers.push(wire::word(value)),
        _ => {}
    })?;
    Ok(record)
}

/// The attribute that names a peer.
pub(super) fn peer(id: u32) -> Vec<u8> {
    word(link::PEER, id)
}

/// A peer, and the descriptor of the socket that becomes the link to it.
pub(super) fn peer_and_socket(id: u32, fd: u32) -> Vec<u8> {
    [peer(id), word(link::FD, fd)].concat()
}

/// The parts of the ends of a link.
#[derive(Default)]
struct Ends {
    addresses: [Option<IpAddr>; 2],
    ports: [u16; 2],
}

impl Ends {
    fn whole(&self) -> Option<LinkEnds> {
        let [local, peer] = self.addresses;
        let [local_port, peer_port] = self.ports;
        Some(LinkEnds {
            local: SocketAddr::new(local?, local_port),
            peer: SocketAddr::new(peer?, peer_port),
        })
    }

    fn read(&mut self, kind: u16, value: &[u8]) {
        match kind {
            link::LOCAL_ADDRESS => self.addresses[0] = wire::address(value),
            link::LOCAL_PORT => self.ports[0] = u16::from_be_bytes(array(value)),
            link::PEER_ADDRESS => self.addresses[1] = wire::address(value),
            link::PEER_PORT => self.ports[1] = u16::from_be_bytes(array(value)),
            _ => {}
        }
    }
}

/// A link, from the attributes of a message.
pub(super) fn read(bytes: &[u8]) -> Result<Link, Error> {
    let mut record = Link::new(0);
    let mut ends = Ends::default();
    let mut ended = Vec::new();
    let millis = |value: &[u8]| Duration::from_millis(wire::wide(value));
    wire::each(bytes, |kind, value| match kind {
        link::PEER => record.peer = wire::word(value),
        link::STATE => record.state = LinkState::from_number(wire::word(value)),
        link::REASON => record.reason = LinkReason::from_number(wire::word(value)),
        link::AWAY => record.away = wire::word(value) != 0,
        link::READY => record.ready = Some(wire::word(value) != 0),
        link::HEARD => record.heard = Some(millis(value)),
        link::SINCE => record.since = millis(value),
        link::HELD => record.held = Some(millis(value)),
        link::EPOCH => record.epoch = wire::word(value),
        link::BOOT_ID => record.boot = Some(array(value)),
        link::VERSION => record.version = wire::word(value),
        link::SECURE => record.secure = wire::word(value) != 0,
        link::FRAMES_IN => record.traffic.frames_in = wire::wide(value),
        link::FRAMES_OUT => record.traffic.frames_out = wire::wide(value),
        link::BYTES_IN => record.traffic.bytes_in = wire::wide(value),
        link::BYTES_OUT => record.traffic.bytes_out = wire::wide(value),
        link::ENDED => ended.push(read_end(value)),
        other => ends.read(other, value),
    })?;
    record.ends = ends.whole();
    record.ended = ended.into_iter().collect::<Result<_, _>>()?;
    Ok(record)
}

fn read_end(bytes: &[u8]) -> Result<(LinkReason, u32), Error> {
    let (mut reason, mut times) = (LinkReason::Nothing, 0);
    wire::each(bytes, |kind, value| match kind {
        link_end::REASON => reason = LinkReason::from_number(wire::word(value)),
        link_end::TIMES => times = wire::word(value),
        _ => {}
    })?;
    Ok((reason, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Machine {
        Machine {
            id: 3,
            cluster: [5; 16],
            boot: None,
            heartbeat: 100,
            insecure: true,
            peers: vec![1, 2],
        }
    }

    #[test]
    fn a_machine_has_the_documented_bytes() {
        let mut expected = word(1, 3);
        expected.extend(wire::attribute(2, &[5; 16]));
        for (kind, number) in [(4, 100), (5, 1), (6, 1), (6, 2)] {
            expected.extend(word(kind, number));
        }
        assert_eq!(machine(&sample()), expected);
        assert_eq!(read_machine(&expected).ok(), Some(sample()));
        expected.extend(wire::attribute(3, &[6; 16]));
        let told = read_machine(&expected).expect("it is well formed");
        assert_eq!(told.boot, Some([6; 16]));
        assert!(read_machine(&[9, 0, 1]).is_err());
    }

    #[test]
    fn a_socket_is_given_with_its_peer() {
        let expected = [word(1, 7), word(2, 9)].concat();
        assert_eq!(peer_and_socket(7, 9), expected);
    }

    #[test]
    fn a_link_is_read() {
        let mut bytes = Vec::new();
        for (kind, number) in [
            (1, 7u32),
            (3, 2),
            (4, 5),
            (5, 1),
            (6, 0),
            (10, 4),
            (12, 1),
            (13, 1),
        ] {
            bytes.extend(word(kind, number));
        }
        for (kind, number) in [
            (7, 250u64),
            (8, 1500),
            (9, 60),
            (19, 1),
            (20, 2),
            (21, 3),
            (22, 4),
        ] {
            bytes.extend(wire::attribute(kind, &number.to_ne_bytes()));
        }
        bytes.extend(wire::attribute(11, &[6; 16]));
        bytes.extend(wire::attribute(
            0x8000 | 23,
            &[word(1, 1), word(2, 8)].concat(),
        ));
        let mut expected = Link {
            state: LinkState::Suspect,
            reason: LinkReason::Silent,
            away: true,
            ready: Some(false),
            heard: Some(Duration::from_millis(250)),
            since: Duration::from_millis(1500),
            held: Some(Duration::from_millis(60)),
            epoch: 4,
            boot: Some([6; 16]),
            version: 1,
            secure: true,
            ended: vec![(LinkReason::Closed, 8)],
            ..Link::new(7)
        };
        expected.traffic.frames_in = 1;
        expected.traffic.frames_out = 2;
        expected.traffic.bytes_in = 3;
        expected.traffic.bytes_out = 4;
        assert_eq!(read(&bytes).ok(), Some(expected.clone()));
        for (kind, value) in [
            (14, &2u16.to_ne_bytes()[..]),
            (15, &[192, 0, 2, 1]),
            (16, &[0, 80]),
            (17, &[192, 0, 2, 2]),
            (18, &[0, 81]),
        ] {
            bytes.extend(wire::attribute(kind, value));
        }
        expected.ends = Some(LinkEnds {
            local: ([192, 0, 2, 1], 80).into(),
            peer: ([192, 0, 2, 2], 81).into(),
        });
        assert_eq!(read(&bytes).ok(), Some(expected));
        let broken = wire::attribute(0x8000 | 23, &[200, 0, 1, 0]);
        assert!(read(&broken).is_err());
    }
}
