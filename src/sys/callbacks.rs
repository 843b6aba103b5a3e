// SPDX-License-Identifier: GPL-2.0

//! What C calls when something comes to a member: a packet, or its end.
//!
//! The callbacks of the option, of netlink and of the namespaces stand beside their wrappers.

use crate::{
    group::{
        redirect::{self, Outcome},
        rescue,
        stall,
        Member, //
    },
    sys::{
        bindings,
        core::rcu::{callers_section, RcuArc},
        socket::{
            listener::Sock,
            trail::Packet, //
        },
    },
};
use kernel::prelude::*;

/// # Safety
///
/// Called by the kernel in place of a listener's `conn_request()`, with the same promises: among
/// them an RCU read section, see `tcp_rcv_state_process()`.
#[no_mangle]
unsafe extern "C" fn sg_conn_request(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let guard = unsafe { callers_section() };
    // SAFETY: The kernel has the listener and the packet for the duration of the call.
    let (home, packet) = unsafe { (Sock::from_ptr(sk), Packet::from_ptr(skb)) };
    // The hook may be gone since the kernel found it; then the listener is as any other.
    let outcome = match home.hooked_member(guard) {
        Some((member, load)) => redirect::syn(member, home, load, &packet, guard),
        None => Outcome::Taker(home),
    };
    // SAFETY: As above. A taker is a TCP socket whose memory is there as long as the read section; C
    // looks whether it serves the packet's family.
    unsafe {
        let taker = match outcome {
            Outcome::Taker(taker) => taker,
            Outcome::Spilled => return 0,
            Outcome::Drop => {
                bindings::sg_count_drop(sk);
                return 0;
            }
            Outcome::Reset => {
                bindings::sg_count_drop(sk);
                bindings::sg_send_reset(sk, skb);
                return 0;
            }
        };
        let result = bindings::sg_original_conn_request(sk, taker.as_ptr(), skb);
        if !core::ptr::eq(taker, home) {
            bindings::sg_cookies_follow(sk, taker.as_ptr());
        }
        result
    }
}

/// # Safety
///
/// Called by `listener.c` when the listener is about to get a connection, in an RCU read section.
#[no_mangle]
unsafe extern "C" fn sg_connection_comes(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    fast_open: bool,
) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    let guard = unsafe { callers_section() };
    // SAFETY: The kernel has the listener and the packet for the duration of the call.
    let (home, packet) = unsafe { (Sock::from_ptr(sk), Packet::from_ptr(skb)) };
    match home.hooked_member(guard) {
        Some((member, load)) => {
            stall::announce(member, load.queued);
            !fast_open && rescue::handshake_complete(member, load, &packet, guard)
        }
        None => false,
    }
}

/// # Safety
///
/// Called by `ready.c` when a connection was queued with the listener, which may have been accepted by
/// now, in an RCU read section.
#[no_mangle]
unsafe extern "C" fn sg_connection_queued(sk: *mut bindings::sock) {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, guard) = unsafe { (Sock::from_ptr(sk), callers_section()) };
    if let Some(member) = sock.flagged_member(guard) {
        stall::announce(member, sock.queued().saturating_sub(1));
    }
}

/// # Safety
///
/// Called by `listener.c` when a member's socket ends, which gives up the member that
/// [`Sock::attach`] was given. The hook is off the socket.
#[no_mangle]
unsafe extern "C" fn sg_member_gone(sk: *mut bindings::sock, member: *const c_void) {
    // SAFETY: By the requirement.
    let (sock, member) = unsafe {
        let member = RcuArc::<Member>::from_raw(member.cast_mut().cast());
        (Sock::from_ptr(sk), member)
    };
    member.gone(sock);
}

/// # Safety
///
/// Called by `listener.c` in an RCU read section, with the member of a socket.
#[no_mangle]
unsafe extern "C" fn sg_member_info(member: *const c_void, skb: *mut bindings::sk_buff) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let member = unsafe { &*member.cast::<Member>() };
    // SAFETY: By the requirement.
    unsafe { bindings::sg_info_put_id(skb, member.group().id()) }
}
