// SPDX-License-Identifier: GPL-2.0

//! Addresses that come to this machine, and go.

use crate::{
    logic::cluster::flow::Address,
    sys::{
        bindings,
        core::netns::Net, //
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
        bindings::svcg_address_local(
            net.as_ptr(),
            index,
            bytes.as_ptr(),
            address.is_ipv6(),
            &mut unsettled,
        )
    };
    (Local(local), unsettled)
}

/// Has `svcg_addresses_look()` called soon, or no more when the namespace ends. Any context.
pub(crate) fn look_soon(net: Net<'_>) {
    // SAFETY: The namespace is there.
    unsafe { bindings::svcg_addresses_look_soon(net.as_ptr()) };
}

/// Has cluster IPs be told of addresses that come and go.
pub(crate) struct AddressWatch(());

impl AddressWatch {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded, after namespaces have their state.
        to_result(unsafe { bindings::svcg_addresses_watch() })?;
        Ok(Self(()))
    }
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_addresses_unwatch() };
    }
}
