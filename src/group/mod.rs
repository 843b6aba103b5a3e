// SPDX-License-Identifier: GPL-2.0

//! Groups: listening sockets that provide one service.
//!
//! A packet's way, all of it in the file named:
//!
//! ```text
//!   SYN ──────> redirect::syn ─────────────> the listener that takes it
//!   final ACK > migrate::handshake_complete > a full queue takes one more,
//!                                            and the stall timer moves one to a sibling
//! ```
//!
//! A connection that waits goes on to a sibling when its listener goes ([`leave`]), or when the
//! sibling's program looks for connections ([`look`]) while that of its listener hangs ([`stall`]) or
//! has more to do.
//!
//! A group lives as long as it has members, or waits for some ([`adopt`]); each member's socket knows
//! the member, and takes it out when it ends.

#![forbid(unsafe_code)]

mod account;
pub(crate) mod adopt;
mod candidate;
mod counter_gen;
pub(crate) mod counters;
pub(crate) mod decision;
pub(crate) mod error;
pub(crate) mod leave;
pub(crate) mod look;
mod membership;
pub(crate) mod migrate;
pub(crate) mod option;
pub(crate) mod redirect;
pub(crate) mod registry;
pub(crate) mod report;
mod search;
pub(crate) mod settings;
pub(crate) mod stall;
mod successor;
mod wake;
pub(crate) mod watch;

use crate::{
    logic::{
        facts::Facts,
        select::Reason, //
    },
    sys::{
        core::{
            netlink::Context,
            netns::Net,
            parts::{GroupPart, Parts},
            rcu::{DropsAnywhere, RcuArc},
            slots::{RcuSlots, Refused, Removed},
            stall_timer::StallTimer, //
        },
        socket::{
            flowlog::FlowLog, //
            listener::{Sock, SockRef},
        },
    },
};
use adopt::Adoption;
use counters::Counters;
use error::Refusal;
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu::Guard,
        Arc, //
    },
};
use registry::Registry;
use settings::Settings;
use stall::StallState;
use watch::WatchState;

/// What all members have in common, because a redirected connection is checked once.
#[derive(Clone, Copy)]
pub(crate) struct GroupKey {
    /// The owner of the sockets that formed the group, as the initial user namespace has it.
    uid: u32,
    /// The user that formed it, likewise.
    founder: u32,
    /// The port, host byte order; 0 if none of them was bound.
    port: u16,
    /// What else is to be alike: as the first of them was.
    facts: Facts,
}

/// Sockets that provide one service.
#[pin_data]
pub(crate) struct Group {
    id: u32,
    key: GroupKey,
    registry: Arc<Registry>,
    /// Of all groups of the account that formed it.
    stall_timer: Arc<StallTimer>,
    settings: Settings,
    #[pin]
    adoption: Adoption,
    watch: WatchState,
    #[pin]
    members: RcuSlots<Member>,
    /// What members that are gone have counted.
    retired: Counters,
    /// What became of connections that were moved or refused.
    flowlog: FlowLog,
    /// With which member the search for a sibling begins; it goes up with each search.
    turn: Atomic<u32>,
    /// The slot of a member that was found stalled, or of none.
    hung: Atomic<usize>,
    /// Whether connections may wait elsewhere than at their home listener, which had room for them.
    astray: Atomic<bool>,
    overflow: migrate::Overflow,
}

impl Group {
    fn new(
        id: u32,
        key: GroupKey,
        registry: Arc<Registry>,
        stall_timer: Arc<StallTimer>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                id,
                key,
                stall_timer,
                settings: Settings::new(),
                adoption <- Adoption::new(registry.clone()),
                registry,
                watch: WatchState::new(),
                members <- RcuSlots::new(),
                retired: Counters::default(),
                flowlog: FlowLog::new()?,
                turn: Atomic::new(0),
                hung: Atomic::new(usize::MAX),
                astray: Atomic::new(false),
                overflow: migrate::Overflow::new(),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Unique in the network namespace while the group lives.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Puts a member in. Under the registry's lock for changes, and
    /// after a reservation. Siblings' connections may be given to it from now on.
    fn add(&self, member: &RcuArc<Member>) -> Result<(), Refusal> {
        let index = self
            .members
            .insert(member.clone())
            .map_err(|refused| match refused {
                Refused::Closed => Refusal::NoSuchGroup,
                Refused::Full => Refusal::NoMemory,
            })?;
        // It is not taken out before this is known: its socket does not know it yet.
        member.slot.store(index, Relaxed);
        self.registry.member_added();
        Ok(())
    }

    /// Takes a member out, whose socket has `ended` or was asked to leave. The group ends with its last
    /// one, unless it waits for others.
    fn remove(&self, member: &Member, sock: &Sock, ended: bool, context: Context) {
        // First: a successor sees one or the other.
        self.vacates(member, sock, ended);
        let slot = member.slot.load(Relaxed);
        let removed = self.members.remove(slot, || self.adoption.waits());
        self.registry.member_removed();
        report::member_event(report::Change::Removed, self, member, sock, context);
        member.counters.retire_to(&self.retired);
        match removed {
            Removed::Closed => self.end(sock.net(), context),
            Removed::Last => self.stall_timer.arm(0),
            Removed::Other => (),
        }
    }

    /// There are no members, and none can come any more. The caller has a reference.
    fn end(&self, net: Net<'_>, context: Context) {
        // The registry's reference.
        drop(self.registry.remove(self.id));
        report::group_event(report::Change::Removed, self, net, context);
    }
}

/// One socket of a group. No lock protects it: each field that changes is an atomic. It is found under RCU.
pub(crate) struct Member {
    group: Arc<Group>,
    sock: SockRef,
    counters: Counters,
    weight: Atomic<u32>,
    stall_state: StallState,
    /// Whether it is about to stop listening.
    leaving: Atomic<bool>,
    /// Where it is among the group's members.
    slot: Atomic<usize>,
    /// Whether it took another one's place.
    adopted: bool,
}

impl Member {
    fn new(group: Arc<Group>, sock: &Sock) -> Result<RcuArc<Self>> {
        Self::with(group, sock, 1, false)
    }

    /// One that takes the place of a member with this weight.
    fn successor(group: Arc<Group>, sock: &Sock, weight: u32) -> Result<RcuArc<Self>> {
        Self::with(group, sock, weight, true)
    }

    fn with(group: Arc<Group>, sock: &Sock, weight: u32, adopted: bool) -> Result<RcuArc<Self>> {
        let sock = sock.try_ref(&Guard::new()).ok_or(EBADF)?;
        Ok(RcuArc::new(
            Self {
                group,
                sock,
                counters: Counters::default(),
                weight: Atomic::new(weight),
                stall_state: StallState::new(),
                leaving: Atomic::new(false),
                slot: Atomic::new(usize::MAX),
                adopted,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Its socket, which is there, but may have ended.
    fn sock<'g>(&'g self, _guard: &'g Guard) -> &'g Sock {
        &self.sock
    }

    /// What decisions ask for.
    fn facts(&self, guard: &Guard) -> Facts {
        Facts {
            weight: self.weight.load(Relaxed),
            busy: self.stall_state.is_busy(),
            stalled: self.is_stalled(),
            promised: self.stall_state.keeps_promise(self.is_stalled()),
            leaving: self.leaving.load(Relaxed),
            ..self.sock(guard).facts()
        }
    }

    /// No member is while the stall time is 0, whatever was found before.
    fn is_stalled(&self) -> bool {
        self.stall_state.is_stalled() && self.group.settings.stall() != 0
    }

    /// Whether that was told, too: what is shown agrees with the events.
    fn was_told_stalled(&self) -> bool {
        self.is_stalled() && self.stall_state.told_stalled()
    }

    /// A sibling is given one of its connections. What it had no room for would not be there without
    /// a group, and is the sibling's.
    fn leads_astray(&self, reason: Reason) {
        let kept = matches!(reason, Reason::Stalled | Reason::Balanced | Reason::Leaving);
        if kept && !self.group.astray.load(Relaxed) {
            self.group.astray.store(true, Relaxed);
            // The next tick may be due in a stall time only.
            if self.group.settings.is_watched() {
                self.group.begin_watch();
            }
        }
    }

    /// The socket has ended. Atomic context.
    pub(crate) fn gone(&self, sock: &Sock) {
        let group = self.group.clone();
        group.remove(self, sock, true, Context::Atomic);
    }
}

impl GroupPart for Parts {
    type Member = Member;
    type Group = Group;
    type Registry = Registry;
}

// Its socket's memory, and its group's.
impl DropsAnywhere for Member {}

impl Drop for Member {
    fn drop(&mut self) {
        // What was counted while the member was on its way out.
        self.counters.retire_to(&self.group.retired);
    }
}
