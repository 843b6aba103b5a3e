// SPDX-License-Identifier: GPL-2.0

//! Cluster IPs whose director links choose: this machine takes the role, and tells neighbours so.
//!
//! The machine has the address all the time, on its loopback device. Whether neighbours are told so follows
//! from the role alone ([`super::neighbour`]): so nothing fails, or waits for RTNL, when it takes over.
//!
//! Who directs decides [`logic::links::director`](crate::logic::links::director).

#![forbid(unsafe_code)]

use super::{
    away::{Away, Division},
    change::snapshot_with,
    config::Config,
    liveness::Beliefs,
    report::{self, Change},
    role::Role,
    Cluster,
    Clusters,
    ConfigTable, //
};
use crate::{
    logic::{
        cluster::slots::NodeId,
        links::director::{decide, Announcements, Decision, Own, Reason, Sight}, //
    },
    sys::{
        core::{clock::now, netns::Net},
        packet::device::is_up,
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, //
    },
};

/// What is told of who directs, from one table to the next.
pub(super) struct Acting {
    /// Who directs; 0 if none does.
    id: Atomic<u32>,
    /// Why this machine has its role, as netlink tells it.
    reason: Atomic<u32>,
}

impl Acting {
    /// Of one that has this role.
    pub(super) fn new(config: &Config) -> Self {
        let reason = config.follows_links().then_some(Reason::Unlinked);
        Self {
            id: Atomic::new(0),
            reason: Atomic::new(number(reason)),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.id.load(Relaxed)
    }

    pub(super) fn reason(&self) -> u32 {
        self.reason.load(Relaxed)
    }

    /// Whether this machine was one of the directors when that was decided last.
    pub(super) fn is_among(&self) -> bool {
        self.reason() != number(Some(Reason::Unlinked))
    }

    /// Whether that is something else. Under the lock of changes.
    fn set(&self, id: Option<NodeId>, reason: Option<Reason>) -> bool {
        let new = (id.map_or(0, |id| id.get()), number(reason));
        let is_news = new != (self.id(), self.reason());
        self.id.store(new.0, Relaxed);
        self.reason.store(new.1, Relaxed);
        is_news
    }
}

/// As netlink tells it.
fn number(reason: Option<Reason>) -> u32 {
    match reason {
        None => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_GIVEN,
        Some(Reason::First) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_FIRST,
        Some(Reason::Leaving) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_LEAVING,
        Some(Reason::Preferred) => {
            uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_PREFERRED
        }
        Some(Reason::Held) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_HELD,
        Some(Reason::Older) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_OLDER,
        Some(Reason::Waiting) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_WAITING,
        Some(Reason::Unable) => uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_UNABLE,
        Some(Reason::Unlinked) => {
            uapi::service_group_role_reason_SERVICE_GROUP_ROLE_REASON_UNLINKED
        }
    }
}

/// What a machine remembers from one look at the other directors to the next.
#[derive(Clone, Copy, Default)]
pub(super) struct Outlook {
    sight: Sight,
    announcements: Announcements,
}

impl Outlook {
    /// Begins to announce, or stops, as the decision wants it.
    fn follow(&mut self, decision: &Decision, was_active: bool, now: u64) {
        let doubt = self.sight.is_followed_by_doubt(&decision.sight);
        self.sight = decision.sight;
        if !decision.active {
            self.announcements.stop();
        } else if !was_active || doubt {
            self.announcements = self.announcements.again(now);
        }
    }
}

impl Cluster {
    /// What this machine is among the directors.
    pub(super) fn own(&self, net: Net<'_>) -> Own {
        Own {
            able: is_up(net, self.device()),
            active: self.config.role == Role::Director,
            epoch: self.config.epoch,
        }
    }
}

impl ConfigTable {
    /// Has this machine take the role that follows from what is believed. Returns in how many nanoseconds it is
    /// to look again at the latest, if not just when others are heard of.
    pub(super) fn direct(
        &mut self,
        place: usize,
        beliefs: &impl Beliefs,
        clusters: &Clusters,
    ) -> Result<Option<u64>> {
        let served = self.served.get(place).ok_or(ENOENT)?;
        let old = served.cluster.clone();
        let config = &old.config;
        if config.directors.is_empty() {
            return Ok(None);
        }
        let of = config.name.load().service();
        let own = old.own(clusters.net());
        let decision = decide(&config.directors, beliefs.this(), own, |id| {
            beliefs.director(id, &of)
        });
        let reason = config.follows_links().then_some(decision.reason);
        let changes = config.follows_links() && decision.active != own.active;
        let is_news = old.acting.set(decision.acting, reason);
        if changes {
            self.take_role(place, &old, decision.active, clusters)?;
        }
        let served = self.served.get_mut(place).ok_or(ENOENT)?;
        if is_news || changes {
            report::event(Change::Changed, &served.cluster, clusters.net());
        }
        if !config.follows_links() {
            return Ok(None);
        }
        let now = now();
        served.outlook.follow(&decision, own.active, now);
        if served.outlook.announcements.take(now) {
            served.announce();
        }
        // Others are to hear of the role at once.
        Ok(match changes {
            true => Some(1),
            false => served.outlook.announcements.due_in(now),
        })
    }

    /// Nothing else of the cluster IP changes.
    fn take_role(
        &mut self,
        place: usize,
        old: &Arc<Cluster>,
        active: bool,
        clusters: &Clusters,
    ) -> Result {
        let role = match active {
            true => Role::Director,
            false => Role::Standby,
        };
        let config = old.config.with_role(role, old.device())?;
        let division = old.division(&config)?;
        self.replace(place, old, config, division, clusters)
    }

    /// Has a cluster IP take the place of the old one, on the same device; the caller tells of it. On an error
    /// nothing has changed.
    pub(super) fn replace(
        &mut self,
        place: usize,
        old: &Arc<Cluster>,
        config: Config,
        division: Division,
        clusters: &Clusters,
    ) -> Result {
        let cluster = Cluster::after(Some(old), config, division)?;
        let cluster = Arc::new(cluster, GFP_KERNEL_ACCOUNT)?;
        let snapshot = snapshot_with(self, Ok(place), &cluster)?;
        let served = self.served.get_mut(place).ok_or(ENOENT)?;
        // Nothing fails from here on.
        clusters.snapshot.replace(Some(snapshot));
        served.cluster = cluster;
        Ok(())
    }
}

impl Cluster {
    /// The same tables, and who is away, for one with the same nodes.
    pub(super) fn division(&self, config: &Config) -> Result<Division> {
        let away = &self.away;
        let away = Away::of(config, |id| away.has(id), away.assured.clone())?;
        Ok((self.table.clone(), self.given.clone(), away))
    }
}
