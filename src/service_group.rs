// SPDX-License-Identifier: GPL-2.0

//! service_group: several listening TCP sockets, and several machines, provide one service.
//!
//! The kernel drops a SYN when the one listener that it looked up is full, although siblings of
//! that listener are idle. This module lets programs say which sockets are siblings, and gives
//! the connection to one that has room. Sockets that are in no group are not touched, and pay
//! nothing. And it lets several machines serve one address, each its part, without remembering
//! anything between packets.
//!
//! The layers, and the ways of a SYN, a packet and a socket through the files, are in
//! `docs/architecture.md`.
//!
//! # Lifetimes
//!
//! A group's slots and the members' sockets own the members. A socket has a context, which names
//! the member that it is, and holds a reference to the module, from when it is given the ULP to its
//! end. Members are found under RCU, on a socket or in their group, and freed a grace period after
//! they were taken from both. A member holds its socket's memory, but does not keep it open: the
//! socket tells when it ends.
//!
//! A packet or a move may be half-way with a sibling that ends. Its memory is there as long as the
//! member is found, and what is done to it is what the kernel does, without a lock, to a listener that it
//! has looked up: `conn_request()`, and adding to its accept queue, which looks for `TCP_LISTEN` under
//! the queue's lock. A look at a sibling reads its accept queue under `rskq_lock`, which whoever ends
//! the socket takes as well before the queue's requests go, and wakes its program by `sk_data_ready()`
//! as a connection would. A socket that was destroyed and listens again stays shut down, and is given
//! nothing. Nothing else is asked of a sibling; above all, no socket is copied from one.
//!
//! # Locking order
//!
//! ```text
//!   lock_sock()               what a socket carries (sleeps, for as long as its owner likes)
//!     svcg_af_ops_mutex       the operations of members (sleeps)
//!     RcuSlots::writer        a group's members (no interrupts)
//!     Adoption::vacancies     places of members that are gone (no interrupts)
//!     Registry::groups        a namespace's groups (no interrupts)
//!     rskq_lock               an accept queue (no bottom halves)
//!     ehash lock              half-open requests (no bottom halves)
//!     FlowLog's slots         what became of connections (no bottom halves)
//!
//!   Registry::changes         forming and joining (sleeps)
//!     RcuSlots::writer, Registry::groups
//!
//!   svcg_listen_mutex         the probe of sockets that begin to listen (sleeps)
//!     the kernel's lock of its tracepoints
//!
//!   svcg_ulp_ctx::lift        a queue that takes one more (no bottom halves)
//!     the child's lock, and what the kernel takes when it makes one
//!
//!   rtnl_lock()               which devices there are (sleeps)
//!     Clusters::changes       a namespace's cluster IPs (sleeps)
//!
//!   Links::state              a namespace's peers and links (sleeps)
//! ```
//!
//! A program that polls may hold an epoll's mutex above all of these. It takes siblings' `rskq_lock`
//! one after the other, without `lock_sock()`, and looks listeners up under that, which takes no lock;
//! nobody is woken under it. Those below `lock_sock()` are never held together. Packets take none of
//! these but `lift` and a slot of the flowlog. A socket that ends holds its own lock.
//! `svcg_socknames_lock` is held with no other.
//!
//! # Whose lock is waited for
//!
//! The owner of a socket may keep its lock for ever: some option is copied under it from a page that
//! never comes. So nothing that others wait for (a mutex, a work item, a timer, a netlink handler,
//! unloading) waits for a socket's lock; such code tries it, and comes back later. A call on sockets
//! of others waits until a deadline, a second by the clock for all of them together, and then says
//! `EBUSY` and has changed nothing. A call of a socket's own program that the kernel has wait for the lock
//! anyway (`close()`, `shutdown()`, `connect()`, `bind()`) may wait as long as that.
//!
//! Therefore `changes` comes last when a group is formed, and is not held with `lock_sock()`, but for
//! one that is tried: when what was prepared is undone, and when a socket is adopted, which no descriptor
//! holds open. The callback for a socket that begins to listen has that socket's lock, and waits for
//! memory and `svcg_af_ops_mutex` only, as the kernel's tracepoints wait for it when a probe goes.

mod cluster;
mod group;
mod links;
// Public in the host crate that shares it.
#[expect(unreachable_pub)]
// Tables are made by the tool, with what is here.
#[cfg_attr(not(CONFIG_KUNIT = "y"), expect(dead_code))]
mod logic;
mod sys;

use kernel::prelude::*;
use sys::{
    core::{
        netlink::NetlinkRegistration,
        netns::NetnsRegistration,
        work::WorkQueue, //
    },
    packet::{
        address::AddressWatch,
        conntrack::ConntrackWatch,
        device::DeviceWatch, //
    },
    socket::{
        adopt::ListenProbe,
        option::OptionRegistration,
        ulp::UlpRegistration, //
    },
};

module! {
    type: ServiceGroup,
    name: "service_group",
    authors: ["The service_group developers"],
    description: "Listening sockets that provide one service",
    license: "GPL",
}

/// What the module registers, in the order in which it goes: fields are dropped in the order of their
/// declaration. First no new call can come, then nothing is found any more, then what is
/// under way ends. Freeing members frees groups, and that their tables, so there are two barriers:
/// with the ULP, and with the work queue.
struct ServiceGroup {
    _option: OptionRegistration,
    _netlink: NetlinkRegistration,
    _listen: ListenProbe,
    _ulp: UlpRegistration,
    _devices: DeviceWatch,
    _addresses: AddressWatch,
    _conntrack: ConntrackWatch,
    _netns: NetnsRegistration,
    _queue: WorkQueue,
}

impl kernel::Module for ServiceGroup {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // What was registered goes again when a later one fails, the last one first.
        let queue = WorkQueue::new()?;
        let netns = NetnsRegistration::new()?;
        let conntrack = ConntrackWatch::new()?;
        let addresses = AddressWatch::new()?;
        let devices = DeviceWatch::new()?;
        let ulp = UlpRegistration::new()?;
        let listen = ListenProbe::new();
        let netlink = NetlinkRegistration::new()?;
        let option = OptionRegistration::new()?;
        Ok(Self {
            _option: option,
            _netlink: netlink,
            _listen: listen,
            _ulp: ulp,
            _devices: devices,
            _addresses: addresses,
            _conntrack: conntrack,
            _netns: netns,
            _queue: queue,
        })
    }
}
