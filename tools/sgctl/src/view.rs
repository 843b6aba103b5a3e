// SPDX-License-Identifier: GPL-2.0
//! Groups and members as JSON shows them. The shape is documented in the help
//! of `show` and `monitor`, and a test holds it.

use std::net::SocketAddr;

use serde::Serialize;
use service_group::netlink::{Counters, Group, Member};

/// What became of connections.
#[derive(Debug, Serialize)]
pub struct CountersView {
    home: u64,
    home_unpromised: u64,
    redirected_in: u64,
    redirected_queue_full: u64,
    redirected_promised: u64,
    dropped_full: u64,
    dropped_unfit: u64,
    rescued_in: u64,
    rescued_out: u64,
}

impl From<&Counters> for CountersView {
    fn from(counters: &Counters) -> Self {
        Self {
            home: counters.home,
            home_unpromised: counters.home_unpromised,
            redirected_in: counters.redirected_in,
            redirected_queue_full: counters.redirected_queue_full,
            redirected_promised: counters.redirected_promised,
            dropped_full: counters.dropped_full,
            dropped_unfit: counters.dropped_unfit,
            rescued_in: counters.rescued_in,
            rescued_out: counters.rescued_out,
        }
    }
}

/// A group without its members.
#[derive(Debug, Serialize)]
pub struct GroupView {
    id: u32,
    uid: u32,
    counters: CountersView,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id,
            uid: group.uid,
            counters: (&group.counters).into(),
        }
    }
}

/// A group with its members.
#[derive(Debug, Serialize)]
pub struct FullGroupView {
    #[serde(flatten)]
    group: GroupView,
    members: Vec<MemberView>,
}

impl FullGroupView {
    /// The group with those of the members that are its own.
    pub fn new(group: &Group, members: &[Member]) -> Self {
        let own = members.iter().filter(|member| member.group == group.id);
        Self {
            group: group.into(),
            members: own.map(MemberView::from).collect(),
        }
    }
}

/// A member.
#[derive(Debug, Serialize)]
pub struct MemberView {
    inode: u64,
    cookie: u64,
    family: &'static str,
    address: Option<String>,
    port: u16,
    state: &'static str,
    queued: u32,
    half_open: u32,
    backlog: u32,
    counters: CountersView,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            inode: member.inode,
            cookie: member.cookie,
            family: if member.family == 10 { "ipv6" } else { "ipv4" },
            address: member.address.map(|address| address.to_string()),
            port: member.port,
            state: member.state.name(),
            queued: member.queued,
            half_open: member.half_open,
            backlog: member.backlog,
            counters: (&member.counters).into(),
        }
    }
}

/// What a member is bound to, as people write it.
pub fn endpoint(member: &Member) -> String {
    match member.address {
        Some(address) => SocketAddr::new(address, member.port).to_string(),
        None => format!("port {}", member.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn the_shape_is_the_documented_one() {
        let member = Member {
            group: 3,
            cookie: 5,
            inode: 7,
            family: 10,
            port: 80,
            address: Some("::1".parse().expect("it is one")),
            queued: 1,
            half_open: 2,
            backlog: 8,
            ..Member::default()
        };
        let other = Member { group: 4, ..member };
        let group = Group {
            id: 3,
            uid: 33,
            members: 1,
            ..Group::default()
        };
        let counters = json!({
            "home": 0, "home_unpromised": 0, "redirected_in": 0, "redirected_queue_full": 0,
            "redirected_promised": 0, "dropped_full": 0, "dropped_unfit": 0, "rescued_in": 0,
            "rescued_out": 0,
        });
        let expected = json!({
            "id": 3, "uid": 33, "counters": counters, "members": [{
                "inode": 7, "cookie": 5, "family": "ipv6", "address": "::1", "port": 80,
                "state": "unbound", "queued": 1, "half_open": 2, "backlog": 8,
                "counters": counters,
            }],
        });
        let view = FullGroupView::new(&group, &[other, member]);
        assert_eq!(to_value(view).expect("it is JSON"), expected);
    }

    #[test]
    fn endpoints_are_written_as_usual() {
        let mut member = Member {
            port: 80,
            ..Member::default()
        };
        assert_eq!(endpoint(&member), "port 80");
        member.address = Some("::".parse().expect("it is one"));
        assert_eq!(endpoint(&member), "[::]:80");
    }
}
