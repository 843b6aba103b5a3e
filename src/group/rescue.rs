// SPDX-License-Identifier: GPL-2.0

//! Moves complete connections to siblings that have room for them.
//!
//! A listener can fill up between a SYN and the ACK that completes the handshake: SYN cookies
//! promise nothing, `listen()` may lower the backlog, promises run out in a flood. The kernel then
//! drops the ACK, although the client believes that it is connected.
//!
//! Here the new socket is made of a sibling that has room. The kernel still puts it into the
//! queue of the listener that it came for, beyond what that takes; from there a work item moves as
//! many connections as are too many, oldest first, under the listener's lock.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    insight::{Done, Why},
    stall,
    Group,
    Member, //
};
use crate::{
    logic::{
        facts::Family,
        rescue,
        room::Load,
        select::Reason, //
    },
    sys::{
        listener::{Locked, Sock, SockRef},
        queue::{yield_now, WorkQueue},
        trail::{Families, Flow, Packet}, //
    },
};
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{
        atomic::Relaxed,
        barrier::{self, smp_mb},
        rcu::{self, Guard},
        Arc, //
    },
    workqueue::{Work, WorkItem},
};

/// Names the listener that the socket of a complete handshake with `home` is to be made of, which
/// is so full. Softirq context.
pub(crate) fn handshake_complete<'g>(
    member: &'g Member,
    home: &'g Sock,
    load: Load,
    packet: &Packet<'_>,
    guard: &'g Guard,
) -> &'g Sock {
    if load.has_queue_room() && !member.leaving.load(Relaxed) {
        return home;
    }
    match rescuer(member, packet.family(), load.overflow(), guard) {
        Some(sibling) => {
            // An error is that it is queued already.
            let _ = WorkQueue::get().enqueue(member.group.clone());
            sibling.sock(guard)
        }
        None => home,
    }
}

/// The sibling that is to take over what waits for a member, behind so many that it is owed.
pub(super) fn rescuer<'g>(
    member: &'g Member,
    family: Family,
    owed: u32,
    guard: &'g Guard,
) -> Option<&'g Member> {
    let facts = member.facts(guard);
    member
        .group
        .search(member, guard, Option::is_some, |siblings| {
            rescue::choose_rescuer(&facts, family, owed, siblings)
        })
}

/// The group's work item.
pub(super) type Rescue = Work<Group>;

impl_has_work! {
    impl HasWork<Self> for Group { self.rescue }
}

impl WorkItem for Group {
    type Pointer = Arc<Group>;

    fn run(group: Arc<Group>) {
        // The connection is queued by the caller of handshake_complete(), in its read section.
        rcu::synchronize_rcu();
        let mut index = 0;
        while let Some(sock) = group.next_overflowing(&mut index) {
            let locked = sock.lock();
            if let Some(member) = locked.attached_member() {
                let many = locked.facts().load.overflow();
                move_some(&locked, member, many, Why::Overflow);
            }
        }
    }
}

impl Group {
    /// The first socket from this index on whose accept queue has more than it takes.
    fn next_overflowing(&self, index: &mut usize) -> Option<SockRef> {
        let guard = rcu::read_lock();
        while *index < self.members.capacity(&guard) {
            let member = self.members.get(*index, &guard);
            *index = index.saturating_add(1);
            let Some(sock) = member.map(|member| member.sock(&guard)) else {
                continue;
            };
            if sock.facts().load.overflow() > 0 {
                if let Some(sock) = sock.try_ref(&guard) {
                    return Some(sock);
                }
            }
        }
        None
    }
}

/// Moves what waits for a stalled member to siblings that accept, as far as they have room. Nothing
/// happens while somebody has the socket locked, and be it for ever.
pub(super) fn relieve(sock: &Sock) {
    let Some(locked) = sock.try_lock() else {
        return;
    };
    if let Some(member) = locked.attached_member() {
        move_some(
            &locked,
            member,
            locked.queued(),
            Why::Select(Reason::Stalled),
        );
    }
}

/// Moves the waiting connections of a member that leaves to siblings, as far as they have room.
/// Those that come meanwhile are not waited for.
pub(super) fn drain(from: &Locked<'_>, member: &Member) {
    move_some(from, member, from.queued(), Why::Select(Reason::Leaving));
}

/// Moves so many connections, the oldest first, each to the least loaded sibling that has room,
/// until there is none; those of one family do not wait for those of the other.
fn move_some(from: &Locked<'_>, member: &Member, many: u32, why: Why) {
    let mut families = Families::ALL;
    for _ in 0..many {
        let Some(flow) = from.oldest(families) else {
            break;
        };
        if !move_one(from, member, flow.family(), why) {
            families = families.without(flow.family());
        }
        yield_now();
    }
}

fn move_one(from: &Locked<'_>, member: &Member, family: Family, why: Why) -> bool {
    let guard = rcu::read_lock();
    let Some(sibling) = rescuer(member, family, 0, &guard) else {
        return false;
    };
    let to = sibling.sock(&guard);
    stall::announce(sibling, to.queued());
    let Some(flow) = from.move_oldest(to, Families::only(family), false, &guard) else {
        return false;
    };
    moved(member, sibling, &flow, why, &guard);
    true
}

/// Counts and remembers what became of a connection.
pub(super) fn moved(member: &Member, sibling: &Member, flow: &Flow, why: Why, guard: &Guard) {
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

pub(super) fn new() -> impl PinInit<Rescue> {
    new_work!("service_group::rescue")
}
