// SPDX-License-Identifier: GPL-2.0

//! How often a node may do what strangers can make it do.

#![forbid(unsafe_code)]

use crate::sys::core::clock::{now, NS_OF_S};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// So many times a second, about: CPUs may count a few twice, or not at all, when a second begins.
pub(super) struct Allowance {
    most: u64,
    second: Atomic<u64>,
    spent: Atomic<u64>,
}

impl Allowance {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            second: Atomic::new(0),
            spent: Atomic::new(0),
        }
    }

    /// Whether it may be done once more, which is counted.
    pub(super) fn take(&self) -> bool {
        let second = now() / NS_OF_S;
        if self.second.load(Relaxed) != second {
            self.second.store(second, Relaxed);
            self.spent.store(0, Relaxed);
        }
        self.spent.add(1, Relaxed);
        self.spent.load(Relaxed) <= self.most
    }
}
