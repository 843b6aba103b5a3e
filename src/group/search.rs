// SPDX-License-Identifier: GPL-2.0

//! Walks the members of a group for a decision, past those that are known to be full.
//!
//! In a group of a thousand members of which all but one are full, a SYN is not to look at each of
//! them. A member whose accept queue was found full is marked, and the mark goes when it accepts.
//! Marks may be stale, as with a backlog that `listen()` has raised: one of them is looked at
//! again with each search, and all of them before a connection is lost.

#![forbid(unsafe_code)]

use super::{
    Group,
    Member, //
};
use crate::logic::{
    facts::Facts,
    select::ENOUGH, //
};
use kernel::sync::{
    atomic::Relaxed,
    barrier::{self, smp_mb},
    rcu::Guard, //
};

impl Group {
    /// Has `choose` decide among the siblings of a member that have room in their accept queues. If
    /// that is not what was `wanted`, it is to decide once more, with those whose marks are stale.
    pub(super) fn search<'g, R>(
        &'g self,
        of: &'g Member,
        guard: &'g Guard,
        wanted: fn(&R) -> bool,
        choose: impl Fn(&mut dyn Iterator<Item = (&'g Member, Facts)>) -> R,
    ) -> R {
        let likely = self.members.unmarked_from(self.start(guard), guard);
        let choice = choose(&mut self.siblings(of, likely, guard));
        if wanted(&choice) {
            return choice;
        }
        let all = self.members.iter(guard);
        choose(&mut self.siblings(of, all, guard))
    }

    /// The siblings of a member for which connections wait, and when the oldest of these came; not
    /// all of a large group.
    pub(super) fn waiting<'g>(
        &'g self,
        of: &'g Member,
        guard: &'g Guard,
    ) -> impl Iterator<Item = (&'g Member, Facts, Option<u64>)> {
        self.members
            .iter_from(self.start(guard), guard)
            .take(ENOUGH)
            .filter(move |member| !core::ptr::eq(*member, of))
            .filter(|member| member.sock(guard).queued() > 0)
            .map(|member| {
                (
                    member,
                    member.facts(guard),
                    member.sock(guard).queued_since(),
                )
            })
    }

    /// With which slot a search begins; another one each time.
    fn start(&self, guard: &Guard) -> usize {
        // A `u32` fits on every machine that there is a kernel for.
        let turn = self.turn.fetch_add(1, Relaxed) as usize;
        turn.checked_rem(self.members.capacity(guard)).unwrap_or(0)
    }

    /// Those of the members, other than this one, that have room.
    fn siblings<'g>(
        &'g self,
        of: &'g Member,
        members: impl Iterator<Item = &'g Member>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = (&'g Member, Facts)> {
        members
            .filter(move |member| !core::ptr::eq(*member, of))
            .filter(|member| member.has_room(guard))
            .map(|member| (member, member.facts(guard)))
    }
}

impl Member {
    /// Whether its accept queue has room; marks it if not.
    fn has_room(&self, guard: &Guard) -> bool {
        let sock = self.sock(guard);
        if sock.has_queue_room() {
            return true;
        }
        // In this order, so that a slot is never marked that nobody will unmark.
        self.group.members.mark(self.slot.load(Relaxed), guard);
        self.full.store(true, Relaxed);
        // Either who takes a connection off sees it, or this sees that there is room.
        smp_mb(barrier::Full);
        if sock.has_queue_room() {
            self.freed(guard);
        }
        false
    }

    /// A connection was taken off its accept queue.
    pub(super) fn freed(&self, guard: &Guard) {
        if self.full.load(Relaxed) {
            self.full.store(false, Relaxed);
            self.group.members.unmark(self.slot.load(Relaxed), guard);
        }
    }
}
