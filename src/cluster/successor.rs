// SPDX-License-Identifier: GPL-2.0

//! A cluster IP after a change: what goes on from before, and what is new.

#![forbid(unsafe_code)]

use super::{
    allowance::Allowance,
    away::Division,
    config::{Config, NodeConfig},
    counters::Counters,
    director::Acting,
    forward::Destination,
    health::Health,
    peers::Peers,
    role::Role,
    Cluster,
    MOST_COPIED,
    MOST_COPIED_YOUNG, //
};
use crate::logic::cluster::slots::Slot;
use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};

impl Cluster {
    /// One that takes the place of `old`, and goes on with its counters.
    pub(super) fn after(old: Option<&Self>, config: Config, division: Division) -> Result<Self> {
        let same = old.filter(|old| old.config.directors.as_slice() == config.directors.as_slice());
        let acting = match same.filter(|old| old.config.follows_links() == config.follows_links()) {
            Some(old) => old.acting.clone(),
            None => Arc::new(Acting::new(&config), GFP_KERNEL_ACCOUNT)?,
        };
        let (counters, health) = match old {
            Some(old) => (old.counters.clone(), old.health.clone()),
            None => (
                Arc::new(Counters::new(), GFP_KERNEL_ACCOUNT)?,
                Arc::new(Health::new(), GFP_KERNEL_ACCOUNT)?,
            ),
        };
        let (table, given, away) = division;
        let mut destinations = KVec::with_capacity(config.nodes.len(), GFP_KERNEL_ACCOUNT)?;
        for node in &config.nodes {
            let destination = Self::destination(old, node, &config)?;
            destinations.push(destination, GFP_KERNEL_ACCOUNT)?;
        }
        let peers = Peers::new(&config)?;
        let device = Atomic::new(config.device);
        let owns = |slot: &Slot| slot.is_some() && *slot == config.this;
        // One that stands by for links has the address as well: it would reset what it does not give to nodes.
        let directs = config.role == Role::Director || config.follows_links();
        let only_directs = directs && !table.map().slots.iter().any(owns);
        Ok(Self {
            config,
            device,
            only_directs,
            table,
            given,
            away,
            health,
            acting,
            destinations,
            peers,
            counters,
            copies: Allowance::new(MOST_COPIED),
            young_copies: Allowance::new(MOST_COPIED_YOUNG),
        })
    }

    /// The old one's way to the node if it is still the same; a new one goes on with its count.
    fn destination(
        old: Option<&Self>,
        node: &NodeConfig,
        config: &Config,
    ) -> Result<Arc<Destination>> {
        let known = old.and_then(|old| Some((old, old.node(node.id)?)));
        let forwarded = match known {
            Some((old, (before, destination))) if old.leads_alike(before, config, node) => {
                return Ok(destination.clone());
            }
            Some((_, (_, destination))) => destination.forwarded(),
            None => 0,
        };
        Ok(Arc::new(Destination::new(forwarded)?, GFP_KERNEL_ACCOUNT)?)
    }

    /// Whether the way to a node is what it was.
    fn leads_alike(&self, before: &NodeConfig, config: &Config, node: &NodeConfig) -> bool {
        before.address == node.address
            && before.way == node.way
            && self.device() == config.device
            && self.config.own_address() == config.own_address()
    }
}
