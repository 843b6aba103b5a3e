// SPDX-License-Identifier: GPL-2.0
//! What `apply` has changed, or would change: sentences, or one JSON object.

use serde::Serialize;
use service_group::netlink::{Cluster, ClusterNode};
use service_group_logic::logic::cluster::slots::{NodeId, Slot};

use super::facts::{Facts, Local};
use super::steps::Step;
use crate::cluster::file::{describe, values, Config};
use crate::cluster::moves::{moves, Move};
use crate::cluster::view::setting_text;

/// What was changed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The name of this machine.
    machine: String,
    dry_run: bool,
    clusters: Vec<ClusterReport>,
    /// Changes of addresses of devices, in words.
    device_changes: Vec<String>,
    /// Addresses of devices that stay, as others have set them.
    left: Vec<String>,
}

/// A cluster IP that is served in another way.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ClusterReport {
    address: String,
    /// `added`, `changed` or `removed`.
    action: &'static str,
    /// What is different, in words; of an added one what it is.
    changes: Vec<String>,
    /// Slots that move.
    moves: Vec<Move>,
}

impl Report {
    /// What these steps change, and which addresses nobody needs and others have set.
    pub fn new(
        own: &str,
        config: &Config,
        facts: &Facts,
        (steps, strangers): (&[Step], &[Local]),
        dry_run: bool,
    ) -> Self {
        let left = strangers.iter().map(|it| {
            let device = facts.link_name(it.index);
            format!("{}/{} on {device}", it.address, it.prefix)
        });
        let clusters = steps.iter().filter_map(|step| cluster(step, config, facts));
        let others = steps.iter().filter_map(|step| device_change(step, facts));
        Self {
            machine: own.to_owned(),
            dry_run,
            clusters: clusters.collect(),
            device_changes: others.collect(),
            left: left.collect(),
        }
    }

    /// What was done, in words.
    pub fn sentences(&self) -> String {
        self.sentences_or("does what the file says already")
    }

    /// The same; if there was nothing to do, what the machine does already.
    pub fn sentences_or(&self, already: &str) -> String {
        let mut text = String::new();
        for cluster in &self.clusters {
            text += &format!("{}: {}", cluster.address, cluster.action);
            if !cluster.changes.is_empty() {
                text += &format!(", {}", cluster.changes.join(", "));
            }
            text.push('\n');
            text.extend(cluster.moves.iter().map(Move::line));
        }
        for change in &self.device_changes {
            text += &format!("{change}\n");
        }
        let mut text = match (text.is_empty(), self.dry_run) {
            (true, _) => format!("{} {already}\n", self.machine),
            (false, true) => text + "nothing was changed\n",
            (false, false) => text,
        };
        for left in &self.left {
            text += &format!("{left} stays, which others have set: remove it if nobody needs it\n");
        }
        text
    }
}

fn cluster(step: &Step, config: &Config, facts: &Facts) -> Option<ClusterReport> {
    let (name, action, changes, moves) = match step {
        Step::Serve { old: None, new } => (new.name, "added", description(new, facts), Vec::new()),
        Step::Serve {
            old: Some(old),
            new,
        } => {
            let moves = moves(&slots(old), &slots(new), config);
            (new.name, "changed", differences(old, new, facts), moves)
        }
        Step::Forget(old) => (old.name, "removed", Vec::new(), Vec::new()),
        _ => return None,
    };
    Some(ClusterReport {
        address: describe(&name),
        action,
        changes,
        moves,
    })
}

/// The owners of a table that the kernel has.
pub fn slots(cluster: &Cluster) -> Vec<Slot> {
    cluster.table.iter().map(|id| NodeId::new(*id)).collect()
}

/// The properties of a cluster IP, by name.
fn properties(of: &Cluster, facts: &Facts) -> Vec<(&'static str, String)> {
    let mac = of.mac.map_or_else(|| "none".to_owned(), values::mac_text);
    let settings = of.settings.list();
    let settings = settings.map(|one| (one.name, setting_text(one.value)));
    let mut all = vec![
        ("role", of.role.to_string()),
        ("hash", of.hash.to_string()),
        ("slots", of.table.len().to_string()),
        ("epoch", of.epoch.to_string()),
    ];
    all.extend(settings);
    let directors: Vec<String> = of.directors.iter().map(u32::to_string).collect();
    let directors = match directors.is_empty() {
        true => "none".to_owned(),
        false => directors.join(" "),
    };
    all.extend([
        ("device", device(of.device, facts)),
        ("mac", mac),
        ("directors", directors),
    ]);
    all
}

/// The name of a device.
fn device(index: u32, facts: &Facts) -> String {
    match index {
        0 => "(gone)".to_owned(),
        index => facts.link_name(index),
    }
}

fn description(new: &Cluster, facts: &Facts) -> Vec<String> {
    let told = properties(new, facts).into_iter();
    let is_default = |(_, value): &(&str, String)| ["none", "false"].contains(&value.as_str());
    told.filter(|property| !is_default(property))
        .map(|(name, value)| format!("{name} {value}"))
        .collect()
}

fn differences(old: &Cluster, new: &Cluster, facts: &Facts) -> Vec<String> {
    let both = properties(old, facts)
        .into_iter()
        .zip(properties(new, facts));
    let mut told: Vec<String> = both
        .filter(|(old, new)| old != new)
        .map(|((name, old), (_, new))| format!("{name} {old} -> {new}"))
        .collect();
    let settled = |node: &ClusterNode| ClusterNode {
        slots: 0,
        forwarded: 0,
        ..*node
    };
    if !old.nodes.iter().map(settled).eq(new.nodes.iter().copied()) {
        told.push("nodes".to_owned());
    }
    if old.key != new.key {
        told.push("key".to_owned());
    }
    if old.node != new.node {
        told.push("which node this machine is".to_owned());
    }
    told
}

fn device_change(step: &Step, facts: &Facts) -> Option<String> {
    match step {
        Step::AddAddress { index, address } => {
            Some(format!("{address} added to {}", facts.link_name(*index)))
        }
        Step::RemoveAddress { index, address } => Some(format!(
            "{address} removed from {}",
            facts.link_name(*index)
        )),
        _ => None,
    }
}
