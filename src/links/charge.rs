// SPDX-License-Identifier: GPL-2.0

//! How many links a user may have.
//!
//! Each has a kernel thread, which no limit of processes counts. Who may configure the machine's own
//! network may have as many as there are peers; who has a namespace of his own has them counted over all
//! of those.

#![forbid(unsafe_code)]

use crate::sys::{
    core::{
        caller::caller_account,
        netlink::Request, //
    },
    uapi, //
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};

/// Links of a user, and of a namespace: each peer has one, and one that is ending.
pub(super) const MOST: u32 = 2 * uapi::SERVICE_GROUP_MAX_PEERS;

/// So many that two users rarely have one together.
const SHARES: usize = 1024;

static ALL: [Atomic<u32>; SHARES] = [const { Atomic::new(0) }; SHARES];

/// That a link is counted, if it is.
pub(super) struct Charge(Option<&'static Atomic<u32>>);

impl Charge {
    /// `EUSERS` if the user has too many.
    pub(super) fn of(request: &Request) -> Result<Self> {
        if request.is_privileged() {
            return Ok(Self(None));
        }
        let shares = u64::try_from(SHARES).map_err(|_| EUSERS)?;
        let index = caller_account(request.net()) % shares;
        let share = usize::try_from(index).ok().and_then(|index| ALL.get(index));
        let share = share.ok_or(EUSERS)?;
        let mut before = share.load(Relaxed);
        while before < MOST {
            match share.cmpxchg(before, before.saturating_add(1), Relaxed) {
                Ok(_) => return Ok(Self(Some(share))),
                Err(other) => before = other,
            }
        }
        Err(EUSERS)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(share) = self.0 {
            share.add(u32::MAX, Relaxed);
        }
    }
}
