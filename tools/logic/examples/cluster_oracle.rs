// SPDX-License-Identifier: GPL-2.0
//! Tells what the machines of a cluster count for packets, for selftests/cluster/cluster_kinds.py.
//!
//! It reads lines, and answers those that are packets with a line of what is counted, as
//! `3:owned 4:forwarded`:
//!
//! ```text
//! cluster ADDRESS PROTOCOL PORT shared|directed spill|keep neighbour|tunnel first|young|settled
//! table OWNER,…
//! former OWNER,…
//! machine NUMBER shared|directed|director|standby node|none
//! known NUMBER SOURCE PORT PORT
//! packet NUMBER whole|gathered|beside BYTES
//! tunnel NUMBER near|beside BYTES,…
//! ```

#[path = "../model/cluster.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::io::{stdin, stdout, BufRead, Write};
use std::net::IpAddr;

use cluster::{Age, Cluster, Count, Machine, Role, Way};
use service_group_logic::logic::cluster::flow::{Address, Flow};
use service_group_logic::logic::cluster::slots::{NodeId, Slot};

fn address(text: &str) -> Address {
    match text.parse().expect("an address") {
        IpAddr::V4(address) => Address::from_v4_bytes(address.octets()),
        IpAddr::V6(address) => Address::from_v6_bytes(address.octets()),
    }
}

fn number<T: TryFrom<u32>>(text: &str) -> T {
    let number: u32 = text.parse().expect("a number");
    T::try_from(number).ok().expect("a number in its range")
}

fn slots(text: &str) -> Vec<Slot> {
    let owners = text.split(',').map(number::<u32>);
    owners.map(NodeId::new).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2);
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    digits.map(byte).collect()
}

fn new(words: &[&str]) -> Cluster {
    let &[name, protocol, port, mode, spill, way, age] = words else {
        panic!("a cluster of {words:?}");
    };
    Cluster {
        address: address(name),
        protocol: number(protocol),
        port: number(port),
        is_shared: mode == "shared",
        spill: spill == "spill",
        way: match way {
            "tunnel" => Way::Tunnel,
            _ => Way::Neighbour,
        },
        age: match age {
            "young" => Age::Young,
            "settled" => Age::Settled,
            _ => Age::First,
        },
        table: Vec::new(),
        former: Vec::new(),
        machines: BTreeMap::new(),
    }
}

fn machine(role: &str, node: &str) -> Machine {
    let role = match role {
        "shared" => Role::Shared,
        "director" => Role::Director,
        "standby" => Role::Standby,
        _ => Role::Directed,
    };
    Machine {
        role,
        is_node: node == "node",
        known: Vec::new(),
    }
}

fn answer(counts: &[Count]) {
    let words = counts.iter().map(|(at, name)| format!("{at}:{name}"));
    println!("{}", words.collect::<Vec<_>>().join(" "));
    stdout().flush().expect("somebody who reads");
}

fn main() {
    let mut told = None;
    for line in stdin().lock().lines() {
        let line = line.expect("text");
        let words: Vec<_> = line.split(' ').collect();
        if words[0] == "cluster" {
            told = Some(new(&words[1..]));
            continue;
        }
        let cluster = told.as_mut().expect("a cluster first");
        match *words.as_slice() {
            ["table", owners] => cluster.table = slots(owners),
            ["former", owners] => cluster.former = slots(owners),
            ["machine", at, role, node] => {
                cluster.machines.insert(number(at), machine(role, node));
            }
            ["known", at, source, source_port, destination_port] => {
                let flow = Flow {
                    source: address(source),
                    destination: cluster.address,
                    source_port: number(source_port),
                    destination_port: number(destination_port),
                    protocol: 6,
                };
                let machine = cluster.machines.get_mut(&number(at));
                machine.expect("a machine").known.push(flow);
            }
            ["packet", at, "beside", _] => answer(&cluster.beside(number(at))),
            ["packet", at, how, packet] => {
                answer(&cluster.packet(number(at), &bytes(packet), how == "gathered"));
            }
            ["tunnel", at, way, frames] => {
                let frames: Vec<Vec<u8>> = frames.split(',').map(bytes).collect();
                answer(&cluster.tunnel(number(at), way == "beside", &frames));
            }
            _ => panic!("{line}"),
        }
    }
}
