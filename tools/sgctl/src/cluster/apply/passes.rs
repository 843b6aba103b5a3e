// SPDX-License-Identifier: GPL-2.0
//! Carries steps out, while others change cluster IPs and addresses as well.
//!
//! A change is made for the generation that was read before it was planned. If somebody else was
//! faster the kernel refuses it, and the machine is read and the rest planned anew. Changes of
//! addresses have no generation: so after the last step all is read once more, until nothing is left
//! to be done.
//!
//! What is undone is only what this run has done, and has stayed so. A signal that is to end the
//! program is looked at before each step: it has those before undone, as a failure has.

use std::net::IpAddr;

use service_group::netlink::{Cluster, ClusterName, ClusterRole};

use super::facts::Facts;
use super::steps::{is_same, Step};
use crate::cluster::file::describe;
use crate::Failure;

/// How often the rest is planned anew.
const MOST_PASSES: u32 = 20;

/// Why something was not done.
#[derive(Debug)]
pub enum Refusal {
    /// The cluster IPs are of another generation.
    Changed,
    /// It cannot be done.
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What carries steps out.
pub trait System {
    /// Whether the next step is to be done; if not, why all before it are to be undone.
    fn goes_on(&mut self) -> Result<(), Failure>;
    /// How it is.
    fn facts(&mut self) -> Result<Facts, Failure>;
    /// One cluster IP, and before it the generation.
    fn cluster(&mut self, name: &ClusterName) -> Result<(Option<u64>, Option<Cluster>), Failure>;
    /// Whether the device's cluster IP of this address is a standby's.
    fn stands_by(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure>;
    /// Gives a device an address; whether it had it not.
    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure>;
    /// Takes an address that this program has set away; whether there was one.
    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure>;
    /// Serves a cluster IP like this.
    fn serve(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal>;
    /// Serves it no more.
    fn forget(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal>;
}

/// How to get from what is to what is wanted.
pub trait Plan {
    /// The steps.
    fn steps(&self, facts: &Facts) -> Result<Vec<Step>, Failure>;
    /// Is told of steps that were planned anew.
    fn anew(&self, steps: &[Step], facts: &Facts);
    /// Is told that all was done, and why it is not known whether others have changed it since.
    fn unchecked(&self, why: &Failure);
}

/// Does what is planned, of which the first steps are given with what was read before, and what is to
/// follow; or nothing: if something fails, what was done is undone.
pub fn carry_out(
    plan: &impl Plan,
    first: (Facts, Vec<Step>),
    system: &mut impl System,
    then: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut done = Vec::new();
    let outcome = passes(plan, first, system, &mut done);
    let Err(failure) = outcome.and_then(|()| then()) else {
        return Ok(());
    };
    Err(failure.and(&undo(&done, system)))
}

fn passes(
    plan: &impl Plan,
    (mut facts, mut steps): (Facts, Vec<Step>),
    system: &mut impl System,
    done: &mut Vec<Step>,
) -> Result<(), Failure> {
    for _ in 0..MOST_PASSES {
        if steps.is_empty() {
            return Ok(());
        }
        let is_done = match pass(&steps, facts.generation, system, done) {
            Ok(()) => true,
            Err(Refusal::Changed) => false,
            Err(Refusal::Failed(failure)) => return Err(failure),
        };
        (facts, steps) = match look(plan, system, done) {
            Err(failure) if is_done => {
                plan.unchecked(&failure);
                return Ok(());
            }
            seen => seen?,
        };
        if !steps.is_empty() {
            system.goes_on()?;
            plan.anew(&steps, &facts);
        }
    }
    Err(Failure::new(
        "others change the cluster IPs or addresses of this machine all the time: apply again when \
         they do not",
    ))
}

/// How things are after what was done, and what is left to do.
fn look(
    plan: &impl Plan,
    system: &mut impl System,
    done: &[Step],
) -> Result<(Facts, Vec<Step>), Failure> {
    let facts = Facts {
        brought: brought(done),
        taken: taken(done),
        ..system.facts()?
    };
    let steps = plan.steps(&facts)?;
    Ok((facts, steps))
}

/// Does steps that were planned for this generation, and notes what it has done.
fn pass(
    steps: &[Step],
    mut generation: Option<u64>,
    system: &mut impl System,
    done: &mut Vec<Step>,
) -> Result<(), Refusal> {
    for step in steps {
        system.goes_on()?;
        let has_acted = match step {
            Step::AddAddress { index, address } => system.add_address(*index, *address)?,
            Step::RemoveAddress { index, address } => system.remove_address(*index, *address)?,
            Step::Serve { new, .. } => system.serve(new, generation).map(|()| true)?,
            Step::Forget(old) => system.forget(old, generation).map(|()| true)?,
        };
        if matches!(step, Step::Serve { .. } | Step::Forget(_)) {
            generation = generation.map(|it| it.wrapping_add(1));
        }
        if has_acted {
            done.push(step.clone());
        }
    }
    Ok(())
}

/// The cluster IPs that were not served before, with the roles that they were given.
fn brought(done: &[Step]) -> Vec<(ClusterName, ClusterRole)> {
    let mut brought: Vec<(ClusterName, ClusterRole)> = Vec::new();
    for step in done {
        let Step::Serve { old, new } = step else {
            continue;
        };
        let known = brought.iter_mut().find(|(name, _)| *name == new.name);
        match (known, old) {
            (Some((_, role)), _) => *role = new.role,
            (None, None) => brought.push((new.name, new.role)),
            (None, Some(_)) => {}
        }
    }
    brought
}

/// The addresses that were taken away.
fn taken(done: &[Step]) -> Vec<(u32, IpAddr)> {
    let taken = done.iter().filter_map(|step| match step {
        Step::RemoveAddress { index, address } => Some((*index, *address)),
        _ => None,
    });
    taken.collect()
}

/// Undoes what was done, and says how things are now.
fn undo(done: &[Step], system: &mut impl System) -> String {
    let (mut left, mut renewed) = (Vec::new(), Vec::new());
    for step in done.iter().rev() {
        match undo_one(step, system) {
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

fn undo_one(step: &Step, system: &mut impl System) -> Result<Undone, Failure> {
    match step {
        Step::AddAddress { index, address } => {
            system.remove_address(*index, *address)?;
        }
        // It was a leftover.
        Step::RemoveAddress { index, address } if system.stands_by(*index, *address)? => {}
        Step::RemoveAddress { index, address } => {
            system.add_address(*index, *address)?;
        }
        Step::Serve { old, new } => return go_back(old.as_deref(), Some(new), system),
        Step::Forget(old) => return go_back(Some(old), None, system),
    }
    Ok(Undone::Wholly)
}

/// Has a cluster IP be served as it was (or not at all), if it is as this run has left it (or is not
/// served). Its role, and whether its device is there, others have to say.
fn go_back(
    old: Option<&Cluster>,
    mut new: Option<&Cluster>,
    system: &mut impl System,
) -> Result<Undone, Failure> {
    let Some(name) = old.or(new).map(|cluster| cluster.name) else {
        return Ok(Undone::Wholly);
    };
    let mut is_lost = new.is_none();
    let mut role = old.map(|old| old.role);
    for _ in 0..MOST_PASSES {
        let (generation, present) = system.cluster(&name)?;
        if !is_left(present.as_ref(), new) {
            let name = describe(&name);
            return Err(Failure::new(format!("others have changed {name}")));
        }
        let now = decided(role, present.as_ref(), new).or(role);
        let old = old
            .cloned()
            .zip(now)
            .map(|(old, role)| Cluster { role, ..old });
        let outcome = match (&old, new) {
            (Some(old), _) => system.serve(old, generation),
            (None, Some(new)) => system.forget(new, generation),
            (None, None) => Ok(()),
        };
        match (outcome, old, new) {
            (Ok(()), ..) if is_lost => return Ok(Undone::Anew(name)),
            (Ok(()), ..) => return Ok(Undone::Wholly),
            (Err(Refusal::Changed), ..) => {}
            // The kernel takes no lower epoch: it has to begin anew.
            (Err(_), Some(_), Some(present)) => match system.forget(present, generation) {
                Ok(()) => (is_lost, new, role) = (true, None, now),
                Err(Refusal::Changed) => {}
                Err(Refusal::Failed(failure)) => return Err(failure),
            },
            (Err(Refusal::Failed(failure)), ..) => return Err(failure),
        }
    }
    Err(Failure::new(format!(
        "others change {} all the time",
        describe(&name)
    )))
}

/// Whether a cluster IP is as this run has left it.
fn is_left(present: Option<&Cluster>, left: Option<&Cluster>) -> bool {
    let (Some(present), Some(left)) = (present, left) else {
        return present.is_none() && left.is_none();
    };
    let others_say = Cluster {
        role: present.role,
        device: present.device,
        ..left.clone()
    };
    is_same(present, &others_say)
}

/// Which one of several directors this machine is, if somebody else has decided that meanwhile.
fn decided(
    old: Option<ClusterRole>,
    present: Option<&Cluster>,
    left: Option<&Cluster>,
) -> Option<ClusterRole> {
    let directs = |role| [ClusterRole::Director, ClusterRole::Standby].contains(role);
    let present = present?.role;
    let is_decided = present != left?.role && directs(&present) && directs(&old?);
    is_decided.then_some(present)
}

#[cfg(test)]
#[path = "passes_model.rs"]
mod model;
#[cfg(test)]
#[path = "passes_tests.rs"]
mod tests;
