// SPDX-License-Identifier: GPL-2.0

//! Groups: listening sockets that provide one service.
//!
//! A packet's way, all of it in the file named:
//!
//! ```text
//!   SYN ──────> redirect::syn ─────────────> the listener that takes it
//!   final ACK > rescue::handshake_complete > the listener that the new socket is made of,
//!                                            and rescue::Rescue moves it there
//! ```
//!
//! A connection that waits goes on to a sibling when its listener is hung ([`stall`]), or goes
//! ([`leave`]), or when the sibling's program has less to do ([`balance`]).
//!
//! A group lives as long as it has members; each member's socket carries the member's hook, and
//! takes the member out when it ends.

#![forbid(unsafe_code)]

pub(crate) mod balance;
pub(crate) mod counters;
pub(crate) mod error;
pub(crate) mod insight;
pub(crate) mod leave;
mod membership;
pub(crate) mod option;
pub(crate) mod redirect;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod rescue;
mod search;
pub(crate) mod settings;
pub(crate) mod stall;

use crate::{
    logic::facts::Facts,
    sys::{
        listener::{Hook, Sock},
        netlink::Context,
        rcu::RcuBox,
        slots::{RcuSlots, Refused},
        trail::Trail, //
    },
};
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
use stall::{Pace, Watch};

/// What all members have in common, because a redirected connection is checked once.
#[derive(Clone, Copy)]
pub(crate) struct Common {
    /// The owner of the sockets that formed the group, as the initial user namespace has it.
    uid: u32,
    /// Who formed it, likewise.
    founder: u32,
    /// The port, host byte order; 0 if none of them was bound.
    port: u16,
    /// Index of the device they are bound to, 0 for none.
    device: u32,
    /// Their minimum TTL and hop count.
    min_ttl: u16,
}

/// Sockets that provide one service.
#[pin_data]
pub(crate) struct Group {
    id: u32,
    common: Common,
    registry: Arc<Registry>,
    settings: Settings,
    watch: Watch,
    #[pin]
    members: RcuSlots<Member>,
    /// What members that are gone have counted.
    retired: Counters,
    /// What became of connections that were moved or refused.
    trail: Trail,
    /// With which member the search for a sibling begins; it goes up with each search.
    turn: Atomic<u32>,
    #[pin]
    rescue: rescue::Rescue,
}

impl Group {
    fn new(id: u32, common: Common, registry: Arc<Registry>) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                id,
                common,
                registry,
                settings: Settings::new(),
                watch: Watch::new(),
                members <- RcuSlots::new(),
                retired: Counters::default(),
                trail: Trail::new()?,
                turn: Atomic::new(0),
                rescue <- rescue::new(),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Unique in the network namespace while the group lives.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts a member in, and tells in which slot it is. Under the registry's lock for changes, and
    /// after a reservation. Siblings' connections may be given to it from now on.
    fn add(&self, member: RcuBox<Member>) -> Result<usize, Refusal> {
        let index = self
            .members
            .insert(member)
            .map_err(|refused| match refused {
                Refused::Closed => Refusal::NoSuchGroup,
                Refused::Full => Refusal::NoMemory,
            })?;
        let guard = Guard::new();
        if let Some(member) = self.members.get(index, &guard) {
            // Nobody takes it out before this is known: its socket has no hook yet.
            member.slot.store(index, Relaxed);
        }
        self.registry.member_added();
        Ok(index)
    }

    /// Takes a member out, and ends the group with its last one.
    fn remove(&self, member: &Member, sock: &Sock, context: Context) {
        let (taken, last) = self.members.remove(member.slot.load(Relaxed));
        self.registry.member_removed();
        report::member_event(report::Change::Removed, self, member, sock, context);
        member.counters.retire_to(&self.retired);
        if last {
            // The registry's reference; this call has one through the member.
            drop(self.registry.remove(self.id));
            report::group_event(report::Change::Removed, self, sock.net(), context);
        }
        // The caller's `member` is what is dropped here, when a grace period has passed.
        drop(taken);
    }
}

/// One socket of a group.
pub(crate) struct Member {
    group: Arc<Group>,
    hook: Hook,
    counters: Counters,
    weight: Atomic<u32>,
    pace: Pace,
    /// Whether it is about to stop listening.
    leaving: Atomic<bool>,
    /// Where it is among the group's members.
    slot: Atomic<usize>,
}

impl Member {
    fn new(group: Arc<Group>, sock: &Sock) -> Result<RcuBox<Self>> {
        let member = RcuBox::new(
            Self {
                group,
                hook: Hook::new(sock)?,
                counters: Counters::default(),
                weight: Atomic::new(1),
                pace: Pace::new(),
                leaving: Atomic::new(false),
                slot: Atomic::new(usize::MAX),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        member.hook.set_member(&member);
        Ok(member)
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    fn sock<'g>(&'g self, guard: &'g Guard) -> &'g Sock {
        self.hook.sock(guard)
    }

    /// What decisions ask for.
    fn facts(&self, guard: &Guard) -> Facts {
        Facts {
            weight: self.weight.load(Relaxed),
            busy: self.pace.is_busy(),
            stalled: self.is_stalled(),
            leaving: self.leaving.load(Relaxed),
            ..self.sock(guard).facts()
        }
    }

    /// Nobody is while the stall time is 0, whatever was found before.
    fn is_stalled(&self) -> bool {
        self.pace.is_stalled() && self.group.settings.stall() != 0
    }

    /// The socket has ended. Atomic context.
    pub(crate) fn gone(&self, sock: &Sock) {
        let group = self.group.clone();
        group.remove(self, sock, Context::Atomic);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // What was counted while the member was on its way out.
        self.counters.retire_to(&self.group.retired);
    }
}
