// SPDX-License-Identifier: GPL-2.0

//! What programs call on a member, as far as it matters to its group.

use crate::{
    group::{leave, look, stall, Member},
    sys::{
        bindings,
        core::rcu::callers_section,
        socket::listener::Sock, //
    },
};
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn sg_member_polls(sk: *mut bindings::sock, readable: bool) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    look::polls(unsafe { Sock::from_ptr(sk) }, readable)
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn sg_member_accepts(sk: *mut bindings::sock, sleeps: bool) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    look::accepts(unsafe { Sock::from_ptr(sk) }, sleeps)
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn sg_member_listens(sk: *mut bindings::sock) {
    let guard = rcu::read_lock();
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    if let Some(member) = sock.flagged_member(&guard) {
        member.freed(&guard);
    }
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's and the member that it is, in an RCU read
/// section.
#[no_mangle]
unsafe extern "C" fn sg_member_accepted(
    member: *const c_void,
    sk: *mut bindings::sock,
    rewritten: bool,
) {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, guard) = unsafe { (Sock::from_ptr(sk), callers_section()) };
    // SAFETY: As above.
    let member = unsafe { &*member.cast::<Member>() };
    stall::accepted(member, sock, rewritten, guard);
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn sg_member_leaves(sk: *mut bindings::sock, closes: bool) {
    // SAFETY: By the requirement, for the duration of the call.
    leave::begin(unsafe { Sock::from_ptr(sk) }, closes);
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn sg_member_stopped(sk: *mut bindings::sock) {
    // SAFETY: By the requirement, for the duration of the call.
    leave::end(unsafe { Sock::from_ptr(sk) });
}
