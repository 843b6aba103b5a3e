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
    Overflow "overflow" "the listener that the lookup found, while that listener has room; else \
the least loaded sibling";
    Balance "balance" "the least loaded member that has room and is not stalled; and a member \
whose program looks for connections is given the connection that has \
waited for longest behind a busy program";
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
    /// What becomes of a SYN when no member has room.
    1 when_full: WhenFull, SettingKind::Name(WhenFull::CHOICES), (0, 1), "What becomes of a SYN when no member has room.";
    /// Stall time. A member is stalled when connections wait in its queue and
    /// its program has accepted none for this time; zero is never. Less than
    /// 10ms needs CAP_NET_ADMIN in the initial user namespace.
    2 stall: Duration, SettingKind::Milliseconds, (0, 60_000), "Stall time. A member is stalled when connections wait in its queue and \
its program has accepted none for this time; zero is never. Less than \
10ms needs CAP_NET_ADMIN in the initial user namespace.";
    /// Whether programs see the address that their listener is bound to, in
    /// place of the address that the client asked for.
    4 rewrite: bool, SettingKind::Switch, (0, 1), "Whether programs see the address that their listener is bound to, in \
place of the address that the client asked for.";
    /// Adopt time, for which the group keeps the place of a member that has
    /// ended; zero if no listener is adopted. A listener that begins to
    /// listen in this place, as after a reload, or in the place of a member
    /// that is still there, becomes a member. More than a minute needs
    /// CAP_NET_ADMIN.
    5 adopt: Duration, SettingKind::Milliseconds, (0, 86_400_000), "Adopt time, for which the group keeps the place of a member that has \
ended; zero if no listener is adopted. A listener that begins to \
listen in this place, as after a reload, or in the place of a member \
that is still there, becomes a member. More than a minute needs \
CAP_NET_ADMIN.";
}
