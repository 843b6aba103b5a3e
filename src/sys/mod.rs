// SPDX-License-Identifier: GPL-2.0

//! Everything `unsafe`: safe wrappers of the C shim, and the callbacks that C calls.
//!
//! Nothing here decides anything. Where the kernel keeps a rule by comment (a lock is held, this
//! is an RCU read section), it is a type here: see [`socket::listener::Locked`] and the
//! [`Guard`](kernel::sync::rcu::Guard) parameters.

mod bindings;
mod callbacks;
mod commands;
pub(crate) mod core;
pub(crate) mod packet;
pub(crate) mod socket;

pub(crate) use bindings::uapi;

use kernel::{
    error::Error,
    prelude::*, //
};

/// What a callback returns to C: 0, or a negative errno.
fn errno(result: Result) -> c_int {
    result.map_or_else(Error::to_errno, |()| 0)
}
