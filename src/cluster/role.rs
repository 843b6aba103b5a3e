// SPDX-License-Identifier: GPL-2.0

//! What a machine does for a cluster IP.

#![forbid(unsafe_code)]

use crate::sys::uapi;
use kernel::prelude::*;

/// How packets come to this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Shared,
    Directed,
    Director,
    Standby,
}

impl Role {
    pub(super) fn new(number: u32) -> Result<Self> {
        [Self::Shared, Self::Directed, Self::Director, Self::Standby]
            .into_iter()
            .find(|role| role.number() == number)
            .ok_or(EINVAL)
    }

    /// As netlink tells it.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Shared => uapi::service_group_cluster_role_SERVICE_GROUP_CLUSTER_ROLE_SHARED,
            Self::Directed => uapi::service_group_cluster_role_SERVICE_GROUP_CLUSTER_ROLE_DIRECTED,
            Self::Director => uapi::service_group_cluster_role_SERVICE_GROUP_CLUSTER_ROLE_DIRECTOR,
            Self::Standby => uapi::service_group_cluster_role_SERVICE_GROUP_CLUSTER_ROLE_STANDBY,
        }
    }

    /// Whether it gives packets of all nodes to their owners.
    pub(super) fn directs(self) -> bool {
        matches!(self, Self::Director | Self::Standby)
    }

    /// Whether neighbours may ask this machine for the address: a standby may be the director at any moment, and
    /// then changes nothing of its device.
    pub(super) fn is_asked(self) -> bool {
        self.answers() || self == Self::Standby
    }

    /// Whether the address is this machine's, as its neighbours see it.
    pub(super) fn answers(self) -> bool {
        matches!(self, Self::Shared | Self::Director)
    }
}
