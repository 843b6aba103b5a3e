// SPDX-License-Identifier: GPL-2.0
//! The hashes against an oracle that was written from their description, in
//! another language.

use service_group_logic::logic::cluster::flow::{Address, Flow};
use service_group_logic::logic::cluster::hash::{Hash, Key, SlotCount};
use std::net::IpAddr;
use std::process::Command;
use std::str::FromStr;

const LINES: usize = 6000;
const SEED: &str = "20";

fn address(text: &str) -> Address {
    match text.parse().unwrap() {
        IpAddr::V4(address) => Address::from_v4_bytes(address.octets()),
        IpAddr::V6(address) => Address::from_v6_bytes(address.octets()),
    }
}

fn key(hex: &str) -> Key {
    assert_eq!(hex.len(), 32);
    Key::from_bytes(u128::from_str_radix(hex, 16).unwrap().to_be_bytes())
}

fn number<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The hash of one line, its slots and its flow; what the oracle says of them.
fn read(line: &str) -> ((Hash, SlotCount, Flow), (u64, usize)) {
    let fields: Vec<&str> = line.split(' ').collect();
    let &[hash, hex, slots, source, source_port, destination, destination_port, protocol, value, slot] =
        fields.as_slice()
    else {
        panic!("not ten fields: {line}");
    };
    let hash = match hash {
        "sum3" => Hash::Sum3,
        "sum5" => Hash::Sum5,
        "keyed" => Hash::Keyed(key(hex)),
        _ => panic!("which hash is {hash}?"),
    };
    let flow = Flow {
        source: address(source),
        destination: address(destination),
        source_port: number(source_port),
        destination_port: number(destination_port),
        protocol: number(protocol),
    };
    let slots = SlotCount::new(number(slots)).unwrap();
    ((hash, slots, flow), (number(value), number(slot)))
}

#[test]
fn the_oracle_says_the_same() {
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/cluster_hash.py");
    let output = Command::new("python3")
        .args([oracle, &LINES.to_string(), SEED])
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the oracle failed: {errors}");

    let mut seen = [0; 6];
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let ((hash, slots, flow), expected) = read(line);
        let result = (hash.value(&flow), hash.slot(&flow, slots));
        assert_eq!(result, expected, "{line}");
        let kind = match hash {
            Hash::Sum3 => 0,
            Hash::Sum5 => 1,
            Hash::Keyed(_) => 2,
        };
        seen[kind + 3 * usize::from(matches!(flow.source, Address::V6(_)))] += 1;
    }
    assert_eq!(seen.iter().sum::<usize>(), LINES);
    assert!(seen.iter().all(|&lines| lines > LINES / 10), "{seen:?}");
}
