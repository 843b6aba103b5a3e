// SPDX-License-Identifier: GPL-2.0

//! Everything `unsafe`: safe wrappers of the C shim, and the callbacks that C calls.
//!
//! Each folder has its C beside its Rust. Imports go one way: `callbacks` to the parts, the parts to
//! `packet`, `socket` and `core`, and `packet` to `socket`, and that to `core`.
//!
//! Nothing here decides anything. Where the kernel keeps a rule by comment (a lock is held, this
//! is an RCU read section), it is a type here: see [`socket::listener::Locked`] and the
//! [`Guard`](kernel::sync::rcu::Guard) parameters.

mod bindings;
mod callbacks;
pub(crate) mod core;
pub(crate) mod packet;
pub(crate) mod socket;

pub(crate) use bindings::uapi;
