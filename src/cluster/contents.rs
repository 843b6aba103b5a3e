// SPDX-License-Identifier: GPL-2.0

//! What is in a packet, from its bytes.

#![forbid(unsafe_code)]

use super::config::{AF_INET, AF_INET6};
use crate::{
    logic::cluster::{
        flow::{Address, Flow},
        packet::{find, Found, Kind, Packet as Contents, PacketError},
        tracked::{Segment, Tracked}, //
    },
    sys::{
        packet::skb::Packet,
        socket::flowlog, //
    },
};

/// A flag of a TCP header.
const ACK: u8 = 16;

/// The most bytes that headers may take. What has more is no packet of a service.
const MOST: usize = 4096;

/// Where a packet goes to. Its IP header is in one piece.
pub(super) fn destination(packet: &Packet<'_>) -> Option<Address> {
    match packet.array::<1>(0)?[0] >> 4 {
        4 => packet.array(16).map(Address::from_v4_bytes),
        _ => packet.array(24).map(Address::from_v6_bytes),
    }
}

/// Where a packet comes from, as its IP header says.
pub(super) fn source(packet: &Packet<'_>) -> Option<Address> {
    match packet.array::<1>(0)?[0] >> 4 {
        4 => packet.array(12).map(Address::from_v4_bytes),
        _ => packet.array(8).map(Address::from_v6_bytes),
    }
}

/// Finds the flow of a packet, if it is told by the bytes that are in one piece.
#[inline(always)]
pub(super) fn first_contents(packet: &Packet<'_>) -> Result<Found, PacketError> {
    let (bytes, len) = packet.bytes_and_len();
    find(bytes, len)
}

/// Finds the flow of a packet.
pub(super) fn contents(packet: &mut Packet<'_>) -> Result<Found, PacketError> {
    loop {
        match first_contents(packet) {
            // More than there are in one piece, so this ends.
            Err(PacketError::More(bytes)) if bytes <= MOST && packet.pull(bytes) => (),
            found => return found,
        }
    }
}

/// The flow, as connections are looked for.
pub(super) fn seen_from_here(flow: &Flow) -> flowlog::Flow {
    flowlog::Flow {
        family: if flow.source.is_ipv6() {
            AF_INET6
        } else {
            AF_INET
        },
        local_port: flow.destination_port,
        peer_port: flow.source_port,
        local: flow.destination.to_bytes(),
        peer: flow.source.to_bytes(),
    }
}

/// What a TCP segment says; none if the packet is something else.
fn segment(packet: &Packet<'_>, contents: &Contents) -> Option<Segment> {
    let Kind::Tcp { begins } = contents.kind else {
        return None;
    };
    let header = packet.array::<14>(contents.upper_layer)?;
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, _, flags] = header;
    Some(Segment {
        begins,
        sequence: u32::from_be_bytes([s0, s1, s2, s3]),
        acknowledged: (flags & ACK != 0).then_some(u32::from_be_bytes([a0, a1, a2, a3])),
    })
}

/// Whether a packet fits the half-open request of its flow: the SYN that it was made of, the
/// acknowledgement of its SYN-ACK, or a reset of who wants none. Another node may have another
/// request of the same flow.
pub(super) fn fits(packet: &Packet<'_>, contents: &Contents, sent: u32, received: u32) -> bool {
    let Some(segment) = segment(packet, contents) else {
        return false;
    };
    match segment.acknowledged {
        _ if segment.begins => segment.sequence == received,
        Some(acknowledged) => acknowledged == sent.wrapping_add(1),
        None => segment.sequence == received.wrapping_add(1),
    }
}

/// Whether a packet, or one that it is an error about, is one of the connection that conntrack knows.
pub(super) fn fits_tracked(packet: &Packet<'_>, contents: &Contents, tracked: &Tracked) -> bool {
    match (contents.kind, segment(packet, contents)) {
        (Kind::Error, _) => tracked.has(None),
        (_, Some(segment)) => tracked.has(Some(&segment)),
        (_, None) => false,
    }
}
