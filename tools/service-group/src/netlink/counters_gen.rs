// SPDX-License-Identifier: GPL-2.0

//! The counters, with what each counts in one sentence.
//!
//! Made by `make ynl` from `Documentation/netlink/specs/service_group.yaml`.

use super::counters::{counters, Counter, FIRST};

counters! {
    /// Counters of connections: of a member, or the totals of a group.
    /// Counters only grow. A SYN is counted by the member that the lookup
    /// found, and, when the SYN was redirected, by the sibling that took the
    /// SYN as well.
    Counters,
    home "SYNs taken by the listener that the lookup found, which had room";
    home_unpromised "SYNs taken by that listener although every slot was promised";
    redirected_in "SYNs taken for a sibling";
    redirected_queue_full "SYNs that a sibling took because the accept queue was full";
    redirected_promised "SYNs that a sibling took because the last slots were promised";
    redirected_stalled "SYNs that a sibling took because the member was stalled";
    redirected_balanced "SYNs that a sibling took because the sibling was less loaded";
    redirected_leaving "SYNs that a sibling took because the member was leaving";
    dropped_full "SYNs dropped because no member had room";
    dropped_unfit "SYNs dropped because the members with room could not serve the SYNs";
    reset "SYNs answered with a reset because no member had room";
    rescued_in "Complete connections taken over from a sibling";
    rescued_overflow "Complete connections that a sibling took over because the queue overflowed";
    rescued_stalled "Complete connections that a sibling took over because the member was stalled";
    rescued_balanced "Complete connections that an idle sibling took over because the member was busy";
    rescued_leaving "Complete connections that a sibling took over because the member left";
    handed_in "Half-open requests taken over from a sibling that was leaving";
    handed_out "Half-open requests that a sibling took over because the member was leaving";
    accepted "Connections that the program accepted";
    stalls "How many times the member was found stalled";
    rewritten "Connections accepted with the member's address in place of the address asked for";
    spilled "SYNs given to another machine of the cluster because no member had room";
}

counters! {
    /// Counters of the packets of a cluster IP on this machine. Counters only
    /// grow.
    ClusterCounters,
    owned "Packets taken, as this node owns their slot";
    known "Packets taken because their connection is here, though another node owns their slot";
    ignored "Packets left to the node that owns their slot, or to the director that is active, which has received the packets as well";
    forwarded "Packets given to the node that owns their slot";
    second_chance "Packets of unknown connections given to nodes that may know the connections";
    second_chance_in "Packets that another node gave to this node for a second chance";
    silent "Packets of unknown connections not answered, as nodes that may know the connections have received the packets as well";
    dropped_no_owner "Packets dropped because their slot has no owner";
    dropped_spent "Packets dropped because no node knew their connection at the second chance";
    dropped_malformed "Packets dropped because they contradict themselves";
    dropped_unreachable "Packets dropped because there was no way to their node, or IPsec forbids the way";
    dropped_hop_limit "Packets dropped as their hop limit allows no further hop; the sender was told";
    too_big "Packets dropped as too big for the way to their node; the sender was told";
    reassembled "Datagrams put together of fragments";
    answered "ARP requests and neighbour solicitations answered for the address";
    spilled_out "SYNs given to the node that their slot spills to, as no local member had room";
    spilled_in "SYNs taken as their slot spills to this node";
    dropped_tunnel "Packets in tunnels dropped, as no node sends such packets, or not by their device";
}
