// SPDX-License-Identifier: GPL-2.0

//! Which listener a connection would find.

use crate::{
    logic::room::Load,
    sys::{
        bindings,
        core::netns::Net,
        socket::flowlog::Flow, //
    },
};

/// How full the listener is that is found for such a connection that comes by this device; none if
/// there is no listener. Any context.
pub(crate) fn listener(net: Net<'_>, flow: &Flow, device: u32) -> Option<Load> {
    let mut load = bindings::svcg_load::default();
    // SAFETY: The namespace is there, and so are the two structures.
    unsafe { bindings::svcg_listens(net.as_ptr(), flow, device, &mut load) }
        .then(|| Load::from(load))
}
