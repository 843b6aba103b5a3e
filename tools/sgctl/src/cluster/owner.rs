// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster owner`: which node owns a packet, and how that is computed.
//!
//! It is the kernel's own code that computes it; here the numbers are told. If this machine serves the
//! address, and takes the owner for away, the deputy is told as well.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use serde::Serialize;
use service_group::netlink::{Cluster, ClusterHash, ClusterName, Connection, Error, Link};
use service_group_logic::logic::cluster::flow::{self, Flow};
use service_group_logic::logic::cluster::slots::{self, NodeId, Slot, State};

use super::absent::{absent, named, owners, Absent, Why, WhyView};
use super::file::{describe, store, values, Address, Config, Mode, Table};
use super::plan::fitting;
use crate::cli::OwnerArgs;
use crate::snapshot::unless_unknown;
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
    /// Why the owner is away, if this machine takes it for that.
    away: Option<WhyView>,
    /// Who has new connections of the slot meanwhile, if somebody has.
    deputy: Option<String>,
    /// Whom the slot spills to.
    spill: Option<String>,
    /// Who had the slot before, if that node is there still.
    previous: Option<String>,
    young: bool,
    #[serde(skip)]
    is_directed: bool,
    #[serde(skip)]
    why: Option<Why>,
}

/// Who is away, as the kernel of this machine tells it.
struct Seen {
    cluster: Cluster,
    links: Vec<Link>,
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
    let mut decision = decide(&config, args, SystemTime::now())?;
    // Without the module, or without a part in it, the file is all there is.
    if let Some(seen) = seen(&find(&config, args)?.name).unwrap_or_default() {
        decision.see(&seen, &config);
    }
    match args.json {
        true => output::json(&decision),
        false => output::text(&decision.sentences()),
    }
}

/// How the kernel of this machine serves it, if the module is loaded, and does.
fn seen(name: &ClusterName) -> Result<Option<Seen>, Error> {
    let Some(mut kernel) = Connection::if_loaded()? else {
        return Ok(None);
    };
    let cluster = kernel.cluster(name)?;
    let links = unless_unknown(kernel.links())?;
    Ok(cluster.map(|cluster| Seen { cluster, links }))
}

/// The same for a test of what the documentation shows.
#[cfg(test)]
pub fn explain(config: &Config, args: &OwnerArgs, now: SystemTime) -> Result<String, Failure> {
    decide(config, args, now).map(|decision| decision.sentences())
}

fn decide(config: &Config, args: &OwnerArgs, now: SystemTime) -> Result<Decision, Failure> {
    let address = find(config, args)?;
    let (table, hash) = fitting(&args.file, config, address)?;
    let flow = flow_of(args.source, args.destination, args.protocol);
    let slot = hash.slot(&flow, address.slots);
    let at = |slots: &[Slot]| slots.get(slot).copied().flatten();
    let name = |id: NodeId| config.name_of(Some(id));
    let owner = at(&table.slots);
    let is_there = |id: &NodeId| config.state(*id).is_some_and(|it| it != State::Down);
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
        node: owner.map(name),
        away: None,
        deputy: None,
        spill: owner
            .and_then(|_| at(&spills(config, address, table)))
            .map(name),
        previous: at(&table.before).filter(is_there).map(name),
        young: address.is_young(now),
        is_directed: matches!(address.mode, Mode::Directed { .. }),
        why: None,
    })
}

/// To whom each slot spills.
fn spills(config: &Config, address: &Address, table: &Table) -> Vec<Slot> {
    let mut spills = vec![None; table.slots.len()];
    if address.settings.spill {
        let is_up = |id| config.state(id) == Some(State::Up);
        slots::spill(&table.slots, is_up, &mut spills);
    }
    spills
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

/// The packets from one end to the other.
pub fn flow_of(source: SocketAddr, destination: SocketAddr, protocol: u8) -> Flow {
    Flow {
        source: address(source),
        destination: address(destination),
        source_port: source.port(),
        destination_port: destination.port(),
        protocol,
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
    /// Looks whether the owner is away.
    fn see(&mut self, seen: &Seen, config: &Config) {
        // Of another table it is not known what becomes of the slot.
        let owner = seen.cluster.table.get(self.slot);
        let away = absent(&seen.cluster, &seen.links).into_iter();
        let mut away = away.filter(|it| Some(&it.node) == owner);
        let Some(Absent { node, why, .. }) = away.next() else {
            return;
        };
        if self.node.as_deref() != config.machine_name(node) {
            return;
        }
        let now = owners(&seen.cluster).get(self.slot).copied().flatten();
        let deputy = now.filter(|now| now.get() != node);
        self.deputy = deputy.map(|deputy| named(deputy.get(), Some(config)));
        self.away = Some(why.into());
        self.why = Some(why);
    }

    /// Who has new connections while the owner is away.
    fn meanwhile(&self, node: &str) -> Option<String> {
        let why = self.why?.words();
        Some(match &self.deputy {
            Some(deputy) => format!(
                "{node} {why}, as this machine believes: its deputy {deputy} gets new connections, and \
                 {node} keeps those that it has\n"
            ),
            None => format!("{node} {why}, as this machine believes, but nobody else could serve\n"),
        })
    }

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
        let node = self.node.iter();
        text.extend(node.clone().filter_map(|node| self.meanwhile(node)));
        text + &node.map(|node| self.elsewhere(node)).collect::<String>()
    }

    /// Who but its owner may have the connection, as docs/cluster.md names it.
    fn elsewhere(&self, node: &str) -> String {
        let spill = self.spill.iter().map(|spill| {
            format!(
                "it spills to {spill}: SYNs that {node}'s group has no room for are given to it\n"
            )
        });
        let text: String = spill.collect();
        let Some(previous) = &self.previous else {
            return text;
        };
        let age = if self.young { "young" } else { "settled" };
        let resets = !self.young && self.spill.is_none();
        let unknown = match (self.is_directed, resets) {
            (true, false) => {
                format!("{node} gives what it does not know to {previous}, as a second chance")
            }
            (true, true) => format!(
                "{node} still gives what it does not know to {previous}, as a second chance, and \
                 {previous} resets what it does not know either"
            ),
            (false, false) => format!(
                "{previous} keeps its connections, and {node} is silent about what it does not know"
            ),
            (false, true) => {
                format!("{previous} keeps its connections, and {node} resets what it does not know")
            }
        };
        text + &format!("it was {previous}'s before, and that change is {age}: {unknown}\n")
    }
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
