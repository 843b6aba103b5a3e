// SPDX-License-Identifier: GPL-2.0

//! Addresses that come to this machine, and go.

use crate::{
    cluster::Clusters,
    logic::cluster::flow::Address,
    sys::{
        bindings,
        core::netns::Net,
        packet::conntrack::ConntrackWatch, //
    },
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Where this machine has an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local(u32);

impl Local {
    /// As netlink tells it.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// Where this machine has an address, of which one of its devices is asked first; and whether that
/// may change without anybody being told. Any context.
pub(crate) fn local(net: Net<'_>, index: u32, address: &Address) -> (Local, bool) {
    let bytes = address.to_bytes();
    let mut unsettled = false;
    // SAFETY: The namespace is there, and so are the bytes of both families.
    let local = unsafe {
        bindings::sg_address_local(
            net.as_ptr(),
            index,
            bytes.as_ptr(),
            address.is_ipv6(),
            &mut unsettled,
        )
    };
    (Local(local), unsettled)
}

/// Has [`Clusters::look`] called soon, or no more when the namespace ends. Any context.
pub(crate) fn look_soon(net: Net<'_>) {
    // SAFETY: The namespace is there.
    unsafe { bindings::sg_addresses_look_soon(net.as_ptr()) };
}

/// Has cluster IPs be told of addresses that come and go.
pub(crate) struct AddressWatch {
    _conntrack: ConntrackWatch,
}

impl AddressWatch {
    pub(crate) fn new(conntrack: ConntrackWatch) -> Result<Self> {
        // SAFETY: Called once, when the module is loaded, after namespaces have their state.
        to_result(unsafe { bindings::sg_addresses_watch() })?;
        Ok(Self {
            _conntrack: conntrack,
        })
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_addresses_unwatch() };
    }
}

/// # Safety
///
/// Called by `address.c`, with a namespace that is there.
#[no_mangle]
unsafe extern "C" fn sg_address_changed(net: *const bindings::net) {
    // SAFETY: By the requirement.
    let net = unsafe { Net::from_ptr(net.cast_mut()) };
    net.clusters().addresses_changed();
}

/// # Safety
///
/// Called by `netns.c` in process context, with what `sg_clusters_new()` made.
#[no_mangle]
unsafe extern "C" fn sg_addresses_look(clusters: *const c_void) -> bool {
    // SAFETY: By the requirement; the namespace waits for the call before it frees it.
    unsafe { &*clusters.cast::<Clusters>() }.look()
}
