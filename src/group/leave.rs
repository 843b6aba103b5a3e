// SPDX-License-Identifier: GPL-2.0

//! A member that goes, or stops listening, passes on what it has.
//!
//! ```text
//!   marked leaving     new SYNs go to siblings
//!   readers end        SYNs that saw it before are half-open now
//!   half-open requests move to siblings
//!   readers end        handshakes that were completed before are queued now
//!   queued connections move to siblings
//! ```
//!
//! Then the kernel does what it always did, with whatever no sibling had room for.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    insight::{Done, Why},
    rescue,
    Member, //
};
use crate::{
    logic::select::{self, Reason},
    sys::{
        listener::{Locked, Sock},
        queue::readers_end,
        requests::{Request, Requests}, //
    },
};
use kernel::sync::{
    atomic::Relaxed,
    rcu, //
};

/// A program is about to close the socket, or to have it listen no more. Process context, and the
/// socket is not locked.
pub(crate) fn begin(sock: &Sock) {
    pass_on(&sock.lock());
}

/// It does not listen any more; it may do so again.
pub(crate) fn end(sock: &Sock) {
    if let Some(member) = sock.lock().attached_member() {
        member.leaving.store(false, Relaxed);
    }
}

/// Passes on what a member has. It counts as leaving from now on.
pub(super) fn pass_on(from: &Locked<'_>) {
    let Some(member) = from.attached_member() else {
        return;
    };
    if !from.facts().listening {
        return;
    }
    member.leaving.store(true, Relaxed);
    if member.group.members.used() < 2 {
        return;
    }
    readers_end();
    if from.facts().load.half_open > 0 {
        hand_over(from, member);
        readers_end();
    }
    rescue::drain(from, member);
}

/// Moves half-open requests to siblings, as far as they have room.
fn hand_over(from: &Locked<'_>, member: &Member) {
    let mut requests = Requests::new(from);
    while let Some(request) = requests.next() {
        if !hand_over_one(from, member, &request) {
            break;
        }
    }
}

/// False if no sibling has room for it.
fn hand_over_one(from: &Locked<'_>, member: &Member, request: &Request<'_>) -> bool {
    let guard = rcu::read_lock();
    let siblings = member.group.siblings(member, &guard);
    let home = member.facts(&guard);
    let flow = request.flow();
    let Some(sibling) = select::choose_rescuer(&home, flow.family(), 0, siblings) else {
        return false;
    };
    let to = sibling.sock(&guard);
    if request.move_to(to, &guard) {
        let why = Why::Select(Reason::Leaving);
        member.group.note(&flow, Done::Handed, why, from, Some(to));
        sibling.counters.count(Counter::HandedIn);
        member.counters.count(Counter::HandedOut);
        return true;
    }
    // Its handshake was completed meanwhile; without memory it would come again for ever.
    from.facts().load.half_open < home.load.half_open
}
