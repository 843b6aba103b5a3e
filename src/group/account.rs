// SPDX-License-Identifier: GPL-2.0

//! What the groups of an account cost all others, and how much of it is allowed.
//!
//! A program that closes a member waits for RCU readers, and in a hurry, as it would take long to end
//! one with many sockets. Each hurry is an interrupt for every processor. And a tick looks at groups
//! and members in the machine's time. Any program with sockets can cause both, so both are counted: as
//! many hurries as the largest group needs when its program ends, and after that a steady rate; and
//! rests between ticks that are ten times as long. An account that wants more waits; others do not.
//!
//! Accounts have the names that [`caller_account`](crate::sys::core::caller::caller_account) gives them. Two
//! of them may share what is allowed, if chance has it.

#![forbid(unsafe_code)]

use crate::{
    logic::{
        allowance::Limit,
        stall, //
    },
    sys::{
        core::clock::{now, NS_OF_S},
        uapi, //
    },
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Both waits of each member of a group, and then 64 a second.
const HURRIES: Limit = Limit {
    burst: 2 * uapi::SERVICE_GROUP_MAX_MEMBERS,
    every: NS_OF_S / 64,
};

/// What an account has used up, each until when.
struct Share {
    hurries: Atomic<u64>,
    ticks: Atomic<u64>,
}

/// So many that two accounts rarely have one together.
const SHARES: usize = 1024;

static ALL: [Share; SHARES] = [const {
    Share {
        hurries: Atomic::new(0),
        ticks: Atomic::new(0),
    }
}; SHARES];

fn share_of(account: u64) -> Option<&'static Share> {
    let index = account % u64::try_from(SHARES).ok()?;
    ALL.get(usize::try_from(index).ok()?)
}

/// Changes what is used up, if there is a next value, and tells that.
fn use_up(used_up: &Atomic<u64>, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let mut before = used_up.load(Relaxed);
    while let Some(after) = next(before) {
        match used_up.cmpxchg(before, after, Relaxed) {
            Ok(_) => return Some(after),
            Err(other) => before = other,
        }
    }
    None
}

/// Whether the account may have all processors hurry once more, which is counted. Any context.
pub(super) fn may_expedite(account: u64) -> bool {
    let now = now();
    let taken = share_of(account)
        .and_then(|share| use_up(&share.hurries, |used_up| HURRIES.take(used_up, now)));
    taken.is_some()
}

/// For how many nanoseconds the account's ticks are to rest after so many looks, which are counted. Any
/// context.
pub(super) fn rest(account: u64, looks: u64) -> u64 {
    let now = now();
    let rested = share_of(account)
        .and_then(|share| use_up(&share.ticks, |rested| Some(stall::rest(rested, now, looks))));
    rested.map_or(0, |rested| rested.saturating_sub(now))
}
