// SPDX-License-Identifier: GPL-2.0

//! ARP and neighbour discovery: what is asked of the packet's device.

use crate::{
    logic::cluster::flow::Address,
    sys::{
        bindings,
        core::netns::Net,
        packet::skb::Packet, //
    },
};
use core::ptr;

impl Packet<'_> {
    /// Answers an ARP request from `peer` for `address` with the device's own MAC address.
    pub(crate) fn answer_arp(&self, address: [u8; 4], peer: [u8; 4], peer_mac: [u8; 6]) {
        // SAFETY: The packet is there, and so are the bytes.
        unsafe {
            bindings::svcg_arp_answer(
                self.as_ptr(),
                address.as_ptr(),
                peer.as_ptr(),
                peer_mac.as_ptr(),
            );
        }
    }

    /// Answers a neighbour solicitation likewise.
    pub(crate) fn answer_nd(&self, address: [u8; 16], peer: [u8; 16], peer_mac: Option<[u8; 6]>) {
        let peer_mac = peer_mac.as_ref().map_or(ptr::null(), |mac| mac.as_ptr());
        // SAFETY: The packet is there, and so are the bytes; there need be no MAC address.
        unsafe {
            bindings::svcg_nd_answer(self.as_ptr(), address.as_ptr(), peer.as_ptr(), peer_mac);
        }
    }

    /// The MAC address that it was sent from, as a number that is not 0.
    pub(crate) fn source_mac(&self) -> Option<u64> {
        // SAFETY: The packet is there.
        let mac = unsafe { bindings::svcg_skb_source_mac(self.as_ptr()) };
        (mac != 0).then_some(mac)
    }

    /// The MAC address of a neighbour on the packet's device, if it is known.
    pub(crate) fn neighbour_mac(&self, address: &Address) -> Option<u64> {
        let (bytes, ipv6) = (address.to_bytes(), address.is_ipv6());
        // SAFETY: The packet is there, and so are the bytes.
        let mac = unsafe { bindings::svcg_skb_neighbour_mac(self.as_ptr(), bytes.as_ptr(), ipv6) };
        (mac != 0).then_some(mac)
    }

    /// Index of the device by which a machine is a neighbour, as routes say: the one with this index
    /// if it is, or if there is no such route; else another one of the same VRF. It has the packet for
    /// the read section that routes are looked up in.
    pub(crate) fn neighbour_device(&self, net: Net<'_>, index: u32, address: &Address) -> u32 {
        let (bytes, ipv6) = (address.to_bytes(), address.is_ipv6());
        // SAFETY: The namespace is there, and so are the bytes; packets are in a read section.
        unsafe { bindings::svcg_neighbour_device(net.as_ptr(), index, bytes.as_ptr(), ipv6) }
    }

    /// The IPv4 addresses of the packet's device.
    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources {
            packet: self,
            index: 0,
        }
    }

    /// Whether the checksum of an ICMP packet is right, or of an ICMPv6 packet without extension
    /// headers.
    pub(crate) fn is_valid_icmp(&self, ipv6: bool) -> bool {
        // SAFETY: The packet is there, and its IP header in one piece.
        unsafe { bindings::svcg_icmp_valid(self.as_ptr(), ipv6) }
    }

    /// A link-local address of the packet's device.
    pub(crate) fn link_local_source(&self) -> Option<[u8; 16]> {
        let mut address = [0; 16];
        // SAFETY: The packet is there; so many bytes are written.
        unsafe { bindings::svcg_nd_source(self.as_ptr(), address.as_mut_ptr()) }.then_some(address)
    }
}

/// The IPv4 addresses of a packet's device; what is changed meanwhile may be missed.
pub(crate) struct Sources<'a> {
    packet: &'a Packet<'a>,
    index: u32,
}

impl Iterator for Sources<'_> {
    type Item = [u8; 4];

    fn next(&mut self) -> Option<[u8; 4]> {
        let mut address = [0; 4];
        // SAFETY: The packet is there; so many bytes are written.
        let found = unsafe {
            bindings::svcg_arp_source(self.packet.as_ptr(), self.index, address.as_mut_ptr())
        };
        self.index = self.index.saturating_add(1);
        found.then_some(address)
    }
}
