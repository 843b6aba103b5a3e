// SPDX-License-Identifier: GPL-2.0

//! Programs that sleep while there is a connection for them are woken, and look again.
//!
//! The stall timer does that. A program that sleeps in `accept()` would not look: it is given a
//! connection with the wake-up.

#![forbid(unsafe_code)]

use super::{
    look::{take, Search},
    Group,
    Member, //
};
use crate::{
    logic::{
        look::Source,
        select::{Policy, SEARCH_GOOD},
        stall::LOOKS_OF_A_TICK, //
    },
    sys::{
        core::{
            slots::Round,
            work::cond_resched, //
        },
        socket::listener::SockRef, //
    },
};
use kernel::sync::rcu;

/// So many connections are asked whose they are, in a tick.
const LOOKUPS_OF_A_TICK: u32 = 4096;

impl Member {
    /// Whether its program, which may be asleep, is to look for what this source has. A busy
    /// program does not wait for what others are busy with. To be woken for anything else does no harm:
    /// a program that accepts one connection for each event is called busy while it sleeps.
    fn is_wanted_for(&self, source: Source, sleeps: bool) -> bool {
        // One thread of several may be busy.
        source != Source::Busy || sleeps || !self.stall_state.is_busy()
    }
}

impl Group {
    /// Has programs that sleep look again if there is a connection for them; not all of a large group, or
    /// of one with long queues. Siblings and connections that are looked at are added to the effort.
    pub(super) fn wake_sleepers(&self, effort: &mut u64) {
        let mut search = Search::new(true, LOOKUPS_OF_A_TICK);
        let mut round = {
            let guard = rcu::read_lock();
            self.members.round_from(self.start(&guard), &guard)
        };
        for _ in 0..SEARCH_GOOD {
            if let Some(sock) = self.wake_next(&mut round, &mut search) {
                take(&sock, &mut search);
            }
            if round.is_over() || search.looks >= LOOKS_OF_A_TICK {
                break;
            }
            cond_resched();
        }
        *effort = effort.saturating_add(search.looks);
    }

    /// Wakes the next member if there is something for it; if it sleeps in `accept()`, its socket.
    fn wake_next(&self, round: &mut Round, search: &mut Search) -> Option<SockRef> {
        let guard = rcu::read_lock();
        let member = self.members.next(round, &guard)?;
        let sock = member.sock(&guard);
        if sock.queued() > 0 || !member.facts(&guard).can_take() {
            return None;
        }
        // What is locked is tried with the next tick.
        let found = member.find_source(search, false, &guard)?;
        let waiters = sock.waiters(&guard);
        search.looks = search.looks.saturating_add(waiters.count.into());
        let sleeps = waiters.accepts;
        if !member.is_wanted_for(found.source, sleeps) {
            return None;
        }
        if sleeps {
            return sock.try_ref(&guard);
        }
        if found.source == Source::Busy {
            member.stall_state.invite();
        }
        sock.wake(&guard);
        None
    }

    /// Whether connections wait that a program would get if it looked.
    pub(super) fn keeps_waiting(&self, effort: &mut u64) -> bool {
        if self.settings.policy() != Policy::Balance {
            return false;
        }
        let guard = rcu::read_lock();
        let mut busy = self
            .members
            .iter(&guard)
            .filter(|member| member.stall_state.is_busy());
        busy.any(|member| {
            *effort = effort.saturating_add(1);
            member.facts(&guard).spare() > 0
        })
    }
}
