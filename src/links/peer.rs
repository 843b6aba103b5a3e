// SPDX-License-Identifier: GPL-2.0

//! A machine that a link is expected to.

#![forbid(unsafe_code)]

use super::Link;
use crate::{
    logic::{
        cluster::slots::NodeId,
        links::{
            heartbeat::{Load, Loads, Service},
            hello::Stranger,
            liveness,
            wire::WireError, //
        },
    },
    sys::{
        core::clock::{now, NS_OF_MS},
        uapi, //
    },
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, //
    },
};

/// Why a link ended, as netlink tells it; not 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason(u32);

impl Reason {
    pub(super) const CLOSED: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_CLOSED);
    pub(super) const RESET: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_RESET);
    pub(super) const REPLACED: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_REPLACED);
    pub(super) const REMOVED: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_REMOVED);
    pub(super) const SILENT: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_SILENT);
    const BAD_FRAME: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_BAD_FRAME);
    const BAD_HELLO: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_BAD_HELLO);
    const OTHER_CLUSTER: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_OTHER_CLUSTER);
    const OTHER_MACHINE: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_OTHER_MACHINE);
    const VERSION: Self = Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_VERSION);
    pub(super) const OVERFLOW: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_OVERFLOW);
    pub(super) const CRYPTO: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_CRYPTO);
    pub(super) const ERROR: Self =
        Self(uapi::service_group_link_reason_SERVICE_GROUP_LINK_REASON_ERROR);
    /// How many numbers there are, with 0.
    const COUNT: usize = Self::ERROR.0 as usize + 1;

    /// None for 0.
    pub(super) fn new(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }
}

impl From<WireError> for Reason {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Order | WireError::Hello => Self::BAD_HELLO,
            _ => Self::BAD_FRAME,
        }
    }
}

impl From<Stranger> for Reason {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::OtherCluster => Self::OTHER_CLUSTER,
            Stranger::OtherMachine => Self::OTHER_MACHINE,
            Stranger::Version => Self::VERSION,
        }
    }
}

/// What has gone over all links to a peer.
pub(super) struct Traffic {
    pub(super) frames_in: Atomic<u64>,
    pub(super) frames_out: Atomic<u64>,
    pub(super) bytes_in: Atomic<u64>,
    pub(super) bytes_out: Atomic<u64>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            frames_in: Atomic::new(0),
            frames_out: Atomic::new(0),
            bytes_in: Atomic::new(0),
            bytes_out: Atomic::new(0),
        }
    }

    /// A frame has come, of so many bytes.
    pub(super) fn received(&self, bytes: usize) {
        self.frames_in.add(1, Relaxed);
        self.bytes_in
            .add(u64::try_from(bytes).unwrap_or(0), Relaxed);
    }

    /// A frame of so many bytes is on its way.
    pub(super) fn sent(&self, bytes: usize) {
        self.frames_out.add(1, Relaxed);
        self.bytes_out
            .add(u64::try_from(bytes).unwrap_or(0), Relaxed);
    }
}

/// What is known of a peer.
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) live: liveness::Peer,
    /// The link to it.
    pub(super) link: Option<Arc<Link>>,
    /// How often it sends heartbeats, in milliseconds; 0 if it has not said so.
    pub(super) heartbeat: u32,
    /// Of its latest hello: the version to speak, and its boot id.
    pub(super) hello: Option<(u16, [u8; 16])>,
    pub(super) epoch: u32,
    /// The cluster IPs that it takes no new flows of, as it says.
    pub(super) unready: Arc<Unready>,
    /// Those that it can direct, as it says.
    pub(super) directing: Arc<Directing>,
    /// Whether it holds this machine back.
    pub(super) holds_us: bool,
    /// When peers were last judged at once for what it said.
    hurried: u64,
    pub(super) traffic: Arc<Traffic>,
    /// Why the last link ended.
    pub(super) reason: Option<Reason>,
    /// How many ended, for each reason.
    ended: [u32; Reason::COUNT],
    /// Whether its slots had deputies when cluster IPs were told last who is away.
    pub(super) was_away: bool,
    /// Whether something has changed that was not told yet.
    pub(super) is_news: bool,
}

impl Peer {
    /// One that is expected from now on.
    pub(super) fn new(id: NodeId, heartbeat: u32) -> Result<Self> {
        Ok(Self {
            id,
            live: liveness::Peer::expected(now(), ns(heartbeat)),
            link: None,
            heartbeat: 0,
            hello: None,
            epoch: 0,
            unready: Arc::new(Unready::default(), GFP_KERNEL_ACCOUNT)?,
            directing: Arc::new(Directing::default(), GFP_KERNEL_ACCOUNT)?,
            holds_us: false,
            hurried: 0,
            traffic: Arc::new(Traffic::new(), GFP_KERNEL_ACCOUNT)?,
            reason: None,
            ended: [0; Reason::COUNT],
            was_away: false,
            is_news: false,
        })
    }

    /// This machine sends heartbeats so often. Returns how often they come, in nanoseconds.
    pub(super) fn set_heartbeat(&mut self, own: u32) -> u64 {
        let heartbeat = ns(self.heartbeat.max(own));
        self.live.set_heartbeat(heartbeat);
        heartbeat
    }

    /// Takes its link away; the link's thread ends it.
    pub(super) fn detach(&mut self, reason: Reason) {
        let Some(link) = self.link.take() else {
            return;
        };
        link.end.store(reason.number(), Relaxed);
        link.socket.kick();
        self.reason = Some(reason);
        let index = usize::try_from(reason.number()).unwrap_or(0);
        if let Some(times) = self.ended.get_mut(index) {
            *times = times.saturating_add(1);
        }
    }

    /// Takes its link away, if it has one, as nobody wants it here any more.
    pub(super) fn remove_link(&mut self) {
        if self.link.is_some() {
            self.lose(Reason::REMOVED);
        }
    }

    /// Its link ended, and there is no other one.
    pub(super) fn lose(&mut self, reason: Reason) {
        self.detach(reason);
        match reason {
            Reason::CLOSED | Reason::RESET => self.live.lost(now()),
            _ => self.live.closed(now()),
        };
        self.is_news = true;
    }

    /// The reasons for which links ended, and how many did.
    pub(super) fn ended(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let times = Iterator::zip(0.., self.ended.iter().copied());
        times.filter(|&(_, times)| times > 0)
    }

    /// It says that it serves its cluster IPs like this. Returns whether it directs others, or in another
    /// way, than before. `ERROR` without memory.
    pub(super) fn set_loads(&mut self, loads: Loads<'_>) -> Result<bool, Reason> {
        let unready = Unready::of(loads.iter()).and_then(|unready| {
            let is_news = unready.0 != self.unready.0;
            is_news
                .then(|| Arc::new(unready, GFP_KERNEL_ACCOUNT))
                .transpose()
        });
        if let Some(unready) = unready.map_err(|_| Reason::ERROR)? {
            self.unready = unready;
        }
        let directing = Directing::of(loads.iter()).map_err(|_| Reason::ERROR)?;
        let is_news = directing.0 != self.directing.0;
        if is_news {
            let directing = Arc::new(directing, GFP_KERNEL_ACCOUNT);
            self.directing = directing.map_err(|_| Reason::ERROR)?;
        }
        Ok(is_news)
    }

    /// Whether peers are judged at once for what it says, which it may say as often as it likes. If not, that
    /// is noticed within half of this machine's heartbeat, which is `heartbeat` milliseconds.
    pub(super) fn may_hurry(&mut self, now: u64, heartbeat: u32) -> bool {
        let may = now.saturating_sub(self.hurried) >= ns(heartbeat) / 8;
        if may {
            self.hurried = now;
        }
        may
    }

    /// Whether the one of both machines holds the other one back.
    pub(super) fn is_held(&self) -> bool {
        self.holds_us || self.live.is_held()
    }
}

/// The cluster IPs that a machine takes no new flows of, in their order: a peer may name as many as a message
/// has room for, and all are asked for all nodes of all cluster IPs.
#[derive(Default)]
pub(super) struct Unready(KVec<Service>);

impl Unready {
    pub(super) fn of(loads: impl Iterator<Item = Load>) -> Result<Self, AllocError> {
        let mut services = KVec::new();
        for load in loads.filter(|load| !load.ready) {
            insert(&mut services, load.service(), |service| *service)?;
        }
        Ok(Self(services))
    }

    pub(super) fn has(&self, service: &Service) -> bool {
        self.0.binary_search(service).is_ok()
    }
}

/// How a machine directs a cluster IP: whether it is the active one, and by a table of which epoch.
pub(super) type Directs = (bool, u32);

/// The cluster IPs that a machine can direct, in their order.
#[derive(Default)]
pub(super) struct Directing(KVec<(Service, Directs)>);

impl Directing {
    fn of(loads: impl Iterator<Item = Load>) -> Result<Self, AllocError> {
        let mut all = KVec::new();
        for load in loads.filter(|load| load.directs) {
            let one = (load.service(), (load.active, load.epoch));
            insert(&mut all, one, |(service, _)| *service)?;
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, service: &Service) -> Option<Directs> {
        let place = self
            .0
            .binary_search_by_key(service, |(service, _)| *service);
        let (_, directs) = self.0.get(place.ok()?)?;
        Some(*directs)
    }
}

/// Into its place in what is ordered by a key, which is the last one of most. `core`'s sorts have panics that
/// objtool does not know.
pub(super) fn insert<T, K: Ord>(
    sorted: &mut KVec<T>,
    value: T,
    key: impl Fn(&T) -> K,
) -> Result<(), AllocError> {
    let place = sorted.partition_point(|other| key(other) <= key(&value));
    sorted.reserve(1, GFP_KERNEL_ACCOUNT)?;
    // There is room, and the place is not behind the end.
    let inserted = sorted.insert_within_capacity(place, value);
    inserted.map_err(|_| AllocError)
}

/// Milliseconds in nanoseconds.
pub(super) fn ns(ms: u32) -> u64 {
    u64::from(ms).saturating_mul(NS_OF_MS)
}

/// Nanoseconds in milliseconds.
pub(super) fn ms(ns: u64) -> u64 {
    ns / NS_OF_MS
}
