// SPDX-License-Identifier: GPL-2.0

//! What C calls of cluster IPs: when netfilter shows a packet, when a device or an address changes, and
//! when netlink or a network namespace asks.
//!
//! `cluster.h` declares it, but for the commands of netlink.

use super::{doit, dumpit};
use crate::{
    cluster::{
        change,
        neighbour,
        packet,
        report,
        Clusters, //
    },
    sys::{
        bindings,
        core::{
            netlink::DumpStart,
            netns::{Net, OwnNet},
            rcu::{assume_rcu_read_lock, wait_for_dropped}, //
        },
        packet::{
            device::{DeviceName, Rtnl},
            skb::{Packet, Verdict}, //
        },
    },
};
use kernel::{
    prelude::*,
    sync::rcu::Guard, //
};

// ---- Packets: hooks.c ----

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_maybe_ours(state: *const c_void, daddr_low32: c_uint) -> bool {
    // SAFETY: By the requirement, and that of `Hooks::of()`: netfilter calls in a read section.
    let (clusters, guard) = unsafe { (&*state.cast::<Clusters>(), assume_rcu_read_lock()) };
    clusters.may_serve(daddr_low32, guard)
}

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_packet_in(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, packet::incoming) }
}

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_packet_received(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, packet::received) }
}

/// Has something done about a packet.
///
/// # Safety
///
/// Called by netfilter, with the cluster IPs that `Hooks::of()` has registered.
unsafe fn show(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
    to: impl FnOnce(&Clusters, Packet<'_>, &Guard) -> Verdict,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement, and that of `Hooks::of()`: netfilter calls in a read section,
    // gives the packet away, and takes it back if it is accepted.
    let (clusters, guard, packet) = unsafe {
        (
            &*state.cast::<Clusters>(),
            assume_rcu_read_lock(),
            Packet::from_ptr(skb),
        )
    };
    to(clusters, packet, guard).into()
}

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_arp_in(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::arp_in) }
}

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_arp_out(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::arp_out) }
}

/// # Safety
///
/// Called by `hooks.c`, with the cluster IPs that `Hooks::of()` has registered.
#[no_mangle]
unsafe extern "C" fn svcg_icmpv6_out(
    state: *mut c_void,
    skb: *mut bindings::sk_buff,
) -> bindings::svcg_verdict {
    // SAFETY: By the requirement.
    unsafe { show(state, skb, neighbour::icmpv6_out) }
}

// ---- Devices: device.c ----

/// # Safety
///
/// Called by `device.c`, under RTNL.
#[no_mangle]
unsafe extern "C" fn svcg_device_gone(
    net: *const bindings::net,
    index: c_uint,
    name: *const DeviceName,
    tell: bool,
) {
    // SAFETY: A device's namespace is there, and so is its name.
    let (net, name) = unsafe { (Net::from_ptr(net.cast_mut()), *name) };
    net.clusters().device_gone(index, name, tell);
}

/// # Safety
///
/// Called by `device.c`, under RTNL.
#[no_mangle]
unsafe extern "C" fn svcg_device_came(
    net: *const bindings::net,
    index: c_uint,
    name: *const DeviceName,
) {
    // SAFETY: A device's namespace is there, and so is its name.
    let (net, name) = unsafe { (Net::from_ptr(net.cast_mut()), &*name) };
    // SAFETY: By the requirement.
    let rtnl = unsafe { Rtnl::callers() };
    net.clusters().device_came(index, name, &rtnl);
}

/// # Safety
///
/// Called by `device.c`, under RTNL.
#[no_mangle]
unsafe extern "C" fn svcg_device_turned(net: *const bindings::net) {
    // SAFETY: A device's namespace is there.
    let net = unsafe { Net::from_ptr(net.cast_mut()) };
    net.clusters().addresses_changed();
}

/// # Safety
///
/// Called by `device.c`, under RTNL.
#[no_mangle]
unsafe extern "C" fn svcg_device_moved(net: *const bindings::net, index: c_uint) {
    // SAFETY: A device's namespace is there.
    let net = unsafe { Net::from_ptr(net.cast_mut()) };
    net.clusters().device_moved(index);
}

// ---- Addresses: address.c, netns.c ----

/// # Safety
///
/// Called by `address.c`, with a namespace that is there.
#[no_mangle]
unsafe extern "C" fn svcg_address_changed(net: *const bindings::net) {
    // SAFETY: By the requirement.
    let net = unsafe { Net::from_ptr(net.cast_mut()) };
    net.clusters().addresses_changed();
}

/// # Safety
///
/// Called by `netns.c` in process context, with what `svcg_clusters_new()` made.
#[no_mangle]
unsafe extern "C" fn svcg_addresses_look(clusters: *const c_void) -> bool {
    // SAFETY: By the requirement; the namespace waits for the call before it frees it.
    unsafe { &*clusters.cast::<Clusters>() }.look()
}

// ---- A network namespace: netns.c ----

/// # Safety
///
/// Called by `netns.c`.
#[no_mangle]
unsafe extern "C" fn svcg_clusters_new(net: *mut bindings::net) -> *mut c_void {
    // SAFETY: The namespace has what is made here freed when it ends.
    match Clusters::new(unsafe { OwnNet::new(net) }) {
        // SAFETY: It is not moved until `svcg_clusters_free()`.
        Ok(clusters) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(clusters) }).cast(),
        Err(_) => core::ptr::null_mut(),
    }
}

/// # Safety
///
/// Called by `netns.c`, with what [`svcg_clusters_new`] made.
#[no_mangle]
unsafe extern "C" fn svcg_clusters_stop(clusters: *mut c_void) {
    // SAFETY: By the requirement.
    unsafe { &*clusters.cast::<Clusters>() }.stop();
}

/// # Safety
///
/// Called by `netns.c`, once for each that [`svcg_clusters_new`] made.
#[no_mangle]
unsafe extern "C" fn svcg_clusters_free(clusters: *mut c_void) {
    // SAFETY: By the requirement; a grace period has passed since nothing shows it packets.
    let clusters = unsafe { Pin::new_unchecked(KBox::from_raw(clusters.cast::<Clusters>())) };
    // Routes of the namespace, which are to go before it.
    if clusters.generation() != 0 {
        wait_for_dropped();
    }
}

// ---- Netlink ----

doit!(service_group_nl_cluster_get_doit => report::one);

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_get_start(
    cb: *mut bindings::netlink_callback,
) -> c_int {
    report::before_all(&mut DumpStart { cb });
    0
}

dumpit!(service_group_nl_cluster_get_dumpit => report::all);
doit!(service_group_nl_cluster_set_doit => change::set);
doit!(service_group_nl_cluster_del_doit => change::remove);
doit!(service_group_nl_cluster_role_set_doit => change::set_role);
