// SPDX-License-Identifier: GPL-2.0

//! Moves complete connections to siblings that have room for them.
//!
//! A listener can fill up between a SYN and the ACK that completes the handshake: SYN cookies
//! promise nothing, `listen()` may lower the backlog, promises run out in a flood. The kernel then
//! drops the ACK, although the client believes that it is connected.
//!
//! Here the listener that it came for takes it, beyond what its queue takes, if a sibling has room;
//! from there the group's stall timer moves as many connections as are too many, oldest first,
//! under the listener's lock. The new socket is made of that listener, as it always is, and never
//! of one that may end meanwhile.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    decision::{Done, Why},
    stall,
    Group,
    Member, //
};
use crate::{
    logic::{
        facts::{Facts, Family},
        migrate,
        room::Load,
        select::Reason,
        stall::{retry, LOOKS_OF_A_TICK}, //
    },
    sys::{
        core::{
            clock::NS_OF_MS,
            slots::Round,
            work::{cond_resched, Readers}, //
        },
        socket::{
            flowlog::{Families, Flow, Packet}, //
            listener::{Locked, SockRef},
        },
    },
};
use kernel::sync::{
    atomic::{Atomic, Full, Relaxed},
    barrier::{self, smp_mb},
    rcu::{self, Guard}, //
};

/// After so many nanoseconds the stall timer comes again for what is about to be queued, or is left.
const SOON: u64 = 10 * NS_OF_MS;

/// Tells whether the accept queue of a member, which is so full, is to take a complete handshake's
/// connection all the same, as a sibling will take one off. Softirq context.
pub(crate) fn handshake_complete(
    member: &Member,
    load: Load,
    packet: &Packet<'_>,
    guard: &Guard,
) -> bool {
    if load.has_queue_room() {
        return false;
    }
    let family = packet.family();
    if target(member, family, load.overflow(), &mut 0, guard).is_none() {
        return false;
    }
    member.group.overflow.begins();
    member.group.stall_timer.arm(0);
    true
}

/// What is known of connections that a queue takes beyond what it should. All but that one begins is
/// the stall timer's alone.
pub(super) struct Overflow {
    /// Whether one is about to be queued, or was since the stall timer looked.
    begun: Atomic<bool>,
    /// The read sections that may be about to queue one, while there are some.
    readers: Readers,
    waits: Atomic<bool>,
    /// How often in turn a socket was found locked.
    tries: Atomic<u32>,
}

impl Overflow {
    pub(super) fn new() -> Self {
        Self {
            begun: Atomic::new(false),
            readers: Readers::new(),
            waits: Atomic::new(false),
            tries: Atomic::new(0),
        }
    }

    /// A connection is about to be queued so, in the caller's read section. Any context.
    fn begins(&self) {
        // The stall timer is armed after this: either its timer is set anew, or its work sees this.
        self.begun.xchg(true, Full);
    }

    /// Whether one has begun since [`Overflow::is_settled`].
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// Whether those that had begun when this was called first, or before, are queued.
    fn is_settled(&self) -> bool {
        if self.begun.xchg(false, Full) {
            self.readers.restart();
            self.waits.store(true, Relaxed);
        }
        if self.waits.load(Relaxed) && self.readers.have_ended() {
            self.waits.store(false, Relaxed);
        }
        !self.waits.load(Relaxed)
    }

    /// In how many nanoseconds to try for a locked socket again.
    fn retry(&self, min_interval: u64) -> u64 {
        let tries = self.tries.load(Relaxed);
        self.tries.store(tries.saturating_add(1), Relaxed);
        retry(min_interval, tries)
    }
}

/// The sibling that is to take over what waits for a member, behind so many that are on their way. How
/// many are looked at is added to `looks`.
pub(super) fn target<'g>(
    member: &'g Member,
    family: Family,
    in_flight: u32,
    looks: &mut u64,
    guard: &'g Guard,
) -> Option<&'g Member> {
    let facts = member.facts(guard);
    let mut count = |_: &(&'g Member, Facts)| *looks = looks.saturating_add(1);
    member
        .group
        .search(member, guard, Option::is_some, |siblings| {
            migrate::choose_target(&facts, family, in_flight, siblings.inspect(&mut count))
        })
}

/// What a tick has left of what is too much.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// What waits behind a lock.
    Locked,
    /// What would take a tick too long.
    More,
}

impl Group {
    /// Moves what is too much for each member, and tells in how many nanoseconds to do so again, if at
    /// all. What is looked at for that is added to the effort. By the stall timer only.
    pub(super) fn relieve(&self, min_interval: u64, effort: &mut u64) -> Option<u64> {
        // First: what was about to be queued then is queued by now, and moved.
        let settled = self.overflow.is_settled();
        let rest = self.shed(effort);
        if rest == Rest::Locked {
            return Some(self.overflow.retry(min_interval));
        }
        self.overflow.tries.store(0, Relaxed);
        (rest == Rest::More || !settled).then_some(min_interval.min(SOON))
    }

    /// Moves what is too much for each member, as far as a tick may; a socket that is locked is to be
    /// tried again: it may be so for ever, and nothing waits for that here.
    fn shed(&self, effort: &mut u64) -> Rest {
        let most = effort.saturating_add(LOOKS_OF_A_TICK);
        let mut round = {
            let guard = rcu::read_lock();
            self.members.round_from(self.start(&guard), &guard)
        };
        let mut rest = Rest::Nothing;
        while let Some(sock) = self.next_overflowing(&mut round, effort) {
            if *effort >= most {
                return Rest::More;
            }
            let Some(locked) = sock.try_lock() else {
                rest = Rest::Locked;
                continue;
            };
            if let Some(member) = locked.attached_member() {
                let count = locked.facts().load.overflow();
                move_some(&locked, member, count, Why::Overflow, effort, most);
            }
        }
        match *effort >= most {
            true => Rest::More,
            false => rest,
        }
    }

    /// The next socket of a round whose accept queue has more than it takes.
    fn next_overflowing(&self, round: &mut Round, effort: &mut u64) -> Option<SockRef> {
        let guard = rcu::read_lock();
        while let Some(member) = self.members.next(round, &guard) {
            let sock = member.sock(&guard);
            if sock.has_queue_room() {
                // As long as that takes, it was counted when the member was judged.
                continue;
            }
            *effort = effort.saturating_add(1);
            if sock.facts().load.overflow() > 0 {
                if let Some(sock) = sock.try_ref(&guard) {
                    return Some(sock);
                }
            }
        }
        None
    }
}

/// Moves the waiting connections of a member that leaves to siblings, as far as they have room.
/// Those that come meanwhile are not waited for.
pub(super) fn drain(from: &Locked<'_>, member: &Member) {
    let why = Why::Select(Reason::Leaving);
    move_some(from, member, from.queued(), why, &mut 0, u64::MAX);
}

/// Moves so many connections, the oldest first, each to the least loaded sibling that has room,
/// until there is none, or the effort is as much as it may be; those of one family do not wait for
/// those of the other.
fn move_some(
    from: &Locked<'_>,
    member: &Member,
    count: u32,
    why: Why,
    effort: &mut u64,
    most: u64,
) {
    let mut families = Families::ALL;
    for _ in 0..count {
        if *effort >= most {
            break;
        }
        let Some(flow) = from.oldest(families, effort) else {
            break;
        };
        if !move_one(from, member, flow.family(), why, effort) {
            families = families.without(flow.family());
        }
        cond_resched();
    }
}

fn move_one(
    from: &Locked<'_>,
    member: &Member,
    family: Family,
    why: Why,
    effort: &mut u64,
) -> bool {
    let guard = rcu::read_lock();
    let Some(sibling) = target(member, family, 0, effort, &guard) else {
        return false;
    };
    let to = sibling.sock(&guard);
    stall::announce(sibling, to.queued());
    let only = Families::only(family);
    let Some(flow) = from.move_oldest(to, only, None, false, effort, &guard) else {
        return false;
    };
    moved(member, sibling, &flow, why, &guard);
    true
}

/// Counts and remembers what became of a connection.
pub(super) fn moved(member: &Member, sibling: &Member, flow: &Flow, why: Why, guard: &Guard) {
    if let Why::Select(reason) = why {
        member.leads_astray(reason);
    }
    // Pairs with `has_room()`.
    smp_mb(barrier::Full);
    member.freed(guard);
    sibling.counters.count(Counter::RescuedIn);
    member.counters.count(counter_of(why));
    let (from, to) = (member.sock(guard), sibling.sock(guard));
    member.group.note(flow, Done::Rescued, why, from, Some(to));
}

fn counter_of(why: Why) -> Counter {
    match why {
        Why::Select(Reason::Stalled) => Counter::RescuedStalled,
        Why::Select(Reason::Balanced) => Counter::RescuedBalanced,
        Why::Select(_) => Counter::RescuedLeaving,
        _ => Counter::RescuedOverflow,
    }
}
