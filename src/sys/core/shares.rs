// SPDX-License-Identifier: GPL-2.0

//! What accounts have used up of something, each in a share of its own.
//!
//! Accounts have the names that [`caller_account`](super::caller::caller_account) and
//! [`Net::account`](super::netns::Net::account) give them. Two of them may have one share, if chance has it.

#![forbid(unsafe_code)]

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// So many that two accounts rarely have one together.
pub(crate) const SHARES: usize = 1024;

/// The share of an account.
pub(crate) fn share_of<T>(shares: &[T; SHARES], account: u64) -> Option<&T> {
    let index = account % u64::try_from(SHARES).ok()?;
    shares.get(usize::try_from(index).ok()?)
}

/// Changes what is used up, if there is a next value, and tells that. Any context.
pub(crate) fn use_up(used_up: &Atomic<u64>, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let mut before = used_up.load(Relaxed);
    while let Some(after) = next(before) {
        match used_up.cmpxchg(before, after, Relaxed) {
            Ok(_) => return Some(after),
            Err(other) => before = other,
        }
    }
    None
}
