// SPDX-License-Identifier: GPL-2.0

//! What both parts stand on: RCU, network namespaces, timers, work and generic netlink.

pub(crate) mod caller;
pub(crate) mod clock;
pub(crate) mod netlink;
mod netlink_dump;
mod netlink_message;
pub(crate) mod netns;
pub(crate) mod parts;
pub(crate) mod rcu;
pub(crate) mod shares;
pub(crate) mod slots;
pub(crate) mod stall_timer;
pub(crate) mod work;
