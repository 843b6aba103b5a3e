// SPDX-License-Identifier: GPL-2.0

//! Walks the members of a group for a decision, past those that are known to be full.
//!
//! In a group of a thousand members of which all but one are full, a SYN is not to look at each of
//! them. A member whose accept queue was found full is marked, and the mark goes when it accepts, or
//! listens anew. A mark may be stale all the same, as the slot of a member that came meanwhile may
//! have its predecessor's: so each search looks at one that is marked, in turn, and at a number of
//! them before a connection is lost.

#![forbid(unsafe_code)]

use super::{
    Group,
    Member, //
};
use crate::logic::{
    facts::Facts,
    select::SEARCH_GOOD, //
};
use kernel::sync::{
    atomic::Relaxed,
    barrier::{self, smp_mb},
    rcu::Guard, //
};

impl Group {
    /// Has `choose` decide among the siblings of a member that have room in their accept queues. If
    /// that is not what was `wanted`, it is to decide once more, marked or not; not among all of a
    /// large group, as most likely no member there has room.
    pub(super) fn search<'g, R>(
        &'g self,
        of: &'g Member,
        guard: &'g Guard,
        wanted: fn(&R) -> bool,
        mut choose: impl FnMut(&mut dyn Iterator<Item = (&'g Member, Facts)>) -> R,
    ) -> R {
        let start = self.start(guard);
        let likely = self.members.unmarked_from(start, guard);
        let choice = choose(&mut self.siblings(of, likely, guard));
        if wanted(&choice) {
            return choice;
        }
        let some = self.members.iter_from(start, guard).take(SEARCH_GOOD);
        choose(&mut self.siblings(of, some, guard))
    }

    /// The siblings of a member at which connections wait; not all of a large group, but the one that
    /// was found stalled last.
    pub(super) fn waiting<'g>(
        &'g self,
        of: &'g Member,
        guard: &'g Guard,
    ) -> impl Iterator<Item = &'g Member> {
        let hung = self.hung.load(Relaxed);
        let others = self
            .nearby(self.start(guard), guard)
            .filter(move |member| member.slot.load(Relaxed) != hung);
        Iterator::chain(self.members.get(hung, guard).into_iter(), others)
            .filter(move |member| !core::ptr::eq(*member, of))
            .filter(|member| member.sock(guard).queued() > 0)
    }

    /// Members from a slot on, not all of a large group.
    pub(super) fn nearby<'g>(
        &'g self,
        start: usize,
        guard: &'g Guard,
    ) -> impl Iterator<Item = &'g Member> {
        self.members.iter_from(start, guard).take(SEARCH_GOOD)
    }

    /// With which slot a search begins; another one each time.
    pub(super) fn start(&self, guard: &Guard) -> usize {
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
        let slot = self.slot.load(Relaxed);
        if sock.has_queue_room() {
            // It may be a stale mark that it was looked at for.
            self.group.members.unmark(slot, guard);
            return true;
        }
        // Nothing would show that there is room again.
        if !sock.has_proto_ops(guard) {
            return false;
        }
        self.group.members.mark(slot, guard);
        // Pairs with `progress()` and `moved()`: either the one that takes a connection off sees the
        // mark, or this sees that there is room.
        smp_mb(barrier::Full);
        if sock.has_queue_room() {
            self.group.members.unmark(slot, guard);
        }
        false
    }

    /// It may have room again: a connection was taken off its accept queue, with a full barrier
    /// since, or its program has called `listen()`.
    pub(crate) fn freed(&self, guard: &Guard) {
        self.group.members.unmark(self.slot.load(Relaxed), guard);
    }
}
