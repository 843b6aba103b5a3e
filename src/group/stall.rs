// SPDX-License-Identifier: GPL-2.0

//! Finds members whose program is hung, and relieves them.
//!
//! A connection that comes, or that the kernel moves here, is announced, and sets the group's stall
//! timer; an `accept()` that succeeds is progress. Each tick looks at the members for which
//! connections may wait, and has [`stall::judge`] judge them. What waits for a stalled one stays
//! where it is until somebody looks, see [`look`](super::look): its own program, if that is first,
//! or a sibling's. Those that sleep are woken to look.
//!
//! A stalled member is given connections last of all, so its queue may stay empty, and it could
//! never show that it accepts again. But its program looks for connections when it comes back,
//! with `accept()`, `poll()` or `epoll_wait()`, and that it finds none is enough.

#![forbid(unsafe_code)]

use super::{
    account,
    counters::Counter,
    registry::Registry,
    report::{self, Change},
    Group,
    Member, //
};
use crate::{
    logic::stall::{self, Verdict},
    sys::{
        core::{
            caller::caller_process,
            clock,
            netlink::Context,
            work::cond_resched, //
        },
        socket::{
            flowlog::trace_stall, //
            listener::Sock,
        },
    },
};
use kernel::sync::{
    atomic::{Acquire, Atomic, Full, Relaxed},
    barrier::{self, smp_mb},
    rcu::{self, Guard},
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

    /// With the next tick.
    pub(super) fn at_once(&self) {
        self.due.store(0, Relaxed);
        // The stall timer is armed after this: either its timer is set anew, or its work sees this.
        self.on.xchg(true, Full);
    }
}

/// Whether a member keeps up with its connections.
pub(super) struct StallState {
    /// When it last accepted a connection, or its queue was seen empty, in [`clock::ticks`].
    progress: Atomic<usize>,
    stalled: Atomic<bool>,
    /// Whether the program has accepted a connection, and not looked for another one since.
    busy: Atomic<bool>,
    /// Whether it was told that it is stalled, and not yet that it is ready.
    told: Atomic<bool>,
    /// The process that accepted last.
    acceptor: Atomic<u32>,
    /// Whether its program has seen that there is a connection of its own, and not accepted since;
    /// and whether that was a process that lets others accept, as a supervisor does before it starts
    /// them. A worker that has not accepted yet looks the same: its own connection is left to it, too.
    promised: Atomic<bool>,
    supervised: Atomic<bool>,
    /// When its program was told of a connection of a sibling's, in [`clock::ticks`]; 0 if it was
    /// not, or has accepted since.
    offered: Atomic<usize>,
    /// Whether it was woken for one.
    invited: Atomic<bool>,
}

impl StallState {
    pub(super) fn new() -> Self {
        Self {
            progress: Atomic::new(clock::ticks()),
            stalled: Atomic::new(false),
            busy: Atomic::new(false),
            told: Atomic::new(false),
            acceptor: Atomic::new(0),
            promised: Atomic::new(false),
            supervised: Atomic::new(false),
            offered: Atomic::new(0),
            invited: Atomic::new(false),
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// Whether that was told. A moment before, it may turn out that it has accepted meanwhile.
    pub(super) fn told_stalled(&self) -> bool {
        self.told.load(Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    fn judge(&self, queued: u32, limit: u64) -> Verdict {
        // The progress first, so that it is not later than the clock's time; it may have been made
        // up to a tick later than it says.
        let progress = self.progress.load(Acquire);
        stall::judge(queued, nanoseconds_since(progress), limit)
    }

    /// Its program sees that there is a connection of its own, which is left to it for now.
    pub(super) fn promise(&self) {
        let supervised = self.acceptor.load(Relaxed) != caller_process();
        set(&self.supervised, supervised);
        set(&self.promised, true);
    }

    /// Whether one of its connections is left to its program: until that hangs, unless it is another
    /// one that is to accept it.
    pub(super) fn keeps_promise(&self, stalled: bool) -> bool {
        self.promised.load(Relaxed) && (!stalled || self.supervised.load(Relaxed))
    }

    /// Its program is told of a connection of a sibling's.
    pub(super) fn offer(&self) {
        self.offered.store(clock::ticks().max(1), Relaxed);
    }

    /// It is woken for one.
    pub(super) fn invite(&self) {
        self.invited.store(true, Relaxed);
    }

    /// Whether its program is about to accept one that it was told of; or has hung since, as it
    /// seems.
    pub(super) fn is_offered_one(&self, limit: u64) -> bool {
        match self.offered.load(Relaxed) {
            0 => false,
            since => nanoseconds_since(since) <= limit,
        }
    }

    /// Whether its program has been told of a connection, and not accepted since.
    pub(super) fn was_told(&self) -> bool {
        self.promised.load(Relaxed) || self.offered.load(Relaxed) != 0 || self.invited.load(Relaxed)
    }

    /// It was told of none, or has been given one.
    fn forget(&self) {
        set(&self.promised, false);
        set(&self.invited, false);
        if self.offered.load(Relaxed) != 0 {
            self.offered.store(0, Relaxed);
        }
    }
}

/// Writes what others read all the time only if it changes.
fn set(flag: &Atomic<bool>, value: bool) {
    if flag.load(Relaxed) != value {
        flag.store(value, Relaxed);
    }
}

/// How long ago the ticks were so many, or less by up to a tick.
fn nanoseconds_since(ticks: usize) -> u64 {
    let past = clock::ticks().wrapping_sub(ticks).saturating_sub(1);
    let past = u64::try_from(past).unwrap_or(u64::MAX);
    past.saturating_mul(clock::tick_ns())
}

/// A connection is about to be queued with the member, behind so many, or just was. Any context.
// Each connection passes it.
#[inline(always)]
pub(crate) fn announce(member: &Member, queued: u32) {
    let group = &member.group;
    if !group.settings.is_watched() {
        return;
    }
    // The progress first: who looks at the members turns the watch off before.
    if queued == 0 {
        member.stall_state.progress.xchg(clock::ticks(), Full);
    } else {
        smp_mb(barrier::Full);
    }
    // Else a tick is to come.
    if !group.watch.on.load(Relaxed) {
        group.begin_watch();
    }
}

/// The socket has become a member, maybe with connections that wait already. One that comes now is
/// announced or counted here.
pub(super) fn joins(member: &Member) {
    announce(member, 0);
}

/// The program has accepted a connection, and may be shown another address of it than the client
/// asked for. Process context.
pub(crate) fn accepted(member: &Member, sock: &Sock, rewritten: bool, guard: &Guard) {
    member.counters.count(Counter::Accepted);
    if rewritten {
        member.counters.count(Counter::Rewritten);
    }
    set(&member.stall_state.busy, true);
    let process = caller_process();
    if member.stall_state.acceptor.load(Relaxed) != process {
        member.stall_state.acceptor.store(process, Relaxed);
    }
    member.stall_state.forget();
    progress(member, sock);
    member.freed(guard);
}

/// The program looks for connections. Process context.
pub(super) fn poll_begin(member: &Member) {
    set(&member.stall_state.busy, false);
}

/// The program has looked for connections, and there was none. Process context.
pub(super) fn poll_empty(member: &Member, sock: &Sock) {
    poll_begin(member);
    member.stall_state.forget();
    // Whoever empties the queue has called the member stalled before.
    smp_mb(barrier::Read);
    if member.stall_state.is_stalled() {
        progress(member, sock);
    }
}

// As above.
#[inline(always)]
fn progress(member: &Member, sock: &Sock) {
    // Either this sees that the member was found stalled, or `find()` sees the progress.
    member.stall_state.progress.xchg(clock::ticks(), Full);
    if member.stall_state.stalled.load(Relaxed) {
        member.stall_state.stalled.xchg(false, Full);
        tell_ready(member, sock);
    }
}

/// Tells that a member is ready, if it was told that it is stalled.
fn tell_ready(member: &Member, sock: &Sock) {
    if member.stall_state.told.xchg(false, Full) {
        let queued = sock.queued();
        trace_stall(false, member.group.id, sock.cookie(), queued);
        let change = Change::Ready(queued);
        report::member_event(change, &member.group, member, sock, Context::Atomic);
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
    /// Members that are looked at are added to the effort.
    fn look(&self, now: u64, effort: &mut u64) -> Option<u64> {
        if !self.overflow.has_begun() {
            if !self.watch.on.load(Relaxed) {
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
        let relieved = self.relieve(min_interval);
        if let Some(slot) = stalled {
            self.hung.store(slot, Relaxed);
            // Who sleeps may just have looked, and what stays is tried again.
            next = sooner(next, Some(limit));
        }
        let balanced = self.keeps_waiting();
        let astray = self.astray.load(Relaxed);
        if stalled.is_some() || balanced || astray {
            let looks = self.wake_sleepers();
            *effort = effort.saturating_add(looks);
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
                        progress(member, sock);
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

impl Member {
    fn found_stalled(&self, sock: &Sock, limit: u64) {
        if self.stall_state.stalled.xchg(true, Full) {
            return;
        }
        // It may have accepted meanwhile, without having seen this; see `progress()`.
        let queued = sock.queued();
        if self.stall_state.judge(queued, limit) != Verdict::Stalled {
            self.stall_state.stalled.store(false, Relaxed);
            return;
        }
        self.counters.count(Counter::Stalls);
        trace_stall(true, self.group.id, sock.cookie(), queued);
        let change = Change::Stalled(queued);
        report::member_event(change, &self.group, self, sock, Context::Atomic);
        // What is told comes in order: who has made progress meanwhile leaves it to this call.
        self.stall_state.told.xchg(true, Full);
        if !self.stall_state.is_stalled() {
            tell_ready(self, sock);
        }
    }
}
