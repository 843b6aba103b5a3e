// SPDX-License-Identifier: GPL-2.0
//! The IP packet in a frame.

use etherparse::{EtherType, Ethernet2Slice, SingleVlanSlice};
use pcap_parser::Linktype;

/// Tags that may stand one behind the other.
const TAGS: usize = 4;
/// Link types of raw IP packets that the crate has no names for.
const RAW: [i32; 3] = [12, 14, 101];
const SLL: i32 = 113;
const SLL2: i32 = 276;
const LOOP: i32 = 108;

/// The IP packet, if the frame has one. What follows it may be padding.
pub fn packet(link: Linktype, frame: &[u8]) -> Option<&[u8]> {
    match link {
        Linktype::ETHERNET => ethernet(frame),
        Linktype::IPV4 | Linktype::IPV6 => Some(frame),
        Linktype::NULL => frame.get(4..),
        Linktype(LOOP) => frame.get(4..),
        Linktype(SLL) => tagged(field(frame, 14)?, frame.get(16..)?),
        Linktype(SLL2) => tagged(field(frame, 0)?, frame.get(20..)?),
        Linktype(other) if RAW.contains(&other) => Some(frame),
        _ => None,
    }
}

fn field(frame: &[u8], at: usize) -> Option<EtherType> {
    let bytes = frame.get(at..)?.first_chunk::<2>()?;
    Some(EtherType(u16::from_be_bytes(*bytes)))
}

fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let slice = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
    tagged(slice.ether_type(), frame.get(14..)?)
}

/// What is behind VLAN tags.
fn tagged(mut kind: EtherType, mut payload: &[u8]) -> Option<&[u8]> {
    for _ in 0..=TAGS {
        match kind {
            EtherType::IPV4 | EtherType::IPV6 => return Some(payload),
            EtherType::VLAN_TAGGED_FRAME
            | EtherType::PROVIDER_BRIDGING
            | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
                kind = SingleVlanSlice::from_slice(payload).ok()?.ether_type();
                payload = payload.get(4..)?;
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_found_behind_each_link_header() {
        let ip: &[u8] = &[0x45, 1, 2, 3];
        let addresses: &[u8] = &[0; 12];
        let frame = |parts: &[&[u8]]| parts.concat();
        let tag: &[u8] = &[0x81, 0, 0, 7];
        let outer: &[u8] = &[0x88, 0xa8, 0, 7];
        for (link, header) in [
            (1, frame(&[addresses, &[8, 0]])),
            (1, frame(&[addresses, &[0x86, 0xdd]])),
            (1, frame(&[addresses, tag, &[8, 0]])),
            (1, frame(&[addresses, outer, tag, &[8, 0]])),
            (0, vec![2, 0, 0, 0]),
            (108, vec![0, 0, 0, 2]),
            (101, vec![]),
            (12, vec![]),
            (228, vec![]),
            (229, vec![]),
            (113, frame(&[&[0; 14], &[8, 0]])),
            (276, frame(&[&[8, 0], &[0; 18]])),
        ] {
            let frame = [&header, ip].concat();
            assert_eq!(
                packet(Linktype(link), &frame),
                Some(ip),
                "{link} {header:?}"
            );
            for length in 0..header.len() {
                assert_eq!(packet(Linktype(link), &frame[..length]), None, "{link}");
            }
        }
    }

    #[test]
    fn what_is_no_ip_is_left_out() {
        let arp = [&[0; 12][..], &[8, 6], &[0; 28]].concat();
        assert_eq!(packet(Linktype::ETHERNET, &arp), None);
        assert_eq!(packet(Linktype(147), &[0x45; 40]), None);
        let tags = [
            &[0; 12][..],
            &[0x81, 0, 0, 1].repeat(TAGS + 1),
            &[8, 0, 0x45],
        ]
        .concat();
        assert_eq!(packet(Linktype::ETHERNET, &tags), None);
    }
}
