// SPDX-License-Identifier: GPL-2.0

//! The settings of a group and of its members, with the values that each
//! takes.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`
//! and `include/uapi/linux/service_group.h`.

#![forbid(unsafe_code)]

/// A setting, in the order of `struct service_group_settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Which member a connection is given to.
    Policy,
    /// What is done with a SYN when no member has room.
    WhenFull,
    /// After how many milliseconds without accept() a member whose queue is not
    /// empty is stalled; 0 for never. Less than min-stall needs CAP_NET_ADMIN in
    /// the initial user namespace.
    Stall,
    /// How many connections this member is to have waiting, compared with the
    /// other members.
    Weight,
    /// 1 if a member's program is shown the address that the member is bound to,
    /// for connections that came for another address; else 0.
    Rewrite,
    /// For how many milliseconds the place of a member whose socket has ended is
    /// kept for a socket that begins to listen in the place. This socket becomes
    /// a member; so does a socket that begins to listen in the place of a member
    /// that is still there. 0 if no socket becomes a member by listening.
    Adopt,
}

impl Setting {
    /// Number of settings.
    pub const COUNT: usize = 6;

    /// All of them, in the kernel's order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Policy,
        Self::WhenFull,
        Self::Stall,
        Self::Weight,
        Self::Rewrite,
        Self::Adopt,
    ];

    /// Its flag in `enum service_group_set`.
    pub const fn flag(self) -> u32 {
        match self {
            Self::Policy => 1,
            Self::WhenFull => 2,
            Self::Stall => 4,
            Self::Weight => 8,
            Self::Rewrite => 16,
            Self::Adopt => 32,
        }
    }

    /// The least and the largest value.
    pub const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Policy => (0, 1),
            Self::WhenFull => (0, 1),
            Self::Stall => (0, 60_000),
            Self::Weight => (1, 65_535),
            Self::Rewrite => (0, 1),
            Self::Adopt => (0, 86_400_000),
        }
    }

    /// The value in a new group or member.
    pub const fn initial(self) -> u32 {
        match self {
            Self::Policy => 0,
            Self::WhenFull => 0,
            Self::Stall => 100,
            Self::Weight => 1,
            Self::Rewrite => 0,
            Self::Adopt => 0,
        }
    }

    /// Its netlink attribute, if the setting is a group's and not a member's.
    pub const fn group_attribute(self) -> Option<u32> {
        match self {
            Self::Policy => Some(4),
            Self::WhenFull => Some(5),
            Self::Stall => Some(6),
            Self::Weight => None,
            Self::Rewrite => Some(7),
            Self::Adopt => Some(9),
        }
    }
}
