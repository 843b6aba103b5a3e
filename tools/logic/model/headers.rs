// SPDX-License-Identifier: GPL-2.0
//! What the model of a cluster reads of IP headers, and what the kernel sees to before it shows a
//! packet.

use service_group_logic::logic::cluster::flow::Address;

const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;

pub fn is_ipv6(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 6)
}

pub fn has_hop_by_hop(bytes: &[u8]) -> bool {
    is_ipv6(bytes) && bytes[6] == HOP_BY_HOP
}

pub fn hops_left(bytes: &[u8]) -> u8 {
    bytes[if is_ipv6(bytes) { 7 } else { 8 }]
}

/// The packet when it has taken one, of one that it may take.
pub fn a_hop_later(bytes: &[u8]) -> Vec<u8> {
    let mut later = bytes.to_vec();
    if is_ipv6(bytes) {
        later[7] -= 1;
        return later;
    }
    later[8] -= 1;
    later[10..12].fill(0);
    let header = usize::from(bytes[0] & 15) * 4;
    let sum = checksum(&later[..header]);
    later[10..12].copy_from_slice(&sum.to_be_bytes());
    later
}

pub fn gre_header(bytes: &[u8]) -> &'static [u8] {
    match is_ipv6(bytes) {
        true => &[0, 0, 0x86, 0xdd],
        false => &[0, 0, 0x08, 0x00],
    }
}

fn v4(bytes: &[u8], at: usize) -> Option<Address> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(Address::from_v4_bytes(*bytes))
}

fn v6(bytes: &[u8], at: usize) -> Option<Address> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(Address::from_v6_bytes(*bytes))
}

pub fn destination_of(bytes: &[u8], ipv6: bool) -> Option<Address> {
    match ipv6 {
        true => v6(bytes, 24),
        false => v4(bytes, 16),
    }
}

pub fn destination(bytes: &[u8]) -> Option<Address> {
    destination_of(bytes, is_ipv6(bytes))
}

pub fn source(bytes: &[u8]) -> Option<Address> {
    match is_ipv6(bytes) {
        true => v6(bytes, 8),
        false => v4(bytes, 12),
    }
}

/// The packet as ip_rcv() and ipv6_rcv() show it; none if they drop it.
pub fn seen_by_kernel(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? >> 4 {
        4 => seen_ipv4(bytes),
        6 => seen_ipv6(bytes),
        _ => None,
    }
}

fn seen_ipv4(bytes: &[u8]) -> Option<&[u8]> {
    let header = usize::from(bytes.first()? & 15) * 4;
    if header < 20 || checksum(bytes.get(..header)?) != 0 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    bytes.get(..length).filter(|whole| whole.len() >= header)
}

fn seen_ipv6(bytes: &[u8]) -> Option<&[u8]> {
    let header: &[u8; 40] = bytes.first_chunk()?;
    let is_loopback = header[8..23] == [0; 15] && header[23] == 1;
    if header[8] == 0xff || is_loopback {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    bytes.get(..40 + length)
}

/// Whether it is the first fragment of IPv6, and ends before the header of TCP does (RFC 8200).
pub fn ends_in_tcp_header(bytes: &[u8]) -> bool {
    let is_first_of_tcp = match bytes {
        [first, _, _, _, _, _, FRAGMENT, ..] if first >> 4 == 6 => {
            bytes.get(40) == Some(&TCP) && bytes[42] == 0 && bytes[43] & 0xf8 == 0
        }
        _ => false,
    };
    is_first_of_tcp && bytes.len() < 40 + 8 + 20
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => u32::from(pair[0]) << 8,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("16 bits")
}
