// SPDX-License-Identifier: GPL-2.0
//! The flows of packets, each counted once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use service_group_logic::logic::cluster::flow::{Address, Flow};
use service_group_logic::logic::cluster::packet::{find, Found};

use crate::cluster::file::Config;

/// So many flows are remembered; packets of more are left out.
const MOST: usize = 4_000_000;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A flow as something to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    ports: (u16, u16),
    protocol: u8,
}

/// Which packets count.
#[derive(Debug)]
pub enum Wanted {
    /// Those to the addresses of a file.
    OfFile(Config),
    /// Those to these addresses; if there are none, all.
    Any(Vec<IpAddr>),
}

impl Wanted {
    /// Packets to the addresses of a file.
    pub fn of_file(config: Config) -> Self {
        Self::OfFile(config)
    }

    /// Packets to these addresses; if there are none, all.
    pub fn any(to: Vec<IpAddr>) -> Self {
        Self::Any(to)
    }

    /// The place of the address that a packet is for.
    fn group(&self, key: &Key) -> Option<usize> {
        match self {
            Self::Any(to) => (to.is_empty() || to.contains(&key.destination)).then_some(0),
            Self::OfFile(config) => {
                let all = config.addresses.iter().enumerate();
                let have = all
                    .filter(|(_, address)| address.has(key.destination, key.protocol, key.ports.1));
                let specific = have.max_by_key(|(_, address)| {
                    (address.name.protocol != 0, address.name.port != 0)
                });
                specific.map(|(place, _)| place)
            }
        }
    }
}

/// The flows to one address, and how many packets each has.
#[derive(Debug, Default)]
pub struct Group(HashMap<Key, (Flow, u64)>);

impl Group {
    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The flows with their packets.
    pub fn iter(&self) -> impl Iterator<Item = (&Flow, u64)> {
        self.0.values().map(|(flow, packets)| (flow, *packets))
    }
}

/// All flows that were found.
#[derive(Debug)]
pub struct Flows {
    wanted: Wanted,
    groups: Vec<Group>,
    packets: u64,
    left_out: u64,
}

impl Flows {
    /// None yet, for so many addresses.
    pub fn new(wanted: Wanted, addresses: usize) -> Self {
        Self {
            wanted,
            groups: (0..addresses).map(|_| Group::default()).collect(),
            packets: 0,
            left_out: 0,
        }
    }

    /// The flows of each address.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// How many packets count.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// How many could not be placed.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }

    /// Counts what is no packet.
    pub fn leave_out(&mut self) {
        self.left_out += 1;
    }

    /// Counts a packet that begins with its IP header and has `length` bytes, of
    /// which the first ones are given.
    pub fn add(&mut self, given: &[u8], length: usize) {
        let flow = match find(given, length) {
            Ok(Found::Whole(packet)) => packet.flow,
            Ok(Found::Fragment) | Err(_) => return self.leave_out(),
        };
        let key = Key::of(&flow);
        let full = self.len() >= MOST;
        let Some(group) = self.wanted.group(&key) else {
            return;
        };
        let is_any = matches!(self.wanted, Wanted::Any(_));
        let Some(Group(flows)) = self.groups.get_mut(group) else {
            return;
        };
        if is_any && flows.contains_key(&key.turned()) {
            return;
        }
        if full && !flows.contains_key(&key) {
            return self.leave_out();
        }
        flows.entry(key).or_insert((flow, 0)).1 += 1;
        self.packets += 1;
    }
}

impl Key {
    fn of(flow: &Flow) -> Self {
        Self {
            source: ip(&flow.source),
            destination: ip(&flow.destination),
            ports: (flow.source_port, flow.destination_port),
            protocol: flow.protocol,
        }
    }

    /// That of the packets that go the other way. An echo has one identifier, which
    /// stands as the source port of the request and of the reply.
    fn turned(self) -> Self {
        let (source, destination) = self.ports;
        Self {
            source: self.destination,
            destination: self.source,
            ports: match self.protocol {
                ICMP | ICMPV6 => self.ports,
                _ => (destination, source),
            },
            protocol: self.protocol,
        }
    }
}

fn ip(address: &Address) -> IpAddr {
    match address {
        Address::V4(word) => Ipv4Addr::from(*word).into(),
        Address::V6([a, b, c, d]) => {
            let words = [a, b, c, d].map(|word| u128::from(*word));
            let bits = words.into_iter().fold(0, |bits, word| (bits << 32) | word);
            Ipv6Addr::from(bits).into()
        }
    }
}
