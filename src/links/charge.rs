// SPDX-License-Identifier: GPL-2.0

//! How many links a user may have.
//!
//! Each has a kernel thread, which no limit of processes counts. Who may configure the machine's own
//! network may have as many as there are peers; who has a namespace of his own has them counted over all
//! of those.

#![forbid(unsafe_code)]

use crate::sys::{
    core::{
        netlink::Request,
        shares::{share_of, use_up, SHARES}, //
    },
    uapi, //
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed}, //
};

/// Links of a user, and of a namespace: each peer has one, and one that is ending.
pub(super) const MOST: u32 = 2 * uapi::SERVICE_GROUP_MAX_PEERS;

/// How many links each account has.
static ALL: [Atomic<u64>; SHARES] = [const { Atomic::new(0) }; SHARES];

/// That a link is counted, if it is.
pub(super) struct Charge(Option<&'static Atomic<u64>>);

impl Charge {
    /// `EUSERS` if the user has too many.
    pub(super) fn of(request: &Request) -> Result<Self> {
        if request.is_privileged() {
            return Ok(Self(None));
        }
        let share = share_of(&ALL, request.net().account()).ok_or(EUSERS)?;
        let one_more = |before: u64| (before < MOST.into()).then(|| before.saturating_add(1));
        use_up(share, one_more).ok_or(EUSERS)?;
        Ok(Self(Some(share)))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(share) = self.0 {
            share.fetch_sub(1, Relaxed);
        }
    }
}
