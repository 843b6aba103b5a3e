// SPDX-License-Identifier: GPL-2.0

//! Listening sockets: what each is, its upper layer protocol, its accept queue and requests, and
//! the socket options.

pub(crate) mod adopt;
pub(crate) mod descriptor;
pub(crate) mod flowlog;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod lookup;
pub(crate) mod option;
pub(crate) mod queue;
pub(crate) mod requests;
pub(crate) mod ulp;
