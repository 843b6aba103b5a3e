// SPDX-License-Identifier: GPL-2.0

//! Connections by their addresses, what became of them, and tracepoints that tell it.

use crate::{
    logic::facts::Family,
    sys::{
        bindings,
        socket::listener::{Locked, Sock}, //
    },
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

pub(crate) use bindings::{
    svcg_flow as Flow,
    svcg_record as Record, //
};

/// `AF_INET6`.
const AF_INET6: u16 = 10;
/// Number of slots; not 0.
const SLOTS: u32 = bindings::SVCG_FLOWLOG_SLOTS;

/// Of which families connections are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Families(c_uint);

impl Families {
    pub(crate) const ALL: Self = Self(bindings::SVCG_IPV4 | bindings::SVCG_IPV6);

    /// This one alone.
    pub(crate) fn only(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self(bindings::SVCG_IPV4),
            Family::Ipv6 => Self(bindings::SVCG_IPV6),
        }
    }

    /// The others than this one.
    pub(crate) fn without(self, family: Family) -> Self {
        Self(self.0 & !Self::only(family).0)
    }

    /// As C takes them.
    pub(in crate::sys) fn bits(self) -> c_uint {
        self.0
    }
}

impl Flow {
    /// The protocol of its packets.
    pub(crate) fn family(&self) -> Family {
        if self.family == AF_INET6 {
            Family::Ipv6
        } else {
            Family::Ipv4
        }
    }

    /// A number that tells flows apart, more or less (FNV-1a).
    fn hash(&self) -> u32 {
        let ports = [self.local_port, self.peer_port];
        let addresses = Iterator::chain(self.local.iter(), &self.peer).copied();
        let ports = ports.into_iter().flat_map(u16::to_ne_bytes);
        Iterator::chain(addresses, ports).fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }

    fn slot(&self) -> u32 {
        self.hash().checked_rem(SLOTS).unwrap_or(0)
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        (self.family, self.local_port, self.peer_port)
            == (other.family, other.local_port, other.peer_port)
            && self.local == other.local
            && self.peer == other.peer
    }
}

/// A packet that is at its TCP header.
///
/// # Invariants
///
/// It is one, and there for `'a`.
pub(crate) struct Packet<'a>(*mut bindings::sk_buff, PhantomData<&'a bindings::sk_buff>);

impl Packet<'_> {
    /// # Safety
    ///
    /// As the invariant.
    pub(in crate::sys) unsafe fn from_ptr(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the requirement.
        Self(skb, PhantomData)
    }

    pub(in crate::sys) fn as_ptr(&self) -> *mut bindings::sk_buff {
        self.0
    }

    /// Its network protocol.
    pub(crate) fn family(&self) -> Family {
        // SAFETY: By the invariant.
        if unsafe { bindings::svcg_skb_is_ipv6(self.0) } {
            Family::Ipv6
        } else {
            Family::Ipv4
        }
    }

    /// The connection that it belongs to, seen from the receiver.
    pub(crate) fn flow(&self) -> Flow {
        let mut flow = Flow::default();
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_flow_of_packet(self.0, &mut flow) };
        flow
    }
}

impl Locked<'_> {
    /// The connection that [`Locked::move_oldest`] would move. How many are looked at is added to
    /// `looks`.
    pub(crate) fn oldest(&self, families: Families, looks: &mut u64) -> Option<Flow> {
        let mut flow = Flow::default();
        // SAFETY: The lock of `self` is held.
        unsafe { bindings::svcg_queue_next_flow(self.as_ptr(), families.bits(), &mut flow, looks) }
            .then_some(flow)
    }
}

impl Sock {
    /// The number that tells the socket from all others that were and will be.
    pub(crate) fn cookie(&self) -> u64 {
        // SAFETY: `self` is a full socket.
        unsafe { bindings::svcg_sock_cookie(self.as_ptr()) }
    }
}

/// What became of the connections of a group, of the latest in each slot.
///
/// # Invariants
///
/// The pointer comes from `svcg_flowlog_new()` and is owned.
pub(crate) struct FlowLog(NonNull<bindings::svcg_flowlog>);

// SAFETY: Records are read and written under their slot's lock.
unsafe impl Send for FlowLog {}
// SAFETY: As above.
unsafe impl Sync for FlowLog {}

impl FlowLog {
    /// An empty one. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: It has no requirements.
        let flowlog = unsafe { bindings::svcg_flowlog_new() };
        // INVARIANT: It was just made.
        NonNull::new(flowlog).map(Self).ok_or(ENOMEM)
    }

    /// Has `look` look at, or write, the record of the flow's slot, which may be another flow's.
    /// Any context but interrupts.
    pub(crate) fn with<R>(&self, flow: &Flow, look: impl FnOnce(&mut Record) -> R) -> R {
        let slot = flow.slot();
        // SAFETY: By the invariant; the slot is one that there is, and no other one is locked, as
        // `look` has no flowlog.
        let record = unsafe { &mut *bindings::svcg_flowlog_lock(self.0.as_ptr(), slot) };
        let result = look(record);
        // SAFETY: It was locked above.
        unsafe { bindings::svcg_flowlog_unlock(self.0.as_ptr(), slot) };
        result
    }
}

impl Drop for FlowLog {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_flowlog_free(self.0.as_ptr()) };
    }
}

/// Has the tracepoint of the record's outcome tell of it, and which member had the connection.
pub(crate) fn trace_decision(record: &Record, from: u64) {
    // SAFETY: The record is there.
    unsafe { bindings::svcg_trace_decision(record, from) };
}

/// Has a tracepoint tell that a member is stalled, or is not any more.
pub(crate) fn trace_stall(begins: bool, group: u32, member: u64, queued: u32) {
    // SAFETY: It has no requirements.
    unsafe { bindings::svcg_trace_stall(begins, group, member, queued) };
}
