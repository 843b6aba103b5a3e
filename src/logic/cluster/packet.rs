// SPDX-License-Identifier: GPL-2.0

//! The flow that a packet belongs to, from its bytes.
//!
//! | protocol | source port | destination port |
//! |---|---|---|
//! | TCP, UDP, UDP-Lite, SCTP, DCCP | its own | its own |
//! | ICMP and ICMPv6 echo, request and reply | the identifier | 0 |
//! | any other | 0 | 0 |
//!
//! An ICMP error is about a packet, which it quotes. That packet was sent by the cluster IP, and the
//! error belongs to where it was sent from: its flow is the quoted one, turned round. An echo keeps
//! its identifier as source port when it is turned round, so that it stays what the request was.
//!
//! Checksums are not looked at; that is for the node that takes the packet.

#![forbid(unsafe_code)]

use super::{
    cursor::Cursor,
    flow::{Address, Flow},
    header::{Header, Part},
    upper::{self, Message, ICMP_HEADER_LEN, UDP}, //
};

pub use super::{
    error::PacketError,
    upper::{has_ports, Kind, TCP}, //
};

/// A whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its flow. The destination is always the one of the IP header.
    pub flow: Flow,
    /// What it is.
    pub kind: Kind,
    /// Where its upper layer begins, bytes from the beginning of the packet.
    pub upper_layer: usize,
}

impl Packet {
    /// Whether it needs no connection that exists already: a SYN without ACK, or anything but TCP
    /// and errors about it. Of other protocols nodes know no connections: what is about their flows
    /// belongs to the owner, as the flows themselves do.
    pub fn needs_no_connection(&self) -> bool {
        match self.kind {
            Kind::Tcp { begins } => begins,
            Kind::Datagram | Kind::Echo | Kind::Discovery | Kind::Other => true,
            Kind::Error | Kind::Redirect => self.flow.protocol != TCP,
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A packet.
    Whole(Packet),
    /// A fragment, the first one included. It is to be reassembled first: later ones have no ports,
    /// and all have to have the same owner.
    Fragment,
}

/// Finds the flow of a packet that begins with its IP header and has `length` bytes, of which the
/// first ones are given. What the packet has behind its own length is ignored.
#[inline(always)]
pub fn find(given: &[u8], length: usize) -> Result<Found, PacketError> {
    match find_plain(given, length) {
        Some(packet) => Ok(Found::Whole(packet)),
        None => find_any(given, length),
    }
}

/// The same for what most packets are, in a fraction of the instructions: TCP and UDP right behind
/// an IPv4 header, in whole packets. None if it is something else, is flawed, has bytes behind its
/// end, or if too few of its bytes are given.
#[inline(always)]
fn find_plain(given: &[u8], length: usize) -> Option<Packet> {
    let [0x45, _, l0, l1, _, _, f0, f1, _, protocol, _, _, rest @ ..] =
        *given.first_chunk::<28>()?
    else {
        return None;
    };
    let [s0, s1, s2, s3, d0, d1, d2, d3, p0, p1, p2, p3, u0, u1, ..] = rest;
    let is_whole = u16::from_be_bytes([f0, f1]) & 0x3fff == 0;
    if !is_whole || usize::from(u16::from_be_bytes([l0, l1])) != length {
        return None;
    }
    let left = length.checked_sub(20).filter(|&left| left >= 8)?;
    let kind = match protocol {
        TCP => {
            let [.., offset, flags, _, _, _, _, _, _] = *given.first_chunk::<40>()?;
            upper::check_tcp(offset, flags, left)
        }
        UDP => upper::check_udp(u16::from_be_bytes([u0, u1]), left),
        _ => return None,
    }
    .ok()?;
    Some(Packet {
        flow: Flow {
            source: Address::from_v4_bytes([s0, s1, s2, s3]),
            destination: Address::from_v4_bytes([d0, d1, d2, d3]),
            source_port: u16::from_be_bytes([p0, p1]),
            destination_port: u16::from_be_bytes([p2, p3]),
            protocol,
        },
        kind,
        upper_layer: 20,
    })
}

/// The same for any packet.
fn find_any(given: &[u8], length: usize) -> Result<Found, PacketError> {
    let mut cursor = Cursor::new(given, length);
    let header = Header::read(&mut cursor)?;
    if header.part != Part::Whole {
        return Ok(Found::Fragment);
    }
    let upper_layer = cursor.at();
    let (flow, kind) = match Message::read(&cursor, &header)? {
        Some(Message::Error) => (quoted_flow(cursor, &header)?, Kind::Error),
        Some(Message::Redirect) => (quoted_flow(cursor, &header)?, Kind::Redirect),
        Some(Message::Echo(identifier)) => (flow(&header, identifier, 0), Kind::Echo),
        Some(Message::Discovery) => (flow(&header, 0, 0), Kind::Discovery),
        Some(Message::Other) => (flow(&header, 0, 0), Kind::Other),
        None => {
            let kind = upper::check(&cursor, header.protocol)?;
            let (source, destination) = upper::ports(&cursor, header.protocol)?;
            (flow(&header, source, destination), kind)
        }
    };
    Ok(Found::Whole(Packet {
        flow,
        kind,
        upper_layer,
    }))
}

fn flow(header: &Header, source_port: u16, destination_port: u16) -> Flow {
    Flow {
        source: header.source,
        destination: header.destination,
        source_port,
        destination_port,
        protocol: header.protocol,
    }
}

/// The flow that an error with this header belongs to.
fn quoted_flow(mut cursor: Cursor<'_>, error: &Header) -> Result<Flow, PacketError> {
    cursor.skip(ICMP_HEADER_LEN)?;
    let header = Header::read_quoted(&mut cursor, error.is_ipv6())?;
    if header.part == Part::Later {
        return Err(PacketError::QuotedFragment);
    }
    if header.source != error.destination {
        return Err(PacketError::QuotedOther);
    }
    match Message::read(&cursor, &header)? {
        Some(Message::Error | Message::Redirect) => Err(PacketError::ErrorInError),
        Some(Message::Echo(identifier)) => Ok(flow(&header, 0, identifier).turned()),
        Some(Message::Discovery | Message::Other) => Ok(flow(&header, 0, 0).turned()),
        None => {
            let (source, destination) = upper::ports(&cursor, header.protocol)?;
            Ok(flow(&header, source, destination).turned())
        }
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[path = "packet_tests.rs"]
mod packet_tests;
