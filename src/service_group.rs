// SPDX-License-Identifier: GPL-2.0

//! service_group: several listening TCP sockets, and several machines, provide one service.
//!
//! The kernel drops a SYN when the one listener that it looked up is full, although siblings of
//! that listener are idle. This module lets programs say which sockets are siblings, and gives
//! the connection to one that has room. Sockets that are in no group are not touched, and pay
//! nothing. And it lets several machines serve one address, each its part, without remembering
//! anything between packets.
//!
//! ```text
//!   socket option, netlink, packets         the kernel calls
//!        │
//!   sys/       every `unsafe`: callbacks from C, safe wrappers of the C shim
//!        │
//!   group/     collect facts, have them decided, carry the decision out:
//!   cluster/   for the sockets of this machine, for the packets of several ones
//!        │
//!   logic/     decisions: pure functions, built and tested on the host as well
//! ```
//!
//! # Lifetimes
//!
//! A group's slots own its members, and a member owns the hook that its socket carries. A socket
//! holds a reference to the module from when it is flagged to its end. Members are found under RCU, on
//! a socket or in their group, and freed a grace period after they were taken from both. A member
//! does not hold its socket: the socket tells when it ends.
//!
//! # Locking order
//!
//! ```text
//!   Registry::changes         forming and joining (sleeps)
//!     lock_sock()             which hook a socket carries (sleeps)
//!       sg_ops_mutex          the operations of members (sleeps)
//!       RcuSlots::writer      a group's members (no interrupts)
//!       Registry::groups      a namespace's groups (no interrupts)
//!       rskq_lock             an accept queue (no bottom halves)
//!       ehash lock            half-open requests (no bottom halves)
//!       Trail's slots         what became of connections (no bottom halves)
//!
//!   rtnl_lock()               which devices there are (sleeps)
//!     Clusters::changes       a namespace's cluster IPs (sleeps)
//! ```
//!
//! A program that polls may hold an epoll's mutex above all of these. Those below `lock_sock()` are
//! never held together. Packets take none of these but a slot of the
//! trail. A socket that ends holds its own lock. `sg_faces_lock` is held with no other.

mod cluster;
mod group;
// Public in the host crate that shares it.
#[expect(unreachable_pub)]
// Tables are made by the tool, with what is here.
#[cfg_attr(not(CONFIG_KUNIT = "y"), expect(dead_code))]
mod logic;
mod sys;

use kernel::prelude::*;
use sys::{
    device::DeviceWatch,
    listener::FlagRegistration,
    netlink::NetlinkRegistration,
    netns::NetnsRegistration,
    option::OptionRegistration,
    queue::WorkQueue,
    rcu::Barrier, //
};

module! {
    type: ServiceGroup,
    name: "service_group",
    authors: ["The service_group developers"],
    description: "Listening sockets that provide one service",
    license: "GPL",
}

/// What the module registers. It goes in this order: first nobody can ask for anything new, then
/// nothing is found any more, then what is under way ends. Freeing members frees groups, and that
/// their tables, so there are two barriers.
struct ServiceGroup {
    _option: OptionRegistration,
    _netlink: NetlinkRegistration,
    _flag: FlagRegistration,
    _members: Barrier,
    _devices: DeviceWatch,
    _netns: NetnsRegistration,
    _queue: WorkQueue,
    _groups: Barrier,
}

impl kernel::Module for ServiceGroup {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // In reverse; what was registered goes again when a later one fails.
        let groups = Barrier;
        let queue = WorkQueue::new()?;
        let netns = NetnsRegistration::new()?;
        let devices = DeviceWatch::new()?;
        let members = Barrier;
        let flag = FlagRegistration::new()?;
        let netlink = NetlinkRegistration::new()?;
        let option = OptionRegistration::new()?;
        Ok(Self {
            _option: option,
            _netlink: netlink,
            _flag: flag,
            _members: members,
            _devices: devices,
            _netns: netns,
            _queue: queue,
            _groups: groups,
        })
    }
}
