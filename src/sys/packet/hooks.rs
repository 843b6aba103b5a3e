// SPDX-License-Identifier: GPL-2.0

//! The packets of a namespace, as netfilter shows them.

use crate::{
    cluster::{neighbour, packet, Clusters},
    sys::{
        bindings,
        core::{
            netns::Net,
            rcu::callers_section, //
        },
        packet::{
            conntrack::Conntrack,
            skb::{Packet, Verdict}, //
        },
    },
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Shows the packets of a namespace to its [`Clusters`], as long as it is there.
///
/// # Invariants
///
/// The pointer comes from `sg_hooks_register()`, and is owned.
pub(crate) struct Hooks {
    hooks: NonNull<bindings::sg_hooks>,
    /// Asked about packets.
    _conntrack: Conntrack,
}

// SAFETY: They may be unregistered from any process.
unsafe impl Send for Hooks {}
// SAFETY: There is nothing that a shared reference can do.
unsafe impl Sync for Hooks {}

impl Hooks {
    /// Process context.
    ///
    /// # Safety
    ///
    /// A grace period passes between when this is dropped and when `clusters` is.
    unsafe fn new(net: Net<'_>, clusters: *const Clusters) -> Result<Self> {
        // SAFETY: The namespace is there, and by the requirement so is the state.
        let hooks =
            unsafe { bindings::sg_hooks_register(net.as_ptr(), clusters.cast_mut().cast()) };
        // INVARIANT: They were just registered.
        Ok(Self {
            hooks: NonNull::new(hooks).ok_or(ENOMEM)?,
            _conntrack: Conntrack::new(),
        })
    }

    /// Hooks of the namespace that these are the cluster IPs of. Process context.
    pub(crate) fn of(clusters: &Clusters) -> Result<Self> {
        // SAFETY: `Clusters::stop()` drops them, and see `sg_clusters_stop()`. There are no others:
        // all are made by `sg_clusters_new()`.
        unsafe { Self::new(clusters.net(), clusters) }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::sg_hooks_unregister(self.hooks.as_ptr()) };
    }
}

/// Whether fragments of IPv6 packets can be put together, as long as it is there.
pub(crate) struct Gatherer(());

impl Gatherer {
    /// `EOPNOTSUPP` if the kernel's module for it is not there. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Process context.
        kernel::error::to_result(unsafe { bindings::sg_gather_get() })?;
        Ok(Self(()))
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        // SAFETY: It was got, and is put in process context, where all changes are made.
        unsafe { bindings::sg_gather_put() };
    }
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_packet_concerns(state: *const c_void, tail: c_uint) -> bool {
    // SAFETY: By the requirement, and that of `Hooks::new()`: netfilter calls in a read section.
    let (clusters, guard) = unsafe { (&*state.cast::<Clusters>(), callers_section()) };
    clusters.may_serve(tail, guard)
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_packet_in(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, packet::incoming) }
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_packet_received(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, packet::received) }
}

/// Has something done about a packet.
///
/// # Safety
///
/// Called by netfilter, with what [`Hooks::new`] was given.
unsafe fn show(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
    to: impl FnOnce(&Clusters, Packet<'_>, &kernel::sync::rcu::Guard) -> Verdict,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement, and that of `Hooks::new()`: netfilter calls in a read section,
    // gives the packet away, and takes it back if it is accepted.
    let (clusters, guard, packet) = unsafe {
        (
            &*state.cast::<Clusters>(),
            callers_section(),
            Packet::from_ptr(skb),
        )
    };
    to(clusters, packet, guard).into()
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_arp_in(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::arp_in) }
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_arp_out(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::arp_out) }
}

/// # Safety
///
/// Called by `hooks.c`, with what [`Hooks::new`] was given.
#[no_mangle]
unsafe extern "C" fn sg_icmpv6_out(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::sg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::icmpv6_out) }
}
