// SPDX-License-Identifier: GPL-2.0

//! Counters of connections: of a member, or the totals of a group. Counters
//! only grow. A SYN is counted by the member that the lookup found, and, when
//! the SYN was redirected, by the sibling that took the SYN as well.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

#![forbid(unsafe_code)]

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// SYNs taken by the listener that the lookup found, which had room.
    Home,
    /// SYNs taken by that listener although every slot was promised. Half-open
    /// requests had promised every slot of every member; the kernel's own rule
    /// (room in the accept queue) decided.
    HomeUnpromised,
    /// SYNs taken for a sibling.
    RedirectedIn,
    /// SYNs that a sibling took because the accept queue was full.
    RedirectedQueueFull,
    /// SYNs that a sibling took because the last slots were promised. Half-open
    /// requests had promised the last slots of the accept queue.
    RedirectedPromised,
    /// SYNs that a sibling took because the member was stalled.
    RedirectedStalled,
    /// SYNs that a sibling took because the sibling was less loaded. The policy
    /// is balance.
    RedirectedBalanced,
    /// SYNs that a sibling took because the member was leaving.
    RedirectedLeaving,
    /// SYNs dropped because no member had room.
    DroppedFull,
    /// SYNs dropped because the members with room could not serve the SYNs. Such
    /// members have another address family, port or device, checks of their own,
    /// or another minimum TTL, mark, TOS, IP_TRANSPARENT, SO_DONTROUTE or BPF
    /// programs of their cgroup.
    DroppedUnfit,
    /// SYNs answered with a reset because no member had room.
    Reset,
    /// Complete connections taken over from a sibling.
    RescuedIn,
    /// Complete connections that a sibling took over because the queue
    /// overflowed. The accept queue had room at the SYN, and none at the ACK.
    RescuedOverflow,
    /// Complete connections that a sibling took over because the member was
    /// stalled.
    RescuedStalled,
    /// Complete connections that an idle sibling took over because the member was
    /// busy. The policy is balance; the sibling's program had nothing to do.
    RescuedBalanced,
    /// Complete connections that a sibling took over because the member left. The
    /// member left and drained, was shut down or closed, or its program ended.
    RescuedLeaving,
    /// Half-open requests taken over from a sibling that was leaving.
    HandedIn,
    /// Half-open requests that a sibling took over because the member was
    /// leaving.
    HandedOut,
    /// Connections that the program accepted.
    Accepted,
    /// How many times the member was found stalled.
    Stalls,
    /// Connections accepted with the member's address in place of the address
    /// asked for. The program is told the address that the member is bound to,
    /// and not the address that the client asked for.
    Rewritten,
    /// SYNs given to another machine of the cluster because no member had room.
    Spilled,
}

impl Counter {
    /// Number of counters.
    pub(crate) const COUNT: usize = 22;

    /// All of them, in the kernel's order.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Home,
        Self::HomeUnpromised,
        Self::RedirectedIn,
        Self::RedirectedQueueFull,
        Self::RedirectedPromised,
        Self::RedirectedStalled,
        Self::RedirectedBalanced,
        Self::RedirectedLeaving,
        Self::DroppedFull,
        Self::DroppedUnfit,
        Self::Reset,
        Self::RescuedIn,
        Self::RescuedOverflow,
        Self::RescuedStalled,
        Self::RescuedBalanced,
        Self::RescuedLeaving,
        Self::HandedIn,
        Self::HandedOut,
        Self::Accepted,
        Self::Stalls,
        Self::Rewritten,
        Self::Spilled,
    ];

    /// Its netlink attribute.
    pub(crate) const fn attribute(self) -> u32 {
        match self {
            Self::Home => 2,
            Self::HomeUnpromised => 3,
            Self::RedirectedIn => 4,
            Self::RedirectedQueueFull => 5,
            Self::RedirectedPromised => 6,
            Self::RedirectedStalled => 7,
            Self::RedirectedBalanced => 8,
            Self::RedirectedLeaving => 9,
            Self::DroppedFull => 10,
            Self::DroppedUnfit => 11,
            Self::Reset => 12,
            Self::RescuedIn => 13,
            Self::RescuedOverflow => 14,
            Self::RescuedStalled => 15,
            Self::RescuedBalanced => 16,
            Self::RescuedLeaving => 17,
            Self::HandedIn => 18,
            Self::HandedOut => 19,
            Self::Accepted => 20,
            Self::Stalls => 21,
            Self::Rewritten => 22,
            Self::Spilled => 23,
        }
    }
}
