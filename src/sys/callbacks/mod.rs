// SPDX-License-Identifier: GPL-2.0

//! What C calls in Rust: one file for each part.
//!
//! Only here does `sys` name the parts. A callback makes types of what C gives it, and calls the part.
//! Where else `sys` needs a type of a part, see [`parts`](super::core::parts).

use kernel::{
    error::Error,
    prelude::*, //
};

/// What a callback returns to C: 0, or a negative errno.
fn errno(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}

/// What generic netlink calls for a command about one thing.
macro_rules! doit {
    ($name:ident => $function:path) => {
        /// # Safety
        ///
        /// Called by generic netlink.
        #[no_mangle]
        unsafe extern "C" fn $name(
            skb: *mut $crate::sys::bindings::sk_buff,
            info: *mut $crate::sys::bindings::genl_info,
        ) -> ::kernel::ffi::c_int {
            $crate::sys::callbacks::errno($function(&$crate::sys::core::netlink::Request {
                skb,
                info,
            }))
        }
    };
}
use doit;

/// What generic netlink calls for a part of a dump.
macro_rules! dumpit {
    ($name:ident => $function:path) => {
        /// # Safety
        ///
        /// Called by generic netlink.
        #[no_mangle]
        unsafe extern "C" fn $name(
            skb: *mut $crate::sys::bindings::sk_buff,
            cb: *mut $crate::sys::bindings::netlink_callback,
        ) -> ::kernel::ffi::c_int {
            $crate::sys::callbacks::errno($function(&mut $crate::sys::core::netlink::Dump {
                cb,
                skb,
            }))
        }
    };
}
use dumpit;

mod cluster;
mod group;
mod links;
