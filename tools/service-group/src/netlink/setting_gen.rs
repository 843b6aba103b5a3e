// SPDX-License-Identifier: GPL-2.0

//! The settings of a cluster IP that are checked each by itself.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

use super::numbers::cluster;
use crate::setting_table::{SettingDefinition, SettingKind};

/// The settings of a cluster IP that are checked each by itself, with the
/// texts of the crate and of sgctl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Settle time in seconds, for which connections are looked for at former
    /// owners after a change of the table.
    pub settle: u32,
    /// Whether a node whose group has no room for a connection gives it to
    /// another node.
    pub spill: bool,
}

impl ClusterSettings {
    /// Number of settings.
    pub const COUNT: usize = 2;

    /// All settings.
    pub const ALL: [SettingDefinition; Self::COUNT] = [
        SettingDefinition::new(
            "settle",
            SettingKind::Seconds,
            (0, 4_294_967_295),
            "Settle time in seconds, for which connections are looked for at former \
owners after a change of the table.",
        ),
        SettingDefinition::new(
            "spill",
            SettingKind::Switch,
            (0, 1),
            "Whether a node whose group has no room for a connection gives it to \
another node.",
        ),
    ];

    /// Their attributes, in the same order.
    pub(super) const ATTRIBUTES: [u16; Self::COUNT] = [cluster::SETTLE, cluster::SPILL];

    /// Their numbers, as the kernel has them, in the same order.
    pub fn numbers(&self) -> [u32; Self::COUNT] {
        [self.settle, self.spill.into()]
    }

    /// Sets the one of this name to a number of the kernel's; any other name is passed over.
    pub fn set(&mut self, name: &str, number: u32) {
        match name {
            "settle" => self.settle = number,
            "spill" => self.spill = number != 0,
            _ => {}
        }
    }
}
