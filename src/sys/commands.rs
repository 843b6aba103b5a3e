// SPDX-License-Identifier: GPL-2.0

//! What generic netlink calls for each command.

use crate::{
    cluster,
    group::{insight, report, settings},
    sys::{
        bindings,
        core::netlink::{Dump, DumpStart, Request},
        errno, //
    },
};
use kernel::prelude::*;

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_group_get_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(report::group(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_group_get_dumpit(
    skb: *mut bindings::sk_buff,
    cb: *mut bindings::netlink_callback,
) -> c_int {
    errno(report::groups(&mut Dump { cb, skb }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_member_get_dumpit(
    skb: *mut bindings::sk_buff,
    cb: *mut bindings::netlink_callback,
) -> c_int {
    errno(report::members(&mut Dump { cb, skb }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_group_set_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(settings::set_group(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_member_set_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(settings::set_member(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_decision_get_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(insight::decision(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_stats_get_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(report::stats(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_get_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(cluster::report::one(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_get_start(
    cb: *mut bindings::netlink_callback,
) -> c_int {
    cluster::report::before_all(&mut DumpStart { cb });
    0
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_get_dumpit(
    skb: *mut bindings::sk_buff,
    cb: *mut bindings::netlink_callback,
) -> c_int {
    errno(cluster::report::all(&mut Dump { cb, skb }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_set_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(cluster::change::set(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_del_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(cluster::change::remove(&Request { skb, info }))
}

/// # Safety
///
/// Called by generic netlink.
#[no_mangle]
unsafe extern "C" fn service_group_nl_cluster_role_set_doit(
    skb: *mut bindings::sk_buff,
    info: *mut bindings::genl_info,
) -> c_int {
    errno(cluster::change::set_role(&Request { skb, info }))
}
