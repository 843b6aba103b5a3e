// SPDX-License-Identifier: GPL-2.0
//! Cluster IPs as JSON shows them. The shape is documented in the help of `show`,
//! and a test holds it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use service_group::netlink::{
    Cluster, ClusterCounters, ClusterLocal, ClusterNode, ClusterRole, ClusterSettings, Link,
    RoleReason,
};
use service_group::{Setting, Value};
use service_group_logic::logic::cluster::slots::NodeId;

use super::absent::{absent, owners, AbsentView};
use super::file::{values, Config};

/// What became of packets.
#[derive(Debug)]
pub struct CountersView(ClusterCounters);

impl Serialize for CountersView {
    /// Each counter by its name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counters = self.0.list();
        serializer.collect_map(counters.iter().map(|counter| (counter.name, counter.value)))
    }
}

/// What is set; times are whole seconds.
#[derive(Debug)]
struct SettingsView(ClusterSettings);

impl Serialize for SettingsView {
    /// Each setting by its name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.0.list();
        let mut map = serializer.serialize_map(Some(settings.len()))?;
        for Setting { name, value, .. } in settings {
            match value {
                Value::Switch(on) => map.serialize_entry(name, &on)?,
                Value::Time(time) => map.serialize_entry(name, &time.as_secs())?,
                Value::Number(number) => map.serialize_entry(name, &number)?,
                _ => map.serialize_entry(name, &setting_text(value))?,
            }
        }
        map.end()
    }
}

/// The value of a setting of a cluster IP in words.
pub fn setting_text(value: Value) -> String {
    match value {
        Value::Switch(on) => on.to_string(),
        Value::Time(time) => format!("{}s", time.as_secs()),
        Value::Number(number) => number.to_string(),
        Value::Name(name) => name.to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// A cluster IP.
#[derive(Debug, Serialize)]
pub struct ClusterView {
    address: String,
    protocol: u8,
    port: u16,
    role: &'static str,
    /// None while it is gone.
    device: Option<String>,
    /// None if the module does not tell.
    local: Option<&'static str>,
    /// The same of these two.
    healthy: Option<bool>,
    ready: Option<bool>,
    mac: Option<String>,
    hash: &'static str,
    /// Not of an event, which comes without the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<usize>,
    epoch: u32,
    #[serde(flatten)]
    settings: SettingsView,
    node: Option<u32>,
    directors: Vec<u32>,
    acting: Option<u32>,
    role_reason: Option<&'static str>,
    nodes: Vec<NodeView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    table: Vec<u32>,
    /// Not of an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    owners: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    away: Option<Vec<AbsentView>>,
    counters: CountersView,
}

#[derive(Debug, Serialize)]
struct NodeView {
    id: u32,
    name: Option<String>,
    state: &'static str,
    weight: u32,
    address: Option<String>,
    way: &'static str,
    slots: u32,
    forwarded: u64,
    away: bool,
    deputised: u32,
}

impl ClusterView {
    /// A cluster IP whose device has this name; names of nodes are the file's, if
    /// there is one.
    pub fn new(cluster: &Cluster, device: String, config: Option<&Config>) -> Self {
        let nodes = cluster.nodes.iter();
        Self {
            address: cluster.name.address.to_string(),
            protocol: cluster.name.protocol,
            port: cluster.name.port,
            role: cluster.role.name(),
            device: (cluster.device != 0).then_some(device),
            local: cluster.local.map(ClusterLocal::name),
            healthy: cluster.healthy,
            ready: cluster.ready,
            mac: cluster.mac.map(values::mac_text),
            hash: cluster.hash.name(),
            slots: (!cluster.table.is_empty()).then_some(cluster.table.len()),
            epoch: cluster.epoch,
            settings: SettingsView(cluster.settings),
            node: cluster.node,
            directors: cluster.directors.clone(),
            acting: cluster.acting,
            role_reason: cluster.reason.map(RoleReason::name),
            nodes: nodes.map(|node| NodeView::new(node, config)).collect(),
            table: cluster.table.clone(),
            owners: None,
            away: None,
            counters: CountersView(cluster.counters),
        }
    }
}

impl ClusterView {
    /// The same with the nodes that are away, and with who has each slot meanwhile.
    pub fn with_absent(self, cluster: &Cluster, links: &[Link], config: Option<&Config>) -> Self {
        let owners = owners(cluster).into_iter();
        let away = absent(cluster, links).into_iter();
        Self {
            owners: Some(owners.map(|owner| owner.map_or(0, NodeId::get)).collect()),
            away: Some(away.map(|it| AbsentView::new(&it, config)).collect()),
            ..self
        }
    }
}

impl NodeView {
    fn new(node: &ClusterNode, config: Option<&Config>) -> Self {
        Self {
            id: node.id,
            name: config.and_then(|config| name(node.id, config)),
            state: node.state.name(),
            weight: node.weight,
            address: node.address.map(|address| address.to_string()),
            way: node.way.name(),
            slots: node.slots,
            forwarded: node.forwarded,
            away: node.away,
            deputised: node.deputised,
        }
    }
}

/// Who directs, and why this machine does or does not, if links say so.
pub fn acting(cluster: &Cluster, config: Option<&Config>) -> Option<String> {
    if cluster.directors.is_empty() {
        return None;
    }
    let who = match cluster.acting {
        None | Some(0) => "no machine".to_owned(),
        Some(id) => {
            let name = config.and_then(|config| config.machine_name(id));
            name.map_or_else(|| format!("machine {id}"), str::to_owned)
        }
    };
    let why = cluster
        .reason
        .map_or_else(String::new, |reason| format!(", as {}", reason.text()));
    Some(match cluster.role {
        ClusterRole::Director => format!("this machine directs{why}"),
        ClusterRole::Standby => format!("{who} directs, and this machine stands by{why}"),
        _ => format!("{who} directs"),
    })
}

/// What is told of a machine behind what it does, if it lacks the address.
pub fn lacks_address(cluster: &Cluster) -> &'static str {
    match cluster.lacks_address() {
        Some(true) => ", its address is missing",
        _ => "",
    }
}

/// What is told of a machine behind what it does, if it cannot serve.
pub fn lacks_service(cluster: &Cluster) -> &'static str {
    match (cluster.healthy, cluster.ready) {
        (Some(false), _) => ", not ready as a check fails",
        (_, Some(false)) => ", not ready as nothing listens",
        _ => "",
    }
}

/// The name that the file has for a node.
pub fn name(id: u32, config: &Config) -> Option<String> {
    let node = config.nodes.iter().find(|node| node.id.get() == id)?;
    Some(node.name.clone())
}

#[cfg(test)]
mod tests {
    use super::super::file::{read, samples::node};
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::{ClusterHash, ClusterKey, ClusterName};

    #[test]
    fn the_shape_is_the_documented_one_and_has_no_key() {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        let cluster = Cluster {
            role: ClusterRole::Director,
            device: 2,
            hash: ClusterHash::Keyed,
            key: Some(ClusterKey([7; 16])),
            settings: ClusterSettings {
                settle: 60,
                ..ClusterSettings::default()
            },
            epoch: 3,
            ready: Some(false),
            nodes: vec![ClusterNode {
                id: 4,
                address: Some([192, 0, 2, 1].into()),
                slots: 2,
                forwarded: 9,
                away: true,
                deputised: 1,
                ..ClusterNode::default()
            }],
            table: vec![4, 4],
            ..Cluster::new(name)
        };
        let config = read(&node("a", 4, ""));
        let config = config.expect("it is right");
        let view = ClusterView::new(&cluster, "eth0".to_owned(), Some(&config));
        let mut json = to_value(view).expect("it is JSON");
        let view = ClusterView::new(&cluster, "eth0".to_owned(), None);
        let whole = to_value(view.with_absent(&cluster, &[], Some(&config)));
        let whole = whole.expect("it is JSON");
        // Nobody else could have its slots.
        let away = json!([{"node": 4, "name": "a", "reason": "unknown", "since_ms": null,
            "deputies": []}]);
        assert_eq!((&whole["owners"], &whole["away"]), (&json!([4, 4]), &away));
        let gone = Cluster {
            device: 0,
            local: Some(ClusterLocal::Absent),
            ..cluster
        };
        let gone = ClusterView::new(&gone, "gone".to_owned(), None);
        let gone = to_value(gone).expect("it is JSON");
        assert_eq!(
            (&gone["device"], &gone["local"]),
            (&json!(null), &json!("absent"))
        );
        let counters = json["counters"].take();
        let expected = json!({
            "address": "198.51.100.7", "protocol": 6, "port": 80, "role": "director",
            "device": "eth0", "local": null, "healthy": null, "ready": false, "mac": null, "hash": "keyed", "slots": 2, "epoch": 3, "settle": 60,
            "spill": false,
            "node": null, "directors": [], "acting": null, "role_reason": null,
            "table": [4, 4], "counters": null, "nodes": [{
                "id": 4, "name": "a", "state": "up", "weight": 1, "address": "192.0.2.1",
                "way": "neighbour", "slots": 2, "forwarded": 9, "away": true, "deputised": 1,
            }],
        });
        assert_eq!(json, expected);
        let names = ClusterCounters::default()
            .list()
            .map(|counter| counter.name);
        for name in names {
            assert_eq!(counters[name], 0, "{name}");
        }
        assert!(!json.to_string().contains("07070707"));
    }

    #[test]
    fn who_directs_is_told_with_the_reason() {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 0,
            port: 0,
        };
        let config = read(&node("a", 4, "")).expect("it is right");
        for (role, who, reason, expected) in [
            (
                ClusterRole::Director,
                Some(4),
                RoleReason::First,
                "this machine directs, as no director that comes before it is there",
            ),
            (
                ClusterRole::Standby,
                Some(4),
                RoleReason::Preferred,
                "a directs, and this machine stands by, as a director that comes before it is there",
            ),
            (
                ClusterRole::Standby,
                Some(0),
                RoleReason::Unable,
                "no machine directs, and this machine stands by, as its device is gone, is down, or \
                 has no carrier",
            ),
            (
                ClusterRole::Directed,
                Some(9),
                RoleReason::Given,
                "machine 9 directs",
            ),
        ] {
            let cluster = Cluster {
                role,
                directors: vec![4, 9],
                acting: who,
                reason: Some(reason),
                ..Cluster::new(name)
            };
            let told = acting(&cluster, Some(&config));
            assert_eq!(told.as_deref(), Some(expected));
        }
        assert_eq!(acting(&Cluster::new(name), None), None);
    }
}
