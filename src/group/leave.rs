// SPDX-License-Identifier: GPL-2.0

//! A member that goes, or stops listening, passes on what it has.
//!
//! ```text
//!   marked leaving     new SYNs go to siblings; and are not given to it, if it is to stop
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
    logic::{
        facts::Family,
        select::Reason, //
    },
    sys::{
        listener::{Locked, Sock},
        queue::readers_end,
        requests::{Moved, Request, Requests},
        trail::Families, //
    },
};
use kernel::sync::{
    atomic::Relaxed,
    rcu, //
};

/// A program is about to close the socket, or to have it listen no more. Process context, and the
/// socket is not locked.
pub(crate) fn begin(sock: &Sock, closes: bool) {
    // A program may stop and begin again as often as it likes, but close it only once.
    let locked = sock.lock();
    if locked.attached_member().is_some() && locked.facts().listening {
        // A SYN that has found it, and comes when it does not listen any more, is lost.
        locked.hide();
    }
    pass_on(&locked, closes);
}

/// It does not listen any more; it may do so again.
pub(crate) fn end(sock: &Sock) {
    if let Some(member) = sock.lock().attached_member() {
        member.leaving.store(false, Relaxed);
    }
}

/// Passes on what a member has, and maybe in a hurry. It counts as leaving from now on.
pub(super) fn pass_on(from: &Locked<'_>, hurry: bool) {
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
    readers_end(hurry);
    if from.facts().load.half_open > 0 {
        hand_over(from, member);
        readers_end(hurry);
    }
    rescue::drain(from, member);
}

/// Moves half-open requests to siblings, as far as they have room; those of one family do not wait
/// for those of the other.
fn hand_over(from: &Locked<'_>, member: &Member) {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut requests = Requests::new(from);
        while let Some(request) = requests.next(Families::only(family)) {
            if hand_over_one(from, member, &request) == Moved::Not {
                break;
            }
        }
    }
}

fn hand_over_one(from: &Locked<'_>, member: &Member, request: &Request<'_>) -> Moved {
    let guard = rcu::read_lock();
    let flow = request.flow();
    let Some(sibling) = rescue::rescuer(member, flow.family(), 0, &guard) else {
        return Moved::Not;
    };
    let to = sibling.sock(&guard);
    let moved = request.move_to(to, &guard);
    if moved == Moved::Done {
        let why = Why::Select(Reason::Leaving);
        member.group.note(&flow, Done::Handed, why, from, Some(to));
        sibling.counters.count(Counter::HandedIn);
        member.counters.count(Counter::HandedOut);
    }
    moved
}
