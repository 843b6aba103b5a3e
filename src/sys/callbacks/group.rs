// SPDX-License-Identifier: GPL-2.0

//! What C calls of groups: when something comes to a member, when a program calls, and when a timer,
//! netlink or a network namespace asks.
//!
//! `group.h` declares it, but for the commands of netlink.

use super::{doit, dumpit, errno};
use crate::{
    group::{
        adopt,
        decision,
        leave,
        look,
        migrate,
        option,
        redirect::{self, Outcome},
        registry::Registry,
        report,
        settings,
        stall,
        watch,
        Group,
        Member, //
    },
    sys::{
        bindings::{self, uapi},
        core::{
            netns::OwnNet,
            rcu::{assume_rcu_read_lock, RcuArc}, //
        },
        socket::{
            descriptor::Socket,
            flowlog::Packet, //
            listener::{AnySock, Locked, Sock},
            option::{tell, Value},
        },
    },
};
use core::mem::ManuallyDrop;
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow}, //
};

// ---- A listener: af_ops.c, ulp.c, ready.c ----

/// # Safety
///
/// Called by the kernel in place of a listener's `conn_request()`, with the same promises: among
/// them an RCU read section, see `tcp_rcv_state_process()`.
#[no_mangle]
unsafe extern "C" fn svcg_conn_request(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let guard = unsafe { assume_rcu_read_lock() };
    // SAFETY: The kernel has the listener and the packet for the duration of the call.
    let (home, packet) = unsafe { (Sock::from_ptr(sk), Packet::from_ptr(skb)) };
    // The hook may be gone since the kernel found it; then the listener is as any other.
    let outcome = match home.hooked_member(guard) {
        Some((member, load)) => redirect::syn(member, home, load, &packet, guard),
        None => Outcome::Target(home),
    };
    // SAFETY: As above. A target is a TCP socket whose memory is there as long as the read section; C
    // looks whether it serves the packet's family.
    unsafe {
        let target = match outcome {
            Outcome::Target(target) => target,
            Outcome::Spilled => return 0,
            Outcome::Drop => {
                bindings::svcg_count_drop(sk);
                return 0;
            }
            Outcome::Reset => {
                bindings::svcg_count_drop(sk);
                bindings::svcg_send_reset(sk, skb);
                return 0;
            }
        };
        let result = bindings::svcg_original_conn_request(sk, target.as_ptr(), skb);
        if !core::ptr::eq(target, home) {
            bindings::svcg_cookies_follow(sk, target.as_ptr());
        }
        result
    }
}

/// # Safety
///
/// Called by `af_ops.c` when the listener is about to get a connection, in an RCU read section.
#[no_mangle]
unsafe extern "C" fn svcg_connection_comes(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    fast_open: bool,
) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    let guard = unsafe { assume_rcu_read_lock() };
    // SAFETY: The kernel has the listener and the packet for the duration of the call.
    let (home, packet) = unsafe { (Sock::from_ptr(sk), Packet::from_ptr(skb)) };
    match home.hooked_member(guard) {
        Some((member, load)) => {
            stall::announce(member, load.queued);
            !fast_open && migrate::handshake_complete(member, load, &packet, guard)
        }
        None => false,
    }
}

/// # Safety
///
/// Called by `ready.c` when a connection was queued with the listener, which may have been accepted by
/// now, in an RCU read section.
#[no_mangle]
unsafe extern "C" fn svcg_connection_queued(sk: *mut bindings::sock) {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, guard) = unsafe { (Sock::from_ptr(sk), assume_rcu_read_lock()) };
    if let Some(member) = sock.ulp_member(guard) {
        stall::announce(member, sock.queued().saturating_sub(1));
    }
}

/// # Safety
///
/// Called by `ulp.c` when a member's socket ends, which gives up the member that
/// [`Sock::attach`] was given. The context is off the socket.
#[no_mangle]
unsafe extern "C" fn svcg_member_gone(sk: *mut bindings::sock, member: *const c_void) {
    // SAFETY: By the requirement.
    let (sock, member) = unsafe {
        let member = RcuArc::<Member>::from_raw(member.cast_mut().cast());
        (Sock::from_ptr(sk), member)
    };
    member.gone(sock);
}

/// # Safety
///
/// Called by `ulp.c` in an RCU read section, with the member of a socket.
#[no_mangle]
unsafe extern "C" fn svcg_member_info(member: *const c_void, skb: *mut bindings::sk_buff) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let member = unsafe { &*member.cast::<Member>() };
    // SAFETY: By the requirement.
    unsafe { bindings::svcg_info_put_id(skb, member.group().id()) }
}

// ---- A program: proto_ops.c, option.c ----

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn svcg_member_polls(sk: *mut bindings::sock, readable: bool) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    look::polls(unsafe { Sock::from_ptr(sk) }, readable)
}

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn svcg_member_accepts(sk: *mut bindings::sock, sleeps: bool) -> bool {
    // SAFETY: By the requirement, for the duration of the call.
    look::accepts(unsafe { Sock::from_ptr(sk) }, sleeps)
}

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's.
#[no_mangle]
unsafe extern "C" fn svcg_member_listens(sk: *mut bindings::sock) {
    let guard = rcu::read_lock();
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    if let Some(member) = sock.ulp_member(&guard) {
        member.freed(&guard);
    }
}

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's and the member that it is, in an RCU read
/// section.
#[no_mangle]
unsafe extern "C" fn svcg_member_accepted(
    member: *const c_void,
    sk: *mut bindings::sock,
    rewritten: bool,
) {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, guard) = unsafe { (Sock::from_ptr(sk), assume_rcu_read_lock()) };
    // SAFETY: As above.
    let member = unsafe { &*member.cast::<Member>() };
    stall::accepted(member, sock, rewritten, guard);
}

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn svcg_member_leaves(sk: *mut bindings::sock, closes: bool) {
    // SAFETY: By the requirement, for the duration of the call.
    leave::begin(unsafe { Sock::from_ptr(sk) }, closes);
}

/// # Safety
///
/// Called by `proto_ops.c`, with a socket of the caller's that is not locked.
#[no_mangle]
unsafe extern "C" fn svcg_member_stopped(sk: *mut bindings::sock) {
    // SAFETY: By the requirement, for the duration of the call.
    leave::end(unsafe { Sock::from_ptr(sk) });
}

/// # Safety
///
/// Called by `option.c`: `sk` is a socket of the caller's, `value` its sockptr_t.
#[no_mangle]
unsafe extern "C" fn svcg_option_set(
    sk: *mut bindings::sock,
    name: c_int,
    value: *const c_void,
    len: c_uint,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { AnySock::from_ptr(sk) };
    // SAFETY: As above.
    let value = unsafe { Value::from_raw(value, len) };
    errno(match u32::try_from(name) {
        Ok(uapi::SO_SERVICE_GROUP) => option::set(sock, value),
        Ok(uapi::SO_SERVICE_GROUP_LEAVE) => option::leave(sock, value),
        Ok(uapi::SO_SERVICE_GROUP_SETTINGS) => option::set_settings(sock, value),
        _ => Err(ENOPROTOOPT),
    })
}

/// # Safety
///
/// Called by `option.c`: `sk` is a socket of the caller's, `to` the user's pointer, `len` the
/// length there.
#[no_mangle]
unsafe extern "C" fn svcg_option_get(
    sk: *mut bindings::sock,
    name: c_int,
    to: *mut c_void,
    len: *mut c_int,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, len) = unsafe { (AnySock::from_ptr(sk), &mut *len) };
    errno(match u32::try_from(name) {
        Ok(uapi::SO_SERVICE_GROUP) => tell(option::get(sock), to, len),
        Ok(uapi::SO_SERVICE_GROUP_SETTINGS) => tell(option::get_settings(sock), to, len),
        _ => Err(ENOPROTOOPT),
    })
}

// ---- A socket that begins to listen: adopt.c ----

/// # Safety
///
/// Called by `adopt.c` in process context with a full TCP socket, whose lock the caller holds.
#[no_mangle]
unsafe extern "C" fn svcg_listen_begins(sk: *mut bindings::sock) {
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { Sock::from_ptr(sk) };
    // The lock is the caller's, and stays so.
    // SAFETY: By the requirement.
    let mut locked = ManuallyDrop::new(unsafe { Locked::callers(sock) });
    adopt::begins(&mut locked);
}

/// # Safety
///
/// Called by `adopt.c` in process context, once for each group that [`Locked::adopt_later`] has given;
/// `sock` is NULL, or a TCP socket that a descriptor stands for, which is not locked by the caller, with
/// a reference to its file.
#[no_mangle]
unsafe extern "C" fn svcg_listen_begun(sock: *mut bindings::socket, group: *mut c_void) {
    // SAFETY: By the requirement.
    let (socket, group) = unsafe { (Socket::from_ptr(sock), Arc::from_raw(group.cast::<Group>())) };
    // A socket that is closed by now is no successor, and gives back itself what it was given.
    if let Some(socket) = socket {
        adopt::begun(socket.sock(), &group);
    }
}

// ---- A timer: stall_timer.c ----

/// # Safety
///
/// Called by `stall_timer.c`, with what
/// [`StallTimers::of`](crate::sys::core::stall_timer::StallTimers::of) was given.
#[no_mangle]
unsafe extern "C" fn svcg_tick(state: *const c_void, account: u64, tick: *mut bindings::svcg_tick) {
    // SAFETY: By the requirement, it is the registry of an `Arc`, and there for the call.
    let registry = unsafe { ArcBorrow::from_raw(state.cast::<Registry>()) };
    let (rest, next) = watch::tick(registry, account);
    // SAFETY: It is the caller's own.
    unsafe {
        (*tick).rest = rest;
        (*tick).next = next.unwrap_or(u64::MAX);
    }
}

// ---- A network namespace: netns.c ----

/// # Safety
///
/// Called by `netns.c`.
#[no_mangle]
unsafe extern "C" fn svcg_netns_new(net: *mut bindings::net) -> *mut c_void {
    // SAFETY: The namespace has what is made here freed when it ends.
    match Registry::new(unsafe { OwnNet::new(net) }) {
        Ok(registry) => {
            let registry = Arc::into_raw(registry);
            // SAFETY: The registry is there until `svcg_netns_free()`, which stops the timers.
            unsafe { (*registry).stall_timers().start(registry) };
            registry.cast_mut().cast()
        }
        Err(_) => core::ptr::null_mut(),
    }
}

/// # Safety
///
/// Called by `netns.c`, once for each state that [`svcg_netns_new`] made.
#[no_mangle]
unsafe extern "C" fn svcg_netns_free(state: *mut c_void) {
    // SAFETY: By the requirement.
    let registry = unsafe { Arc::<Registry>::from_raw(state.cast()) };
    registry.stall_timers().stop();
    // They hold the registry, and wait for members that cannot come any more.
    registry.forget_all();
}

// ---- Netlink ----

doit!(service_group_nl_group_get_doit => report::group);
dumpit!(service_group_nl_group_get_dumpit => report::groups);
dumpit!(service_group_nl_member_get_dumpit => report::members);
doit!(service_group_nl_group_set_doit => settings::set_group);
doit!(service_group_nl_member_set_doit => settings::set_member);
doit!(service_group_nl_decision_get_doit => decision::get);
doit!(service_group_nl_stats_get_doit => report::stats);
