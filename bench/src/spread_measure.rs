// SPDX-License-Identifier: GPL-2.0

//! Measures `spread`: gives flows to nodes with the module's own code.
//!
//! Every run has a seed, from which its flows, the key of the keyed hash and the random
//! choice follow. All hashes and all sizes of a run get the same flows.

use crate::random::Random;
use crate::spread::{Choice, Run, SIZES};
use crate::spread_traffic::TRAFFIC;
use service_group_logic::logic::cluster::flow::Flow;
use service_group_logic::logic::cluster::hash::{Hash, Key, SlotCount};
use service_group_logic::logic::cluster::rebalance::{Share, rebalance};
use service_group_logic::logic::cluster::slots::{Node, NodeId, Slot, State};
use std::error::Error;
use std::fmt::Write;
use std::num::NonZeroU16;
use std::path::Path;

/// The flows of a run and kind of traffic. Linux has 14116 even source ports: one client
/// has enough of them for all these flows at the same time.
const FLOWS: usize = 10_000;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Writes the results of so many runs, one JSON object a line.
pub fn measure(runs: u64, raw: &Path) -> Result {
    let mut text = String::new();
    for seed in 1..=runs {
        for run in results(seed)? {
            writeln!(text, "{}", serde_json::to_string(&run)?)?;
        }
    }
    std::fs::write(raw, text).map_err(|error| format!("{}: {error}", raw.display()))?;
    Ok(())
}

/// One run.
fn results(seed: u64) -> Result<Vec<Run>> {
    let mut random = Random::new(seed);
    let mut results = Vec::new();
    for traffic in TRAFFIC {
        let flows = traffic.flows(FLOWS, &mut random);
        let key = Key::from_bytes(random.bytes());
        for (nodes, slots) in SIZES {
            let result = |choice, flows| Run {
                seed,
                traffic,
                nodes,
                slots,
                choice,
                flows,
            };
            let table = first_table(nodes, slots)?;
            for (choice, hash) in hashes(key) {
                results.push(result(choice, by_hash(hash, &flows, &table, nodes)?));
            }
            let chosen = by_chance(FLOWS, nodes, &mut random);
            results.push(result(Choice::Random, chosen));
        }
    }
    Ok(results)
}

fn hashes(key: Key) -> [(Choice, Hash); 3] {
    [
        (Choice::Sum3, Hash::Sum3),
        (Choice::Sum5, Hash::Sum5),
        (Choice::Keyed, Hash::Keyed(key)),
    ]
}

/// The table of nodes 1, 2 … of equal weight.
fn first_table(nodes: usize, slots: usize) -> Result<Vec<Slot>> {
    let node = |id| Node {
        id,
        weight: NonZeroU16::MIN,
        state: State::Up,
    };
    let nodes: Vec<Node> = (1..=nodes as u32)
        .filter_map(NodeId::new)
        .map(node)
        .collect();
    let mut table = vec![None; slots];
    let mut shares = vec![Share::default(); nodes.len()];
    rebalance(&mut table, &nodes, &mut shares).map_err(|error| format!("no table: {error:?}"))?;
    Ok(table)
}

/// How many flows each node gets by a hash.
fn by_hash(hash: Hash, flows: &[Flow], table: &[Slot], nodes: usize) -> Result<Vec<u32>> {
    let slots = SlotCount::new(table.len()).ok_or("no such number of slots")?;
    let mut counts = vec![0; nodes];
    for flow in flows {
        let owner = table[hash.slot(flow, slots)].ok_or("a slot without owner")?;
        counts[owner.get() as usize - 1] += 1;
    }
    Ok(counts)
}

/// The same if each flow is given to any node.
fn by_chance(flows: usize, nodes: usize, random: &mut Random) -> Vec<u32> {
    let mut counts = vec![0; nodes];
    for _ in 0..flows {
        counts[random.below(nodes as u64) as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spread_traffic::Traffic;

    fn flows(traffic: Traffic) -> Vec<Flow> {
        traffic.flows(FLOWS, &mut Random::new(1))
    }

    fn counts(hash: Hash, traffic: Traffic, nodes: usize, slots: usize) -> Vec<u32> {
        let table = first_table(nodes, slots).expect("a table");
        by_hash(hash, &flows(traffic), &table, nodes).expect("counts")
    }

    fn idle(counts: &[u32]) -> usize {
        counts.iter().filter(|&&count| count == 0).count()
    }

    #[test]
    fn a_run_has_each_case_once_and_all_its_flows() {
        let results = results(1).expect("results");
        assert_eq!(results.len(), TRAFFIC.len() * SIZES.len() * 4);
        for run in &results {
            assert_eq!(run.flows.len(), run.nodes);
            assert_eq!(run.flows.iter().sum::<u32>(), FLOWS as u32);
        }
    }

    #[test]
    fn the_table_takes_turns() {
        let table = first_table(3, 7).expect("a table");
        let ids: Vec<u32> = table.iter().flatten().map(|id| id.get()).collect();
        assert_eq!(ids, [1, 2, 3, 1, 2, 3, 1]);
        assert!(first_table(3, 0).is_err());
    }

    #[test]
    fn one_client_has_one_owner_by_sum3() {
        assert_eq!(idle(&counts(Hash::Sum3, Traffic::OneClient, 10, 256)), 9);
    }

    #[test]
    fn even_ports_reach_half_of_an_even_number_of_slots() {
        // Slot i belongs to node i mod 10: every other node is without an even slot.
        for slots in [10, 256] {
            assert_eq!(idle(&counts(Hash::Sum5, Traffic::OneClient, 10, slots)), 5);
        }
        assert_eq!(idle(&counts(Hash::Sum5, Traffic::OneClient, 3, 256)), 0);
    }

    #[test]
    fn one_last_octet_is_one_of_256_slots_by_sum3() {
        assert_eq!(idle(&counts(Hash::Sum3, Traffic::LastOctet, 10, 256)), 9);
    }

    #[test]
    fn keyed_reaches_all_nodes_evenly() {
        let key = Key::from_bytes(*b"no secret at all");
        for traffic in TRAFFIC {
            let counts = counts(Hash::Keyed(key), traffic, 10, 256);
            assert!(counts.iter().all(|count| (800..1200).contains(count)));
        }
    }

    #[test]
    fn chance_is_fair() {
        let counts = by_chance(FLOWS, 10, &mut Random::new(1));
        assert!(counts.iter().all(|count| (850..1150).contains(count)));
    }
}
