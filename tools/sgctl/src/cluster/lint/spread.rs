// SPDX-License-Identifier: GPL-2.0
//! Who would get which flows with each hash, and why one does badly.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use service_group_logic::logic::cluster::flow::Flow;
use service_group_logic::logic::cluster::hash::{Hash, Key, SlotCount};
use service_group_logic::logic::cluster::slots::Slot;

use super::flows::Group;

/// A share is bad that is so much larger than the ideal one, and not by chance.
const BAD: f64 = 1.1;
/// How many standard deviations are no chance.
const CHANCE: f64 = 4.0;
/// With fewer flows than this for each node everything is chance.
const FEW: usize = 20;

/// Who owns the slots of an address.
#[derive(Debug)]
pub struct Nodes {
    /// The address, in words; none if it is of no matter.
    pub address: Option<String>,
    /// The nodes and their names.
    pub names: Vec<(Slot, String)>,
    /// Who owns which slot.
    pub table: Vec<Slot>,
    /// The key of the keyed hash.
    pub key: Key,
}

/// How the flows to an address would be spread.
#[derive(Debug, Serialize)]
pub struct Spread {
    /// The address, in words.
    pub address: Option<String>,
    /// Number of flows.
    pub flows: usize,
    /// Number of slots.
    pub slots: usize,
    /// What each hash does.
    pub hashes: Vec<HashSpread>,
}

/// What one hash does.
#[derive(Debug, Serialize)]
pub struct HashSpread {
    /// Its name.
    pub hash: &'static str,
    /// What each node gets.
    pub nodes: Vec<Share>,
    /// The largest share by its ideal one.
    pub worst: f64,
    /// Why it does badly and what to do, if it does.
    pub hint: Option<String>,
}

/// What one node gets.
#[derive(Debug, Serialize)]
pub struct Share {
    /// Its name.
    pub node: String,
    /// Its flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Its share of all flows, from 0 to 1.
    pub share: f64,
    /// What its share of the slots is.
    pub ideal: f64,
}

impl Spread {
    /// Shares out these flows.
    pub fn new(group: &Group, nodes: &Nodes) -> Self {
        let hashes = [
            ("sum3", Hash::Sum3),
            ("sum5", Hash::Sum5),
            ("keyed", Hash::Keyed(nodes.key)),
        ];
        Self {
            address: nodes.address.clone(),
            flows: group.len(),
            slots: nodes.table.len(),
            hashes: hashes
                .into_iter()
                .map(|(name, hash)| hash_spread(name, &hash, group, nodes))
                .collect(),
        }
    }
}

fn hash_spread(name: &'static str, hash: &Hash, group: &Group, nodes: &Nodes) -> HashSpread {
    let mut counts: BTreeMap<Slot, (u64, u64)> = BTreeMap::new();
    let slots = SlotCount::new(nodes.table.len());
    for (flow, packets) in group.iter() {
        let slot = slots.and_then(|slots| nodes.table.get(hash.slot(flow, slots)));
        let count = counts.entry(slot.copied().flatten()).or_default();
        *count = (count.0 + 1, count.1 + packets);
    }
    let nobody = (None, "nobody".to_owned());
    let has_nobody = nodes.table.contains(&None);
    let names = nodes.names.iter().chain(has_nobody.then_some(&nobody));
    let held = |node: &Slot| nodes.table.iter().filter(|slot| *slot == node).count();
    let shares = names.map(|(node, name)| {
        let (flows, packets) = counts.get(node).copied().unwrap_or_default();
        Share {
            node: name.clone(),
            flows,
            packets,
            share: ratio(flows as f64, group.len() as f64),
            ideal: ratio(held(node) as f64, nodes.table.len() as f64),
        }
    });
    let shares: Vec<Share> = shares.collect();
    let worst = shares.iter().map(|it| ratio(it.share, it.ideal));
    let worst = worst.fold(0.0, f64::max);
    HashSpread {
        hash: name,
        worst,
        hint: hint(name, group, &shares, nodes.table.len()),
        nodes: shares,
    }
}

/// A part of a whole, 0 of nothing.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole
    } else {
        0.0
    }
}

/// Whether a share is larger or smaller than chance would have it.
fn is_bad(share: &Share, flows: usize) -> bool {
    let expected = share.ideal * flows as f64;
    let off = (share.flows as f64 - expected).abs();
    let chance = (expected * (1.0 - share.ideal)).sqrt();
    off > CHANCE * chance && off > (BAD - 1.0) * expected
}

/// Why a hash does badly, and what to do.
fn hint(name: &str, group: &Group, shares: &[Share], slots: usize) -> Option<String> {
    let owners = shares.iter().filter(|share| share.ideal > 0.0).count();
    if group.len() < FEW * owners || !shares.iter().any(|share| is_bad(share, group.len())) {
        return None;
    }
    let services: HashSet<_> = group.iter().map(|(flow, _)| service(flow)).collect();
    let odd = group
        .iter()
        .filter(|(flow, _)| flow.source_port % 2 == 1)
        .count();
    let one_sided = odd.max(group.len() - odd) * 10 >= group.len() * 9;
    Some(match name {
        "sum3" if services.len() * 2 < group.len() => format!(
            "all connections of a client to a service have one owner, and here are {} pairs of \
             client and service for {} flows: take sum5 or keyed",
            services.len(),
            group.len()
        ),
        "sum5" if one_sided && slots % 2 == 0 => format!(
            "nearly all source ports are {}, and the number of slots, {slots}, is even: take an odd \
             number of slots, best a prime such as 251, or keyed",
            if odd * 2 > group.len() { "odd" } else { "even" }
        ),
        "keyed" => "some few flows make the difference: take more slots, and count again with \
                    more traffic"
            .to_owned(),
        _ => "addresses and ports follow a pattern: take another number of slots, best a prime \
              such as 251, or keyed"
            .to_owned(),
    })
}

/// What sum3 adds.
fn service(flow: &Flow) -> (Vec<u32>, Vec<u32>, u16) {
    let words =
        |address: &service_group_logic::logic::cluster::flow::Address| address.words().to_vec();
    (
        words(&flow.source),
        words(&flow.destination),
        flow.destination_port,
    )
}
