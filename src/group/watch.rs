// SPDX-License-Identifier: GPL-2.0

//! What the stall timer does for the groups of an account while connections may wait: it has members
//! judged, has those that sleep woken ([`wake`](super::wake)), and what is too much for a queue moved
//! ([`migrate`](super::migrate)).

#![forbid(unsafe_code)]

use super::{
    account,
    registry::Registry,
    stall,
    Group, //
};
use crate::{
    logic::stall::Verdict,
    sys::core::{
        clock,
        work::cond_resched, //
    },
};
use kernel::sync::{
    atomic::{Atomic, Full, Relaxed},
    rcu,
    ArcBorrow, //
};

/// When a group is to be looked after.
pub(super) struct WatchState {
    /// Whether it is at all: a connection has come, and may wait.
    on: Atomic<bool>,
    /// Not before this.
    due: Atomic<u64>,
}

impl WatchState {
    pub(super) fn new() -> Self {
        Self {
            on: Atomic::new(false),
            due: Atomic::new(0),
        }
    }

    /// Whether a tick is to come.
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// With the next tick.
    pub(super) fn at_once(&self) {
        self.due.store(0, Relaxed);
        // The stall timer is armed after this: either its timer is set anew, or its work sees this.
        self.on.xchg(true, Full);
    }
}

/// Looks after all groups of an account in a namespace; those that have waited for members for long
/// enough end. Tells for how many nanoseconds to rest after that, and in how many to do so again, if at
/// all. Process context.
pub(crate) fn tick(registry: ArcBorrow<'_, Registry>, account: u64) -> (u64, Option<u64>) {
    let now = clock::now();
    let mut next: Option<u64> = None;
    let mut effort = 0u64;
    for group in registry.groups_of(account) {
        // As much as a look at a member, though most groups have nothing to be looked after.
        effort = effort.saturating_add(1);
        next = sooner(next, group.look(now, &mut effort));
        next = sooner(next, group.wait_for_members(now));
        cond_resched();
    }
    (account::rest(account, effort), next)
}

fn sooner(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Group {
    /// Looks after the members if that is due, and tells in how many nanoseconds to do so again.
    /// Members and connections that are looked at are added to the effort.
    fn look(&self, now: u64, effort: &mut u64) -> Option<u64> {
        if !self.overflow.has_begun() {
            if !self.watch.is_on() {
                return None;
            }
            match self.watch.due.load(Relaxed).checked_sub(now) {
                None | Some(0) => (),
                // A connection that has come since has at least as long as those before.
                later => return later,
            }
        }
        // Before the members are looked at: one that comes meanwhile sets it again.
        self.watch.on.xchg(false, Full);
        let next = self.attend(effort)?;
        self.watch.due.store(now.saturating_add(next), Relaxed);
        self.watch.on.store(true, Relaxed);
        Some(next)
    }

    /// Looks after the members soon.
    pub(super) fn begin_watch(&self) {
        self.watch.at_once();
        self.stall_timer.arm(self.first_delay());
    }

    /// Nanoseconds after which waiting connections are looked after first. Where one may wait away from
    /// home, its own program may sleep: without a group it would be awake now.
    fn first_delay(&self) -> u64 {
        if self.astray.load(Relaxed) {
            self.settings.min_interval()
        } else {
            self.settings.first_delay()
        }
    }

    /// Looks after the members, and tells in how many nanoseconds to do so again.
    fn attend(&self, effort: &mut u64) -> Option<u64> {
        let (limit, min_interval) = (self.settings.stall_ns(), self.settings.min_interval());
        let (mut next, stalled) = self.judge_all(limit, effort);
        let relieved = self.relieve(min_interval, effort);
        if let Some(slot) = stalled {
            self.hung.store(slot, Relaxed);
            // A program that sleeps may just have looked, and what stays is tried again.
            next = sooner(next, Some(limit));
        }
        let balanced = self.keeps_waiting(effort);
        let astray = self.astray.load(Relaxed);
        if stalled.is_some() || balanced || astray {
            self.wake_sleepers(effort);
        }
        if balanced || astray && next.is_some() {
            next = sooner(next, Some(self.first_delay()));
        }
        // Not more often than need be.
        sooner(next.map(|next| next.max(min_interval)), relieved)
    }

    /// Judges all members. Tells in how many nanoseconds the next one may be stalled, and the slot of
    /// one that is while connections wait, another one each time.
    fn judge_all(&self, limit: u64, effort: &mut u64) -> (Option<u64>, Option<usize>) {
        let (mut next, mut hung) = (None, None);
        let last = self.hung.load(Relaxed);
        let guard = rcu::read_lock();
        for member in self.members.iter(&guard) {
            let sock = member.sock(&guard);
            *effort = effort.saturating_add(1);
            match member.stall_state.judge(sock.queued(), limit) {
                // It was woken for what was moved, and sleeps again without having looked.
                Verdict::Idle if member.is_stalled() => {
                    let waiters = sock.waiters(&guard);
                    *effort = effort.saturating_add(waiters.count.into());
                    if waiters.accepts {
                        stall::progress(member, sock);
                    } else {
                        next = sooner(next, Some(limit));
                    }
                }
                Verdict::Idle => (),
                Verdict::Wait(left) => next = sooner(next, Some(left)),
                Verdict::Stalled => {
                    member.found_stalled(sock, limit);
                    let slot = member.slot.load(Relaxed);
                    // The first one after the last time's, or else the first one.
                    if hung.is_none_or(|hung| hung <= last && slot > last) {
                        hung = Some(slot);
                    }
                }
            }
        }
        (next, hung)
    }
}
