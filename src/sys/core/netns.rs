// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, and what the module keeps for each.

use crate::{
    cluster::Clusters,
    group::registry::Registry,
    sys::{
        bindings,
        socket::queue::WorkQueue, //
    },
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*,
    sync::{Arc, ArcBorrow}, //
};

/// A network namespace that is there for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a>(*mut bindings::net, PhantomData<&'a bindings::net>);

impl<'a> Net<'a> {
    /// # Safety
    ///
    /// `ptr` is a namespace that is there for `'a`.
    pub(in crate::sys) unsafe fn from_ptr(ptr: *mut bindings::net) -> Self {
        Self(ptr, PhantomData)
    }

    pub(in crate::sys) fn as_ptr(self) -> *mut bindings::net {
        self.0
    }

    /// The groups of the namespace.
    pub(crate) fn registry(self) -> ArcBorrow<'a, Registry> {
        // SAFETY: The state is what `sg_netns_new()` returned, and is there as long as the
        // namespace and the module's registration are; whoever asks has both.
        unsafe { ArcBorrow::from_raw(bindings::sg_netns_state(self.0).cast()) }
    }

    /// The cluster IPs of the namespace.
    pub(crate) fn clusters(self) -> &'a Clusters {
        // SAFETY: What `sg_clusters_new()` returned is there as long as the namespace and the
        // module's registration are; whoever asks has both. It is pinned, and nobody moves it.
        unsafe { &*bindings::sg_netns_clusters(self.0).cast::<Clusters>() }
    }

    /// Whether it is the caller's own.
    pub(crate) fn is_callers(self) -> bool {
        // SAFETY: The namespace is there.
        unsafe { bindings::sg_caller_in_net(self.0) }
    }

    /// Whether the caller has `CAP_NET_ADMIN` in it.
    pub(crate) fn caller_is_admin(self) -> bool {
        // SAFETY: The namespace is there.
        unsafe { bindings::sg_caller_is_admin(self.0) }
    }
}

impl PartialEq for Net<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

/// Has each namespace get a [`Registry`], and [`Clusters`].
pub(crate) struct NetnsRegistration {
    _queue: WorkQueue,
}

impl NetnsRegistration {
    pub(crate) fn new(queue: WorkQueue) -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::sg_netns_register() })?;
        Ok(Self { _queue: queue })
    }
}

impl Drop for NetnsRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_netns_unregister() };
    }
}

/// # Safety
///
/// Called by `netns.c`.
#[no_mangle]
unsafe extern "C" fn sg_netns_new(net: *mut bindings::net) -> *mut c_void {
    // INVARIANT: The namespace has what is made here freed when it ends.
    match Registry::new(OwnNet(net)) {
        Ok(registry) => {
            let registry = Arc::into_raw(registry);
            // SAFETY: The registry is there until `sg_netns_free()`, which stops the timers.
            unsafe { (*registry).tickers().start(registry) };
            registry.cast_mut().cast()
        }
        Err(_) => core::ptr::null_mut(),
    }
}

/// # Safety
///
/// Called by `netns.c`, once for each state that [`sg_netns_new`] made.
#[no_mangle]
unsafe extern "C" fn sg_netns_free(state: *mut c_void) {
    // SAFETY: By the requirement.
    let registry = unsafe { Arc::<Registry>::from_raw(state.cast()) };
    registry.tickers().stop();
    // They hold the registry, and wait for members that cannot come any more.
    registry.forget_all();
}

/// A namespace whose state this is part of: it is there as long as that, and takes no reference.
///
/// # Invariants
///
/// It is one, until the state is freed.
pub(crate) struct OwnNet(*mut bindings::net);

// SAFETY: A namespace may be used from any CPU.
unsafe impl Send for OwnNet {}
// SAFETY: As above.
unsafe impl Sync for OwnNet {}

impl OwnNet {
    pub(crate) fn get(&self) -> Net<'_> {
        // SAFETY: By the invariant.
        unsafe { Net::from_ptr(self.0) }
    }
}

/// # Safety
///
/// Called by `netns.c`.
#[no_mangle]
unsafe extern "C" fn sg_clusters_new(net: *mut bindings::net) -> *mut c_void {
    // INVARIANT: The namespace has what is made here freed when it ends.
    match Clusters::new(OwnNet(net)) {
        // SAFETY: It is not moved until `sg_clusters_free()`.
        Ok(clusters) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(clusters) }).cast(),
        Err(_) => core::ptr::null_mut(),
    }
}

/// # Safety
///
/// Called by `netns.c`, with what [`sg_clusters_new`] made.
#[no_mangle]
unsafe extern "C" fn sg_clusters_stop(clusters: *mut c_void) {
    // SAFETY: By the requirement.
    unsafe { &*clusters.cast::<Clusters>() }.stop();
}

/// # Safety
///
/// Called by `netns.c`, once for each that [`sg_clusters_new`] made.
#[no_mangle]
unsafe extern "C" fn sg_clusters_free(clusters: *mut c_void) {
    // SAFETY: By the requirement; a grace period has passed since nothing shows it packets.
    drop(unsafe { Pin::new_unchecked(KBox::from_raw(clusters.cast::<Clusters>())) });
}
