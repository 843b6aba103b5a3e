// SPDX-License-Identifier: GPL-2.0
//! Nodes that get no new flows, as this machine believes: why, and who has their slots meanwhile.
//!
//! The kernel tells which nodes are away. Why, its links tell; and who has a slot is computed here by the
//! kernel's own code.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::Serialize;
use service_group::netlink::{Cluster, Link, LinkState, NodeState};
use service_group_logic::logic::cluster::slots::{Node, NodeId, Slot, State};
use service_group_logic::logic::links::deputy::deputies;

use super::file::Config;
use crate::output;

/// A node that is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its id.
    pub node: u32,
    /// Why it is.
    pub why: Why,
    /// Who has how many of its slots meanwhile, by their ids.
    pub deputies: BTreeMap<u32, usize>,
}

/// Why a node is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has been that for so long.
    Unreachable(Duration),
    /// The same.
    Suspect(Duration),
    /// It has come and gone, and gets new flows after so long, if it stays.
    Held(Duration),
    /// It is this machine, and a check fails here.
    Check,
    /// It is this machine, and nothing listens here.
    Silent,
    /// It says that it is not ready.
    NotReady,
    /// It was away a moment ago.
    Unknown,
}

impl Why {
    /// Why this node of a cluster IP is away.
    pub fn of(node: u32, cluster: &Cluster, links: &[Link]) -> Self {
        if cluster.node == Some(node) {
            return match (cluster.healthy, cluster.ready) {
                (Some(false), _) => Self::Check,
                (_, Some(false)) => Self::Silent,
                _ => Self::Unknown,
            };
        }
        let Some(link) = links.iter().find(|link| link.peer == node) else {
            return Self::Unknown;
        };
        match (link.state, link.held) {
            (LinkState::Unreachable, _) => Self::Unreachable(link.since),
            (LinkState::Suspect, _) => Self::Suspect(link.since),
            (LinkState::Up, Some(held)) => Self::Held(held),
            // Of this cluster IP, as it need not be of others.
            (LinkState::Up, None) => Self::NotReady,
            _ => Self::Unknown,
        }
    }

    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Suspect(_) => "suspect",
            Self::Held(_) => "held",
            Self::Check => "check",
            Self::Silent => "silent",
            Self::NotReady => "not-ready",
            Self::Unknown => "unknown",
        }
    }

    /// What is told behind the name of the node.
    pub fn words(self) -> String {
        match self {
            Self::Unreachable(since) => format!("has been unreachable for {}", short(since)),
            Self::Suspect(since) => format!("has been suspect for {}", short(since)),
            Self::Held(left) => {
                let left = short(left);
                format!("is held back for {left} yet, as it has come and gone")
            }
            Self::Check => "is not ready, as a check fails".to_owned(),
            Self::Silent => "is not ready, as nothing listens".to_owned(),
            Self::NotReady => "is not ready, as nothing listens there, or a check fails".to_owned(),
            Self::Unknown => "is away".to_owned(),
        }
    }
}

/// A time, not too exactly.
pub fn short(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{}ms", time.as_millis()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// The nodes of a cluster IP that are away. It is given with its table.
pub fn absent(cluster: &Cluster, links: &[Link]) -> Vec<Absent> {
    let now = owners(cluster);
    let away = cluster.nodes.iter().filter(|node| node.away);
    let absent = away.map(|node| {
        let mut deputies = BTreeMap::new();
        for (owner, now) in cluster.table.iter().zip(&now) {
            let deputy = now.map(NodeId::get).filter(|now| now != owner);
            if let (true, Some(deputy)) = (*owner == node.id, deputy) {
                *deputies.entry(deputy).or_default() += 1;
            }
        }
        Absent {
            node: node.id,
            why: Why::of(node.id, cluster, links),
            deputies,
        }
    });
    absent.collect()
}

/// Who has each slot of a cluster IP at this moment: its owner, or the deputy of that.
pub fn owners(cluster: &Cluster) -> Vec<Slot> {
    let given: Vec<Slot> = cluster.table.iter().map(|id| NodeId::new(*id)).collect();
    let nodes = cluster.nodes.iter();
    let shares: Vec<Node> = nodes
        .filter_map(|node| {
            let weight = u16::try_from(node.weight).ok()?;
            Some(Node {
                id: NodeId::new(node.id)?,
                weight: NonZeroU16::new(weight)?,
                state: match node.state {
                    NodeState::Up => State::Up,
                    NodeState::Draining => State::Draining,
                    _ => State::Down,
                },
            })
        })
        .collect();
    let is_away = |id: NodeId| {
        let mut nodes = cluster.nodes.iter();
        nodes.any(|node| node.away && node.id == id.get())
    };
    let mut owners = given.clone();
    deputies(&given, &shares, is_away, &mut owners);
    owners
}

/// The name of a node; its number, if it has none.
pub fn named(id: u32, config: Option<&Config>) -> String {
    let name = config.and_then(|config| config.machine_name(id));
    name.map_or_else(|| format!("node {id}"), str::to_owned)
}

impl Absent {
    /// A sentence without the full stop.
    pub fn words(&self, config: Option<&Config>) -> String {
        let node = named(self.node, config);
        let have = self.deputies.iter().map(|(id, count)| {
            let slots = output::count(*count, "slot");
            format!("{} has {slots} of it", named(*id, config))
        });
        let have: Vec<String> = have.collect();
        let meanwhile = match have.is_empty() {
            true => "no other node has slots of it".to_owned(),
            false => format!("{} meanwhile", have.join(", ")),
        };
        format!("{node} {}: {meanwhile}", self.why.words())
    }
}

/// Why a node is away, as JSON.
#[derive(Debug, Serialize)]
pub struct WhyView {
    reason: &'static str,
    /// How long it has been that, if that is known.
    since_ms: Option<u128>,
}

impl From<Why> for WhyView {
    fn from(why: Why) -> Self {
        let since = match why {
            Why::Unreachable(since) | Why::Suspect(since) => Some(since),
            _ => None,
        };
        Self {
            reason: why.name(),
            since_ms: since.map(|since| since.as_millis()),
        }
    }
}

/// A node that is away, as JSON.
#[derive(Debug, Serialize)]
pub struct AbsentView {
    node: u32,
    name: Option<String>,
    #[serde(flatten)]
    why: WhyView,
    deputies: Vec<DeputyView>,
}

#[derive(Debug, Serialize)]
struct DeputyView {
    node: u32,
    name: Option<String>,
    slots: usize,
}

impl AbsentView {
    /// With the names of the file.
    pub fn new(absent: &Absent, config: Option<&Config>) -> Self {
        let name = |id| config.and_then(|config| config.machine_name(id).map(str::to_owned));
        let deputies = absent.deputies.iter();
        Self {
            node: absent.node,
            name: name(absent.node),
            why: absent.why.into(),
            deputies: deputies
                .map(|(node, slots)| DeputyView {
                    node: *node,
                    name: name(*node),
                    slots: *slots,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::file::{read, samples};
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::{ClusterName, ClusterNode};

    /// One of the nodes 1 to 3, of which 2 is away; this machine is 1.
    pub fn cluster() -> Cluster {
        let node = |id: u32| ClusterNode {
            id,
            slots: 4,
            away: id == 2,
            deputised: if id == 2 { 4 } else { 0 },
            ..ClusterNode::default()
        };
        Cluster {
            node: Some(1),
            nodes: [1, 2, 3].map(node).into(),
            table: [1, 2, 3].repeat(4),
            ..Cluster::new(ClusterName {
                address: [198, 51, 100, 7].into(),
                protocol: 6,
                port: 80,
            })
        }
    }

    /// A link to 2 that is in this state.
    pub fn link(state: LinkState) -> Link {
        Link {
            state,
            away: true,
            since: Duration::from_secs(12),
            ..Link::new(2)
        }
    }

    fn why(cluster: &Cluster, links: &[Link]) -> Why {
        let all = absent(cluster, links);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].why
    }

    #[test]
    fn only_slots_of_a_node_that_is_away_have_deputies() {
        let cluster = cluster();
        let now = owners(&cluster);
        for (owner, now) in cluster.table.iter().zip(&now) {
            let now = now.map_or(0, NodeId::get);
            assert_eq!(now == *owner, *owner != 2);
        }
        let away = absent(&cluster, &[link(LinkState::Unreachable)]);
        let count: usize = away[0].deputies.values().sum();
        assert_eq!((away.len(), away[0].node, count), (1, 2, 4));
        let mut present = cluster.clone();
        present.nodes[1].away = false;
        assert_eq!(absent(&present, &[]), []);
        // Nobody could do better.
        let mut none = cluster;
        none.nodes.iter_mut().for_each(|node| node.away = true);
        let away = absent(&none, &[]);
        assert!(away.iter().all(|it| it.deputies.is_empty()));
        let words = away[0].words(None);
        assert_eq!(words, "node 1 is away: no other node has slots of it");
    }

    #[test]
    fn links_tell_why() {
        let long = Duration::from_secs(12);
        let mut own = cluster();
        let all = || [LinkState::Unreachable, LinkState::Suspect, LinkState::Up].map(link);
        let told = all().map(|link| why(&own, &[Link::new(3), link]));
        assert_eq!(
            told,
            [Why::Unreachable(long), Why::Suspect(long), Why::NotReady]
        );
        let held = Some(Duration::from_millis(800));
        let link = Link {
            held,
            ..link(LinkState::Up)
        };
        assert!(why(&own, &[link]).words().contains("for 800ms yet"));
        assert_eq!(why(&own, &[]), Why::Unknown);
        own.node = Some(2);
        (own.healthy, own.ready) = (Some(true), Some(false));
        assert_eq!(why(&own, &[]), Why::Silent);
        own.healthy = Some(false);
        assert_eq!(why(&own, &[]), Why::Check);
    }

    #[test]
    fn it_is_told_in_words_and_in_json() {
        let config = read(&(samples::node("a", 1, "") + &samples::node("b", 2, ""))).ok();
        let absent = Absent {
            node: 2,
            why: Why::Unreachable(Duration::from_secs(75)),
            deputies: [(1, 1), (3, 3)].into(),
        };
        assert_eq!(
            absent.words(config.as_ref()),
            "b has been unreachable for 1m 15s: a has 1 slot of it, node 3 has 3 slots of it \
             meanwhile"
        );
        let view = AbsentView::new(&absent, config.as_ref());
        let expected = json!({"node": 2, "name": "b", "reason": "unreachable", "since_ms": 75_000,
            "deputies": [{"node": 1, "name": "a", "slots": 1},
                         {"node": 3, "name": null, "slots": 3}]});
        assert_eq!(to_value(view).ok(), Some(expected));
    }
}
