// SPDX-License-Identifier: GPL-2.0

//! The settings of a cluster IP that are checked each by itself.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

#![forbid(unsafe_code)]

/// What is set; 0 or false for what is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Settle time in seconds, for which connections are looked for at former
    /// owners after a change of the table.
    pub settle: u32,
    /// Whether a node whose group has no room for a connection gives it to
    /// another node.
    pub spill: bool,
}

impl Settings {
    /// Number of settings.
    pub const COUNT: usize = 2;

    /// The settings of a request, which has these numbers in its attributes.
    pub fn of(number: impl Fn(u32) -> Option<u32>) -> Self {
        Self {
            settle: number(11).unwrap_or(0),
            spill: number(17).unwrap_or(0) != 0,
        }
    }

    /// The attributes of a reply, with their numbers.
    pub fn attributes(&self) -> [(u32, u32); Self::COUNT] {
        [(11, self.settle), (17, self.spill.into())]
    }
}
