// SPDX-License-Identifier: GPL-2.0
//! Whose a connection to a cluster IP is, as the kernel of this machine has it, for `sgctl why`.

use std::net::SocketAddr;

use serde::Serialize;
use service_group::netlink::{Cluster, ClusterHash, Connection, Error, Link};
use service_group_logic::logic::cluster::hash::{Hash, Key, SlotCount};

use super::absent::{absent, named, owners, Why, WhyView};
use super::file::{describe, Config};
use super::owner::flow_of;
use crate::snapshot::unless_unknown;

/// The protocol of connections.
const TCP: u8 = 6;

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    cluster: String,
    slot: usize,
    /// The id of the owner, if there is one.
    owner: Option<u32>,
    /// Whether that is this machine.
    is_this: bool,
    /// Why the owner is away, if it is.
    why: Option<Why>,
    /// Who has new connections meanwhile.
    deputy: Option<u32>,
}

/// The same, as JSON.
#[derive(Debug, Serialize)]
pub struct WhoseView {
    address: String,
    slot: usize,
    owner: Option<NodeView>,
    away: Option<WhyView>,
    deputy: Option<NodeView>,
}

#[derive(Debug, Serialize)]
struct NodeView {
    node: u32,
    name: Option<String>,
}

/// Whose the connection of these ends is; nothing if this machine serves no such cluster IP, or if its
/// slot cannot be computed, as the key is told to root only.
pub fn whose(
    kernel: &mut Connection,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<Option<Whose>, Error> {
    let all = unless_unknown(kernel.clusters_in_brief())?;
    let has = |it: &&Cluster| {
        let name = it.name;
        name.address == local.ip()
            && [0, TCP].contains(&name.protocol)
            && [0, local.port()].contains(&name.port)
    };
    let best = all.iter().filter(has);
    let best = best.max_by_key(|it| (it.name.protocol != 0, it.name.port != 0));
    let cluster = match best {
        Some(best) => kernel.cluster(&best.name)?,
        None => None,
    };
    let links = unless_unknown(kernel.links())?;
    Ok(cluster.and_then(|cluster| found(&cluster, &links, local, peer)))
}

fn found(cluster: &Cluster, links: &[Link], local: SocketAddr, peer: SocketAddr) -> Option<Whose> {
    let hash = match (cluster.hash, cluster.key) {
        (ClusterHash::Sum3, _) => Hash::Sum3,
        (ClusterHash::Sum5, _) => Hash::Sum5,
        (_, key) => Hash::Keyed(Key::from_bytes(key?.0)),
    };
    let slots = SlotCount::new(cluster.table.len())?;
    let slot = hash.slot(&flow_of(peer, local, TCP), slots);
    let owner = cluster.table.get(slot).copied().filter(|id| *id != 0);
    let absent = absent(cluster, links).into_iter();
    let mut absent = absent.filter(|it| Some(it.node) == owner);
    let now = owners(cluster).get(slot).copied().flatten();
    let now = now.map(|id| id.get());
    Some(Whose {
        cluster: describe(&cluster.name),
        slot,
        owner,
        is_this: owner.is_some() && owner == cluster.node,
        why: absent.next().map(|it| it.why),
        deputy: now.filter(|_| now != owner),
    })
}

impl Whose {
    /// In words.
    pub fn sentence(&self, config: Option<&Config>) -> String {
        let Self { cluster, slot, .. } = self;
        let Some(owner) = self.owner else {
            return format!("{cluster}: slot {slot} is nobody's: its packets are dropped.\n");
        };
        let name = named(owner, config);
        let this = if self.is_this { ", this machine" } else { "" };
        let text = format!("{cluster}: slot {slot} is {name}'s{this}.\n");
        let Some(why) = self.why else {
            return text;
        };
        let meanwhile = match self.deputy {
            Some(deputy) => {
                let deputy = named(deputy, config);
                format!(
                    "its deputy {deputy} gets new connections of the slot, and {name} keeps those that \
                     it has"
                )
            }
            None => "nobody else could serve".to_owned(),
        };
        format!("{text}{name} {}: {meanwhile}.\n", why.words())
    }

    /// As JSON.
    pub fn view(&self, config: Option<&Config>) -> WhoseView {
        let node = |node: u32| NodeView {
            node,
            name: config.and_then(|config| config.machine_name(node).map(str::to_owned)),
        };
        WhoseView {
            address: self.cluster.clone(),
            slot: self.slot,
            owner: self.owner.map(node),
            away: self.why.map(WhyView::from),
            deputy: self.deputy.map(node),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::absent::tests::{cluster, link};
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::{ClusterKey, LinkState};

    fn ends(port: u16) -> (SocketAddr, SocketAddr) {
        (
            ([198, 51, 100, 7], 80).into(),
            ([192, 0, 2, 1], port).into(),
        )
    }

    /// Whose a connection is whose slot has this owner.
    pub fn of(owner: u32, cluster: &Cluster) -> Whose {
        let links = [link(LinkState::Unreachable)];
        let all = (1..100).filter_map(|port| {
            let (local, peer) = ends(port);
            found(cluster, &links, local, peer)
        });
        let mut all = all.filter(|it| it.owner.unwrap_or(0) == owner);
        all.next().expect("there is such a port")
    }

    #[test]
    fn the_owner_and_its_deputy_are_told() {
        let mut cluster = cluster();
        let own = of(1, &cluster);
        let slot = own.slot;
        assert_eq!(
            own.sentence(None),
            format!("198.51.100.7 tcp port 80: slot {slot} is node 1's, this machine.\n")
        );
        let away = of(2, &cluster);
        let text = away.sentence(None);
        assert!(
            text.contains("\nnode 2 has been unreachable for 12s: its deputy node "),
            "{text}"
        );
        let json = to_value(away.view(None)).expect("it is JSON");
        assert_eq!(json["owner"], json!({"node": 2, "name": null}));
        assert_eq!(json["away"]["reason"], "unreachable");
        assert!(json["deputy"]["node"] != 2 && json["deputy"]["node"].is_u64());
        cluster.nodes.iter_mut().for_each(|node| node.away = true);
        let text = of(2, &cluster).sentence(None);
        assert!(text.contains("nobody else"), "{text}");
        cluster.table = vec![0; 12];
        let text = of(0, &cluster).sentence(None);
        assert!(
            text.ends_with("is nobody's: its packets are dropped.\n"),
            "{text}"
        );
    }

    #[test]
    fn without_the_key_nothing_is_told() {
        let (local, peer) = ends(1);
        let mut keyed = Cluster {
            hash: ClusterHash::Keyed,
            ..cluster()
        };
        assert_eq!(found(&keyed, &[], local, peer), None);
        keyed.key = Some(ClusterKey([1; 16]));
        assert!(found(&keyed, &[], local, peer).is_some());
        keyed.table.clear();
        assert_eq!(found(&keyed, &[], local, peer), None);
    }
}
