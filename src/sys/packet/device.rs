// SPDX-License-Identifier: GPL-2.0

//! Devices that packets for cluster IPs come by.

use crate::{
    logic::cluster::flow::Address,
    sys::{
        bindings,
        core::netns::Net, //
    },
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    error::{from_err_ptr, to_result},
    prelude::*, //
};

/// What a device is called, with zeros behind.
pub(crate) type DeviceName = [u8; 16];

/// Evidence that no device comes or goes.
pub(crate) struct Rtnl(());

impl Rtnl {
    /// That of a caller that has the lock, and gives it back.
    ///
    /// # Safety
    ///
    /// The lock is held as long as this is there.
    pub(in crate::sys) unsafe fn callers() -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(()))
    }

    /// Waits for it. Process context.
    pub(crate) fn lock() -> Self {
        // SAFETY: Process context, and whoever has the evidence does not ask for it again.
        unsafe { bindings::svcg_rtnl_lock() };
        Self(())
    }

    /// Has a device, if there is one of this index, not merge packets by itself (LRO): what it has
    /// merged cannot be sent on. The device's own lock is taken.
    pub(crate) fn disable_lro(&self, net: Net<'_>, index: u32) {
        // SAFETY: The namespace is there, and the lock is held.
        unsafe { bindings::svcg_device_disable_lro(net.as_ptr(), index) };
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        // SAFETY: It was locked.
        unsafe { bindings::svcg_rtnl_unlock() };
    }
}

/// What a device does for a cluster IP. It is dropped under the lock that [`Rtnl`] stands for.
///
/// # Invariants
///
/// The pointer comes from `svcg_device_get()`, and is owned.
pub(crate) struct Device(NonNull<bindings::svcg_device>);

// SAFETY: A device may be used from any CPU.
unsafe impl Send for Device {}
// SAFETY: As above; it is changed by who has it alone.
unsafe impl Sync for Device {}

impl Device {
    /// The device of this index, an Ethernet one. `ENODEV` if there is none, `EMEDIUMTYPE`
    /// if it is a VRF.
    pub(crate) fn new(net: Net<'_>, index: u32, _rtnl: &Rtnl) -> Result<Self> {
        // SAFETY: The namespace is there, and the lock is held.
        let device = from_err_ptr(unsafe { bindings::svcg_device_get(net.as_ptr(), index) })?;
        // INVARIANT: It was just made.
        NonNull::new(device).map(Self).ok_or(ENODEV)
    }

    /// Has it receive what is sent to a multicast MAC address.
    pub(crate) fn join_mac(&mut self, mac: &[u8; 6], _rtnl: &Rtnl) -> Result {
        // SAFETY: By the invariant; the lock is held.
        to_result(unsafe { bindings::svcg_device_join_mac(self.0.as_ptr(), mac.as_ptr()) })
    }

    /// Has it receive neighbour solicitations for an IPv6 address.
    pub(crate) fn join_solicited(&mut self, address: &[u8; 16], _rtnl: &Rtnl) -> Result {
        // SAFETY: By the invariant; the lock is held.
        to_result(unsafe {
            bindings::svcg_device_join_solicited(self.0.as_ptr(), address.as_ptr())
        })
    }

    /// Has it receive again what it does not since its IPv6 was off. Under RTNL.
    pub(crate) fn rejoin(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_device_rejoin(self.0.as_ptr()) };
    }

    /// Tells the segment that the address is to be sent to this machine.
    pub(crate) fn announce(&self, address: &Address) {
        match address {
            Address::V4(word) => {
                let bytes = word.to_be_bytes();
                // SAFETY: By the invariant; there are four bytes.
                unsafe { bindings::svcg_device_announce_ipv4(self.0.as_ptr(), bytes.as_ptr()) };
            }
            Address::V6(_) => {
                let bytes = address.to_bytes();
                // SAFETY: By the invariant; there are sixteen bytes.
                unsafe { bindings::svcg_device_announce_ipv6(self.0.as_ptr(), bytes.as_ptr()) };
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: By the invariant; the lock is held, see the type.
        unsafe { bindings::svcg_device_put(self.0.as_ptr()) };
    }
}

/// Whether the device of this index is there, is up, and has a carrier. Any context.
pub(crate) fn is_up(net: Net<'_>, index: u32) -> bool {
    // SAFETY: The namespace is there.
    unsafe { bindings::svcg_device_is_up(net.as_ptr(), index) }
}

/// Has cluster IPs be told of devices that go, or come up.
pub(crate) struct DeviceWatch(());

impl DeviceWatch {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded, after namespaces have their state.
        to_result(unsafe { bindings::svcg_devices_watch() })?;
        Ok(Self(()))
    }
}

impl Drop for DeviceWatch {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_devices_unwatch() };
    }
}
