// SPDX-License-Identifier: GPL-2.0

//! The packets of a namespace, as netfilter shows them.

use crate::sys::{
    bindings,
    core::{
        netns::Net,
        parts::Clusters, //
    },
    packet::conntrack::Conntrack, //
};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Shows the packets of a namespace to its [`Clusters`], as long as it is there.
///
/// # Invariants
///
/// The pointer comes from `svcg_nf_hooks_register()`, and is owned.
pub(crate) struct Hooks {
    hooks: NonNull<bindings::svcg_nf_hooks>,
    /// Asked about packets.
    _conntrack: Conntrack,
    /// Nobody else keeps the machine from answering for all of a cluster IP's flows, so the module
    /// stays. The last one to go.
    _module: Module,
}

// SAFETY: They may be unregistered from any process.
unsafe impl Send for Hooks {}
// SAFETY: There is nothing that a shared reference can do.
unsafe impl Sync for Hooks {}

impl Hooks {
    /// Shows the packets of the namespace to its own cluster IPs. `ENOENT` if the module is being
    /// unloaded, as there will be no family a moment later. Process context.
    pub(crate) fn of(net: Net<'_>) -> Result<Self> {
        // SAFETY: Hooks are made and dropped by netlink's handlers, and dropped when a namespace ends:
        // unloading waits for both, see `netns.c`.
        let module = unsafe { Module::hold() }.ok_or(ENOENT)?;
        let clusters: *const Clusters = net.clusters();
        // SAFETY: The namespace is there, and so are its cluster IPs: when it ends they are stopped, which
        // drops these hooks, and a grace period passes before they are freed, see
        // `svcg_clusters_stop()`.
        let hooks =
            unsafe { bindings::svcg_nf_hooks_register(net.as_ptr(), clusters.cast_mut().cast()) };
        // INVARIANT: They were just registered.
        Ok(Self {
            hooks: NonNull::new(hooks).ok_or(ENOMEM)?,
            _conntrack: Conntrack::new(),
            _module: module,
        })
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        // SAFETY: By the invariant.
        unsafe { bindings::svcg_nf_hooks_unregister(self.hooks.as_ptr()) };
    }
}

/// Keeps the module from being unloaded.
///
/// # Invariants
///
/// A reference to the module is owned, and unloading waits for who drops it.
struct Module(());

impl Module {
    /// None if the module is being unloaded.
    ///
    /// # Safety
    ///
    /// Unloading waits for the caller, and for who drops this.
    unsafe fn hold() -> Option<Self> {
        // INVARIANT: By the requirement.
        // SAFETY: Unloading waits for the caller, so the module is there.
        unsafe { bindings::svcg_module_get() }.then(|| Self(()))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: By the invariant it is owned, and what comes behind this is waited for.
        unsafe { bindings::svcg_module_put() };
    }
}

/// Whether fragments of IPv6 packets can be put together, as long as it is there.
pub(crate) struct Gatherer(());

impl Gatherer {
    /// `EOPNOTSUPP` if the kernel's module for it is not there. Process context.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Process context.
        kernel::error::to_result(unsafe { bindings::svcg_defrag_get() })?;
        Ok(Self(()))
    }
}

impl Drop for Gatherer {
    fn drop(&mut self) {
        // SAFETY: It was got, and is put in process context, where all changes are made.
        unsafe { bindings::svcg_defrag_put() };
    }
}
