// SPDX-License-Identifier: GPL-2.0
//! A packet with another one in it, as a machine receives it: in one piece or in fragments, with
//! options or extension headers.

use super::headers::{is_ipv6, seen_by_kernel};

const FRAGMENT: u8 = 44;

/// A packet, or a fragment of one.
struct Part<'a> {
    protocol: u8,
    begin: usize,
    is_last: bool,
    contents: &'a [u8],
}

/// The protocol and the contents of the packet that frames make; none if the kernel drops it or waits
/// for more of it. With IPv6 the protocol is what follows the first header, or that of a fragment: only
/// there tunnels are looked for.
pub fn received(frames: &[Vec<u8>]) -> Option<(u8, Vec<u8>)> {
    let seen = frames.iter().filter_map(|frame| seen_by_kernel(frame));
    let mut parts: Vec<Part<'_>> = seen.filter_map(read).collect();
    parts.sort_by_key(|part| part.begin);
    let protocol = parts.first()?.protocol;
    let (mut whole, mut is_whole) = (Vec::new(), false);
    for part in parts {
        // One that has come twice is thrown away.
        if part.begin >= whole.len() {
            if part.begin > whole.len() {
                return None;
            }
            whole.extend_from_slice(part.contents);
            is_whole = part.is_last;
        }
    }
    is_whole.then_some((protocol, whole))
}

fn read(bytes: &[u8]) -> Option<Part<'_>> {
    match is_ipv6(bytes) {
        true => read_ipv6(bytes),
        false => read_ipv4(bytes),
    }
}

fn read_ipv4(bytes: &[u8]) -> Option<Part<'_>> {
    let place = u16::from_be_bytes([bytes[6], bytes[7]]);
    Some(Part {
        protocol: bytes[9],
        begin: usize::from(place & 0x1fff) * 8,
        is_last: place & 0x2000 == 0,
        contents: bytes.get(usize::from(bytes[0] & 15) * 4..)?,
    })
}

fn read_ipv6(bytes: &[u8]) -> Option<Part<'_>> {
    if bytes[6] != FRAGMENT {
        return Some(Part {
            protocol: bytes[6],
            begin: 0,
            is_last: true,
            contents: &bytes[40..],
        });
    }
    let header: &[u8; 8] = bytes.get(40..)?.first_chunk()?;
    let place = u16::from_be_bytes([header[2], header[3]]);
    Some(Part {
        protocol: header[0],
        begin: usize::from(place & 0xfff8),
        is_last: place & 1 == 0,
        contents: &bytes[48..],
    })
}
