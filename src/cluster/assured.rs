// SPDX-License-Identifier: GPL-2.0

//! Whether the nodes of a cluster IP agree about who is there, as packets ask it.

#![forbid(unsafe_code)]

use crate::{
    logic::links::assurance::Assurance,
    sys::core::clock::{now, NS_OF_S}, //
};
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Relaxed,
    Release, //
};

/// An [`Assurance`], which one at a time renews.
pub(super) struct Assured {
    since: Atomic<u64>,
    until: Atomic<u64>,
}

impl Assured {
    pub(super) fn new() -> Self {
        let (since, until) = Assurance::default().times();
        Self {
            since: Atomic::new(since),
            until: Atomic::new(until),
        }
    }

    fn get(&self) -> Assurance {
        // Pairs with the release below: of a later end the later beginning is seen.
        let until = self.until.load(Acquire);
        Assurance::of_times(self.since.load(Relaxed), until)
    }

    /// See [`Assurance::renew`]. Under the lock of changes.
    pub(super) fn renew(&self, untils: impl Iterator<Item = u64>) {
        let mut assurance = self.get();
        assurance.renew(now(), untils);
        let (since, until) = assurance.times();
        self.since.store(since, Relaxed);
        self.until.store(until, Release);
    }

    /// Whether they disagree, or did within the last `settle` seconds. Any context.
    pub(super) fn is_young(&self, settle: u32) -> bool {
        self.get()
            .is_young(now(), u64::from(settle).saturating_mul(NS_OF_S))
    }
}
