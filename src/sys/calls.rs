// SPDX-License-Identifier: GPL-2.0

//! What programs call on a member, as far as it matters to its group.

use super::{
    bindings,
    listener::Sock, //
};
use crate::group::{
    leave,
    stall, //
};
use kernel::sync::rcu;

/// A group is about to have its members' addresses shown: from now on each `accept()` asks.
pub(crate) fn rewriting_begins() {
    // SAFETY: It has no requirements.
    unsafe { bindings::sg_rewriting_begins() };
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn sg_member_waits(sk: *mut bindings::sock) {
    let guard = rcu::read_lock();
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    if let Some(member) = sock.flagged_member(&guard) {
        stall::waits(member, sock);
    }
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn sg_member_accepts(sk: *mut bindings::sock, empty: bool) -> bool {
    let guard = rcu::read_lock();
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    let Some(member) = sock.flagged_member(&guard) else {
        return false;
    };
    if empty {
        stall::waits(member, sock);
    }
    member.group().settings().rewrite()
}

/// # Safety
///
/// Called by `calls.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn sg_member_accepted(sk: *mut bindings::sock, rewritten: bool) {
    let guard = rcu::read_lock();
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    if let Some(member) = sock.flagged_member(&guard) {
        stall::accepted(member, sock, rewritten);
    }
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
