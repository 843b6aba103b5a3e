// SPDX-License-Identifier: GPL-2.0

//! Why the flow of a packet cannot be told.

#![forbid(unsafe_code)]

/// A packet with more extension headers than this is refused. Five kinds may stand before the upper
/// layer, one of them twice.
pub const MAX_EXTENSIONS: usize = 8;

/// Why no flow can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// The packet is longer than the bytes that were given: ask again with at least so many. It is
    /// more than were given, and not more than the packet has.
    More(usize),
    /// Neither IPv4 nor IPv6, or quoted by an error of the other one.
    NotIp,
    /// The length of an IPv4, TCP or UDP header is impossible.
    HeaderLength,
    /// The length in the IP header, or in the UDP header, is not that of the packet.
    Length,
    /// It ends within a header.
    Truncated,
    /// More than [`MAX_EXTENSIONS`] extension headers.
    TooManyHeaders,
    /// An ICMP error that quotes an ICMP error.
    ErrorInError,
    /// An ICMP error that quotes a fragment without ports.
    QuotedFragment,
    /// An ICMP error that quotes a packet whose sender is not the one that the error was sent to.
    QuotedOther,
}
