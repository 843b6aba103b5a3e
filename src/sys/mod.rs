// SPDX-License-Identifier: GPL-2.0

//! Everything `unsafe`: safe wrappers of the C shim, and the callbacks that C calls.
//!
//! Nothing here decides anything. Where the kernel keeps a rule by comment (a lock is held, this
//! is an RCU read section), it is a type here: see [`listener::Locked`] and the
//! [`Guard`](kernel::sync::rcu::Guard) parameters.

pub(crate) mod address;
pub(crate) mod adopt;
mod bindings;
mod callbacks;
mod calls;
mod commands;
pub(crate) mod conntrack;
pub(crate) mod device;
pub(crate) mod forward;
pub(crate) mod hooks;
pub(crate) mod listener;
pub(crate) mod neighbour;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod option;
pub(crate) mod packet;
pub(crate) mod queue;
pub(crate) mod rcu;
pub(crate) mod requests;
pub(crate) mod slots;
pub(crate) mod socket;
pub(crate) mod ticker;
pub(crate) mod trail;

pub(crate) use bindings::uapi;

use kernel::{
    error::Error,
    prelude::*, //
};

/// What a callback returns to C: 0, or a negative errno.
fn errno(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}
