// SPDX-License-Identifier: GPL-2.0

//! What follows the IP headers: ports, and what an ICMP message is.

#![forbid(unsafe_code)]

use super::{
    cursor::Cursor,
    error::PacketError,
    header::Header, //
};

pub(super) const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const DCCP: u8 = 33;
pub(super) const ICMPV6: u8 = 58;
pub(super) const SCTP: u8 = 132;
pub(super) const UDP_LITE: u8 = 136;

const TCP_SYN: u8 = 2;
const TCP_ACK: u8 = 16;

/// Length of the part of an ICMP error that stands before what it quotes.
pub(super) const ICMP_HEADER_LEN: usize = 8;

/// What a packet is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Tcp {
        /// Whether it is a SYN without ACK.
        begins: bool,
    },
    /// Any other protocol than TCP and ICMP.
    Datagram,
    /// An ICMP echo request or reply.
    Echo,
    /// An ICMP error; the flow is the one of the packet that it is about, turned round.
    Error,
    /// The same of a redirect of IPv4: advice of a router on the segment to the sender of the packet.
    Redirect,
    /// Neighbour discovery: it is for the machine that has the address on its segment, and so for each node
    /// if they share it.
    Discovery,
    /// Any other ICMP message: routers, multicast listeners, timestamps. Most are for a machine, not
    /// for a service.
    Other,
}

/// What an ICMP message is.
pub(super) enum Message {
    /// An echo with this identifier.
    Echo(u16),
    /// An error.
    Error,
    /// Advice of a router which other one to use, IPv4.
    Redirect,
    /// Neighbour discovery, redirects of IPv6 included.
    Discovery,
    /// Anything else.
    Other,
}

impl Message {
    /// None if it is no ICMP message.
    pub(super) fn read(cursor: &Cursor<'_>, header: &Header) -> Result<Option<Self>, PacketError> {
        let ipv6 = match (header.protocol, header.is_ipv6()) {
            (ICMP, false) => false,
            (ICMPV6, true) => true,
            _ => return Ok(None),
        };
        let [kind, _, _, _, i0, i1, _, _]: [u8; ICMP_HEADER_LEN] = cursor.peek()?;
        let message = match (ipv6, kind) {
            (false, 0 | 8) | (true, 128 | 129) => Self::Echo(u16::from_be_bytes([i0, i1])),
            // Unreachable, source quench, time exceeded, parameter problem.
            (false, 3 | 4 | 11 | 12) => Self::Error,
            (false, 5) => Self::Redirect,
            // Unreachable, packet too big, time exceeded, parameter problem.
            (true, 1..=4) => Self::Error,
            (true, 133..=137) => Self::Discovery,
            _ => Self::Other,
        };
        Ok(Some(message))
    }
}

/// Whether packets of this protocol have ports.
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | UDP_LITE | SCTP | DCCP)
}

/// The ports, 0 where there are none.
pub(super) fn ports(cursor: &Cursor<'_>, protocol: u8) -> Result<(u16, u16), PacketError> {
    if !has_ports(protocol) {
        return Ok((0, 0));
    }
    let [s0, s1, d0, d1] = cursor.peek()?;
    Ok((u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
}

/// Checks that a header is there; what the packet is.
pub(super) fn check(cursor: &Cursor<'_>, protocol: u8) -> Result<Kind, PacketError> {
    match protocol {
        TCP => {
            let [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, ..]: [u8; 20] =
                cursor.peek()?;
            check_tcp(offset, flags, cursor.left())
        }
        UDP => {
            let [_, _, _, _, l0, l1, _, _] = cursor.peek()?;
            check_udp(u16::from_be_bytes([l0, l1]), cursor.left())
        }
        UDP_LITE => cursor.peek::<8>().map(|_| Kind::Datagram),
        SCTP | DCCP => cursor.peek::<12>().map(|_| Kind::Datagram),
        _ => Ok(Kind::Datagram),
    }
}

/// What a TCP segment of so many bytes is, of which these are the data offset and the flags.
pub(super) fn check_tcp(offset: u8, flags: u8, left: usize) -> Result<Kind, PacketError> {
    let header_len = usize::from(offset >> 4).saturating_mul(4);
    if header_len < 20 || header_len > left {
        return Err(PacketError::HeaderLength);
    }
    Ok(Kind::Tcp {
        begins: flags & (TCP_SYN | TCP_ACK) == TCP_SYN,
    })
}

/// The same for a UDP datagram with this length field.
pub(super) fn check_udp(length: u16, left: usize) -> Result<Kind, PacketError> {
    match usize::from(length) {
        // Longer than the field can say, or wrong; the owner finds out.
        0 => Ok(Kind::Datagram),
        length if length < 8 => Err(PacketError::HeaderLength),
        length if length > left => Err(PacketError::Length),
        _ => Ok(Kind::Datagram),
    }
}
