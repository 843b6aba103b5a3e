// SPDX-License-Identifier: GPL-2.0
//! What is refused, with its line; and what is read of a file that is right.

use super::super::{Directing, Mode};
use super::*;
use service_group::netlink::ClusterWay;
use service_group_logic::logic::cluster::slots::{NodeId, State};

pub(crate) const NODES: &str = r#"
[[node]]
name = "a"
id = 1
address = "192.0.2.11"

[[node]]
name = "b"
id = 2
address = "192.0.2.12"
weight = 3
state = "draining"
way = "tunnel"
"#;

/// An address with these lines, which begin with line 16.
pub(crate) fn file(lines: &str) -> String {
    format!("{NODES}\n[[address]]\n{lines}\n")
}

#[track_caller]
pub(crate) fn refused(text: &str, line: usize, told: &str) {
    let problem = read(text).expect_err(text);
    assert_eq!(problem.line, line, "{}", problem.reason);
    assert!(problem.reason.contains(told), "{}", problem.reason);
    assert!(!problem.reason.ends_with('.') && !problem.reason.contains('\n'));
}

#[test]
fn a_file_is_read_with_its_defaults() {
    let text = file("ip = \"198.51.100.7\"\ndevice = \"eth0\"");
    let config = read(&text).expect("it is right");
    let [a, b] = &config.nodes[..] else {
        panic!("{config:?}");
    };
    assert_eq!(
        (a.weight.get(), a.state, a.way),
        (1, State::Up, ClusterWay::Neighbour)
    );
    assert_eq!(
        (b.weight.get(), b.state, b.way),
        (3, State::Draining, ClusterWay::Tunnel)
    );
    let [address] = &config.addresses[..] else {
        panic!("{config:?}");
    };
    let mac = [0x03, 0x53, 198, 51, 100, 7];
    assert_eq!(address.mode, Mode::Shared { mac });
    assert_eq!((address.name.protocol, address.name.port), (0, 0));
    assert_eq!((address.slots.get(), address.settings.settle), (251, 3600));
    assert_eq!((address.hash, &address.table), (ClusterHash::Sum5, &None));
    assert_eq!(address.line, 16);
    assert!(read("").is_ok_and(|config| config.nodes.is_empty()));
}

#[test]
fn everything_can_be_given() {
    let text = file(
        "ip = \"198.51.100.7\"\ndevice = \"eth0\"\nprotocol = 6\nport = 443\n\
         mode = \"directed\"\ndirectors = [\"b\", \"a\"]\nhash = \"keyed\"\n\
         key = \"000102030405060708090a0b0c0d0e0f\"\nslots = 4\nsettle = 0\nepoch = 7\n\
         table = [\"1x2\", \"2 0\"]\nbefore = \"2 0x3\"\nchanged = 2026-01-31T12:00:00Z\n\
         [[director]]\nname = \"lb\"\ndevice = \"ens1\"",
    );
    let config = read(&text).expect("it is right");
    let address = &config.addresses[0];
    let directors = vec!["b".to_owned(), "a".to_owned()];
    assert_eq!(
        address.mode,
        Mode::Directed {
            directors,
            directing: Directing::Given
        }
    );
    assert_eq!((address.name.protocol, address.name.port), (6, 443));
    let table = address.table.as_ref().expect("it has one");
    let ids = [1, 1, 2, 0].map(NodeId::new);
    assert_eq!(
        (table.epoch, &table.slots[..], table.line),
        (7, &ids[..], 27)
    );
    assert_eq!(table.before[0], NodeId::new(2));
    assert!(table.changed.is_some() && address.hash().is_some());
    assert_eq!(config.machines(), ["a", "b", "lb"]);
}

#[test]
fn nodes_that_are_wrong_are_refused_with_their_line() {
    for (from, to, line, told) in [
        ("\"a\"", "\"a b\"", 3, "no name of a machine"),
        (
            "id = 1",
            "id = 0",
            4,
            "id 0 is out of range: give a number from 1",
        ),
        ("id = 1", "id = \"x\"", 4, "expected"),
        ("192.0.2.11", "192.0.2", 5, "no IP address"),
        (
            "192.0.2.11",
            "127.0.0.1",
            5,
            "not the address of one machine",
        ),
        ("weight = 3", "weight = 65536", 11, "from 1 to 65535"),
        ("weight = 3", "weight = 0", 11, "weight 0"),
        ("\"draining\"", "\"gone\"", 12, "up, draining, down"),
        ("\"tunnel\"", "\"bridge\"", 13, "neighbour, tunnel"),
        ("way =", "wya =", 13, "unknown field `wya`"),
        ("id = 2", "id = 1", 9, "two machines with id 1"),
        ("192.0.2.12", "192.0.2.11", 10, "the address of \"a\""),
        ("\"b\"", "\"a\"", 8, "two machines \"a\""),
        ("name = \"a\"\n", "", 2, "missing field `name`"),
        ("way = \"tunnel\"", "way = ", 13, ""),
    ] {
        let text = NODES.replace(from, to);
        assert_ne!(text, NODES, "{from}");
        refused(&text, line, told);
    }
}

#[test]
fn addresses_that_are_wrong_are_refused_with_their_line() {
    let base = "ip = \"198.51.100.7\"\ndevice = \"eth0\"\n";
    for (lines, line, told) in [
        ("port = 80", 18, "write protocol = \"tcp\" too"),
        ("protocol = \"icmp\"\nport = 80", 19, "has ports"),
        ("protocol = \"tcp\"\nport = 65536", 19, "from 1 to 65535"),
        ("protocol = \"tpc\"", 18, "no protocol \"tpc\""),
        ("protocol = []", 18, "expected a name or a number"),
        ("mode = \"both\"", 18, "shared, directed"),
        ("mode = \"directed\"", 16, "needs directors"),
        ("mode = \"directed\"\ndirectors = []", 19, "no director"),
        (
            "mode = \"directed\"\ndirectors = [\n\"a\",\n\"x\"]",
            21,
            "no machine \"x\"",
        ),
        (
            "mode = \"directed\"\ndirectors = [\"a\", \"a\"]",
            19,
            "twice",
        ),
        (
            "mode = \"directed\"\ndirectors = [\"a\"]\nmac = \"x\"",
            20,
            "only a shared",
        ),
        ("directors = [\"a\"]", 18, "has no directors"),
        ("mac = \"02:00:00:00:00:01\"", 18, "not a multicast"),
        ("hash = \"md5\"", 18, "sum3, sum5, keyed"),
        (
            "key = \"000102030405060708090a0b0c0d0e0f\"",
            18,
            "only the hash \"keyed\"",
        ),
        ("hash = \"keyed\"\nkey = \"00\"", 19, "32 hexadecimal"),
        ("slots = 0", 18, "from 1 to 4096"),
        ("slots = 4097", 18, "from 1 to 4096"),
        ("settle = -1", 18, "from 0 to 86400"),
        ("epoch = 1", 18, "needs a table"),
        ("table = \"1\"", 18, "needs an epoch"),
        ("epoch = 0\ntable = \"1\"", 18, "from 1 to"),
        ("epoch = 1\ntable = \"1 y\"", 19, "\"y\""),
        ("epoch = 1\ntable = 7", 19, "expected a text"),
        (
            "epoch = 1\ntable = \"1\"\nchanged = 2026-01-31",
            20,
            "no time in UTC",
        ),
        (
            "[[address]]\nip = \"198.51.100.7\"\ndevice = \"x\"",
            19,
            "already, in line 16",
        ),
    ] {
        refused(&file(&format!("{base}{lines}")), line, told);
    }
    refused(
        &file("ip = \"::1\"\ndevice = \"eth0\""),
        16,
        "of one machine",
    );
    refused(
        &file("ip = \"192.0.2.12\"\ndevice = \"eth0\""),
        16,
        "the address of \"b\"",
    );
    refused(&file("ip = \"198.51.100.7\""), 15, "missing field `device`");
    refused(
        &file("ip = \"198.51.100.7\"\ndevice = \"a/b\""),
        17,
        "ip link",
    );
}

#[test]
fn there_are_limits() {
    let node =
        |id: usize| format!("[[node]]\nname = \"n{id}\"\nid = {id}\naddress = \"fd00::{id:x}\"\n");
    let nodes: String = (1..=MAX_NODES).map(node).collect();
    assert!(read(&nodes).is_ok());
    refused(&(nodes + &node(257)), 4 * 256 + 1, "more than 256 nodes");
}
