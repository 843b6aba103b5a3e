// SPDX-License-Identifier: GPL-2.0

//! What links have to do with cluster IPs: they are told how this machine serves them, and say which
//! nodes are away.

#![forbid(unsafe_code)]

use super::{
    assured::Assured,
    away::Away,
    report::{self, Change},
    table::Table,
    Cluster,
    Clusters,
    ConfigTable, //
};
use crate::logic::{
    cluster::slots::NodeId,
    links::{
        director::Seen,
        heartbeat::{Load, Service}, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};

/// How this machine serves its cluster IPs, as peers are told.
pub(crate) struct Report {
    pub(crate) loads: KVec<Load>,
    /// The highest epoch of them.
    pub(crate) epoch: u32,
}

/// Of those that this machine is a node of, or may direct, at this moment. Process context.
pub(crate) fn report(clusters: &Clusters) -> Result<Report> {
    let configs = clusters.changes.lock();
    let mut loads = KVec::with_capacity(configs.served.len(), GFP_KERNEL_ACCOUNT)?;
    let mut epoch = 0;
    for served in &configs.served {
        epoch = served.cluster.config.epoch.max(epoch);
        let config = &served.cluster.config;
        if config.this.is_some() || config.follows_links() {
            loads.push(served.cluster.load(clusters.net()), GFP_KERNEL_ACCOUNT)?;
        }
    }
    Ok(Report { loads, epoch })
}

/// Whether links to other machines are expected from now on. Cluster IPs that come go by that at once, and
/// all others when they are judged.
pub(crate) fn expect_links(clusters: &Clusters, are_expected: bool) {
    clusters.expects_links.store(are_expected, Relaxed);
}

/// What is believed of nodes.
pub(crate) trait Beliefs {
    /// Whether it gets no new flows of this cluster IP.
    fn is_away(&self, node: NodeId, of: &Service) -> bool;
    /// Until when it and this machine hold each other to be there; none if no link to it is expected.
    fn assured_until(&self, node: NodeId) -> Option<u64>;
    /// This machine, if somebody has said which one it is.
    fn this(&self) -> Option<NodeId>;
    /// Another machine that may direct this cluster IP.
    fn director(&self, id: NodeId, of: &Service) -> Seen;
}

/// Has all cluster IPs go by what is believed, each under the lock of changes by itself. Process context.
/// Returns in how many nanoseconds that is to be done again, if not just with the next heartbeat. On an
/// error some may go by what was believed before: `ENOMEM`, or `EAGAIN` if cluster IPs have come or gone
/// meanwhile.
pub(crate) fn judge(clusters: &Clusters, beliefs: &impl Beliefs) -> Result<Option<u64>> {
    let generation = clusters.generation();
    let mut result = Ok(());
    let mut due: Option<u64> = None;
    for place in 0..usize::MAX {
        let mut configs = clusters.changes.lock();
        let Some(served) = configs.served.get(place) else {
            break;
        };
        let cluster = served.cluster.clone();
        result = result.and(configs.go_by(place, &cluster, beliefs, clusters));
        match configs.direct(place, beliefs, clusters) {
            Ok(next) => due = Iterator::chain(due.into_iter(), next).min(),
            Err(error) => result = result.and(Err(error)),
        }
    }
    match generation == clusters.generation() {
        true => result.map(|()| due),
        false => result.and(Err(EAGAIN)),
    }
}

impl ConfigTable {
    /// Has a cluster IP go by what is believed now.
    fn go_by(
        &mut self,
        place: usize,
        old: &Arc<Cluster>,
        beliefs: &impl Beliefs,
        clusters: &Clusters,
    ) -> Result {
        let of = old.config.name.load().service();
        let ids = || old.config.nodes.iter().map(|node| node.id);
        let assured = match &old.away.assured {
            _ if ids().all(|id| beliefs.assured_until(id).is_none()) => None,
            Some(assured) => Some(assured.clone()),
            None => Some(Arc::new(Assured::new(), GFP_KERNEL_ACCOUNT)?),
        };
        if let Some(assured) = &assured {
            assured.renew(ids().filter_map(|id| beliefs.assured_until(id)));
        }
        let away = Away::of(&old.config, |id| beliefs.is_away(id, &of), assured)?;
        let is_linked = away.assured.is_some() == old.away.assured.is_some();
        match is_linked && away.as_slice() == old.away.as_slice() {
            true => Ok(()),
            false => self.redivide(place, old, away, clusters),
        }
    }

    /// Has another table take the place of the old one.
    fn redivide(
        &mut self,
        place: usize,
        old: &Arc<Cluster>,
        away: Away,
        clusters: &Clusters,
    ) -> Result {
        let config = old.config.with_role(old.config.role, old.device())?;
        let (map, given) = away.divide(&config, old.given().copy()?)?;
        let table = Table::after(&old.table, map)?;
        self.replace(place, old, config, (table, given, away), clusters)?;
        let served = self.served.get(place).ok_or(ENOENT)?;
        report::event(Change::Changed, &served.cluster, clusters.net());
        Ok(())
    }
}
