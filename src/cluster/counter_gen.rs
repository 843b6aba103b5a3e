// SPDX-License-Identifier: GPL-2.0

//! Counters of the packets of a cluster IP on this machine. Counters only
//! grow.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

#![forbid(unsafe_code)]

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Counter {
    /// Packets taken, as this node owns their slot.
    Owned,
    /// Packets taken because their connection is here, though another node owns
    /// their slot.
    Known,
    /// Packets left to the node that owns their slot, or to the director that is
    /// active, which has received the packets as well. Where the nodes share no
    /// MAC address, also packets that came to all machines, by a broadcast or
    /// multicast MAC address (RFC 1122, 3.3.6).
    Ignored,
    /// Packets given to the node that owns their slot.
    Forwarded,
    /// Packets of unknown connections given to nodes that may know the
    /// connections. Such nodes are previous owners of the slot, and the node that
    /// the slot spills to.
    SecondChance,
    /// Packets that another node gave to this node for a second chance.
    SecondChanceIn,
    /// Packets of unknown connections not answered, as nodes that may know the
    /// connections have received the packets as well.
    Silent,
    /// Packets dropped because their slot has no owner.
    DroppedNoOwner,
    /// Packets dropped because no node knew their connection at the second
    /// chance.
    DroppedSpent,
    /// Packets dropped because they contradict themselves.
    DroppedMalformed,
    /// Packets dropped because there was no way to their node, or IPsec forbids
    /// the way. IPsec's policies may forbid the tunnel on either end.
    DroppedUnreachable,
    /// Packets dropped as their hop limit allows no further hop; the sender was
    /// told.
    DroppedHopLimit,
    /// Packets dropped as too big for the way to their node; the sender was told.
    /// The sender of packets that a device has merged (LRO) is not told.
    TooBig,
    /// Datagrams put together of fragments.
    Reassembled,
    /// ARP requests and neighbour solicitations answered for the address.
    Answered,
    /// SYNs given to the node that their slot spills to, as no local member had
    /// room.
    SpilledOut,
    /// SYNs taken as their slot spills to this node.
    SpilledIn,
    /// Packets in tunnels dropped, as no node sends such packets, or not by their
    /// device. The packets came in a tunnel from a node's address, and are
    /// packets that no node sends, or came by a device that does not lead to the
    /// node.
    DroppedTunnel,
}

impl Counter {
    /// Number of counters.
    pub(crate) const COUNT: usize = 18;

    /// All of them, in the kernel's order.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Owned,
        Self::Known,
        Self::Ignored,
        Self::Forwarded,
        Self::SecondChance,
        Self::SecondChanceIn,
        Self::Silent,
        Self::DroppedNoOwner,
        Self::DroppedSpent,
        Self::DroppedMalformed,
        Self::DroppedUnreachable,
        Self::DroppedHopLimit,
        Self::TooBig,
        Self::Reassembled,
        Self::Answered,
        Self::SpilledOut,
        Self::SpilledIn,
        Self::DroppedTunnel,
    ];

    /// Its netlink attribute.
    pub(crate) const fn attribute(self) -> u32 {
        match self {
            Self::Owned => 2,
            Self::Known => 3,
            Self::Ignored => 4,
            Self::Forwarded => 5,
            Self::SecondChance => 6,
            Self::SecondChanceIn => 7,
            Self::Silent => 8,
            Self::DroppedNoOwner => 9,
            Self::DroppedSpent => 10,
            Self::DroppedMalformed => 11,
            Self::DroppedUnreachable => 12,
            Self::DroppedHopLimit => 13,
            Self::TooBig => 14,
            Self::Reassembled => 15,
            Self::Answered => 16,
            Self::SpilledOut => 17,
            Self::SpilledIn => 18,
            Self::DroppedTunnel => 19,
        }
    }
}
