// SPDX-License-Identifier: GPL-2.0
//! What is to be done, one step after the other, and how each is undone.
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

use service_group::netlink::{Cluster, ClusterName, MAX_CLUSTERS};

use super::facts::{Facts, LOOPBACK};
use super::target::{whole, Place, Target};
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

/// What carries steps out.
pub trait System {
    /// Gives a device an address.
    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure>;
    /// Takes it away.
    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure>;
    /// Serves a cluster IP like this.
    fn serve(&mut self, cluster: &Cluster) -> Result<(), Failure>;
    /// Serves it no more.
    fn forget(&mut self, cluster: &Cluster) -> Result<(), Failure>;
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
    let (mut steps, mut last): (Vec<Step>, Vec<Step>) = removals(targets, &gone, facts)
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
fn is_same(old: &Cluster, new: &Cluster) -> bool {
    let mut old = Cluster {
        counters: new.counters,
        local: new.local,
        ..old.clone()
    };
    for node in &mut old.nodes {
        (node.slots, node.forwarded) = (0, 0);
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

fn removals(targets: &[Target], gone: &[&Cluster], facts: &Facts) -> Vec<Step> {
    let wanted = |index: u32, address: IpAddr| {
        targets.iter().any(|target| {
            target.cluster.name.address == address
                && match target.place {
                    Place::Loopback => index == LOOPBACK,
                    Place::Device => index == target.cluster.device,
                    // What keepalived gives to the device stays.
                    Place::Nowhere => index == target.cluster.device,
                }
        })
    };
    let known = gone.iter().map(|old| old.name.address);
    let known: Vec<IpAddr> = known
        .chain(targets.iter().map(|target| target.cluster.name.address))
        .collect();
    let devices: Vec<u32> = gone
        .iter()
        .map(|old| old.device)
        .chain([LOOPBACK])
        .collect();
    let own = facts.addresses.iter();
    own.filter(|own| known.contains(&own.address) && own.prefix == whole(own.address))
        .filter(|own| devices.contains(&own.index) && !wanted(own.index, own.address))
        .map(|own| Step::RemoveAddress {
            index: own.index,
            address: own.address,
        })
        .collect()
}

fn additions(targets: &[Target], facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    for target in targets {
        let address = target.cluster.name.address;
        let index = match target.place {
            Place::Loopback => LOOPBACK,
            Place::Device => target.cluster.device,
            Place::Nowhere => continue,
        };
        let step = Step::AddAddress { index, address };
        if !facts.has(index, address) && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// Does all steps and what is to follow them, or nothing: if one fails, those that
/// were done are undone.
pub fn carry_out(
    steps: &[Step],
    system: &mut impl System,
    then: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut done = Vec::new();
    let mut outcome = Ok(());
    for step in steps {
        outcome = step.act(system);
        if outcome.is_err() {
            break;
        }
        done.push(step);
    }
    let Err(failure) = outcome.and_then(|()| then()) else {
        return Ok(());
    };
    Err(Failure::new(format!("{failure}; {}", undo(&done, system))))
}

/// Undoes what was done, and says how things are now.
fn undo(done: &[&Step], system: &mut impl System) -> String {
    let (mut left, mut renewed) = (Vec::new(), Vec::new());
    for step in done.iter().rev() {
        match step.undo(system) {
            Ok(Undone::Wholly) => {}
            Ok(Undone::Anew(name)) => renewed.push(name),
            Err(failure) => left.push(failure.to_string()),
        }
        // What was not served before had nothing to lose.
        if let Step::Serve { old: None, new } = step {
            renewed.retain(|name| *name != new.name);
        }
    }
    let mut told = match &left[..] {
        [] if renewed.is_empty() => "nothing has changed".to_owned(),
        [] => "all is served as it was".to_owned(),
        left => format!(
            "and what was done could not be undone ({}): correct the reason and apply again",
            left.join("; ")
        ),
    };
    if !renewed.is_empty() {
        let names: Vec<String> = renewed.iter().rev().map(describe).collect();
        told += &format!(
            ", but what the kernel alone knew is lost, counters and who had slots before, of {}",
            names.join(", ")
        );
    }
    told
}

/// How a step was undone.
enum Undone {
    /// Everything is as it was.
    Wholly,
    /// This is served as it was, but as if it had not been before.
    Anew(ClusterName),
}

impl Step {
    fn act(&self, system: &mut impl System) -> Result<(), Failure> {
        match self {
            Self::AddAddress { index, address } => system.add_address(*index, *address),
            Self::RemoveAddress { index, address } => system.remove_address(*index, *address),
            Self::Serve { new, .. } => system.serve(new),
            Self::Forget(old) => system.forget(old),
        }
    }

    fn undo(&self, system: &mut impl System) -> Result<Undone, Failure> {
        match self {
            Self::AddAddress { index, address } => system.remove_address(*index, *address)?,
            Self::RemoveAddress { index, address } => system.add_address(*index, *address)?,
            Self::Serve { old: None, new } => system.forget(new)?,
            Self::Serve {
                old: Some(old),
                new,
            } => {
                // The kernel takes no lower epoch: it has to begin anew.
                if system.serve(old).is_err() {
                    system.forget(new)?;
                    system.serve(old)?;
                    return Ok(Undone::Anew(old.name));
                }
            }
            Self::Forget(old) => {
                system.serve(old)?;
                return Ok(Undone::Anew(old.name));
            }
        }
        Ok(Undone::Wholly)
    }
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
