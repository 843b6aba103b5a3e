// SPDX-License-Identifier: GPL-2.0
//! Listening TCP sockets that provide one service.
//!
//! The kernel module `service_group` keeps a connection from being dropped
//! while any socket of a group has room for it. This crate is the safe way to
//! its socket option, and, with the feature `netlink` (on by default), to its
//! netlink family. It does not load the module.
//!
//! Two listeners of one port become a group, and are asked how they are:
//!
//! ```no_run
//! use service_group::{form, info, Entry, Options};
//! use std::net::TcpListener;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let first = TcpListener::bind("127.0.0.1:8080")?;
//! let second = TcpListener::bind("127.0.0.2:8080")?;
//! let group = form(&[Entry::new(&first), Entry::new(&second)], Options::default())?;
//! println!("group {} has {} members", group, info(&first)?.members);
//! # Ok(())
//! # }
//! ```
//!
//! What a group does with its connections is changed with [`configure`] and
//! [`Settings`].
//!
//! Every call does all that it was asked for, or fails and has changed nothing; but see [`form`] for
//! what may come between when it was given sockets to bind. What can go wrong is listed in [`Error`].

mod bind;
mod error;
mod kernel_enum;
pub mod ktls;
#[cfg(feature = "netlink")]
pub mod netlink;
mod option;
mod request;
mod setting_gen;
mod setting_table;
mod settings;
mod sys;
mod trial;

pub use error::{Calls, Error, Row};
pub use option::{form, form_at, info, join, leave, Info, MemberState};
pub use request::{Entry, Options};
pub use settings::{
    configure, settings, GroupSettings, Policy, Setting, SettingDefinition, SettingKind, Settings,
    Value, WhenFull, DEFAULT_STALL, MAX_ADOPT, MAX_STALL, MAX_WEIGHT, MIN_STALL,
};

/// Most members of one group, and most entries of one request.
pub const MAX_MEMBERS: usize = 1024;
/// Most groups that one user's sockets form in one network namespace.
pub const MAX_GROUPS: usize = 1024;
