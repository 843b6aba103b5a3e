// SPDX-License-Identifier: GPL-2.0

//! Finds members whose program is hung, and relieves them.
//!
//! A connection that comes is announced, and sets the namespace's ticker; an `accept()` that
//! succeeds is progress. Each tick looks at the members for which connections may wait, has
//! [`stall::judge`] judge them, and moves what waits for stalled ones to siblings.
//!
//! A stalled member is given connections last of all, so its queue may stay empty, and it could
//! never show that it accepts again. But its program looks for connections when it comes back,
//! with `accept()`, `poll()` or `epoll_wait()`, and that it finds none is enough.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    registry::Registry,
    report::{self, Change},
    rescue,
    Group,
    Member, //
};
use crate::{
    logic::stall::{self, Verdict},
    sys::{
        listener::{Sock, SockRef},
        netlink::Context,
        queue::yield_now,
        ticker,
        trail::trace_stall, //
    },
};
use kernel::sync::{
    atomic::{Acquire, Atomic, Full, Relaxed},
    barrier::{self, smp_mb},
    rcu::{self, Guard},
    ArcBorrow, //
};

/// When a group is to be looked after.
pub(super) struct Watch {
    /// Whether it is at all: a connection has come, and may wait.
    on: Atomic<bool>,
    /// Not before this.
    due: Atomic<u64>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            on: Atomic::new(false),
            due: Atomic::new(0),
        }
    }

    /// With the next tick.
    pub(super) fn at_once(&self) {
        self.due.store(0, Relaxed);
        self.on.store(true, Relaxed);
    }
}

/// Whether a member keeps up with its connections.
pub(super) struct Pace {
    /// When it last accepted a connection, or its queue was seen empty, in [`ticker::ticks`].
    progress: Atomic<usize>,
    stalled: Atomic<bool>,
    /// Whether the program has accepted a connection, and not looked for another one since.
    busy: Atomic<bool>,
    /// Whether it was told that it is stalled, and not yet that it is ready.
    told: Atomic<bool>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            progress: Atomic::new(ticker::ticks()),
            stalled: Atomic::new(false),
            busy: Atomic::new(false),
            told: Atomic::new(false),
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    fn judge(&self, queued: u32, limit: u64) -> Verdict {
        // The progress first, so that it is not later than the clock's time; it may have been made
        // up to a tick later than it says.
        let progress = self.progress.load(Acquire);
        let quiet = ticker::ticks().wrapping_sub(progress).saturating_sub(1);
        let quiet = u64::try_from(quiet).unwrap_or(u64::MAX);
        let quiet = quiet.saturating_mul(ticker::tick_ns());
        stall::judge(queued, quiet, limit)
    }
}

/// A connection is about to be queued with the member, behind so many. Any context.
// Each connection passes it.
#[inline(always)]
pub(crate) fn announce(member: &Member, queued: u32) {
    let group = &member.group;
    if !group.settings.is_watched() {
        return;
    }
    // The progress first: who looks at the members turns the watch off before.
    if queued == 0 {
        member.pace.progress.xchg(ticker::ticks(), Full);
    } else {
        smp_mb(barrier::Full);
    }
    // Else a tick is to come.
    if !group.watch.on.load(Relaxed) {
        group.begin_watch();
    }
}

/// The program has accepted a connection, and may be shown another address of it than the client
/// asked for. Process context.
pub(crate) fn accepted(member: &Member, sock: &Sock, rewritten: bool, guard: &Guard) {
    member.counters.count(Counter::Accepted);
    if rewritten {
        member.counters.count(Counter::Rewritten);
    }
    member.pace.busy.store(true, Relaxed);
    progress(member, sock);
    member.freed(guard);
}

/// The program looks for connections. Process context.
pub(super) fn looks(member: &Member) {
    if member.pace.is_busy() {
        member.pace.busy.store(false, Relaxed);
    }
}

/// The program has looked for connections, and there was none. Process context.
pub(crate) fn waits(member: &Member, sock: &Sock) {
    looks(member);
    if member.pace.is_stalled() {
        progress(member, sock);
    }
}

// As above.
#[inline(always)]
fn progress(member: &Member, sock: &Sock) {
    // Either this sees that the member was found stalled, or `find()` sees the progress.
    member.pace.progress.xchg(ticker::ticks(), Full);
    if member.pace.stalled.load(Relaxed) {
        member.pace.stalled.xchg(false, Full);
        tell_ready(member, sock);
    }
}

/// Tells that a member is ready, if it was told that it is stalled.
fn tell_ready(member: &Member, sock: &Sock) {
    if member.pace.told.xchg(false, Full) {
        let queued = sock.queued();
        trace_stall(false, member.group.id, sock.cookie(), queued);
        let change = Change::Ready(queued);
        report::member_event(change, &member.group, member, sock, Context::Atomic);
    }
}

/// Looks after all groups of a namespace. Process context.
pub(crate) fn tick(registry: ArcBorrow<'_, Registry>) {
    let now = ticker::now();
    let mut next: Option<u64> = None;
    let mut id = Some(0);
    while let Some(group) = id.and_then(|id| registry.get_from(id)) {
        next = sooner(next, group.look(now));
        id = group.id.checked_add(1);
        yield_now();
    }
    if let Some(next) = next {
        registry.ticker().arm(next);
    }
}

fn sooner(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Group {
    /// Looks after the members if that is due, and tells in how many nanoseconds to do so again.
    fn look(&self, now: u64) -> Option<u64> {
        if !self.watch.on.load(Relaxed) {
            return None;
        }
        match self.watch.due.load(Relaxed).checked_sub(now) {
            None | Some(0) => (),
            // A connection that has come since has at least as long as those before.
            later => return later,
        }
        // Before the members are looked at: one that comes meanwhile sets it again.
        self.watch.on.xchg(false, Full);
        let next = self.attend()?;
        self.watch.due.store(now.saturating_add(next), Relaxed);
        self.watch.on.store(true, Relaxed);
        Some(next)
    }

    /// Looks after the members soon.
    fn begin_watch(&self) {
        self.watch.at_once();
        self.registry.ticker().arm(self.settings.patience());
    }

    /// Looks after the members, and tells in how many nanoseconds to do so again.
    fn attend(&self) -> Option<u64> {
        let limit = self.settings.stall_ns();
        let mut next: Option<u64> = None;
        let mut index = 0;
        while let Some(sock) = self.find(&mut index, &mut next, limit) {
            rescue::relieve(&sock);
            // What stays is tried again, and what was moved is somebody's now.
            next = sooner(next, Some(limit));
        }
        if self.level() {
            next = sooner(next, Some(self.settings.patience()));
        }
        // Not more often than need be.
        next.map(|next| next.max(self.settings.often()))
    }

    /// The socket of the first stalled member from this index on. `next` becomes the time until one
    /// of those before it may be stalled, if that is sooner.
    fn find(&self, index: &mut usize, next: &mut Option<u64>, limit: u64) -> Option<SockRef> {
        let guard = rcu::read_lock();
        while *index < self.members.capacity(&guard) {
            let member = self.members.get(*index, &guard);
            *index = index.saturating_add(1);
            let Some(member) = member else { continue };
            let sock = member.sock(&guard);
            match member.pace.judge(sock.queued(), limit) {
                // It was woken for what was moved, and sleeps again without having looked.
                Verdict::Idle if member.is_stalled() && sock.has_acceptor(&guard) => {
                    progress(member, sock);
                }
                Verdict::Idle if member.is_stalled() => *next = sooner(*next, Some(limit)),
                Verdict::Idle => (),
                Verdict::Wait(left) => *next = sooner(*next, Some(left)),
                Verdict::Stalled => {
                    member.found_stalled(sock, limit);
                    if let Some(sock) = sock.try_ref(&guard) {
                        return Some(sock);
                    }
                }
            }
        }
        None
    }
}

impl Member {
    fn found_stalled(&self, sock: &Sock, limit: u64) {
        if self.pace.stalled.xchg(true, Full) {
            return;
        }
        // It may have accepted meanwhile, without having seen this; see `progress()`.
        let queued = sock.queued();
        if self.pace.judge(queued, limit) != Verdict::Stalled {
            self.pace.stalled.store(false, Relaxed);
            return;
        }
        self.counters.count(Counter::Stalls);
        trace_stall(true, self.group.id, sock.cookie(), queued);
        let change = Change::Stalled(queued);
        report::member_event(change, &self.group, self, sock, Context::Atomic);
        // What is told comes in order: who has made progress meanwhile leaves it to this call.
        self.pace.told.xchg(true, Full);
        if !self.pace.is_stalled() {
            tell_ready(self, sock);
        }
    }
}
