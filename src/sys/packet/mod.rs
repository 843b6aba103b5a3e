// SPDX-License-Identifier: GPL-2.0

//! Packets that netfilter shows, and the addresses, devices, neighbours and routes that they need.

pub(crate) mod address;
pub(crate) mod conntrack;
pub(crate) mod device;
pub(crate) mod forward;
pub(crate) mod hooks;
pub(crate) mod neighbour;
pub(crate) mod skb;
