// SPDX-License-Identifier: GPL-2.0
//! Which addresses the devices of this machine are to have.
//!
//! An address that this program has set, and nothing needs any more, goes. One that somebody else
//! has set stays, and is told where nothing here explains it.

use std::net::IpAddr;

use service_group::netlink::{Cluster, ClusterRole};

use super::facts::{Facts, Local, LOOPBACK};
use super::steps::Step;
use super::target::{Place, Target};
use crate::Failure;

impl Target {
    /// Whether the machine needs the cluster IP on this device. Whoever directs does not lose it,
    /// whether it is from this program or from keepalived.
    fn needs(&self, index: u32) -> bool {
        let directs = self.cluster.role == ClusterRole::Director && !self.cluster.follows_links();
        match index {
            LOOPBACK => self.place == Place::Loopback,
            _ => directs && index == self.cluster.device,
        }
    }

    /// Whether somebody else may have it there, or have it there still: of several directors
    /// keepalived changes the address before the role.
    fn explains(&self, index: u32) -> bool {
        let stands_by = self.cluster.role == ClusterRole::Standby && !self.cluster.follows_links();
        self.needs(index) || stands_by && index == self.cluster.device
    }
}

fn of(targets: &[Target], address: IpAddr) -> impl Iterator<Item = &Target> {
    let all = targets.iter();
    all.filter(move |target| target.cluster.name.address == address)
}

/// What takes away addresses of this program's that nothing needs any more.
pub fn removals(targets: &[Target], facts: &Facts) -> Vec<Step> {
    let is_needed = |own: &&Local| of(targets, own.address).any(|it| it.needs(own.index));
    let left = facts.ours.iter().filter(|own| !is_needed(own));
    left.map(|own| Step::RemoveAddress {
        index: own.index,
        address: own.address,
    })
    .collect()
}

/// Whether this program has set the cluster IP on another device, that it is about to leave.
fn is_elsewhere(facts: &Facts, target: &Target) -> bool {
    let is_left = |own: &Local| {
        own.address == target.cluster.name.address
            && ![LOOPBACK, target.cluster.device].contains(&own.index)
    };
    facts.ours.iter().any(is_left)
}

/// What adds addresses that are not there.
pub fn additions(targets: &[Target], facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    for target in targets {
        let (address, device) = (target.cluster.name.address, target.cluster.device);
        let own = match target.place {
            Place::Loopback => Some(LOOPBACK),
            Place::Device => Some(device),
            Place::Nowhere => None,
        };
        // It was the standby's when it was taken away; or is on the device that it had before.
        let was_here = facts.taken.contains(&(device, address)) || is_elsewhere(facts, target);
        let again = was_here && target.needs(device);
        for index in own.into_iter().chain(again.then_some(device)) {
            let step = Step::AddAddress { index, address };
            if !facts.has(index, address) && !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

/// The cluster IPs that devices have from somebody else though nothing here explains it.
pub fn strangers(targets: &[Target], facts: &Facts) -> Vec<Local> {
    let wanted = targets.iter().map(|target| &target.cluster);
    let known: Vec<&Cluster> = facts.clusters.iter().chain(wanted).collect();
    let is_ours_to_tell = |own: &&Local| {
        let mut known = known.iter().filter(|it| it.name.address == own.address);
        known.any(|it| [LOOPBACK, it.device].contains(&own.index))
    };
    let is_explained = |own: &Local| of(targets, own.address).any(|it| it.explains(own.index));
    let all = facts.addresses.iter().filter(is_ours_to_tell);
    let strange = all.filter(|own| !facts.ours.contains(own) && !is_explained(own));
    strange.copied().collect()
}

/// Refuses to serve a cluster IP no more while a device has it from somebody else: this machine would
/// tell its neighbours so, and get the packets of all.
pub fn check_kept(targets: &[Target], facts: &Facts, strangers: &[Local]) -> Result<(), Failure> {
    let is_kept = |own: &&Local| {
        let mut served = facts.clusters.iter();
        of(targets, own.address).next().is_none()
            && served.any(|one| one.name.address == own.address)
    };
    let Some(Local {
        index,
        address,
        prefix,
    }) = strangers.iter().find(is_kept)
    else {
        return Ok(());
    };
    let device = facts.link_name(*index);
    Err(Failure::new(format!(
        "{address} would not be served here any more, but {device} has it from somebody else, and \
         its neighbours would send it all packets of the cluster: remove it with \"ip address del \
         {address}/{prefix} dev {device}\" before"
    )))
}
