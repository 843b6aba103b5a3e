// SPDX-License-Identifier: GPL-2.0

//! What C calls of links: when a link's thread begins, when peers are to be judged, and when netlink or
//! a network namespace asks.
//!
//! `links.h` declares it, but for the commands of netlink.

use super::{doit, dumpit};
use crate::{
    cluster::health,
    links::{
        change,
        judge,
        machine,
        report,
        thread::Thread,
        Links, //
    },
    sys::{
        bindings,
        core::netns::OwnNet,
        socket::link::Waiter, //
    },
};
use kernel::prelude::*;

// ---- A link: link.c ----

/// # Safety
///
/// Called by `link.c` in a link's thread, with what it was started with.
#[no_mangle]
unsafe extern "C" fn svcg_link_run(data: *mut c_void) {
    // SAFETY: By the requirement; the thread owns it.
    let thread = unsafe { KBox::from_raw(data.cast::<Thread>()) };
    // SAFETY: This is a link's thread, and `run` holds no lock while it waits.
    let waiter = unsafe { Waiter::new() };
    KBox::into_inner(thread).run(&waiter);
}

// ---- A network namespace: netns.c ----

/// # Safety
///
/// Called by `netns.c`.
#[no_mangle]
unsafe extern "C" fn svcg_links_new(net: *mut bindings::net) -> *mut c_void {
    // SAFETY: The namespace has what is made here freed when it ends.
    match Links::new(unsafe { OwnNet::new(net) }) {
        // SAFETY: It is not moved until `svcg_links_free()`.
        Ok(links) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(links) }).cast(),
        Err(_) => core::ptr::null_mut(),
    }
}

/// # Safety
///
/// Called by `netns.c`, once for each that [`svcg_links_new`] made, when there are no links.
#[no_mangle]
unsafe extern "C" fn svcg_links_free(links: *mut c_void) {
    // SAFETY: By the requirement; a link's thread holds the namespace until it is done.
    drop(unsafe { Pin::new_unchecked(KBox::from_raw(links.cast::<Links>())) });
}

/// # Safety
///
/// Called by `netns.c` in process context, with what [`svcg_links_new`] made.
#[no_mangle]
unsafe extern "C" fn svcg_links_tick(links: *const c_void) -> c_ulonglong {
    // SAFETY: By the requirement; the namespace waits for the call before it frees it.
    judge::tick(unsafe { &*links.cast::<Links>() }).unwrap_or(c_ulonglong::MAX)
}

// ---- Netlink ----

doit!(service_group_nl_machine_get_doit => machine::get);
doit!(service_group_nl_machine_set_doit => machine::set);
doit!(service_group_nl_machine_del_doit => machine::remove);
doit!(service_group_nl_link_get_doit => report::one);
dumpit!(service_group_nl_link_get_dumpit => report::all);
doit!(service_group_nl_link_add_doit => change::add);
doit!(service_group_nl_link_del_doit => change::remove);
doit!(service_group_nl_health_set_doit => health::set);
