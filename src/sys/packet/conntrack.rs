// SPDX-License-Identifier: GPL-2.0

//! What conntrack knows of flows.

use crate::{
    logic::cluster::tracked::{End, Tracked},
    sys::{
        bindings,
        core::netns::Net,
        packet::skb::Packet,
        socket::flowlog::Flow, //
    },
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Has conntrack stay, if it is there or as soon as it is, so that it can be asked.
pub(in crate::sys) struct Conntrack(());

impl Conntrack {
    /// Process context.
    pub(in crate::sys) fn new() -> Self {
        // SAFETY: Process context.
        unsafe { bindings::svcg_conntrack_get() };
        Self(())
    }
}

impl Drop for Conntrack {
    fn drop(&mut self) {
        // SAFETY: It was got, and is put in process context, where all changes are made.
        unsafe { bindings::svcg_conntrack_put() };
    }
}

/// Has conntrack be found that is loaded after this module.
pub(crate) struct ConntrackWatch(());

impl ConntrackWatch {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_conntrack_watch() })?;
        Ok(Self(()))
    }
}

impl Drop for ConntrackWatch {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_conntrack_unwatch() };
    }
}

impl Packet<'_> {
    /// What conntrack knows of a TCP flow of which this is a packet, or which it is about; none if
    /// it knows none that began the same way, or if there is no conntrack.
    pub(crate) fn tracked(&self, net: Net<'_>, flow: &Flow) -> Option<Tracked> {
        let mut tracked = bindings::svcg_tracked::default();
        // SAFETY: The packet is there, in its read section, and so are the namespace and the flow.
        let is_known = unsafe {
            bindings::svcg_conntrack_find(net.as_ptr(), self.as_ptr(), flow, &mut tracked)
        };
        let end = |end: bindings::svcg_tracked_end| End {
            next: end.next,
            window: end.window,
        };
        is_known.then(|| Tracked {
            translated: tracked.translated,
            answered: tracked.answered,
            liberal: tracked.liberal,
            state: tracked.state,
            client: end(tracked.client),
            server: end(tracked.server),
        })
    }
}
