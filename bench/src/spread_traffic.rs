// SPDX-License-Identifier: GPL-2.0

//! Four kinds of traffic for a cluster IP. All of it is TCP, to one service.

use crate::random::Random;
use crate::spread_ports::{DYNAMIC, Ports, UNPRIVILEGED};
use serde::{Deserialize, Serialize};
use service_group_logic::logic::cluster::flow::{Address, Flow};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// One Linux client.
    OneClient,
    /// The hosts of one /24, of whose ports each is random.
    OneNetwork,
    /// One host in each of 256 networks, with the same last octet; each takes its ports
    /// one after the other.
    LastOctet,
    /// Few clients with many connections and many with few, in a handful of networks.
    Mixed,
}

pub const TRAFFIC: [Traffic; 4] = [
    Traffic::OneClient,
    Traffic::OneNetwork,
    Traffic::LastOctet,
    Traffic::Mixed,
];

impl Traffic {
    pub fn title(self) -> &'static str {
        match self {
            Self::OneClient => "one client",
            Self::OneNetwork => "clients of one /24",
            Self::LastOctet => "clients with one last octet",
            Self::Mixed => "real-looking",
        }
    }

    /// Who the clients are, and how they choose their source ports.
    pub fn about(self) -> &'static str {
        match self {
            Self::OneClient => "Linux, which takes the even source ports of 32768 to 60999 first",
            Self::OneNetwork => "254 clients, random source ports from 49152 up",
            Self::LastOctet => "256 clients, sequential source ports from 49152 up",
            Self::Mixed => {
                "2000 clients and NAT gateways, the k-th with 1/k as many flows as the first"
            }
        }
    }

    /// So many flows, of clients that take turns at random.
    pub fn flows(self, count: usize, random: &mut Random) -> Vec<Flow> {
        let mut clients = self.clients(random);
        let mut ends = Vec::with_capacity(clients.len());
        let mut total = 0;
        for rank in 1..=clients.len() as u64 {
            total += self.weight(rank);
            ends.push(total);
        }
        let mut flows = Vec::with_capacity(count);
        for _ in 0..count {
            let place = random.below(total);
            let client = &mut clients[ends.partition_point(|&end| end <= place)];
            flows.push(client.connect(random));
        }
        flows
    }

    /// How many flows the client of this rank, from 1, has, compared with others.
    fn weight(self, rank: u64) -> u64 {
        match self {
            Self::Mixed => (1 << 32) / rank,
            _ => 1,
        }
    }

    fn clients(self, random: &mut Random) -> Vec<Client> {
        let anywhere = random.next() as u32;
        match self {
            Self::OneClient => vec![Client::new(anywhere, Ports::linux(random))],
            Self::OneNetwork => (1..255)
                .map(|host| Client::new(anywhere & !0xff | host, Ports::Random { low: DYNAMIC }))
                .collect(),
            Self::LastOctet => {
                let networks: Vec<u32> = (0..256).map(|_| random.next() as u32 & !0xff).collect();
                let address = |network| network | anywhere & 0xff;
                networks
                    .into_iter()
                    .map(|network| Client::new(address(network), Ports::sequential(random)))
                    .collect()
            }
            Self::Mixed => mixed(random),
        }
    }
}

const CLIENTS: usize = 2000;
const NETWORKS: usize = 8;

/// Clients at random addresses of a few /16. Of each ten the first one is a NAT gateway,
/// which takes any port; the others are of three kinds by chance.
fn mixed(random: &mut Random) -> Vec<Client> {
    let networks: [u32; NETWORKS] = std::array::from_fn(|_| random.next() as u32 & !0xffff);
    let mut client = |rank: usize| {
        let network = networks[random.below(NETWORKS as u64) as usize];
        let address = network | random.below(1 << 16) as u32;
        let ports = match (rank % 10, random.below(3)) {
            (0, _) => Ports::Random { low: UNPRIVILEGED },
            (_, 0) => Ports::linux(random),
            (_, 1) => Ports::sequential(random),
            _ => Ports::Random { low: DYNAMIC },
        };
        Client::new(address, ports)
    };
    (0..CLIENTS).map(&mut client).collect()
}

struct Client {
    address: u32,
    ports: Ports,
}

impl Client {
    fn new(address: u32, ports: Ports) -> Self {
        Self { address, ports }
    }

    fn connect(&mut self, random: &mut Random) -> Flow {
        Flow {
            source: Address::V4(self.address),
            // 198.51.100.7, HTTPS.
            destination: Address::from_v4_bytes([198, 51, 100, 7]),
            source_port: self.ports.next(random),
            destination_port: 443,
            protocol: 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const COUNT: usize = 10_000;

    fn flows(traffic: Traffic, seed: u64) -> Vec<Flow> {
        traffic.flows(COUNT, &mut Random::new(seed))
    }

    /// How many flows each address has.
    fn clients(traffic: Traffic, seed: u64) -> HashMap<u32, usize> {
        let mut counts = HashMap::new();
        for flow in flows(traffic, seed) {
            *counts.entry(flow.source.words()[0]).or_default() += 1;
        }
        counts
    }

    #[test]
    fn follows_the_seed() {
        for traffic in TRAFFIC {
            assert_eq!(flows(traffic, 1).len(), COUNT);
            assert_eq!(flows(traffic, 1), flows(traffic, 1));
            assert_ne!(flows(traffic, 1), flows(traffic, 2));
        }
    }

    #[test]
    fn one_client_has_even_ports_only() {
        assert_eq!(clients(Traffic::OneClient, 1).len(), 1);
        let even = |flow: &Flow| flow.source_port % 2 == 0;
        assert!(flows(Traffic::OneClient, 1).iter().all(even));
    }

    #[test]
    fn one_network_is_a_network() {
        let clients = clients(Traffic::OneNetwork, 1);
        assert_eq!(clients.len(), 254);
        let first = *clients.keys().next().expect("a client");
        for client in clients.keys() {
            assert_eq!(client >> 8, first >> 8);
            assert!((1..255).contains(&(client & 0xff)));
        }
    }

    #[test]
    fn one_last_octet_in_many_networks() {
        let clients = clients(Traffic::LastOctet, 1);
        assert_eq!(clients.len(), 256);
        let first = *clients.keys().next().expect("a client");
        assert!(clients.keys().all(|client| client & 0xff == first & 0xff));
    }

    #[test]
    fn mixed_clients_are_unequal_and_of_few_networks() {
        let clients = clients(Traffic::Mixed, 1);
        let mut counts: Vec<usize> = clients.values().copied().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        // 1 / (1 + 1/2 + … + 1/2000) is 0.122.
        assert!((1000..1450).contains(&counts[0]));
        assert!((500..750).contains(&counts[1]));
        assert!(counts.len() > 1000);
        let mut networks: Vec<u32> = clients.keys().map(|client| client >> 16).collect();
        networks.sort_unstable();
        networks.dedup();
        assert_eq!(networks.len(), NETWORKS);
    }
}
