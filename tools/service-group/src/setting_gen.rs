// SPDX-License-Identifier: GPL-2.0

//! The settings of a group, as rows of their table.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`
//! and `include/uapi/linux/service_group.h`.

use std::time::Duration;

use crate::kernel_enum::kernel_enum;
use crate::setting_table::{settings, Number, Setting, SettingDefinition, SettingKind};

kernel_enum! {
    /// Which member a connection is given to.
    Policy, "something that this version does not know",
    Overflow "overflow" "the listener that the lookup found, while that listener has room; else the least loaded sibling";
    Balance "balance" "the least loaded member that has room and is not stalled; and a member whose program looks for connections is given the connection that has waited for longest behind a busy program";
}

impl Default for Policy {
    fn default() -> Self {
        Self::from_number(0)
    }
}

impl Number for Policy {
    fn to_number(self) -> u32 {
        self.number()
    }
    fn of_number(number: u32) -> Self {
        Self::from_number(number)
    }
}

kernel_enum! {
    /// What is done with a SYN when no member has room.
    WhenFull, "something that this version does not know",
    Drop "drop" "the SYN is dropped; the client tries again";
    Reset "reset" "the SYN is answered with a reset; the client is told at once";
}

impl Default for WhenFull {
    fn default() -> Self {
        Self::from_number(0)
    }
}

impl Number for WhenFull {
    fn to_number(self) -> u32 {
        self.number()
    }
    fn of_number(number: u32) -> Self {
        Self::from_number(number)
    }
}

/// Place of the weight in the kernel's struct, which is a member's.
pub(crate) const WEIGHT: usize = 3;

settings! {
    /// Which member a connection is given to.
    0 policy: Policy, SettingKind::Name(Policy::CHOICES), (0, 1), "Which member a connection is given to.";
    /// What is done with a SYN when no member has room.
    1 when_full: WhenFull, SettingKind::Name(WhenFull::CHOICES), (0, 1), "What is done with a SYN when no member has room.";
    /// After how long without accept() a member whose queue is not empty is
    /// stalled; zero is never. Less than 10ms needs CAP_NET_ADMIN in the
    /// initial user namespace.
    2 stall: Duration, SettingKind::Milliseconds, (0, 60_000), "After how long without accept() a member whose queue is not empty is stalled; zero is never. Less than 10ms needs CAP_NET_ADMIN in the initial user namespace.";
    /// Whether programs are shown the address that their listener is bound
    /// to, in place of the address that the client asked for.
    4 rewrite: bool, SettingKind::Switch, (0, 1), "Whether programs are shown the address that their listener is bound to, in place of the address that the client asked for.";
    /// For how long the place of a member that has ended is kept; zero if no
    /// listener is adopted. A listener that takes the place, as after a
    /// reload, or the place of a member that is still there, becomes a
    /// member. More than a minute needs CAP_NET_ADMIN.
    5 adopt: Duration, SettingKind::Milliseconds, (0, 86_400_000), "For how long the place of a member that has ended is kept; zero if no listener is adopted. A listener that takes the place, as after a reload, or the place of a member that is still there, becomes a member. More than a minute needs CAP_NET_ADMIN.";
}
