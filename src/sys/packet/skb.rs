// SPDX-License-Identifier: GPL-2.0

//! A packet that netfilter shows.

use crate::sys::{
    bindings,
    core::netns::Net,
    socket::flowlog::{self, Flow}, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::sync::rcu::Guard;

/// What became of a packet. Only the packet itself makes one.
pub(crate) struct Verdict(bindings::svcg_verdict);

impl From<Verdict> for bindings::svcg_verdict {
    fn from(verdict: Verdict) -> Self {
        verdict.0
    }
}

/// What became of a fragment.
pub(crate) enum Defragged<'a> {
    /// This was the last one: the whole packet.
    Whole(Packet<'a>),
    /// It is kept for later, or was no good.
    Gone(Verdict),
}

/// What there is of a TCP connection on this machine.
pub(crate) enum Connection {
    /// Nothing.
    None,
    /// A request that waits for the end of its handshake: the first sequence numbers of this
    /// machine and of the client.
    HalfOpen { sent: u32, received: u32 },
    /// A socket, which may wait for the last packets only.
    Whole,
}

/// A packet that begins with its IP or ARP header. Its owner has to say what becomes of it; what
/// is dropped without a word is freed.
///
/// # Invariants
///
/// It is owned, and in an RCU read section, that netfilter calls in or of whom it is a copy for.
pub(crate) struct Packet<'a>(
    *mut bindings::sk_buff,
    PhantomData<&'a mut bindings::sk_buff>,
);

impl Packet<'_> {
    /// # Safety
    ///
    /// The packet is given away until it is accepted, and this is a read section, for `'a`.
    pub(in crate::sys) unsafe fn from_ptr(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the requirement.
        Self(skb, PhantomData)
    }

    pub(in crate::sys) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0
    }

    /// Gives up ownership.
    pub(in crate::sys) fn into_raw(self) -> *mut bindings::sk_buff {
        let skb = self.0;
        core::mem::forget(self);
        skb
    }

    /// The verdict for a packet that something else has taken.
    pub(in crate::sys) fn stolen() -> Verdict {
        Verdict(bindings::svcg_verdict_SVCG_VERDICT_STOLEN)
    }

    /// Goes on, as if nothing had been.
    pub(crate) fn accept(self) -> Verdict {
        self.into_raw();
        Verdict(bindings::svcg_verdict_SVCG_VERDICT_ACCEPT)
    }

    /// Goes on, as a packet for this machine whatever its MAC address.
    pub(crate) fn deliver(self) -> Verdict {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_skb_set_for_host(self.0) };
        self.accept()
    }

    /// Is freed, and counted as lost.
    pub(crate) fn discard(self) -> Verdict {
        // SAFETY: By the invariant; ownership is given up.
        unsafe { bindings::svcg_skb_drop(self.into_raw()) };
        Self::stolen()
    }

    /// Is freed, as nothing is to be done with it here.
    pub(crate) fn consume(self) -> Verdict {
        // SAFETY: By the invariant; ownership is given up.
        unsafe { bindings::svcg_skb_consume(self.into_raw()) };
        Self::stolen()
    }

    /// The first bytes, as many as are in one piece, and how many there are in all.
    pub(crate) fn bytes_and_len(&self) -> (&[u8], usize) {
        let (mut len, mut total) = (0, 0);
        // SAFETY: By the invariant.
        let data = unsafe { bindings::svcg_skb_bytes(self.0, &mut len, &mut total) };
        // SAFETY: There are so many bytes, and nobody writes to them as long as `self` is borrowed.
        let bytes = unsafe { core::slice::from_raw_parts(data, len as usize) };
        (bytes, total as usize)
    }

    /// The first bytes, as many as are in one piece.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes_and_len().0
    }

    /// `N` bytes from there on, if they are in one piece.
    pub(crate) fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes().get(at..)?.first_chunk().copied()
    }

    /// How many bytes there are in all.
    pub(crate) fn len(&self) -> usize {
        self.bytes_and_len().1
    }

    /// Has the first `len` bytes be in one piece; false without memory, or if there are less.
    pub(crate) fn pull(&mut self, len: usize) -> bool {
        let Ok(len) = u32::try_from(len) else {
            return false;
        };
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_skb_pull(self.0, len) }
    }

    /// Overwrites bytes that are in one piece; false without memory.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) -> bool {
        let Some((at, len)) = self.range(at, bytes) else {
            return false;
        };
        // SAFETY: By the invariant; there are so many bytes.
        unsafe { bindings::svcg_skb_write(self.0, at, bytes.as_ptr().cast(), len) }
    }

    /// Overwrites an even number of bytes at an even place of an ICMPv6 packet or its addresses,
    /// and mends the checksum; false without memory.
    pub(crate) fn write_icmpv6(&mut self, at: usize, bytes: &[u8]) -> bool {
        let Some((at, len)) = self.range(at, bytes) else {
            return false;
        };
        // SAFETY: By the invariant; there are so many bytes.
        unsafe { bindings::svcg_nd_write(self.0, at, bytes.as_ptr().cast(), len) }
    }

    /// Where these bytes are to stand, if there is room in what is in one piece.
    fn range(&self, at: usize, bytes: &[u8]) -> Option<(u32, u32)> {
        self.bytes().get(at..at.checked_add(bytes.len())?)?;
        Some((u32::try_from(at).ok()?, u32::try_from(bytes.len()).ok()?))
    }

    /// Index of the device that it came by, or leaves by.
    pub(crate) fn device(&self) -> u32 {
        // SAFETY: By the invariant; a packet that netfilter shows has a device.
        unsafe { bindings::svcg_skb_device(self.0) }
    }

    /// Whether it came by another device than the one with this index, which is there, but in the
    /// same VRF, or also in none. Not by a loopback device.
    pub(crate) fn came_beside(&self, net: Net<'_>, index: u32) -> bool {
        // SAFETY: By the invariant; the namespace is there.
        unsafe { bindings::svcg_skb_came_beside(net.as_ptr(), self.0, index) }
    }

    /// Whether this machine would receive it, as routes and the validation of sources say.
    pub(crate) fn would_be_received(&mut self, ipv6: bool) -> bool {
        // SAFETY: By the invariant, which names the read section that routes are looked up in.
        unsafe { bindings::svcg_skb_would_be_received(self.0, ipv6) }
    }

    /// How many more hops its sender allows it.
    pub(crate) fn ttl(&self, ipv6: bool) -> u8 {
        let place = if ipv6 { 7 } else { 8 };
        self.array(place).map_or(0, |[hops]: [u8; 1]| hops)
    }

    /// One more of it; none without memory.
    pub(crate) fn copy(&self) -> Option<Self> {
        // SAFETY: By the invariant.
        let copy = NonNull::new(unsafe { bindings::svcg_skb_copy(self.0) })?;
        // SAFETY: It is new, and begins where this one does.
        Some(unsafe { Self::from_ptr(copy.as_ptr()) })
    }

    /// Whether its frame was for many machines.
    pub(crate) fn is_l2_multicast(&self) -> bool {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_skb_is_l2_multicast(self.0) }
    }

    /// What this machine has of the connection.
    pub(crate) fn connection(&self, net: Net<'_>, flow: &Flow) -> Connection {
        let (mut sent, mut received) = (0, 0);
        // SAFETY: By the invariant. The namespace is there, and so is the flow.
        let found = unsafe {
            bindings::svcg_connection(net.as_ptr(), self.0, flow, &mut sent, &mut received)
        };
        match found {
            bindings::svcg_connection_SVCG_CONNECTION_NONE => Connection::None,
            bindings::svcg_connection_SVCG_CONNECTION_HALF_OPEN => {
                Connection::HalfOpen { sent, received }
            }
            _ => Connection::Whole,
        }
    }
}

impl<'a> Packet<'a> {
    /// A copy of a SYN that a listener has got; none without memory, or its device, or if it is not
    /// to be given on.
    pub(crate) fn of_syn(
        syn: &flowlog::Packet<'_>,
        net: Net<'_>,
        _guard: &'a Guard,
    ) -> Option<Self> {
        // SAFETY: It is there, at its TCP header; the guard shows that this is a read section.
        let copy = unsafe { bindings::svcg_skb_copy_syn(net.as_ptr(), syn.as_ptr()) };
        let copy = NonNull::new(copy)?;
        // SAFETY: It is new, and begins with its IP header, in one piece as TCP has seen it.
        Some(unsafe { Self::from_ptr(copy.as_ptr()) })
    }

    /// Has a fragment put together with those that came before.
    pub(crate) fn defrag(self, net: Net<'_>, ipv6: bool) -> Defragged<'a> {
        let skb = self.into_raw();
        // SAFETY: By the invariant; ownership is given up for now, and bottom halves are off
        // where packets come in.
        match unsafe { bindings::svcg_defrag(net.as_ptr(), skb, ipv6) } {
            // INVARIANT: It comes back.
            bindings::svcg_defragged_SVCG_DEFRAG_DONE => Defragged::Whole(Self(skb, PhantomData)),
            bindings::svcg_defragged_SVCG_DEFRAG_KEPT => Defragged::Gone(Self::stolen()),
            // INVARIANT: As above.
            _ => Defragged::Gone(Self(skb, PhantomData).discard()),
        }
    }
}

impl Drop for Packet<'_> {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_skb_drop(self.0) };
    }
}
