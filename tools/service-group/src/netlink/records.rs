// SPDX-License-Identifier: GPL-2.0
//! What there is to read: groups, members, totals and events.

use std::net::IpAddr;

use super::{Cluster, Counters, Link};
use crate::option::MemberState;
use crate::settings::GroupSettings;

/// A group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its id, unique in the network namespace while it lives.
    pub id: u32,
    /// The user whose sockets formed it.
    pub uid: u32,
    /// Number of members.
    pub members: u32,
    /// What it does.
    pub settings: GroupSettings,
    /// Sockets that became members by listening in a member's place.
    pub adopted: u64,
    /// Sockets that began to listen in a member's place, and were refused.
    pub not_adopted: u64,
    /// Why the last of them was, as [`Error::from_errno`](crate::Error::from_errno)
    /// takes it; 0 if none was.
    pub not_adopted_errno: i32,
    /// Totals over all members that it has had.
    pub counters: Counters,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Id of its group.
    pub group: u32,
    /// The socket's cookie, as `SO_COOKIE` tells it.
    pub cookie: u64,
    /// The socket's inode number, as `/proc/PID/fd` tells it.
    pub inode: u64,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Port that it is bound to, 0 if none.
    pub port: u16,
    /// Address that it is bound to.
    pub address: Option<IpAddr>,
    /// What the socket is doing.
    pub state: MemberState,
    /// Connections in the accept queue.
    pub queued: u32,
    /// Requests that wait for the last packet of their handshake.
    pub half_open: u32,
    /// What `listen` asked for; the accept queue takes one more.
    pub backlog: u32,
    /// How many connections it is to have waiting, compared with the others.
    pub weight: u32,
    /// Whether it became a member by listening in another one's place.
    pub adopted: bool,
    /// What became of its connections.
    pub counters: Counters,
}

impl Default for Member {
    fn default() -> Self {
        Self {
            group: 0,
            cookie: 0,
            inode: 0,
            family: 0,
            port: 0,
            address: None,
            state: MemberState::Unbound,
            queued: 0,
            half_open: 0,
            backlog: 0,
            weight: 1,
            adopted: false,
            counters: Counters::default(),
        }
    }
}

/// Totals of the network namespace since it came to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups there are.
    pub groups: u32,
    /// Members there are.
    pub members: u32,
    /// Requests refused because a limit was reached.
    pub refused_limit: u64,
    /// Requests refused for want of permission.
    pub refused_permission: u64,
    /// Requests refused for any other reason.
    pub refused_other: u64,
    /// Number of the last change of a cluster IP, unless the module tells none.
    pub cluster_generation: Option<u64>,
}

/// Something that happened to a group, a cluster IP or a link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A group came to be.
    GroupAdded(Group),
    /// A group ended, with its last member, or as it has waited for others for long
    /// enough; its final counters.
    GroupRemoved(Group),
    /// A socket became a member.
    MemberAdded(Member),
    /// A member left, or its socket was closed; its final counters.
    MemberRemoved(Member),
    /// A group does something else now, or has not adopted a socket.
    GroupChanged(Group),
    /// A member has another weight now.
    MemberChanged(Member),
    /// A member is stalled.
    MemberStalled(Member),
    /// A member that was stalled accepts again.
    MemberReady(Member),
    /// A cluster IP came to be served, or is served in another way.
    ClusterChanged(Cluster),
    /// A cluster IP is not served any more; its final counters.
    ClusterRemoved(Cluster),
    /// A machine is in another state, gets new flows or none, or a link to it came or ended.
    LinkChanged(Link),
    /// The module was unloaded: nothing happens any more.
    Unloaded,
    /// The module was loaded again. What has happened since may be missing.
    Loaded,
}
