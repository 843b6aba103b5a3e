// SPDX-License-Identifier: GPL-2.0

//! Network namespaces, and what the module keeps for each.

use crate::sys::{
    bindings,
    core::parts::{Clusters, Links, Registry}, //
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*,
    sync::ArcBorrow, //
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
        // SAFETY: The state is what `svcg_netns_new()` returned, and is there as long as the
        // namespace and the module's registration are; whoever asks has both.
        unsafe { ArcBorrow::from_raw(bindings::svcg_netns_state(self.0).cast()) }
    }

    /// The cluster IPs of the namespace.
    pub(crate) fn clusters(self) -> &'a Clusters {
        // SAFETY: What `svcg_clusters_new()` returned is there as long as the namespace and the
        // module's registration are; whoever asks has both. It is pinned, and nobody moves it.
        unsafe { &*bindings::svcg_netns_clusters(self.0).cast::<Clusters>() }
    }

    /// The links of the namespace.
    pub(crate) fn links(self) -> &'a Links {
        // SAFETY: What `svcg_links_new()` returned is there as long as the namespace and the module's
        // registration are; whoever asks has both. It is pinned, and nobody moves it.
        unsafe { &*bindings::svcg_netns_links(self.0).cast::<Links>() }
    }

    /// Has peers be judged in so many nanoseconds, and not later. Any context.
    pub(crate) fn tick_in(self, ns: u64) {
        // SAFETY: The namespace is there.
        unsafe { bindings::svcg_netns_tick(self.0, ns) };
    }

    /// The account of whoever has made it.
    pub(crate) fn account(self) -> u64 {
        // SAFETY: The namespace is there.
        unsafe { bindings::svcg_net_account(self.0) }
    }

    /// Whether it is the caller's own.
    pub(crate) fn is_callers(self) -> bool {
        // SAFETY: The namespace is there.
        unsafe { bindings::svcg_caller_in_net(self.0) }
    }

    /// Whether the caller has `CAP_NET_ADMIN` in it.
    pub(crate) fn caller_is_admin(self) -> bool {
        // SAFETY: The namespace is there.
        unsafe { bindings::svcg_caller_is_admin(self.0) }
    }
}

impl PartialEq for Net<'_> {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.0, other.0)
    }
}

/// Has each namespace get a [`Registry`], [`Clusters`], and [`Links`].
pub(crate) struct NetnsRegistration(());

impl NetnsRegistration {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_netns_register() })?;
        Ok(Self(()))
    }
}

impl Drop for NetnsRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_netns_unregister() };
    }
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
    /// # Safety
    ///
    /// As the invariant.
    pub(in crate::sys) unsafe fn new(net: *mut bindings::net) -> Self {
        // INVARIANT: By the requirement.
        Self(net)
    }

    pub(crate) fn get(&self) -> Net<'_> {
        // SAFETY: By the invariant.
        unsafe { Net::from_ptr(self.0) }
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let len = c_uint::try_from(N).unwrap_or(0);
    // SAFETY: There is room for so many.
    unsafe { bindings::svcg_random(bytes.as_mut_ptr().cast(), len) };
    bytes
}
