// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster owner`: which node owns a packet, and how that is computed.
//!
//! It is the kernel's own code that computes it; here the numbers are told.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use serde::Serialize;
use service_group::netlink::ClusterHash;
use service_group_logic::logic::cluster::flow::{self, Flow};
use service_group_logic::logic::cluster::slots::Slot;

use super::file::{describe, store, values, Address, Config, Table};
use crate::cli::OwnerArgs;
use crate::{output, Failure};

/// A decision, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Decision {
    source: String,
    destination: String,
    protocol: u8,
    address: String,
    hash: &'static str,
    /// What is added; nothing for a keyed hash.
    terms: Vec<Term>,
    /// What is hashed with the key, in hexadecimal digits.
    message: Option<String>,
    value: u64,
    slots: usize,
    slot: usize,
    node: Option<String>,
    previous: Option<String>,
    young: bool,
}

/// A number of a sum.
#[derive(Debug, Serialize)]
struct Term {
    name: &'static str,
    /// An address as it is written.
    #[serde(skip)]
    text: String,
    value: u64,
}

/// Runs the subcommand.
pub fn run(args: &OwnerArgs) -> Result<(), Failure> {
    let config = store::config(&args.file, &store::text(&args.file)?)?;
    let decision = decide(&config, args, SystemTime::now())?;
    match args.json {
        true => output::json(&decision),
        false => output::text(&decision.sentences()),
    }
}

/// The same for a test of what the documentation shows.
#[cfg(test)]
pub fn explain(config: &Config, args: &OwnerArgs, now: SystemTime) -> Result<String, Failure> {
    decide(config, args, now).map(|decision| decision.sentences())
}

fn decide(config: &Config, args: &OwnerArgs, now: SystemTime) -> Result<Decision, Failure> {
    let address = find(config, args)?;
    let planned = || {
        let (name, file) = (describe(&address.name), args.file.display());
        Failure::usage(format!(
            "{name} has no table or no key yet: run \"sgctl cluster plan {file}\" first"
        ))
    };
    let (Some(table), Some(hash)) = (&address.table, address.hash()) else {
        return Err(planned());
    };
    if table.slots.len() != address.slots.get() {
        return Err(planned());
    }
    let flow = flow(args);
    let slot = hash.slot(&flow, address.slots);
    let owner = table.slots.get(slot).copied().flatten();
    let previous: Slot = table.before.get(slot).copied().flatten();
    let keyed = address.hash == ClusterHash::Keyed;
    Ok(Decision {
        source: args.source.to_string(),
        destination: args.destination.to_string(),
        protocol: args.protocol,
        address: describe(&address.name),
        hash: address.hash.name(),
        terms: terms(address.hash, args, &flow),
        message: keyed.then(|| message(args)),
        value: hash.value(&flow),
        slots: address.slots.get(),
        slot,
        node: owner.map(|id| config.name_of(Some(id))),
        previous: previous.map(|id| config.name_of(Some(id))),
        young: is_young(table, address.settle, now),
    })
}

fn is_young(table: &Table, settle: u32, now: SystemTime) -> bool {
    let age = table
        .changed
        .and_then(|changed| now.duration_since(changed).ok());
    age.is_some_and(|age| age.as_secs() < settle.into())
}

/// The most specific address that has such packets.
fn find<'a>(config: &'a Config, args: &OwnerArgs) -> Result<&'a Address, Failure> {
    let (ip, port) = (args.destination.ip(), args.destination.port());
    let all = config.addresses.iter();
    let have = all.filter(|address| address.has(ip, args.protocol, port));
    let best = have.max_by_key(|address| (address.name.protocol != 0, address.name.port != 0));
    best.ok_or_else(|| {
        let file = args.file.display();
        Failure::new(format!(
            "{file} has no address for {} packets to {}: SRC is the client, DST the cluster IP",
            values::protocol_name(args.protocol),
            args.destination
        ))
    })
}

fn flow(args: &OwnerArgs) -> Flow {
    Flow {
        source: address(args.source),
        destination: address(args.destination),
        source_port: args.source.port(),
        destination_port: args.destination.port(),
        protocol: args.protocol,
    }
}

fn address(end: SocketAddr) -> flow::Address {
    match end.ip() {
        IpAddr::V4(ip) => flow::Address::from_v4_bytes(ip.octets()),
        IpAddr::V6(ip) => flow::Address::from_v6_bytes(ip.octets()),
    }
}

/// What is added, as docs/cluster-hash.md names it.
fn terms(hash: ClusterHash, args: &OwnerArgs, flow: &Flow) -> Vec<Term> {
    let ip = |name, end: SocketAddr, words: &[u32]| Term {
        name,
        text: end.ip().to_string(),
        value: words.iter().map(|word| u64::from(*word)).sum(),
    };
    let number = |name, value: u64| Term {
        name,
        text: String::new(),
        value,
    };
    let source = ip("SRC_IP", args.source, flow.source.words());
    let destination = ip("DST_IP", args.destination, flow.destination.words());
    let destination_port = number("DST_PORT", flow.destination_port.into());
    match hash {
        ClusterHash::Sum3 => vec![source, destination, destination_port],
        ClusterHash::Sum5 => vec![
            source,
            number("SRC_PORT", flow.source_port.into()),
            destination,
            destination_port,
            number("PROTOCOL", flow.protocol.into()),
        ],
        _ => Vec::new(),
    }
}

/// What is hashed with a key.
fn message(args: &OwnerArgs) -> String {
    let mut bytes = Vec::new();
    for end in [args.source, args.destination] {
        match end.ip() {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    bytes.extend(args.source.port().to_be_bytes());
    bytes.extend(args.destination.port().to_be_bytes());
    bytes.push(args.protocol);
    values::hex(&bytes)
}

impl Decision {
    fn sentences(&self) -> String {
        let Self {
            value,
            slots,
            slot,
            hash,
            address,
            ..
        } = self;
        let mut text = format!("address {address}, hash {hash}\n");
        for Term {
            name,
            text: ip,
            value,
        } in &self.terms
        {
            text += &format!("  {name:<9} {ip:<24} {value:>11}\n");
        }
        match &self.message {
            Some(message) => {
                text += &format!("  message   {message}\n  SipHash-2-4 = {value:016x}\n");
            }
            None => text += &format!("  {:<34} {value:>11}\n", "sum"),
        }
        text += &format!("{value} % {slots} = slot {slot}\n");
        text += &match &self.node {
            Some(node) => format!("slot {slot} is node {node}'s\n"),
            None => format!("slot {slot} is nobody's: such packets are dropped\n"),
        };
        match &self.previous {
            Some(previous) if self.young => text += &format!(
                "it was {previous}'s until a moment ago: connections that {previous} has stay there\n"
            ),
            Some(previous) => text += &format!(
                "it was {previous}'s before; that is settled, and only what {previous} knows is still there\n"
            ),
            None => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::read;
    use super::*;
    use std::time::Duration;

    fn config(lines: &str) -> Config {
        let node = |(name, id)| {
            format!("[[node]]\nname = \"{name}\"\nid = {id}\naddress = \"192.0.2.1{id}\"\n")
        };
        let nodes = [("a", 1), ("b", 2), ("c", 3)].map(node).concat();
        let text = format!(
            "{nodes}[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 3\nepoch = 1\n\
             table = \"1 2 3\"\n{lines}\n[[address]]\nip = \"2001:db8:0:1::7\"\ndevice = \"eth0\"\n\
             protocol = \"udp\"\nport = 443\nslots = 3\nepoch = 1\ntable = \"0x3\"\n"
        );
        read(&text).expect("it is right")
    }

    fn args(source: &str, destination: &str, protocol: u8) -> OwnerArgs {
        OwnerArgs {
            source: source.parse().expect("an end"),
            destination: destination.parse().expect("an end"),
            protocol,
            file: "x".into(),
            json: false,
        }
    }

    fn now() -> SystemTime {
        humantime::parse_rfc3339("2026-01-31T12:00:00Z").expect("it is a time")
    }

    fn example() -> OwnerArgs {
        args("192.0.2.1:40000", "198.51.100.7:80", 6)
    }

    /// The examples of docs/cluster-hash.md.
    #[test]
    fn the_numbers_are_those_of_the_documentation() {
        for (lines, value, slot) in [
            ("hash = \"sum3\"", 6_546_482_776, 1),
            ("", 6_546_522_782, 2),
            (
                "hash = \"keyed\"\nkey = \"000102030405060708090a0b0c0d0e0f\"",
                0x4ae0_dc15_e684_3b46,
                1,
            ),
        ] {
            let decision = decide(&config(lines), &example(), now()).expect("it has an owner");
            assert_eq!((decision.value, decision.slot), (value, slot), "{lines}");
            let sum: u64 = decision.terms.iter().map(|term| term.value).sum();
            assert!(sum == value || decision.message.is_some());
        }
        let v6 = args("[2001:db8::1]:40000", "[2001:db8:0:1::7]:443", 17);
        let decision = decide(&config(""), &v6, now()).expect("it is known");
        assert_eq!((decision.value, decision.slot), (1_073_920_389, 0));
        assert!(decision.sentences().contains("nobody's"));
    }

    #[test]
    fn a_decision_is_explained() {
        let decision = decide(&config(""), &example(), now()).expect("it has an owner");
        let expected = "\
address 198.51.100.7, hash sum5
  SRC_IP    192.0.2.1                 3221225985
  SRC_PORT                                 40000
  DST_IP    198.51.100.7              3325256711
  DST_PORT                                    80
  PROTOCOL                                     6
  sum                                 6546522782
6546522782 % 3 = slot 2
slot 2 is node c's
";
        assert_eq!(decision.sentences(), expected);
        let keyed = "hash = \"keyed\"\nkey = \"000102030405060708090a0b0c0d0e0f\"";
        let text = decide(&config(keyed), &example(), now())
            .expect("it is known")
            .sentences();
        assert!(
            text.contains("message   c0000201c63364079c40005006\n"),
            "{text}"
        );
        assert!(text.contains("SipHash-2-4 = 4ae0dc15e6843b46\n"), "{text}");
    }

    #[test]
    fn the_previous_owner_is_told_while_it_matters() {
        let lines = "before = \"0x2 1\"\nchanged = 2026-01-31T12:00:00Z";
        let at = |seconds| {
            let now = now() + Duration::from_secs(seconds);
            decide(&config(lines), &example(), now).expect("it has an owner")
        };
        assert!(at(3599).young && at(3599).sentences().contains("until a moment ago"));
        assert!(!at(3600).young && at(3600).sentences().contains("settled"));
        assert_eq!(at(0).previous.as_deref(), Some("a"));
        let json = serde_json::to_value(at(0)).expect("it is JSON");
        assert_eq!((&json["node"], &json["slot"]), (&"c".into(), &2.into()));
        assert_eq!(json["terms"][4]["name"], "PROTOCOL");
    }

    #[test]
    fn the_most_specific_address_is_asked() {
        let more = "[[address]]\nip = \"198.51.100.7\"\nprotocol = \"tcp\"\nport = 80\n\
                    device = \"eth0\"\nslots = 1\nepoch = 1\ntable = \"2\"";
        let decision = decide(&config(more), &example(), now()).expect("it has an owner");
        assert_eq!(decision.node.as_deref(), Some("b"));
        for (ends, protocol) in [
            (("192.0.2.1:1", "198.51.100.8:80"), 6),
            (("[::1]:1", "[2001:db8:0:1::7]:443"), 6),
        ] {
            let failure = decide(&config(""), &args(ends.0, ends.1, protocol), now());
            assert!(failure.is_err(), "{ends:?}");
        }
    }
}
