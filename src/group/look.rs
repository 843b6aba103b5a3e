// SPDX-License-Identifier: GPL-2.0

//! A program looks for connections, with `accept()` or by polling, and gets one that waits elsewhere
//! if it has none: see [`logic::look`](crate::logic::look) for which.
//!
//! A connection is moved when it is accepted, and not before. A poll tells only that there is one;
//! the `accept()` that follows has it moved and takes it. As a poll takes nothing, it promises
//! nothing: another program may come first. But no more programs are told so than there are
//! connections, but for two that look at the same moment.
//!
//! A program that sleeps does not look by itself: [`wake`](super::wake) has it look again.
//!
//! A connection is moved under the lock of the listener that it waits at, which that program may
//! hold for as long as it likes. It is tried for a few times. What it keeps is then served as it is
//! without a group.

#![forbid(unsafe_code)]

use super::{
    decision::Why,
    migrate,
    stall,
    Member, //
};
use crate::{
    logic::{
        facts::{Facts, Family},
        look::{choose_source, Found, Sibling, Source},
        select::{Policy, Reason}, //
    },
    sys::{
        core::work::sleep_briefly,
        socket::{
            flowlog::Families, //
            listener::{Locked, Sock, SockRef},
        },
    },
};
use core::ptr;
use kernel::sync::{
    atomic::Relaxed,
    rcu::{self, Guard}, //
};

/// So often is tried to get a connection that others may have taken.
const TRIES: u32 = 8;

/// So often if a listener is locked: a lock that is held for a moment only is free then.
const LOCKED_TRIES: u32 = 2;

/// So many connections are asked whose they are, at a look.
const LOOKUPS: u32 = 512;

/// How a member looks for a sibling that gives it a connection.
pub(super) struct Search {
    /// Whether it may have what waits behind busy programs.
    eager: bool,
    /// How many connections may still be asked whose they are.
    pub(super) lookups: u32,
    /// Whether a sibling was passed by, as its lock is held.
    passed: bool,
    /// At how many siblings and connections it has looked.
    pub(super) looks: u64,
}

impl Search {
    pub(super) fn new(eager: bool, lookups: u32) -> Self {
        Self {
            eager,
            lookups,
            passed: false,
            looks: 0,
        }
    }
}

/// The program of the member that is `sock` polls for connections, and sees one if it is `readable`.
/// Tells whether there is one for it elsewhere. Process context.
pub(crate) fn polls(sock: &Sock, readable: bool) -> bool {
    let guard = rcu::read_lock();
    let Some(member) = sock.ulp_member(&guard) else {
        return false;
    };
    if readable {
        stall::poll_begin(member);
        member.stall_state.promise();
        return false;
    }
    stall::poll_empty(member, sock);
    member.is_offered_one(&guard)
}

/// The program of the member that is `sock` is about to accept, and to sleep if there is nothing.
/// Tells whether it is to be shown the member's address. Process context, the socket not locked.
pub(crate) fn accepts(sock: &Sock, sleeps: bool) -> bool {
    let guard = rcu::read_lock();
    let Some(member) = sock.ulp_member(&guard) else {
        return false;
    };
    let rewrites = member.group.settings.rewrite();
    let eager = member.stall_state.was_told() || sleeps;
    if sock.queued() == 0 {
        stall::poll_empty(member, sock);
    } else if sleeps {
        stall::poll_begin(member);
    }
    drop(guard);
    get_one(sock, eager);
    rewrites
}

/// Gives the member that is `sock` a connection if there is one for it whose listener is not kept locked.
fn get_one(sock: &Sock, eager: bool) {
    let mut search = Search::new(eager, LOOKUPS);
    let mut locked = 0u32;
    for _ in 0..TRIES {
        match take(sock, &mut search) {
            Taken::One | Taken::Nothing => return,
            Taken::ComeAgain => continue,
            Taken::Locked => locked = locked.saturating_add(1),
        }
        if locked >= LOCKED_TRIES {
            return;
        }
        sleep_briefly();
    }
}

/// What came of a try to get a connection.
#[derive(PartialEq, Eq)]
pub(super) enum Taken {
    One,
    Nothing,
    /// Another program took it.
    ComeAgain,
    /// One of the two listeners is locked.
    Locked,
}

/// Gives the member that is `sock` a connection of a sibling's, if there is one for it.
pub(super) fn take(sock: &Sock, search: &mut Search) -> Taken {
    let Some(source) = source_sock(sock, search) else {
        return Taken::Nothing;
    };
    // The program behind the lock could not accept it now, and no other one would get it.
    if sock.is_owned() {
        return Taken::Locked;
    }
    let Some(from) = source.try_lock() else {
        return Taken::Locked;
    };
    let guard = rcu::read_lock();
    match (from.attached_member(), sock.ulp_member(&guard)) {
        (Some(source), Some(looker)) => {
            let mut check = Search::new(search.eager, LOOKUPS);
            let taken = take_from(&from, source, looker, &mut check, &guard);
            search.looks = search.looks.saturating_add(check.looks);
            taken
        }
        _ => Taken::ComeAgain,
    }
}

/// The socket of the sibling that is to give this one a connection: one that is not locked, if
/// there is one. A lock that is kept holds back what waits there, and not what waits elsewhere.
fn source_sock(sock: &Sock, search: &mut Search) -> Option<SockRef> {
    let guard = rcu::read_lock();
    let looker = sock.ulp_member(&guard)?;
    search.passed = false;
    let found = match looker.find_source(search, false, &guard) {
        None if search.passed => looker.find_source(search, true, &guard)?,
        found => found?,
    };
    found.from.sock(&guard).try_ref(&guard)
}

/// What was decided without the lock is checked once more. That the looker does not leave counts until
/// the read section ends, as `leave::pass_on()` waits for that before it drains.
fn take_from(
    from: &Locked<'_>,
    source: &Member,
    looker: &Member,
    search: &mut Search,
    guard: &Guard,
) -> Taken {
    if !ptr::eq(&*looker.group, &*source.group) {
        return Taken::ComeAgain;
    }
    let (policy, facts) = (looker.group.settings.policy(), looker.facts(guard));
    let offer = looker.offer_of(source, &facts, search, guard);
    let own = looker.oldest(policy, &mut search.looks, guard);
    let offer = offer.into_iter().map(|sibling| ((), sibling));
    let Some(found) = choose_source(&facts, own, policy, search.eager, offer) else {
        return Taken::ComeAgain;
    };
    let to = looker.sock(guard);
    let families = families(&facts, &source.facts(guard));
    let home = (found.source == Source::Own).then_some(to);
    stall::announce(looker, to.queued());
    let Some(flow) = from.move_oldest(to, families, home, true, &mut search.looks, guard) else {
        return Taken::ComeAgain;
    };
    let reason = match found.source {
        Source::Stalled => Reason::Stalled,
        Source::Own | Source::Busy => Reason::Balanced,
    };
    migrate::moved(source, looker, &flow, Why::Select(reason), guard);
    Taken::One
}

/// Of which families the looker can have connections of this sibling.
fn families(looker: &Facts, sibling: &Facts) -> Families {
    let mut families = Families::ALL;
    for family in [Family::Ipv4, Family::Ipv6] {
        if !looker.can_replace(sibling, family) {
            families = families.without(family);
        }
    }
    families
}

impl Member {
    /// Which sibling is to give it a connection, among those that are not locked, or among all.
    pub(super) fn find_source<'g>(
        &'g self,
        search: &mut Search,
        locked: bool,
        guard: &'g Guard,
    ) -> Option<Found<&'g Member>> {
        let (eager, policy) = (search.eager, self.group.settings.policy());
        let own = self.oldest(policy, &mut search.looks, guard);
        // Most have something.
        if own.is_some() && !(eager && policy == Policy::Balance) {
            return None;
        }
        let facts = self.facts(guard);
        // Symbols have a limited length, and the types of iterators are parts of them.
        let waiting: &mut dyn Iterator<Item = &'g Member> = &mut self.group.waiting(self, guard);
        let siblings: &mut dyn Iterator<Item = (&'g Member, Sibling)> =
            &mut waiting.filter_map(|sibling| {
                search.looks = search.looks.saturating_add(1);
                if !locked && sibling.sock(guard).is_owned() {
                    search.passed = true;
                    return None;
                }
                let offer = self.offer_of(sibling, &facts, search, guard)?;
                Some((sibling, offer))
            });
        choose_source(&facts, own, policy, eager, siblings)
    }

    /// When the oldest connection of its own queue came. How old it is matters for `balance` only.
    fn oldest(&self, policy: Policy, looks: &mut u64, guard: &Guard) -> Option<u64> {
        let sock = self.sock(guard);
        match policy {
            _ if sock.queued() == 0 => None,
            Policy::Balance => sock.queued_since(Families::ALL, looks, guard).or(Some(0)),
            Policy::Overflow => Some(0),
        }
    }

    /// What a sibling, at which connections wait, has to offer to this member.
    fn offer_of(
        &self,
        sibling: &Member,
        facts: &Facts,
        search: &mut Search,
        guard: &Guard,
    ) -> Option<Sibling> {
        let (own, theirs) = (self.sock(guard), sibling.facts(guard));
        let astray = self.group.astray.load(Relaxed);
        // A stalled one gives back what is not its own, whatever it was promised.
        let spare = theirs.spare() > 0 || astray && theirs.stalled;
        if !spare || theirs.ipv6_socket != facts.ipv6_socket {
            return None;
        }
        let sock = sibling.sock(guard);
        let families = families(facts, &theirs);
        let Search { lookups, looks, .. } = search;
        let home = match astray {
            true => sock.queued_since_of(families, own, lookups, looks, guard),
            false => None,
        };
        let since = home.or_else(|| sock.queued_since(families, looks, guard))?;
        Some(Sibling {
            facts: theirs,
            since,
            own: home.is_some(),
        })
    }

    /// Whether its program, which polls and has nothing, is told that there is a connection: as many
    /// programs are as there are connections. Nor is it told of one that it could not get as the
    /// listener is locked: it would try again and again.
    fn is_offered_one(&self, guard: &Guard) -> bool {
        let mut search = Search::new(true, LOOKUPS);
        let Some(found) = self.find_source(&mut search, false, guard) else {
            return false;
        };
        let settings = &self.group.settings;
        let limit = settings.stall_ns().max(settings.min_interval());
        let mut told = 0u64;
        for member in self.group.nearby(self.group.start(guard), guard) {
            let other = !ptr::eq(member, self) && member.stall_state.is_offered_one(limit);
            told = told.saturating_add(u64::from(other));
        }
        let offered = found.spare > told;
        if offered {
            self.stall_state.offer();
        }
        offered
    }
}
