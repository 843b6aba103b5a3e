// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster lint`: how evenly each hash would spread traffic.
//!
//! [`capture`] and [`live`] give frames, [`flows`] finds the flows in them with the
//! kernel's own code, [`spread`] shares them out and [`chart`] draws that.

mod capture;
mod chart;
mod flows;
mod frames;
mod live;
mod progress;
mod spread;

use serde::Serialize;
use service_group_logic::logic::cluster::hash::Key;
use service_group_logic::logic::cluster::slots::{NodeId, Slot};

use super::file::{describe, store, Config};
use crate::cli::{Count, LintArgs};
use crate::{output, Failure};
use flows::{Flows, Wanted};
use spread::{Nodes, Spread};

/// The key of a hash that has none: any other is as good.
const KEY: [u8; 16] = *b"sgctl lint's key";

/// How traffic is spread, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Report {
    packets: u64,
    left_out: u64,
    addresses: Vec<Spread>,
}

/// Runs the subcommand.
pub fn run(args: &LintArgs) -> Result<(), Failure> {
    let (wanted, nodes) = match args.count() {
        Some(count) => (Wanted::any(args.to.clone()), vec![counted(count)]),
        None => {
            let config = store::config(&args.file, &store::text(&args.file)?)?;
            let nodes = planned(&config, args)?;
            (Wanted::of_file(config), nodes)
        }
    };
    let mut flows = Flows::new(wanted, nodes.len());
    match (&args.pcap, &args.live) {
        (Some(path), _) => capture::read(path, &mut flows)?,
        (None, Some(device)) => live::watch(device, args.seconds.unwrap_or(1), &mut flows)?,
        (None, None) => return Err(Failure::usage("name a capture or a device")),
    }
    let report = report(&flows, &nodes);
    match args.json {
        true => output::json(&report),
        false => output::text(&chart::draw(&report)),
    }
}

fn report(flows: &Flows, nodes: &[Nodes]) -> Report {
    let all = flows.groups().iter().zip(nodes);
    Report {
        packets: flows.packets(),
        left_out: flows.left_out(),
        addresses: all
            .map(|(group, nodes)| Spread::new(group, nodes))
            .collect(),
    }
}

/// Nodes that take turns.
fn counted(count: Count) -> Nodes {
    let ids: Vec<Slot> = (1..=u32::from(count.nodes)).map(NodeId::new).collect();
    Nodes {
        address: None,
        names: ids
            .iter()
            .map(|id| (*id, id.map_or(0, NodeId::get).to_string()))
            .collect(),
        table: ids.into_iter().cycle().take(count.slots.into()).collect(),
        key: Key::from_bytes(KEY),
    }
}

/// The nodes of each address of the file.
fn planned(config: &Config, args: &LintArgs) -> Result<Vec<Nodes>, Failure> {
    let file = args.file.display();
    if config.addresses.is_empty() {
        return Err(Failure::usage(format!(
            "{file} has no address: add one, or give --nodes instead"
        )));
    }
    let all = config.addresses.iter().map(|address| {
        let table = address.table.as_ref();
        let table = table.filter(|table| table.slots.len() == address.slots.get());
        let table = table.ok_or_else(|| {
            let reason = format!("it has no table yet: run \"sgctl cluster plan {file}\" first");
            store::at(&args.file, address.line, &reason)
        })?;
        let names = config.nodes.iter();
        Ok(Nodes {
            address: Some(describe(&address.name)),
            names: names
                .map(|node| (Some(node.id), node.name.clone()))
                .collect(),
            table: table.slots.clone(),
            key: Key::from_bytes(address.key.map_or(KEY, |key| key.0)),
        })
    });
    all.collect()
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
