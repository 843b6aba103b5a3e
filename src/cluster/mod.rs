// SPDX-License-Identifier: GPL-2.0

//! Cluster IPs: addresses that several machines serve, each its part.
//!
//! A packet's way, all of it in the file named:
//!
//! ```text
//!   packet ──> Clusters::may_serve ──> packet::incoming ──> this machine, or nowhere
//!                                        │         └──────> forward: another machine
//!   packet in a packet ─────────────── tunnel
//!   ARP, neighbour discovery ───────────────────────────> neighbour
//!   netlink ──> change, report
//! ```
//!
//! What packets find is a [`Snapshot`], made anew with each change and looked at under RCU. It has
//! the cluster IPs themselves, which do not change either; only what is counted is kept from one to
//! the next. Where the owner of a packet is told, and what becomes of it then, decides
//! [`logic::cluster`](crate::logic::cluster).
//!
//! It configures no addresses, and does not find out which nodes live: that is for who sets the table, and
//! for links, which tell [`liveness`], and say who directs ([`director`]).
//!
//! Without the module a machine would answer for all of a cluster IP's flows, as it has the address. So
//! the module cannot be unloaded as long as a namespace has any.

#![forbid(unsafe_code)]

mod allowance;
mod assured;
mod away;
pub(crate) mod change;
mod config;
mod contents;
mod counter_gen;
mod counters;
mod director;
mod forward;
pub(crate) mod health;
pub(crate) mod liveness;
pub(crate) mod neighbour;
pub(crate) mod packet;
mod peers;
pub(crate) mod report;
mod role;
mod snapshot;
pub(crate) mod spill;
mod successor;
mod table;
mod tunnel;

use crate::{
    logic::cluster::{
        candidates::Candidates,
        slots::NodeId, //
    },
    sys::{
        core::{
            netns::{Net, OwnNet},
            parts::{ClusterPart, Parts},
            rcu::RcuCell,
            work::cond_resched, //
        },
        packet::{
            address::{local, look_soon, Local},
            device::{Device, DeviceName, Rtnl},
            hooks::{Gatherer, Hooks},
            skb::Packet, //
        },
    },
};
use allowance::Allowance;
use away::Away;
use config::{Config, Name, NodeConfig};
use counters::{Counter, Counters};
use director::{Acting, Outlook};
use forward::Destination;
use health::Health;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed},
        rcu::Guard,
        Arc,
        Mutex, //
    },
};
use peers::Peers;
use report::Change;
use snapshot::Snapshot;
use table::{Map, Table};

/// An address that several machines serve. It does not change; another one takes its place.
struct Cluster {
    config: Config,
    /// Index of the device, which is another one when it was made anew; 0 while it is gone.
    device: Atomic<u32>,
    /// The table that packets go by.
    table: Arc<Table>,
    /// The one that was given, if slots have deputies.
    given: Option<Arc<Map>>,
    /// Nodes whose slots have deputies.
    away: Away,
    health: Arc<Health>,
    acting: Arc<Acting>,
    /// Whether this machine gives all packets to others.
    only_directs: bool,
    /// Of each of the nodes, in their order.
    destinations: KVec<Arc<Destination>>,
    peers: Peers,
    counters: Arc<Counters>,
    copies: Allowance,
    young_copies: Allowance,
}

/// So many packets a second go to more than one node: what strangers send that nobody knows is not
/// to be multiplied without bounds.
const MOST_COPIED: u64 = 10_000 / SLOWER;
/// The same while a change is young, and so are many connections that are somewhere else.
const MOST_COPIED_YOUNG: u64 = 100_000 / SLOWER;
/// A kernel that checks its memory is slow; tests are to meet the limits there, too.
const SLOWER: u64 = if cfg!(CONFIG_KASAN) { 20 } else { 1 };

impl Cluster {
    #[inline(always)]
    fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }

    /// Index of the device that packets come by; 0 if there is none.
    #[inline(always)]
    fn device(&self) -> u32 {
        self.device.load(Relaxed)
    }

    /// Where this machine has the address, and whether that may change without anybody being told.
    fn local(&self, net: Net<'_>) -> (Local, bool) {
        local(net, self.device(), &self.config.name.address)
    }

    /// Whether a packet is this cluster IP's by the device that it came by. By another one than its
    /// own there may be clients that only this machine can answer, such as containers, and it does
    /// so; but if it only directs, it would reset them. Another VRF may have the same address, and
    /// without the device nobody knows which VRF is meant.
    #[inline(always)]
    fn is_reached_by(&self, packet: &Packet<'_>, net: Net<'_>) -> bool {
        let device = self.device();
        packet.device() == device || self.only_directs && packet.came_beside(net, device)
    }

    /// Those of these nodes that may be sent a packet as well.
    fn affordable(&self, others: Candidates) -> Candidates {
        let likeliest = Candidates::only(others.iter().next());
        let allowance = match self.table.is_young(self.config.settings.settle) {
            true => &self.young_copies,
            false => &self.copies,
        };
        match others == likeliest || allowance.take() {
            true => others,
            false => likeliest,
        }
    }

    /// The node with this id, and how packets get there.
    fn node(&self, id: NodeId) -> Option<(&NodeConfig, &Arc<Destination>)> {
        let (place, node) = self.config.node(id)?;
        Some((node, self.destinations.get(place)?))
    }
}

/// A cluster IP, with what the machine does for it.
struct Served {
    cluster: Arc<Cluster>,
    /// None if the device is gone.
    device: Option<Device>,
    /// What the device was called that is gone.
    lost: Option<DeviceName>,
    /// Where the machine has the address, as was told last.
    local: Local,
    /// If links say which machine directs.
    outlook: Outlook,
    /// If fragments of IPv6 may come.
    gatherer: Option<Arc<Gatherer>>,
}

/// All of a namespace.
struct ConfigTable {
    /// By their names.
    served: KVec<Served>,
    /// While there are any; they hold the module.
    hooks: Option<Hooks>,
}

impl ConfigTable {
    /// Where the one with this name is, or is to be.
    fn find(&self, name: &Name) -> Result<usize, usize> {
        self.served
            .binary_search_by_key(name, |served| served.cluster.config.name)
    }
}

/// The cluster IPs of a network namespace.
///
/// Locking order: [`Rtnl`], then `changes`. Packets take neither.
#[pin_data]
pub(crate) struct Clusters {
    net: OwnNet,
    snapshot: RcuCell<Snapshot>,
    /// Serialises changes, and protects what they change.
    #[pin]
    changes: Mutex<ConfigTable>,
    /// Goes up with each change, under the lock and behind all that it changes, for readers to notice.
    generation: Atomic<u64>,
    /// Whether links to other machines are expected.
    expects_links: Atomic<bool>,
}

impl Clusters {
    pub(crate) fn new(net: OwnNet) -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                net,
                snapshot: RcuCell::new(),
                changes <- new_mutex!(ConfigTable {
                    served: KVec::new(),
                    hooks: None,
                }, "service_group::clusters"),
                generation: Atomic::new(0),
                expects_links: Atomic::new(false),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    pub(crate) fn net(&self) -> Net<'_> {
        self.net.get()
    }

    /// Whether a packet is worth a look, to an address of which this is the last word.
    pub(crate) fn may_serve(&self, daddr_low32: u32, guard: &Guard) -> bool {
        self.snapshot(guard)
            .is_some_and(|snapshot| snapshot.may_have(daddr_low32))
    }

    fn snapshot<'g>(&'g self, guard: &'g Guard) -> Option<&'g Snapshot> {
        self.snapshot.get(guard)
    }

    /// Number of the last change. What is read behind it is of this change, or of a later one.
    pub(crate) fn generation(&self) -> u64 {
        // Pairs with the release in `numbered()`.
        self.generation.load(Acquire)
    }

    /// The one with this name.
    fn get(&self, name: &Name) -> Option<Arc<Cluster>> {
        let configs = self.changes.lock();
        let served = configs.served.get(configs.find(name).ok()?)?;
        Some(served.cluster.clone())
    }

    /// The one at this place in their order, or that there is none, and of which change that is.
    fn nth(&self, index: usize) -> (u64, Option<Arc<Cluster>>) {
        let configs = self.changes.lock();
        let served = configs.served.get(index);
        (
            self.generation(),
            served.map(|served| served.cluster.clone()),
        )
    }

    /// How many nodes that one has that has the most.
    fn most_nodes(&self) -> usize {
        let configs = self.changes.lock();
        let nodes = |served: &Served| served.cluster.config.nodes.len();
        configs.served.iter().map(nodes).max().unwrap_or(0)
    }

    /// Serves nothing any more; the namespace ends. Process context.
    pub(crate) fn stop(&self) {
        let rtnl = Rtnl::lock();
        let mut configs = self.changes.lock();
        configs.hooks = None;
        self.snapshot.replace(None);
        let mut stopped = core::mem::take(&mut configs.served);
        for served in &mut stopped {
            served.device = None;
        }
        // What waits for RCU readers when it goes does so without the locks.
        drop(configs);
        drop(rtnl);
        drop(stopped);
    }

    /// A device is about to go; packets for its cluster IPs come no more. Under RTNL. Whether it is
    /// to be told.
    pub(crate) fn device_gone(&self, index: u32, name: DeviceName, tell: bool) {
        let mut configs = self.changes.lock();
        for served in &mut configs.served {
            if served.cluster.device() != index {
                continue;
            }
            served.device = None;
            served.lost = Some(name);
            served.cluster.device.store(0, Relaxed);
            self.look_at(served);
            self.numbered();
            if tell {
                report::event(Change::Changed, &served.cluster, self.net());
            }
        }
    }

    /// There is a device of this name, which may have been gone: cluster IPs go on with it. Under
    /// RTNL.
    pub(crate) fn device_came(&self, index: u32, name: &DeviceName, rtnl: &Rtnl) {
        let mut configs = self.changes.lock();
        for served in &mut configs.served {
            if served.device.is_some() || served.lost.as_ref() != Some(name) {
                continue;
            }
            // It is told again when the device has IPv6.
            let Ok(device) = change::join(self, &served.cluster.config, index, rtnl) else {
                continue;
            };
            served.device = Some(device);
            served.lost = None;
            served.cluster.device.store(index, Relaxed);
            self.look_at(served);
            self.numbered();
            served.announce();
            report::event(Change::Changed, &served.cluster, self.net());
        }
    }

    /// A device's neighbours may have forgotten or mistaken who has its cluster IPs. Under RTNL.
    pub(crate) fn device_moved(&self, index: u32) {
        let mut configs = self.changes.lock();
        let here = |served: &&mut Served| served.cluster.device() == index;
        for served in configs.served.iter_mut().filter(here) {
            if let Some(device) = &mut served.device {
                device.rejoin();
            }
            served.announce();
        }
    }

    /// Where a cluster IP's address is now, which the caller tells. All addresses are looked at again
    /// only if this one may come or go without anybody being told.
    fn look_at(&self, served: &mut Served) {
        let (local, is_unsettled) = served.cluster.local(self.net());
        served.local = local;
        if is_unsettled {
            self.addresses_changed();
        }
    }

    /// Addresses may have come or gone. Any context.
    pub(crate) fn addresses_changed(&self) {
        if self.snapshot(&Guard::new()).is_some() {
            look_soon(self.net());
        }
    }

    /// Tells of cluster IPs whose addresses have come or gone. Whether they may without anybody being
    /// told. Under RTNL all of what a command does has been done: what goes together is told once.
    pub(crate) fn look(&self) -> bool {
        let _rtnl = Rtnl::lock();
        let mut configs = self.changes.lock();
        let mut is_unsettled = false;
        for served in &mut configs.served {
            let (local, unsettled) = served.cluster.local(self.net());
            is_unsettled |= unsettled;
            cond_resched();
            if local != served.local {
                served.local = local;
                report::event(Change::Changed, &served.cluster, self.net());
            }
        }
        is_unsettled
    }
}

impl ClusterPart for Parts {
    type Clusters = Clusters;
}

impl Served {
    /// Tells the segment who has the address, if this machine does.
    fn announce(&self) {
        let config = &self.cluster.config;
        if let (Some(device), true) = (&self.device, config.role.answers()) {
            device.announce(&config.name.address);
        }
    }
}
