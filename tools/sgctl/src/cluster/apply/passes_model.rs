// SPDX-License-Identifier: GPL-2.0
//! A machine that several change, as the tests have it.

use std::collections::VecDeque;

use ClusterRole::{Director, Standby};

use super::super::facts::Local;
use super::super::steps::steps;
use super::super::steps::tests::{facts, targets};
use super::super::target::whole;
use super::*;
use crate::cluster::file::Config;

pub const DEVICE: u32 = 2;

pub fn ip() -> IpAddr {
    [198, 51, 100, 7].into()
}

/// A file, as one machine has it.
pub struct File<'a>(&'a Config, &'static str);

impl Plan for File<'_> {
    fn steps(&self, facts: &Facts) -> Result<Vec<Step>, Failure> {
        steps(&targets(self.0, self.1, facts)?, facts)
    }

    fn anew(&self, _: &[Step], _: &Facts) {}

    fn unchecked(&self, _: &Failure) {}
}

/// What others do.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// keepalived gives the device the address, or takes it away.
    Address(bool),
    /// It runs `sgctl cluster role`.
    Role(ClusterRole),
    /// Somebody changes something else.
    Else,
}

/// A machine, and what others do between any two things that are done here.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub clusters: Vec<Cluster>,
    pub generation: u64,
    /// Each with whether this program has set it.
    pub addresses: Vec<(u32, IpAddr, bool)>,
    pub events: VecDeque<Event>,
    /// How many of them happen at the next moments.
    pub rates: VecDeque<usize>,
    /// A role that waits for its cluster IP.
    pub waits: Option<ClusterRole>,
    /// Whether the cluster IP is known, so that it is waited for.
    pub is_known: bool,
    pub fails_at: Option<usize>,
    /// A signal comes when so many changes are made.
    pub stops_at: Option<usize>,
    pub changes: usize,
}

impl Model {
    pub fn of(facts: &Facts, ours: bool) -> Self {
        let addresses = facts.addresses.iter();
        Self {
            clusters: facts.clusters.clone(),
            addresses: addresses.map(|it| (it.index, it.address, ours)).collect(),
            is_known: !facts.clusters.is_empty(),
            ..Self::default()
        }
    }

    fn moment(&mut self) {
        for _ in 0..self.rates.pop_front().unwrap_or(0) {
            if let Some(event) = self.events.pop_front() {
                self.happen(event);
            }
        }
        if let Some(role) = self.waits.take() {
            self.happen(Event::Role(role));
        }
    }

    pub fn happen(&mut self, event: Event) {
        match event {
            Event::Address(true) if self.has(DEVICE) => {}
            Event::Address(true) => self.addresses.push((DEVICE, ip(), false)),
            Event::Address(false) => self.addresses.retain(|it| (it.0, it.1) != (DEVICE, ip())),
            Event::Else => self.generation += 1,
            Event::Role(role) => {
                let mut all = self.clusters.iter_mut();
                let one = all.find(|it| it.name.address == ip());
                match one.filter(|it| [Director, Standby].contains(&it.role)) {
                    Some(one) => {
                        (one.role, self.waits) = (role, None);
                        self.generation += 1;
                    }
                    None => self.waits = self.is_known.then_some(role),
                }
                if role == Standby {
                    self.addresses.retain(|it| *it != (DEVICE, ip(), true));
                }
            }
        }
    }

    pub fn has(&self, index: u32) -> bool {
        let mut all = self.addresses.iter();
        all.any(|it| (it.0, it.1) == (index, ip()))
    }

    pub fn role(&self) -> Option<ClusterRole> {
        let one = self.clusters.iter().find(|it| it.name.address == ip());
        one.map(|one| one.role)
    }

    /// Before a change; whether it is made.
    fn change(&mut self) -> Result<(), Failure> {
        self.moment();
        self.changes += 1;
        match self.fails_at == Some(self.changes) {
            true => Err(Failure::new("it broke")),
            false => Ok(()),
        }
    }

    fn check(&mut self, generation: Option<u64>) -> Result<(), Refusal> {
        self.change()?;
        match generation.is_none_or(|it| it == self.generation) {
            true => Ok(()),
            false => Err(Refusal::Changed),
        }
    }

    /// All that is left of them.
    pub fn end(&mut self) {
        self.rates.clear();
        while let Some(event) = self.events.pop_front() {
            self.happen(event);
        }
        self.moment();
    }
}

impl System for Model {
    fn goes_on(&mut self) -> Result<(), Failure> {
        match self.stops_at.is_some_and(|at| self.changes >= at) {
            true => Err(Failure::interrupted(2, "it is enough")),
            false => Ok(()),
        }
    }

    fn facts(&mut self) -> Result<Facts, Failure> {
        let generation = Some(self.generation);
        self.moment();
        let clusters = self.clusters.clone();
        self.moment();
        let local = |(index, address, _): &(u32, IpAddr, bool)| Local {
            index: *index,
            address: *address,
            prefix: whole(*address),
        };
        let ours = self.addresses.iter().filter(|it| it.2).map(local);
        Ok(Facts {
            clusters,
            ours: ours.collect(),
            addresses: self.addresses.iter().map(local).collect(),
            generation,
            ..facts()
        })
    }

    fn cluster(&mut self, name: &ClusterName) -> Result<(Option<u64>, Option<Cluster>), Failure> {
        let generation = Some(self.generation);
        self.moment();
        let one = self.clusters.iter().find(|it| it.name == *name).cloned();
        Ok((generation, one))
    }

    fn stands_by(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        self.moment();
        let mut all = self.clusters.iter();
        Ok(all.any(|it| (it.device, it.name.address) == (index, address) && it.role == Standby))
    }

    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        self.change()?;
        let mut all = self.addresses.iter();
        let is_new = !all.any(|it| (it.0, it.1) == (index, address));
        if is_new {
            self.addresses.push((index, address, true));
        }
        Ok(is_new)
    }

    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        self.change()?;
        let before = self.addresses.len();
        self.addresses.retain(|it| *it != (index, address, true));
        Ok(self.addresses.len() < before)
    }

    fn serve(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal> {
        self.check(generation)?;
        let is_stale = |it: &Cluster| it.name == cluster.name && it.epoch > cluster.epoch;
        if self.clusters.iter().any(is_stale) {
            return Err(Failure::new("the epoch is too low").into());
        }
        self.clusters.retain(|it| it.name != cluster.name);
        self.clusters.push(cluster.clone());
        self.generation += 1;
        Ok(())
    }

    fn forget(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal> {
        self.check(generation)?;
        self.clusters.retain(|it| it.name != cluster.name);
        self.generation += 1;
        Ok(())
    }
}

/// Has a machine do what a file says, and what is to follow.
pub fn apply(
    config: &Config,
    own: &'static str,
    model: &mut Model,
    then: Result<(), Failure>,
) -> Result<(), Failure> {
    let file = File(config, own);
    let facts = model.facts()?;
    let first = file.steps(&facts)?;
    carry_out(&file, (facts, first), model, || then)
}
