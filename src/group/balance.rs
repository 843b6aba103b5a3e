// SPDX-License-Identifier: GPL-2.0

//! First come, first served, under [`Policy::Balance`]: who is about to accept is given a connection
//! that waits for longer behind the busy program of a sibling.
//!
//! A program is *busy* from when it has accepted a connection until it looks for another one. So
//! what a program has seen and is about to accept stays with it, but for a moment: it may look while
//! somebody takes what it is about to see.
//!
//! A program that sleeps has looked before. What was queued since behind busy ones, because its
//! handshake took longer, is brought to it by the ticker.

#![forbid(unsafe_code)]

use super::{
    insight::Why,
    rescue,
    stall,
    Group,
    Member, //
};
use crate::{
    logic::{
        rescue::choose_giver,
        select::{Policy, Reason, ENOUGH}, //
    },
    sys::{
        listener::{Locked, Sock, SockRef},
        trail::Families, //
    },
};
use core::{iter, ptr};
use kernel::sync::rcu::{self, Guard};

/// The program of the member that is `sock` looks for connections, and would accept one. Process
/// context, the socket not locked.
pub(crate) fn looks(sock: &Sock) {
    let guard = rcu::read_lock();
    let Some(member) = sock.flagged_member(&guard) else {
        return;
    };
    stall::looks(member);
    let balanced = member.group.settings.policy() == Policy::Balance;
    drop(guard);
    if balanced {
        take_over(sock);
    }
}

/// Gives the member that is `sock` a connection, and tells whether there was one for it.
fn take_over(sock: &Sock) -> bool {
    let Some(giver) = giver(sock) else {
        return false;
    };
    let Some(from) = giver.try_lock() else {
        return false;
    };
    let guard = rcu::read_lock();
    match (from.attached_member(), sock.flagged_member(&guard)) {
        (Some(member), Some(taker)) => take_over_from(&from, member, taker, &guard),
        _ => false,
    }
}

/// The socket of the sibling that is to give this one a connection.
fn giver(sock: &Sock) -> Option<SockRef> {
    let guard = rcu::read_lock();
    let taker = sock.flagged_member(&guard)?;
    let waiting = taker.group.waiting(taker, &guard);
    let giver = choose_giver(&taker.facts(&guard), sock.queued_since(), waiting)?;
    giver.sock(&guard).try_ref(&guard)
}

/// What was decided without the lock is checked once more. That the taker does not leave counts until
/// the read section ends, as `leave::pass_on()` waits for that before it drains.
fn take_over_from(from: &Locked<'_>, member: &Member, taker: &Member, guard: &Guard) -> bool {
    let Some(oldest) = from.oldest(Families::ALL) else {
        return false;
    };
    let (own, facts) = (taker.facts(guard), member.facts(guard));
    let to = taker.sock(guard);
    // Its program and the ticker may both have found it idle, and one has given it something.
    let waiting = iter::once(((), facts, from.queued_since()));
    if !ptr::eq(&*taker.group, &*member.group)
        || choose_giver(&own, to.queued_since(), waiting).is_none()
        || !own.can_replace(&facts, oldest.family())
    {
        return false;
    }
    stall::announce(taker, to.queued());
    let Some(flow) = from.move_oldest(to, Families::only(oldest.family()), true, guard) else {
        return false;
    };
    rescue::moved(member, taker, &flow, Why::Select(Reason::Balanced), guard);
    true
}

impl Group {
    /// Gives what waits behind busy programs to those that sleep, and tells whether any is left.
    pub(super) fn level(&self) -> bool {
        if self.settings.policy() != Policy::Balance {
            return false;
        }
        let mut index = 0;
        let mut refused = 0usize;
        while let Some(sock) = self.next_idle(&mut index) {
            refused = refused.saturating_add(usize::from(!take_over(&sock)));
            // One may be of the wrong family; but not each of them.
            if refused >= ENOUGH {
                break;
            }
        }
        let guard = rcu::read_lock();
        let mut members = self.members.iter(&guard);
        members.any(|member| member.keeps_waiting(&guard) && member.facts(&guard).can_spare())
    }

    /// The socket of the first member from this index on that can be given a connection, as its
    /// program has nothing to do.
    fn next_idle(&self, index: &mut usize) -> Option<SockRef> {
        let guard = rcu::read_lock();
        while *index < self.members.capacity(&guard) {
            let member = self.members.get(*index, &guard);
            *index = index.saturating_add(1);
            if let Some(member) = member.filter(|member| member.is_idle(&guard)) {
                return member.sock(&guard).try_ref(&guard);
            }
        }
        None
    }
}

impl Member {
    /// Whether connections wait while its program is busy: what costs little to know of what
    /// `Facts::can_spare()` asks for.
    pub(super) fn keeps_waiting(&self, guard: &Guard) -> bool {
        self.pace.is_busy() && self.sock(guard).queued() > 0
    }

    /// Whether its program has nothing to do, and it can be given a connection.
    fn is_idle(&self, guard: &Guard) -> bool {
        let sock = self.sock(guard);
        sock.queued() == 0
            // One thread of several may be busy.
            && (!self.pace.is_busy() || sock.has_acceptor(guard))
            && self.facts(guard).can_take()
    }
}
