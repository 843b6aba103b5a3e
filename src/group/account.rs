// SPDX-License-Identifier: GPL-2.0

//! What the groups of an account cost all others, and how much of it is allowed.
//!
//! A program that closes a member waits for RCU readers, and in a hurry, as it would take long to end
//! one with many sockets. Each hurry is an interrupt for every processor. And a tick looks at groups
//! and members in the machine's time. Any program with sockets can cause both, so both are counted: as
//! many hurries as the largest group needs when its program ends, and after that a steady rate; and
//! rests between ticks that are ten times as long. An account that wants more waits; others do not.

#![forbid(unsafe_code)]

use crate::{
    logic::{
        allowance::Limit,
        stall, //
    },
    sys::{
        core::{
            clock::{now, NS_OF_S},
            shares::{share_of, use_up, SHARES}, //
        },
        uapi, //
    },
};
use kernel::sync::atomic::Atomic;

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

static ALL: [Share; SHARES] = [const {
    Share {
        hurries: Atomic::new(0),
        ticks: Atomic::new(0),
    }
}; SHARES];

/// Whether the account may have all processors hurry once more, which is counted. Any context.
pub(super) fn may_expedite(account: u64) -> bool {
    let now = now();
    let taken = share_of(&ALL, account)
        .and_then(|share| use_up(&share.hurries, |used_up| HURRIES.take(used_up, now)));
    taken.is_some()
}

/// For how many nanoseconds the account's ticks are to rest after so many looks, which are counted. Any
/// context.
pub(super) fn rest(account: u64, looks: u64) -> u64 {
    let now = now();
    let rested = share_of(&ALL, account)
        .and_then(|share| use_up(&share.ticks, |rested| Some(stall::rest(rested, now, looks))));
    rested.map_or(0, |rested| rested.saturating_sub(now))
}
