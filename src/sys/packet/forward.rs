// SPDX-License-Identifier: GPL-2.0

//! Packets to other nodes, and from them.

use crate::{
    logic::cluster::flow::Address,
    sys::{
        bindings,
        core::netns::Net,
        packet::skb::{Packet, Verdict}, //
    },
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Where a packet is to go.
pub(crate) struct Hop {
    /// The node's address.
    pub(crate) to: Address,
    /// This machine's, of the same family, if it has to be a certain one.
    pub(crate) from: Option<Address>,
    /// What stands behind the IP header.
    pub(crate) protocol: u8,
    /// Index of the device that packets come by.
    pub(crate) device: u32,
}

/// The way to a node, which is looked up anew when routing tables have changed.
///
/// # Invariants
///
/// The pointer comes from `svcg_route_new()`, and is owned.
pub(crate) struct Route(NonNull<bindings::svcg_route>);

// SAFETY: A route has memory of its own for each CPU.
unsafe impl Send for Route {}
// SAFETY: As above.
unsafe impl Sync for Route {}

impl Route {
    /// Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Process context.
        let route = unsafe { bindings::svcg_route_new() };
        // INVARIANT: It was just made.
        NonNull::new(route).map(Self).ok_or(ENOMEM)
    }

    /// The path to the hop, always the same one; none if there is none to another machine, or IPsec
    /// forbids it. Where packets come in.
    pub(crate) fn find<'a>(&self, net: Net<'a>, hop: &Hop) -> Option<Path<'a>> {
        let numbers = bindings::svcg_hop {
            ipv6: hop.to.is_ipv6(),
            protocol: hop.protocol,
            device: hop.device,
            to: hop.to.to_bytes(),
            from: hop.from.map_or([0; 16], |from| from.to_bytes()),
        };
        let mut from = [0; 16];
        // SAFETY: By the invariant; bottom halves are off where packets come in. So many bytes
        // are written.
        let dst = unsafe {
            bindings::svcg_route_find(self.0.as_ptr(), net.as_ptr(), &numbers, from.as_mut_ptr())
        };
        // INVARIANT: The reference is ours.
        Some(Path {
            dst: NonNull::new(dst)?,
            net,
            from,
            to: hop.to,
        })
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_route_free(self.0.as_ptr()) };
    }
}

/// How a packet is wrapped.
#[derive(Clone, Copy)]
pub(crate) struct Encapsulation {
    /// With a GRE header.
    pub(crate) gre: bool,
    /// It must not be fragmented on its way.
    pub(crate) df: bool,
    /// How many hops it may take; without GRE, what is in it as well.
    pub(crate) ttl: u8,
}

/// A path to another machine.
///
/// # Invariants
///
/// `dst` is a reference that is owned.
pub(crate) struct Path<'a> {
    dst: NonNull<bindings::dst_entry>,
    net: Net<'a>,
    from: [u8; 16],
    to: Address,
}

impl Path<'_> {
    /// How long a packet may be.
    pub(crate) fn mtu(&self) -> u32 {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_path_mtu(self.dst.as_ptr()) }
    }

    /// Sends the packet in another one.
    pub(crate) fn xmit_tunnel(self, packet: Packet<'_>, encapsulation: Encapsulation) -> Verdict {
        let tunnel = bindings::svcg_tunnel {
            ipv6: self.to.is_ipv6(),
            gre: encapsulation.gre,
            df: encapsulation.df,
            ttl: encapsulation.ttl,
            from: self.from,
            to: self.to.to_bytes(),
        };
        let (dst, net) = self.into_parts();
        // SAFETY: Both references are given up.
        unsafe {
            bindings::svcg_xmit_tunnel(net.as_ptr(), packet.into_raw(), dst.as_ptr(), &tunnel)
        };
        Packet::stolen()
    }

    fn into_parts(self) -> (NonNull<bindings::dst_entry>, Net<'static>) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: The namespace is there for the call that this is for.
        (this.dst, unsafe { Net::from_ptr(this.net.as_ptr()) })
    }
}

impl Drop for Path<'_> {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_path_put(self.dst.as_ptr()) };
    }
}

impl<'a> Packet<'a> {
    /// Whether its device has merged it of several, and it is not known of which.
    pub(crate) fn is_merged(&self) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_is_merged(self.as_ptr()) }
    }

    /// Whether its sender allows it to be fragmented on its way.
    pub(crate) fn may_fragment(&self, ipv6: bool) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_may_fragment(self.as_ptr(), ipv6) }
    }

    /// Whether it was in fragments, and is cut again.
    pub(crate) fn was_defragmented(&self, ipv6: bool) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_was_defragmented(self.as_ptr(), ipv6) }
    }

    /// Whether it fits into another packet, which may be fragmented.
    pub(crate) fn may_encap(&self) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_may_encap(self.as_ptr()) }
    }

    /// Whether it, or what it is to be cut into, is longer than that.
    pub(crate) fn exceeds(&self, ipv6: bool, mtu: u32) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_exceeds(self.as_ptr(), ipv6, mtu) }
    }

    /// Tells its sender that it is too big, and loses it.
    pub(crate) fn refuse_as_too_big(self, ipv6: bool, mtu: u32) -> Verdict {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_icmp_frag_needed(self.as_ptr(), ipv6, mtu) };
        self.discard()
    }

    /// Tells its sender that it had as many hops as it may, and loses it.
    pub(crate) fn refuse_as_exceeded(self, ipv6: bool) -> Verdict {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_icmp_time_exceeded(self.as_ptr(), ipv6) };
        self.discard()
    }

    /// How long a packet may be that leaves by the device with this index.
    pub(crate) fn device_mtu(&self, net: Net<'_>, index: u32) -> u32 {
        // SAFETY: The packet and the namespace are there.
        unsafe { bindings::svcg_skb_device_mtu(net.as_ptr(), self.as_ptr(), index) }
    }

    /// Sends it to a neighbour on the device with this index, with one hop less than it may still
    /// have.
    pub(crate) fn xmit_neigh(self, net: Net<'_>, index: u32, to: &Address) -> Verdict {
        let (bytes, ipv6) = (to.to_bytes(), to.is_ipv6());
        let (net, skb) = (net.as_ptr(), self.into_raw());
        // SAFETY: Ownership is given up; the namespace and the bytes are there.
        unsafe { bindings::svcg_xmit_neigh(net, skb, ipv6, index, bytes.as_ptr()) };
        Self::stolen()
    }

    /// Whether it came by a device by which this machine would send to its source.
    pub(crate) fn came_by_way_back(&self, net: Net<'_>, ipv6: bool) -> bool {
        // SAFETY: The packet and the namespace are there.
        unsafe { bindings::svcg_skb_came_by_way_back(net.as_ptr(), self.as_ptr(), ipv6) }
    }

    /// Whether IPsec's policies allow it to come in.
    pub(crate) fn passes_ipsec(&self, ipv6: bool) -> bool {
        // SAFETY: The packet is there.
        unsafe { bindings::svcg_skb_passes_ipsec(self.as_ptr(), ipv6) }
    }

    /// The packet that is in this one, behind so many bytes of headers. If there is no sound one,
    /// or no memory, it is lost.
    pub(crate) fn decapsulated(
        self,
        net: Net<'_>,
        headers: u32,
        outer6: bool,
        inner6: bool,
    ) -> Result<Self, Verdict> {
        let (net, skb) = (net.as_ptr(), self.as_ptr());
        // SAFETY: The packet and the namespace are there.
        match unsafe { bindings::svcg_skb_decap(net, skb, headers, outer6, inner6) } {
            true => Ok(self),
            false => Err(self.discard()),
        }
    }

    /// Notes that the path of the packet that this ICMP error quotes, there, is no wider.
    pub(crate) fn update_pmtu(&mut self, net: Net<'_>, at: usize, ipv6: bool, mtu: u32) {
        let header = if ipv6 { 40 } else { 20 };
        let is_there = at
            .checked_add(header)
            .is_some_and(|end| self.bytes().len() >= end);
        if let (Ok(at), true) = (u32::try_from(at), is_there) {
            // SAFETY: The packet is there, and the quoted IP header is in one piece.
            unsafe { bindings::svcg_update_pmtu(net.as_ptr(), self.as_ptr(), at, ipv6, mtu) };
        }
    }

    /// Has this machine receive what was in another packet; `last` if it is not to be given on.
    pub(crate) fn receive(self, net: Net<'_>, last: bool) -> Verdict {
        // SAFETY: Ownership is given up.
        unsafe { bindings::svcg_skb_receive(net.as_ptr(), self.into_raw(), last) };
        Self::stolen()
    }
}
