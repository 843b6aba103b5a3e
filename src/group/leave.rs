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
    account,
    counters::Counter,
    decision::{Done, Why},
    migrate,
    Member, //
};
use crate::{
    logic::{
        facts::Family,
        select::Reason, //
    },
    sys::{
        core::work::synchronize_rcu,
        socket::{
            flowlog::Families, //
            listener::{Locked, Sock},
            requests::{Moved, Request, Requests},
        },
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
        locked.unhash();
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
pub(super) fn pass_on(from: &Locked<'_>, expedited: bool) {
    let Some(member) = from.attached_member() else {
        return;
    };
    if !from.facts().listening {
        return;
    }
    member.leaving.store(true, Relaxed);
    if !has_siblings(member) {
        return;
    }
    wait(member, expedited);
    if from.facts().load.half_open > 0 {
        migrate_requests(from, member);
        wait(member, expedited);
    }
    migrate::drain(from, member);
}

/// Whether there is a sibling to pass on to. Without one nothing is waited for, although one may
/// have been there a moment ago and chosen this member:
///
/// ```text
///   a SYN for B          B's program           A's program
///   found: B is full
///   A is to take it
///                        leave(B)
///                                              close(A): no other member is there
///                                              the kernel ends the listener
///   conn_request(A)
/// ```
///
/// Nothing is lost that a wait would save: with one the SYN would be half-open at A when that is
/// closed, and no member could take it over. What is done to A without a wait is what the kernel does to a
/// listener that it looked up just before it ended. A's memory, and the member's, are there as long as
/// the read section; the request is refused or forgotten with its listener. A socket that Fast Open
/// makes of it is given up at once, as the queue takes none any more; another one needs an ACK, which is
/// looked up anew.
///
/// What moves connections to A holds the lock of the one that it takes them from, and has found that
/// to be a member; so that one has not left, or this has waited. One that joins later finds A leaving,
/// as both are told under the lock of the slots.
fn has_siblings(member: &Member) -> bool {
    member.group.members.used() > 1
}

/// Waits until nothing that began before is half-way; for `close()` in a hurry, as a program that ends
/// with a thousand sockets would wait half a minute otherwise.
/// It cannot be left to other code: when `close()` returns, the port is free.
fn wait(member: &Member, expedited: bool) {
    synchronize_rcu(expedited && account::may_expedite(member.group.stall_timer.account()));
}

/// Moves half-open requests to siblings, as far as they have room; those of one family do not wait
/// for those of the other.
fn migrate_requests(from: &Locked<'_>, member: &Member) {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut requests = Requests::new(from);
        while let Some(request) = requests.next(Families::only(family)) {
            if migrate_request(from, member, &request) == Moved::Failed {
                break;
            }
        }
    }
}

fn migrate_request(from: &Locked<'_>, member: &Member, request: &Request<'_>) -> Moved {
    let guard = rcu::read_lock();
    let flow = request.flow();
    let Some(sibling) = migrate::target(member, flow.family(), 0, &mut 0, &guard) else {
        return Moved::Failed;
    };
    let to = sibling.sock(&guard);
    let moved = request.move_to(to, &guard);
    if moved == Moved::Done {
        let why = Why::Select(Reason::Leaving);
        member.leads_astray(Reason::Leaving);
        member.group.note(&flow, Done::Handed, why, from, Some(to));
        sibling.counters.count(Counter::HandedIn);
        member.counters.count(Counter::HandedOut);
    }
    moved
}
