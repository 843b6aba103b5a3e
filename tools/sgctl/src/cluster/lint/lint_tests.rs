// SPDX-License-Identifier: GPL-2.0
//! Captures that are made here, and what becomes of them.

use super::*;
use crate::cluster::file::{read, samples::node};
use etherparse::PacketBuilder;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const CLUSTER: [u8; 4] = [198, 51, 100, 7];

/// An Ethernet frame of a client to the cluster IP.
fn frame(client: [u8; 4], port: u16) -> Vec<u8> {
    tcp(client, port, CLUSTER, 80)
}

fn tcp(from: [u8; 4], port: u16, to: [u8; 4], to_port: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(from, to, 64)
        .tcp(port, to_port, 1, 1000)
        .syn();
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).expect("it is short");
    // As short frames are.
    frame.resize(frame.len().max(60), 0);
    frame
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0]);
    for word in [0u32, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("it is short");
        for word in [0, 0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut padded = body.to_vec();
    padded.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(12 + padded.len()).expect("it is short");
    let length = length.to_le_bytes();
    [&kind.to_le_bytes()[..], &length, &padded, &length].concat()
}

/// Two interfaces: Ethernet, and raw IP.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut bytes = block(0x0a0d_0d0a, &section);
    for link in [1u8, 101] {
        bytes.extend(block(1, &[link, 0, 0, 0, 0, 0, 4, 0]));
    }
    for (frame, interface) in frames.iter().zip([0u32, 1].into_iter().cycle()) {
        let data = if interface == 1 { &frame[14..] } else { frame };
        let length = u32::try_from(data.len()).expect("it is short");
        let words = [interface, 0, 0, length, length];
        let head: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(block(6, &[&head, data].concat()));
    }
    bytes
}

/// A file with these bytes.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let name = format!("sgctl-lint-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("it can be written");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn flows_of(name: &str, bytes: &[u8], wanted: Wanted, addresses: usize) -> Flows {
    let file = Temporary::new(name, bytes);
    let mut flows = Flows::new(wanted, addresses);
    capture::read(&file.0, &mut flows).expect("it can be read");
    flows
}

/// One client with even ports only, as Linux chooses them.
fn even_ports() -> Vec<Vec<u8>> {
    (0..600)
        .map(|n| frame([192, 0, 2, 1], 32_768 + 2 * n))
        .collect()
}

fn spread(nodes: u16, slots: u16, frames: &[Vec<u8>]) -> Report {
    let name = format!("spread-{nodes}-{slots}-{}", frames.len());
    let flows = flows_of(&name, &pcap(frames), Wanted::any(Vec::new()), 1);
    report(&flows, &[counted(Count { nodes, slots })])
}

#[test]
fn both_formats_are_read() {
    let frames = even_ports();
    for (name, bytes) in [("pcap", pcap(&frames)), ("pcapng", pcapng(&frames))] {
        let flows = flows_of(name, &bytes, Wanted::any(Vec::new()), 1);
        assert_eq!(
            (flows.len(), flows.packets(), flows.left_out()),
            (600, 600, 0),
            "{name}"
        );
    }
}

#[test]
fn captures_that_are_broken_are_told_and_cut_ones_count() {
    let whole = pcap(&even_ports()[..10]);
    let cut = flows_of("cut", &whole[..whole.len() - 5], Wanted::any(Vec::new()), 1);
    assert_eq!(cut.len(), 9);
    let mut flows = Flows::new(Wanted::any(Vec::new()), 1);
    let text = Temporary::new("text", b"this is no capture, but long enough to be one");
    for (path, status) in [
        (&*text.0, 2),
        (Path::new("/nonexistent"), 1),
        (Path::new("/"), 1),
    ] {
        let failure = capture::read(path, &mut flows).expect_err("it is none");
        assert_eq!(failure.status(), status, "{failure}");
        assert!(failure.to_string().contains("cannot be read"), "{failure}");
    }
}

#[test]
fn each_flow_counts_once_and_in_one_direction() {
    let there = frame([192, 0, 2, 1], 4000);
    let back = tcp(CLUSTER, 80, [192, 0, 2, 1], 4000);
    let mut arp = vec![0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let mut fragment = there.clone();
    fragment[20] = 0x20;
    let frames = [there.clone(), back.clone(), there, arp, fragment];
    let flows = flows_of("once", &pcap(&frames), Wanted::any(Vec::new()), 1);
    assert_eq!((flows.len(), flows.packets(), flows.left_out()), (1, 2, 2));
    let to = Wanted::any(vec![IpAddr::from([192, 0, 2, 1])]);
    let flows = flows_of("to", &pcap(&[back]), to, 1);
    assert_eq!(flows.len(), 1);
}

#[test]
fn a_frame_that_was_cut_has_its_own_length() {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], CLUSTER, 64)
        .udp(4000, 80);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[7; 100]).expect("it is short");
    let mut bytes = pcap(&[]);
    for word in [0, 0, 54, 142u32] {
        bytes.extend(word.to_le_bytes());
    }
    assert_eq!(frame.len(), 142);
    bytes.extend(&frame[..54]);
    let flows = flows_of("short", &bytes, Wanted::any(Vec::new()), 1);
    assert_eq!((flows.len(), flows.left_out()), (1, 0));
}

#[test]
fn even_ports_and_even_slots_are_told() {
    let report = spread(2, 2, &even_ports());
    let [sum3, sum5, keyed] = &report.addresses[0].hashes[..] else {
        panic!("{report:?}");
    };
    assert!((sum3.worst - 2.0).abs() < 1e-9 && (sum5.worst - 2.0).abs() < 1e-9);
    let hint = |of: &spread::HashSpread| of.hint.clone().unwrap_or_default();
    assert!(hint(sum3).contains("1 pairs") && hint(sum3).contains("sum5 or keyed"));
    assert!(hint(sum5).contains("source ports are even") && hint(sum5).contains("odd number"));
    assert!(keyed.hint.is_none() && keyed.worst < 1.2, "{keyed:?}");
    let odd = spread(2, 251, &even_ports());
    assert_eq!(odd.addresses[0].hashes[1].hint, None);
    // Steps of the number of slots are a pattern, too.
    let steps: Vec<_> = (0..600)
        .map(|n| frame([192, 0, 2, 1], 32_768 + 9 * n))
        .collect();
    let report = spread(3, 9, &steps);
    assert!(hint(&report.addresses[0].hashes[1]).contains("follow a pattern"));
    // Of few flows nothing can be said.
    assert_eq!(
        spread(2, 2, &even_ports()[..30]).addresses[0].hashes[1].hint,
        None
    );
}

#[test]
fn a_chart_shows_shares_beside_the_ideal() {
    let text = chart::draw(&spread(2, 2, &even_ports()));
    let full = "█".repeat(19) + "┃" + &"█".repeat(20);
    let empty = " ".repeat(19) + "┃" + &" ".repeat(20);
    for line in [
        "600 packets counted\n".to_owned(),
        "all packets: 600 flows, 2 slots\n".to_owned(),
        "sum5 (the most loaded has 2.00 x its share)\n".to_owned(),
        format!("{full}  100.0 % of  50.0 %  600 flows\n"),
        format!("{empty}    0.0 % of  50.0 %  0 flows\n"),
        "  ! nearly all source ports are even".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let nothing = chart::draw(&spread(2, 2, &[]));
    assert!(
        nothing.ends_with("all packets: 0 flows, 2 slots\n"),
        "{nothing}"
    );
}

#[test]
fn the_addresses_of_a_file_are_told_apart() {
    let text = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 4\nepoch = 1\n\
                table = \"1x3 0\"\n\
                [[address]]\nip = \"198.51.100.7\"\nprotocol = \"tcp\"\nport = 80\n\
                device = \"eth0\"\nslots = 3\nepoch = 1\ntable = \"1 2 2\"\n";
    let nodes = node("a", 1, "") + &node("b", 2, "");
    let config = read(&(nodes + text)).expect("it is right");
    let args = LintArgs {
        pcap: None,
        live: None,
        seconds: None,
        file: "x".into(),
        nodes: None,
        slots: None,
        to: Vec::new(),
        json: false,
    };
    let nodes = planned(&config, &args).expect("it has tables");
    let mut frames = even_ports();
    frames.extend((0..100).map(|n| tcp([192, 0, 2, 1], 4000 + n, CLUSTER, 81)));
    frames.push(tcp([192, 0, 2, 1], 4000, [198, 51, 100, 8], 80));
    let flows = flows_of("file", &pcap(&frames), Wanted::of_file(config), nodes.len());
    let report = report(&flows, &nodes);
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(
        (&json["packets"], &json["left_out"]),
        (&700.into(), &0.into())
    );
    let [any, port] = &report.addresses[..] else {
        panic!("{report:?}");
    };
    assert_eq!((any.flows, port.flows), (100, 600));
    let names: Vec<&str> = any.hashes[1]
        .nodes
        .iter()
        .map(|it| it.node.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "nobody"]);
    assert!((any.hashes[1].nodes[2].ideal - 0.25).abs() < 1e-9);
    assert_eq!(
        port.hashes[1].nodes.iter().map(|it| it.flows).sum::<u64>(),
        600
    );
    let unplanned = read(&text.replace("epoch = 1\ntable = \"1 2 2\"", "")).expect("it is right");
    assert!(planned(&unplanned, &args).is_err_and(|it| it.to_string().contains("cluster plan")));
    let none = read("").expect("it is right");
    assert!(planned(&none, &args).is_err_and(|it| it.to_string().contains("--nodes")));
}
