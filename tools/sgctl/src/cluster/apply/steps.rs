// SPDX-License-Identifier: GPL-2.0
//! What is to be done, one step after the other.
//!
//! A machine that has a cluster IP must not tell its neighbours so, or they would
//! send to it alone; while the module serves the address, it sees to that. So
//! addresses are removed before what selects their packets, and added behind it:
//! no node ever answers for packets of others.
//!
//! Nobody knows the counters of a cluster IP and who had its slots before but the
//! kernel, and it forgets both with it. So what cannot be undone without that comes
//! behind what costs nothing: cluster IPs come before others change, and go last.

use std::net::IpAddr;

use service_group::netlink::{Cluster, MAX_CLUSTERS};

use super::addresses::{additions, removals};
use super::facts::Facts;
use super::target::Target;
use crate::cluster::file::describe;
use crate::Failure;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give a device an address.
    AddAddress {
        /// The device's index.
        index: u32,
        /// The address.
        address: IpAddr,
    },
    /// Take an address from a device.
    RemoveAddress {
        /// The device's index.
        index: u32,
        /// The address.
        address: IpAddr,
    },
    /// Serve a cluster IP, or serve it in another way.
    Serve {
        /// As it was, if it was.
        old: Option<Box<Cluster>>,
        /// As it is to be.
        new: Box<Cluster>,
    },
    /// Serve a cluster IP no more.
    Forget(Box<Cluster>),
}

/// The steps to these targets.
pub fn steps(targets: &[Target], facts: &Facts) -> Result<Vec<Step>, Failure> {
    let gone: Vec<&Cluster> = facts
        .clusters
        .iter()
        .filter(|old| !targets.iter().any(|target| target.cluster.name == old.name))
        .collect();
    let stays = |gone: IpAddr| {
        let mut all = targets.iter();
        all.any(|target| target.cluster.name.address == gone)
    };
    let (mut steps, mut last): (Vec<Step>, Vec<Step>) = removals(targets, facts)
        .into_iter()
        .partition(|step| matches!(step, Step::RemoveAddress { address, .. } if stays(*address)));
    let forgets = gone.into_iter().cloned().map(Box::new);
    last.extend(forgets.map(Step::Forget));
    let (added, changed) = served(targets, facts)?;
    let is_first = |step: &&Step| matches!(step, Step::Serve { old: None, .. });
    if facts.clusters.len() + added.iter().filter(is_first).count() > MAX_CLUSTERS {
        // There is no room for both.
        steps.append(&mut last);
    }
    steps.extend(added.into_iter().chain(changed));
    steps.extend(additions(targets, facts));
    steps.append(&mut last);
    Ok(steps)
}

/// What serves cluster IPs that are not served yet, and what changes others.
fn served(targets: &[Target], facts: &Facts) -> Result<(Vec<Step>, Vec<Step>), Failure> {
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for target in targets {
        let new = &target.cluster;
        let Some(old) = facts.cluster(&new.name) else {
            let earlier = target.earlier.as_ref();
            added.extend(earlier.map(|new| serve(None, new)));
            added.push(serve(earlier, new));
            continue;
        };
        check_epoch(old, new)?;
        if !is_same(old, new) {
            changed.push(serve(Some(old), new));
        }
    }
    Ok((added, changed))
}

fn serve(old: Option<&Cluster>, new: &Cluster) -> Step {
    Step::Serve {
        old: old.cloned().map(Box::new),
        new: Box::new(new.clone()),
    }
}

/// Whether nothing is to be changed; what is only told is not compared.
pub fn is_same(old: &Cluster, new: &Cluster) -> bool {
    let mut old = Cluster {
        counters: new.counters,
        local: new.local,
        healthy: new.healthy,
        ready: new.ready,
        acting: new.acting,
        reason: new.reason,
        ..old.clone()
    };
    if old.follows_links() && new.follows_links() {
        // Links say which one it is.
        old.role = new.role;
    }
    for node in &mut old.nodes {
        (node.slots, node.forwarded) = (0, 0);
        (node.away, node.deputised) = (false, 0);
    }
    old == *new
}

/// Refuses a file that is older than what is served, or made beside it.
fn check_epoch(old: &Cluster, new: &Cluster) -> Result<(), Failure> {
    let name = describe(&old.name);
    let next = old.epoch.saturating_add(1);
    let remedy = format!(
        "copy the newest file here, or number this one higher with \"sgctl cluster plan --epoch \
         {next}\""
    );
    if old.epoch > new.epoch {
        return Err(Failure::new(format!(
            "{name} has epoch {} on this machine already, and epoch {} in the file: {remedy}",
            old.epoch, new.epoch
        )));
    }
    let differs = if old.table != new.table {
        "table"
    } else if old.hash != new.hash {
        "hash"
    } else if old.key != new.key {
        "key"
    } else {
        return Ok(());
    };
    if old.epoch == new.epoch {
        return Err(Failure::new(format!(
            "{name} has another {differs} with epoch {} on this machine: {remedy}",
            old.epoch
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "steps_tests.rs"]
pub mod tests;
