// SPDX-License-Identifier: GPL-2.0

//! Which listener takes a SYN: collects the facts, asks [`select::choose`], counts.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    Member, //
};
use crate::{
    logic::select::{self, Decision, Family, Reason},
    sys::listener::Sock, //
};
use kernel::sync::rcu::Guard;

/// Names the listener that takes a SYN which was looked up for `home`, the socket of `member`.
///
/// When nobody has room it is `home` as well: the kernel drops the SYN there, and counts it in
/// `ListenOverflows` as it always did. Softirq context.
pub(crate) fn syn<'g>(
    member: &'g Member,
    home: &'g Sock,
    family: Family,
    guard: &'g Guard,
) -> &'g Sock {
    let siblings = member.group.siblings(member, guard);
    let (counter, taker) = match select::choose(&home.facts(), family, siblings) {
        Decision::Home => (Counter::Home, home),
        Decision::HomeUnpromised => (Counter::HomeUnpromised, home),
        Decision::DropFull => (Counter::DroppedFull, home),
        Decision::DropUnfit => (Counter::DroppedUnfit, home),
        Decision::Sibling(sibling, reason) => {
            sibling.counters.count(Counter::RedirectedIn);
            let counter = match reason {
                Reason::QueueFull => Counter::RedirectedQueueFull,
                Reason::Promised => Counter::RedirectedPromised,
            };
            (counter, sibling.sock(guard))
        }
    };
    member.counters.count(counter);
    taker
}
