// SPDX-License-Identifier: GPL-2.0

//! Nodes that are away get no new flows: their slots have deputies meanwhile.
//!
//! The table that packets go by is then another one than the table that was given, which is kept and
//! told. It comes into the place of the last one as with any change: so connections that the owner has
//! are looked for there, and those that a deputy began stay with it when the owner is back.
//!
//! Who is away is believed by links; without them nobody is.

#![forbid(unsafe_code)]

use super::{
    assured::Assured,
    config::Config,
    table::{Map, Table},
    Cluster,
    Served, //
};
use crate::logic::{
    cluster::{
        candidates::Candidates,
        slots::{Node, NodeId}, //
    },
    links::deputy::{deputies, standing}, //
};
use core::num::NonZeroU16;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Who has which slots: the table that packets go by, the given one, if that is another one, and who is
/// away.
pub(super) type Division = (Arc<Table>, Option<Arc<Map>>, Away);

/// By the given table. Who was away still is; links say otherwise a moment later. Of a cluster IP that comes
/// other nodes may have connections, as deputies of this one, which has been away if links are expected.
pub(super) fn divide(
    old: Option<&Served>,
    config: &Config,
    map: Map,
    expects_links: bool,
) -> Result<Division> {
    let was_away = |id| old.is_some_and(|old| old.cluster.away.has(id));
    let assured = match old {
        Some(old) => old.cluster.away.assured.clone(),
        None if expects_links => Some(Arc::new(Assured::new(), GFP_KERNEL_ACCOUNT)?),
        None => None,
    };
    let away = Away::of(config, was_away, assured)?;
    let (map, given) = away.divide(config, map)?;
    let table = match old {
        Some(old) => Table::after(&old.cluster.table, map)?,
        None => Table::first(map)?,
    };
    Ok((table, given, away))
}

/// What is believed of the nodes.
pub(super) struct Away {
    /// Those that are away, by their ids.
    ids: KVec<NodeId>,
    /// Whether all agree about that; none if no node is expected to have a link.
    pub(super) assured: Option<Arc<Assured>>,
}

impl Away {
    /// Of a cluster IP's nodes.
    pub(super) fn of(
        config: &Config,
        is_away: impl Fn(NodeId) -> bool,
        assured: Option<Arc<Assured>>,
    ) -> Result<Self> {
        let mut ids = KVec::new();
        for node in config.nodes.iter().filter(|node| is_away(node.id)) {
            ids.push(node.id, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self { ids, assured })
    }

    pub(super) fn has(&self, id: NodeId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    pub(super) fn as_slice(&self) -> &[NodeId] {
        &self.ids
    }

    /// The table that packets are to find, and the given one, if that is another one.
    pub(super) fn divide(&self, config: &Config, given: Map) -> Result<(Map, Option<Arc<Map>>)> {
        if self.ids.is_empty() && self.assured.is_none() {
            return Ok((given, None));
        }
        let nodes = nodes(config)?;
        let (mut map, given) = match self.ids.is_empty() {
            true => (given, None),
            false => {
                let map = self.deputised(config, &given, &nodes)?;
                (map, Some(Arc::new(given, GFP_KERNEL_ACCOUNT)?))
            }
        };
        if let Some(assured) = &self.assured {
            let owners = given.as_deref().map_or(&map.slots, |given| &given.slots);
            let count = owners.len();
            let mut all = KVec::from_elem(Candidates::default(), count, GFP_KERNEL_ACCOUNT)?;
            standing(owners, &map.slots, &nodes, &mut all);
            map.stand_in(all, assured.clone());
        }
        Ok((map, given))
    }

    /// The given table, with deputies for the nodes that are away.
    fn deputised(&self, config: &Config, given: &Map, nodes: &[Node]) -> Result<Map> {
        let mut slots = KVec::from_elem(None, given.slots.len(), GFP_KERNEL_ACCOUNT)?;
        deputies(&given.slots, nodes, |id| self.has(id), &mut slots);
        let mut map = Map::new(given.hash, slots).ok_or(EINVAL)?;
        if config.settings.spill {
            map.let_spill(|id| config.is_up(id) && !self.has(id))?;
        }
        Ok(map)
    }
}

/// As decisions have them.
fn nodes(config: &Config) -> Result<KVec<Node>> {
    let mut nodes = KVec::with_capacity(config.nodes.len(), GFP_KERNEL_ACCOUNT)?;
    for node in &config.nodes {
        let weight = u16::try_from(node.weight).ok().and_then(NonZeroU16::new);
        let node = Node {
            id: node.id,
            weight: weight.ok_or(EINVAL)?,
            state: node.state,
        };
        nodes.push(node, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(nodes)
}

impl Cluster {
    /// The table as it was given.
    pub(super) fn given(&self) -> &Map {
        self.given.as_deref().unwrap_or(self.table.map())
    }

    /// How many slots of a node have a deputy.
    pub(super) fn deputised(&self, id: NodeId) -> usize {
        // Without one of their own no slot has.
        let Some(given) = &self.given else { return 0 };
        let slots = Iterator::zip(given.slots.iter(), &self.table.map().slots);
        slots
            .filter(|&(&given, &now)| given == Some(id) && now != given)
            .count()
    }
}
