// SPDX-License-Identifier: GPL-2.0
//! Cluster IPs as attributes, both ways.

use std::net::{IpAddr, Ipv4Addr};

use super::cluster::{
    Cluster, ClusterHash, ClusterKey, ClusterLocal, ClusterName, ClusterNode, ClusterRole,
    ClusterSettings, ClusterWay, NodeState, RoleReason,
};
use super::numbers::{cluster, node};
use super::{wire, ClusterCounters, Error};
use crate::option::array;

/// Says of an attribute that others are in it.
const NESTED: u16 = 0x8000;

/// The attributes that name a cluster IP.
pub(super) fn name(name: &ClusterName) -> Vec<u8> {
    let family = match name.address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    // Both are far below the limit.
    let family = u16::try_from(family).unwrap_or_default();
    let attributes = [
        wire::attribute(cluster::FAMILY, &family.to_ne_bytes()),
        wire::attribute(cluster::ADDRESS, &octets(name.address)),
        word(cluster::PROTOCOL, name.protocol.into()),
        wire::attribute(cluster::PORT, &name.port.to_be_bytes()),
    ];
    attributes.concat()
}

/// For which generation a change is made; nothing for any.
pub(super) fn generation(generation: Option<u64>) -> Vec<u8> {
    let number = generation.map(u64::to_ne_bytes);
    number.map_or_else(Vec::new, |it| wire::attribute(cluster::GENERATION, &it))
}

/// A name, and a role.
pub(super) fn name_and_role(of: &ClusterName, role: ClusterRole) -> Vec<u8> {
    [name(of), word(cluster::ROLE, role.number())].concat()
}

/// A name, and whether a check of the service succeeds.
pub(super) fn name_and_health(of: &ClusterName, healthy: bool) -> Vec<u8> {
    [name(of), word(cluster::HEALTHY, healthy.into())].concat()
}

/// All that is set of a cluster IP; what is only told is left out.
pub(super) fn all(of: &Cluster) -> Vec<u8> {
    let mut bytes = name(&of.name);
    bytes.extend(word(cluster::ROLE, of.role.number()));
    if of.device != 0 {
        bytes.extend(word(cluster::DEVICE, of.device));
    }
    if let Some(mac) = of.mac {
        bytes.extend(wire::attribute(cluster::MAC, &mac));
    }
    bytes.extend(word(cluster::HASH, of.hash.number()));
    if let Some(ClusterKey(key)) = of.key {
        bytes.extend(wire::attribute(cluster::KEY, &key));
    }
    if let Some(node) = of.node {
        bytes.extend(word(cluster::NODE, node));
    }
    let settings = ClusterSettings::ATTRIBUTES
        .into_iter()
        .zip(of.settings.numbers());
    for (kind, number) in settings {
        // Older modules refuse what they do not know, and all want to be told this one.
        if number != 0 || kind == cluster::SETTLE {
            bytes.extend(word(kind, number));
        }
    }
    bytes.extend(word(cluster::EPOCH, of.epoch));
    for id in &of.directors {
        bytes.extend(word(cluster::DIRECTORS, *id));
    }
    for node in &of.nodes {
        bytes.extend(wire::attribute(
            NESTED | cluster::NODES,
            &node_attributes(node),
        ));
    }
    let table: Vec<u8> = of.table.iter().flat_map(|id| id.to_ne_bytes()).collect();
    bytes.extend(wire::attribute(cluster::TABLE, &table));
    bytes
}

fn node_attributes(of: &ClusterNode) -> Vec<u8> {
    let mut bytes = [
        word(node::ID, of.id),
        word(node::WEIGHT, of.weight),
        word(node::STATE, of.state.number()),
    ]
    .concat();
    if let Some(address) = of.address {
        bytes.extend(wire::attribute(node::ADDRESS, &octets(address)));
    }
    bytes.extend(word(node::WAY, of.way.number()));
    bytes
}

fn word(kind: u16, number: u32) -> Vec<u8> {
    wire::attribute(kind, &number.to_ne_bytes())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A cluster IP, from the attributes of a message.
pub(super) fn read(bytes: &[u8]) -> Result<Cluster, Error> {
    let mut record = Cluster::new(ClusterName {
        address: Ipv4Addr::UNSPECIFIED.into(),
        protocol: 0,
        port: 0,
    });
    let mut nests = Vec::new();
    let mut counts = Ok(ClusterCounters::default());
    wire::each(bytes, |kind, value| match kind {
        cluster::ADDRESS => {
            record.name.address = wire::address(value).unwrap_or(record.name.address)
        }
        cluster::PROTOCOL => record.name.protocol = wire::word(value).to_le_bytes()[0],
        cluster::PORT => record.name.port = u16::from_be_bytes(array(value)),
        cluster::ROLE => record.role = ClusterRole::from_number(wire::word(value)),
        cluster::DEVICE => record.device = wire::word(value),
        cluster::LOCAL => record.local = Some(ClusterLocal::from_number(wire::word(value))),
        cluster::HEALTHY => record.healthy = Some(wire::word(value) != 0),
        cluster::READY => record.ready = Some(wire::word(value) != 0),
        cluster::MAC => record.mac = Some(array(value)),
        cluster::HASH => record.hash = ClusterHash::from_number(wire::word(value)),
        cluster::KEY => record.key = Some(ClusterKey(array(value))),
        cluster::NODE => record.node = Some(wire::word(value)),
        cluster::EPOCH => record.epoch = wire::word(value),
        cluster::DIRECTORS => record.directors.push(wire::word(value)),
        cluster::ACTING => record.acting = Some(wire::word(value)),
        cluster::ROLE_REASON => {
            record.reason = Some(RoleReason::from_number(wire::word(value)));
        }
        cluster::NODES => nests.push(read_node(value)),
        cluster::TABLE => record.table = value.chunks_exact(4).map(wire::word).collect(),
        cluster::COUNTERS => counts = read_counters(value),
        setting => record.settings.set_attribute(setting, wire::word(value)),
    })?;
    record.nodes = nests.into_iter().collect::<Result<_, _>>()?;
    record.counters = counts?;
    Ok(record)
}

fn read_node(bytes: &[u8]) -> Result<ClusterNode, Error> {
    let mut record = ClusterNode::default();
    wire::each(bytes, |kind, value| match kind {
        node::ID => record.id = wire::word(value),
        node::WEIGHT => record.weight = wire::word(value),
        node::STATE => record.state = NodeState::from_number(wire::word(value)),
        node::ADDRESS => record.address = wire::address(value),
        node::WAY => record.way = ClusterWay::from_number(wire::word(value)),
        node::SLOTS => record.slots = wire::word(value),
        node::FORWARDED => record.forwarded = wire::wide(value),
        node::AWAY => record.away = wire::word(value) != 0,
        node::DEPUTISED => record.deputised = wire::word(value),
        _ => {}
    })?;
    Ok(record)
}

fn read_counters(bytes: &[u8]) -> Result<ClusterCounters, Error> {
    let mut counters = ClusterCounters::default();
    wire::each(bytes, |kind, value| counters.set(kind, wire::wide(value)))?;
    Ok(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Cluster {
        let node = |id: u8| ClusterNode {
            id: id.into(),
            weight: 3,
            state: NodeState::Draining,
            address: Some([192, 0, 2, id].into()),
            way: ClusterWay::Tunnel,
            ..ClusterNode::default()
        };
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        Cluster {
            role: ClusterRole::Standby,
            device: 2,
            mac: Some([1, 0, 0x5e, 1, 2, 3]),
            hash: ClusterHash::Keyed,
            key: Some(ClusterKey([9; 16])),
            node: Some(2),
            settings: ClusterSettings {
                settle: 60,
                spill: true,
            },
            epoch: 5,
            directors: vec![2, 1],
            nodes: vec![node(1), node(2)],
            table: vec![1, 2, 0, 1],
            ..Cluster::new(name)
        }
    }

    #[test]
    fn what_is_set_is_what_is_read() {
        let cluster = sample();
        assert_eq!(read(&all(&cluster)).ok(), Some(cluster.clone()));
        let plain = Cluster::new(ClusterName {
            address: "2001:db8::7".parse().expect("it is one"),
            protocol: 0,
            port: 0,
        });
        assert_eq!(read(&all(&plain)).ok(), Some(plain));
    }

    #[test]
    fn a_name_has_the_documented_bytes() {
        let mut expected = wire::attribute(1, &2u16.to_ne_bytes());
        expected.extend(wire::attribute(2, &[198, 51, 100, 7]));
        expected.extend(wire::attribute(3, &6u32.to_ne_bytes()));
        expected.extend(wire::attribute(4, &[0, 80]));
        assert_eq!(name(&sample().name), expected);
        expected.extend(word(21, 0));
        assert_eq!(name_and_health(&sample().name, false), expected);
    }

    #[test]
    fn the_rest_has_the_documented_bytes() {
        let mut expected = name(&sample().name);
        expected.extend(word(5, 3));
        expected.extend(word(6, 2));
        expected.extend(wire::attribute(7, &[1, 0, 0x5e, 1, 2, 3]));
        expected.extend(word(8, 2));
        expected.extend(wire::attribute(9, &[9; 16]));
        for (kind, number) in [(10, 2), (11, 60), (17, 1), (12, 5), (23, 2), (23, 1)] {
            expected.extend(word(kind, number));
        }
        for id in [1u8, 2] {
            let mut nest = [word(1, id.into()), word(2, 3), word(3, 1)].concat();
            nest.extend(wire::attribute(4, &[192, 0, 2, id]));
            nest.extend(word(5, 1));
            expected.extend(wire::attribute(0x8000 | 13, &nest));
        }
        let table: Vec<u8> = [1u32, 2, 0, 1]
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect();
        expected.extend(wire::attribute(14, &table));
        assert_eq!(all(&sample()), expected);
    }

    #[test]
    fn a_setting_that_is_off_is_not_sent_but_for_the_one_that_all_modules_want() {
        let mut cluster = sample();
        cluster.settings = ClusterSettings::default();
        let mut kinds = Vec::new();
        let read = wire::each(&all(&cluster), |kind, _| kinds.push(kind));
        assert!(read.is_ok() && kinds.contains(&11) && !kinds.contains(&17));
    }

    #[test]
    fn what_is_only_told_is_read() {
        let mut nest = word(1, 7);
        nest.extend(word(6, 84));
        nest.extend(wire::attribute(7, &1_000_000u64.to_ne_bytes()));
        nest.extend([word(9, 1), word(10, 83)].concat());
        let mut counters = wire::attribute(2, &41u64.to_ne_bytes());
        counters.extend(word(16, 42));
        let mut bytes = wire::attribute(NESTED | 13, &nest);
        bytes.extend(wire::attribute(NESTED | 15, &counters));
        bytes.extend(wire::attribute(99, &[1]));
        let cluster = read(&bytes).expect("it is well formed");
        assert_eq!(cluster.local, None);
        assert_eq!((cluster.healthy, cluster.ready), (None, None));
        bytes.extend([word(20, 2), word(21, 1), word(22, 0)].concat());
        assert_eq!((cluster.acting, cluster.reason), (None, None));
        bytes.extend([word(24, 9), word(25, 4)].concat());
        let cluster = read(&bytes).expect("it is well formed");
        let expected = (Some(9), Some(RoleReason::Held));
        assert_eq!((cluster.acting, cluster.reason), expected);
        assert_eq!(cluster.local, Some(ClusterLocal::Elsewhere));
        assert_eq!((cluster.healthy, cluster.ready), (Some(true), Some(false)));
        let [node] = cluster.nodes[..] else {
            panic!("{cluster:?}");
        };
        assert_eq!((node.id, node.slots, node.forwarded), (7, 84, 1_000_000));
        assert_eq!((node.away, node.deputised), (true, 83));
        let ClusterCounters {
            owned, answered, ..
        } = cluster.counters;
        assert_eq!((owned, answered), (41, 42));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for bytes in [
            vec![9, 0, 1],
            wire::attribute(NESTED | 13, &[200, 0, 1, 0]),
            wire::attribute(NESTED | 15, &[200, 0, 1, 0]),
        ] {
            assert!(matches!(read(&bytes), Err(Error::Malformed)));
        }
    }
}
