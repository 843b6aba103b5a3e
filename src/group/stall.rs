// SPDX-License-Identifier: GPL-2.0

//! Whether a member's program keeps up with its connections, or is hung.
//!
//! A connection that comes, or that the kernel moves here, is announced, and sets the group's stall
//! timer; an `accept()` that succeeds is progress. Each tick ([`watch`](super::watch)) looks at the
//! members for which connections may wait, and has [`stall::judge`] judge them. What waits for a
//! stalled one stays where it is until a program looks, see [`look`](super::look): its own, if that
//! is first, or a sibling's.
//!
//! A stalled member is given connections last of all, so its queue may stay empty, and it could
//! never show that it accepts again. But its program looks for connections when it comes back,
//! with `accept()`, `poll()` or `epoll_wait()`, and that it finds none is enough.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    report::{self, Change},
    Member, //
};
use crate::{
    logic::stall::{self, Verdict},
    sys::{
        core::{
            caller::caller_process,
            clock,
            netlink::Context, //
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
    rcu::Guard, //
};

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

    pub(super) fn judge(&self, queued: u32, limit: u64) -> Verdict {
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
    // The progress first: a tick turns the watch off before it looks at the members.
    if queued == 0 {
        member.stall_state.progress.xchg(clock::ticks(), Full);
    } else {
        smp_mb(barrier::Full);
    }
    // Else a tick is to come.
    if !group.watch.is_on() {
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
    // The member was called stalled before its queue was emptied.
    smp_mb(barrier::Read);
    if member.stall_state.is_stalled() {
        progress(member, sock);
    }
}

// As above.
#[inline(always)]
pub(super) fn progress(member: &Member, sock: &Sock) {
    // Either this sees that the member was found stalled, or `found_stalled()` sees the progress.
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

impl Member {
    /// It was judged to be stalled.
    pub(super) fn found_stalled(&self, sock: &Sock, limit: u64) {
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
        // Events come in order: progress that was made meanwhile is told by this call.
        self.stall_state.told.xchg(true, Full);
        if !self.stall_state.is_stalled() {
            tell_ready(self, sock);
        }
    }
}
