// SPDX-License-Identifier: GPL-2.0

//! Cluster IPs come, change and go.

#![forbid(unsafe_code)]

use super::{
    away::{divide, Division},
    config::{self, Config, Name},
    report::{self, Change},
    role::Role,
    snapshot::Snapshot,
    table::Map,
    Cluster,
    Clusters,
    ConfigTable,
    Served, //
};
use crate::{
    logic::cluster::flow::Address,
    sys::{
        core::{
            netlink::Request,
            rcu::RcuBox, //
        },
        packet::{
            device::{Device, Rtnl},
            hooks::{Gatherer, Hooks}, //
        },
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Relaxed, Release},
        Arc, //
    },
};

/// `cluster-set`: see [`Config::of`] for what is `EINVAL` and `E2BIG`. `ENOSPC` if there are too
/// many cluster IPs, `ENODEV` if there is no such Ethernet device, `EMEDIUMTYPE` if that is a VRF,
/// `ESTALE` if the epoch is lower than the present one, or the same with another table, `EOPNOTSUPP`
/// if the kernel cannot put fragments together, `EAGAIN` if it is made for another generation, `ENOENT`
/// for the first one of a namespace if the module is being unloaded. On an error nothing has changed.
/// Without a device the one of a cluster IP that is served stays, also while it is gone.
pub(crate) fn set(request: &Request) -> Result {
    let (mut config, map) = Config::of(request)?;
    let net = request.net();
    let clusters = net.clusters();
    // A kernel module may be loaded for it, which must not wait for our locks.
    let gatherer = match needs_ipv6(&config) {
        true => Some(Arc::new(Gatherer::new()?, GFP_KERNEL_ACCOUNT)?),
        false => None,
    };
    // The last one waits for RCU readers when it goes: not under our locks, on an error.
    let _kept = gatherer.clone();
    let rtnl = Rtnl::lock();
    let mut configs = clusters.changes.lock();
    clusters.check_generation(request)?;
    let old = configs.get(&config.name);
    check(&config, &map, &configs, old)?;
    if config.follows_links() {
        let present = old.map(|old| old.cluster.config.role);
        config.role = present
            .filter(|role| role.directs())
            .unwrap_or(Role::Standby);
    }
    if config.device == 0 {
        config.device = match old {
            Some(old) => old.cluster.device(),
            None => config::device(request)?,
        };
    }
    let followed = old.is_some_and(|old| old.cluster.config.follows_links());
    let division = divide(old, &config, map, clusters.expects_links.load(Relaxed))?;
    let (cluster, retired) = serve(clusters, &mut configs, config, division, gatherer, &rtnl)?;
    drop(configs);
    rtnl.disable_lro(net, cluster.config.device);
    drop((rtnl, retired));
    if followed || !cluster.config.directors.is_empty() {
        net.tick_in(0);
    }
    Ok(())
}

/// `cluster-role-set`. `EINVAL` if it is no such name, or no role of a director; `ENOENT` if there is
/// none that directs, `EBUSY` if links say which one does, `EAGAIN` if it is made for another generation.
pub(crate) fn set_role(request: &Request) -> Result {
    let name = Name::of(request)?;
    let role = request.u32(uapi::SERVICE_GROUP_A_CLUSTER_ROLE);
    let role = role.map_or(Err(EINVAL), Role::new)?;
    if !role.directs() {
        return Err(EINVAL);
    }
    let net = request.net();
    let clusters = net.clusters();
    let rtnl = Rtnl::lock();
    let mut configs = clusters.changes.lock();
    clusters.check_generation(request)?;
    let old = configs
        .get(&name)
        .filter(|old| old.cluster.config.role.directs());
    let old = old.ok_or(ENOENT)?;
    if old.cluster.config.follows_links() {
        return Err(EBUSY);
    }
    if old.cluster.config.role == role {
        // Who has read before is to know that this was decided since.
        clusters.changed();
        return Ok(());
    }
    let config = old.cluster.config.with_role(role, old.cluster.device())?;
    let division = old.cluster.division(&config)?;
    let gatherer = old.gatherer.clone();
    let (cluster, retired) = serve(clusters, &mut configs, config, division, gatherer, &rtnl)?;
    drop(configs);
    rtnl.disable_lro(net, cluster.config.device);
    drop((rtnl, retired));
    Ok(())
}

/// Has a cluster IP be served, in the place of the one of its name if there is one, and tells of it;
/// its device is given. On an error nothing has changed. The caller then has the device do without LRO,
/// not under the lock of changes, which is taken under the device's own when that goes; and drops the
/// gatherer that is not needed any more.
fn serve(
    clusters: &Clusters,
    configs: &mut ConfigTable,
    config: Config,
    division: Division,
    gatherer: Option<Arc<Gatherer>>,
    rtnl: &Rtnl,
) -> Result<(Arc<Cluster>, Option<Arc<Gatherer>>)> {
    let place = configs.find(&config.name);
    let old = place.ok().and_then(|index| configs.served.get(index));
    // Of a device that is gone nothing is asked until there is one of its name.
    let lost = old.and_then(|old| old.lost).filter(|_| config.device == 0);
    let joined = match old {
        Some(old) if lost.is_some() || old.fits(&config) => None,
        _ => Some(join(clusters, &config, config.device, rtnl)?),
    };
    let outlook = old.map(|old| old.outlook).unwrap_or_default();
    let old = old.map(|old| &*old.cluster);
    // What was announced when the device was made anew may have been lost.
    let is_same = |old: &Config| old.role == config.role && old.device == config.device;
    let is_new = joined.is_some() || old.is_none_or(|old| !is_same(&old.config));
    let cluster = Arc::new(Cluster::after(old, config, division)?, GFP_KERNEL_ACCOUNT)?;
    let snapshot = snapshot_with(configs, place, &cluster)?;
    configs.served.reserve(1, GFP_KERNEL_ACCOUNT)?;
    if configs.hooks.is_none() {
        configs.hooks = Some(Hooks::of(clusters.net())?);
    }
    // Nothing fails from here on.
    clusters.snapshot.replace(Some(snapshot));
    let served = Served {
        cluster: cluster.clone(),
        device: joined.or_else(|| configs.take_device(place)),
        lost,
        local: cluster.local(clusters.net()).0,
        outlook,
        gatherer,
    };
    if is_new {
        served.announce();
    }
    let retired = configs.put(place, served);
    clusters.changed();
    report::event(Change::Changed, &cluster, clusters.net());
    Ok((cluster, retired))
}

/// `cluster-del`. `EINVAL` if it is no such name, `ENOENT` if there is none, `EAGAIN` if it is made
/// for another generation.
pub(crate) fn remove(request: &Request) -> Result {
    let name = Name::of(request)?;
    let net = request.net();
    let clusters = net.clusters();
    let rtnl = Rtnl::lock();
    let mut configs = clusters.changes.lock();
    clusters.check_generation(request)?;
    let index = configs.find(&name).map_err(|_| ENOENT)?;
    let snapshot = snapshot_without(&configs, index)?;
    clusters.snapshot.replace(snapshot);
    let mut served = configs.served.remove(index).map_err(|_| ENOENT)?;
    let hooks = match configs.served.is_empty() {
        true => configs.hooks.take(),
        false => None,
    };
    clusters.changed();
    // In the order of the changes, so under their lock.
    report::event(Change::Removed, &served.cluster, net);
    let retired = served.gatherer.take();
    let followed = served.cluster.config.follows_links();
    drop((served, hooks));
    drop(configs);
    drop((rtnl, retired));
    if followed {
        net.tick_in(0);
    }
    Ok(())
}

/// Whether fragments of IPv6 may come.
fn needs_ipv6(config: &Config) -> bool {
    let is_ipv6 = |address: &Address| address.is_ipv6();
    is_ipv6(&config.name.address) || config.nodes.iter().any(|node| is_ipv6(&node.address))
}

/// Whether this may take the place of the old one.
fn check(config: &Config, map: &Map, configs: &ConfigTable, old: Option<&Served>) -> Result {
    let Some(old) = old else {
        return match configs.served.len() < uapi::SERVICE_GROUP_MAX_CLUSTERS as usize {
            true => Ok(()),
            false => Err(ENOSPC),
        };
    };
    let epoch = old.cluster.config.epoch;
    let stale =
        config.epoch < epoch || (config.epoch == epoch && !map.owns_like(old.cluster.given()));
    match stale {
        true => Err(ESTALE),
        false => Ok(()),
    }
}

/// Has the device do what the cluster IP needs.
pub(super) fn join(
    clusters: &Clusters,
    config: &Config,
    index: u32,
    rtnl: &Rtnl,
) -> Result<Device> {
    let mut device = Device::new(clusters.net(), index, rtnl)?;
    if let Some(mac) = &config.mac {
        device.join_mac(mac, rtnl)?;
    }
    let address = &config.name.address;
    if config.role.is_asked() && address.is_ipv6() {
        device
            .join_solicited(&address.to_bytes(), rtnl)
            // The device has no IPv6.
            .map_err(|error| if error == EINVAL { ENODEV } else { error })?;
    }
    Ok(device)
}

/// What packets are to find when `cluster` is served in the place of the one of its name, or as
/// well, between the others.
pub(super) fn snapshot_with(
    configs: &ConfigTable,
    place: Result<usize, usize>,
    cluster: &Arc<Cluster>,
) -> Result<RcuBox<Snapshot>> {
    let (before, after) = match place {
        Ok(index) => (index, index.saturating_add(1)),
        Err(index) => (index, index),
    };
    snapshot_of(configs, before, Some(cluster), after)
}

/// What packets are to find when one is served no more; nothing, if it was the last one.
fn snapshot_without(configs: &ConfigTable, index: usize) -> Result<Option<RcuBox<Snapshot>>> {
    match configs.served.len() {
        0 | 1 => Ok(None),
        _ => snapshot_of(configs, index, None, index.saturating_add(1)).map(Some),
    }
}

/// What packets are to find of those before the one index and from the other on, and of what comes
/// between them.
fn snapshot_of(
    configs: &ConfigTable,
    before: usize,
    between: Option<&Arc<Cluster>>,
    after: usize,
) -> Result<RcuBox<Snapshot>> {
    let mut list = KVec::with_capacity(configs.served.len().saturating_add(1), GFP_KERNEL_ACCOUNT)?;
    let clusters = |served: &'_ Served| served.cluster.clone();
    let head = configs.served.iter().take(before).map(clusters);
    let tail = configs.served.iter().skip(after).map(clusters);
    for cluster in Iterator::chain(Iterator::chain(head, between.cloned()), tail) {
        list.push(cluster, GFP_KERNEL_ACCOUNT)?;
    }
    Ok(RcuBox::new(Snapshot::new(list)?, GFP_KERNEL_ACCOUNT)?)
}

impl Clusters {
    /// `EAGAIN` if the request is made for another generation. Under the lock of changes.
    fn check_generation(&self, request: &Request) -> Result {
        let wanted = request.optional_u64(uapi::SERVICE_GROUP_A_CLUSTER_GENERATION);
        if wanted.is_none_or(|wanted| wanted == self.generation.load(Relaxed)) {
            return Ok(());
        }
        request.say_changed();
        Err(EAGAIN)
    }

    /// Under the lock of changes, behind the change. Addresses are looked at as well.
    fn changed(&self) {
        self.numbered();
        self.addresses_changed();
    }

    /// The same, of a change that was told with where the addresses are.
    pub(super) fn numbered(&self) {
        // Pairs with the acquire in `generation()`.
        self.generation.fetch_add(1, Release);
    }
}

impl ConfigTable {
    /// The one with this name.
    fn get(&self, name: &Name) -> Option<&Served> {
        self.served.get(self.find(name).ok()?)
    }

    fn take_device(&mut self, place: Result<usize, usize>) -> Option<Device> {
        let old = place.ok().and_then(|index| self.served.get_mut(index));
        old.and_then(|old| old.device.take())
    }

    /// Puts one in the place of the old one, or between the others; there is room. Gives the old one's
    /// gatherer.
    fn put(&mut self, place: Result<usize, usize>, new: Served) -> Option<Arc<Gatherer>> {
        match place {
            Ok(index) => {
                let old = core::mem::replace(self.served.get_mut(index)?, new);
                old.gatherer
            }
            // There is room, and the place is not behind the end.
            Err(index) => {
                drop(self.served.insert_within_capacity(index, new));
                None
            }
        }
    }
}

impl Served {
    /// Whether the device does all that this needs.
    fn fits(&self, config: &Config) -> bool {
        let old = &self.cluster.config;
        self.device.is_some()
            && self.cluster.device() == config.device
            && old.mac == config.mac
            && old.role.is_asked() == config.role.is_asked()
    }
}
