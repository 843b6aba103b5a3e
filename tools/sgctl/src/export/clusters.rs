// SPDX-License-Identifier: GPL-2.0
//! Cluster IPs as metrics: their counters, and what their nodes are.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::MetricType;
use service_group::netlink::{Cluster, ClusterCounters, ClusterNode};

use super::metrics::{counters, gauges, Gauge, Labelled, Labels};

const CLUSTER_GAUGES: [Gauge<Cluster>; 4] = [
    (
        "cluster_role",
        "How packets come to this machine: 0 shared, 1 directed, 2 director, 3 standby",
        |cluster| cluster.role.number(),
    ),
    (
        "cluster_epoch",
        "Number of the table; the same on all machines when all have the same file",
        |cluster| cluster.epoch,
    ),
    (
        "cluster_device",
        "Whether there is the device that packets come by: 1, or 0 while it is gone",
        |cluster| u32::from(cluster.device != 0),
    ),
    (
        "cluster_nodes",
        "Machines that serve the address",
        |cluster| u32::try_from(cluster.nodes.len()).unwrap_or(u32::MAX),
    ),
];

const NODE_GAUGES: [Gauge<ClusterNode>; 5] = [
    (
        "cluster_node_state",
        "Whether the node is there: 0 up, 1 draining, 2 down",
        |node| node.state.number(),
    ),
    (
        "cluster_node_weight",
        "How many slots the node is to have, compared with others",
        |node| node.weight,
    ),
    (
        "cluster_node_slots",
        "How many slots the node owns",
        |node| node.slots,
    ),
    (
        "cluster_node_away",
        "Whether the node gets no new connections, as this machine believes: 1, or 0",
        |node| u32::from(node.away),
    ),
    (
        "cluster_node_deputised",
        "How many slots of the node have a deputy meanwhile",
        |node| node.deputised,
    ),
];

/// What older modules do not tell.
const LOCAL_GAUGES: [Gauge<Cluster>; 1] = [(
    "cluster_address",
    "Whether this machine has the address where its role needs it: 1, or 0 while it is missing",
    |cluster| u32::from(cluster.lacks_address() != Some(true)),
)];

/// If links say which machine directs.
const ACTING_GAUGES: [Gauge<Cluster>; 2] = [
    (
        "cluster_acting",
        "Id of the machine that directs, as this machine believes; 0 if none does",
        |cluster| cluster.acting.unwrap_or(0),
    ),
    (
        "cluster_role_reason",
        "Why this machine directs or stands by: 0 given, 1 first, 2 leaving, 3 preferred, 4 held, \
         5 older, 6 waiting, 7 unable, 8 unlinked",
        |cluster| cluster.reason.map_or(0, |reason| reason.number()),
    ),
];

/// What modules do not tell that know no links.
const HEALTH_GAUGES: [Gauge<Cluster>; 2] = [
    (
        "cluster_healthy",
        "Whether no check of the service on this machine has failed: 1, or 0",
        |cluster| u32::from(cluster.healthy != Some(false)),
    ),
    (
        "cluster_ready",
        "Whether this machine can serve: it is healthy, and something listens: 1, or 0",
        |cluster| u32::from(cluster.ready != Some(false)),
    ),
];

/// Tells of these cluster IPs.
pub fn encode(encoder: &mut DescriptorEncoder, clusters: &[Cluster]) -> fmt::Result {
    let labelled = |of| Labelled {
        labels: labels(of),
        of,
    };
    let all: Vec<_> = clusters.iter().map(labelled).collect();
    let knows = |cluster: &&Cluster| cluster.local.is_some();
    let known: Vec<_> = clusters.iter().filter(knows).map(labelled).collect();
    let nodes = clusters.iter().flat_map(|cluster| {
        let of_node = |of| Labelled {
            labels: node_labels(cluster, of),
            of,
        };
        cluster.nodes.iter().map(of_node)
    });
    let nodes: Vec<_> = nodes.collect();
    gauges(encoder, &CLUSTER_GAUGES, &all)?;
    gauges(encoder, &LOCAL_GAUGES, &known)?;
    let knows = |cluster: &&Cluster| cluster.ready.is_some();
    let known: Vec<_> = clusters.iter().filter(knows).map(labelled).collect();
    gauges(encoder, &HEALTH_GAUGES, &known)?;
    let is_chosen = |cluster: &&Cluster| !cluster.directors.is_empty();
    let chosen: Vec<_> = clusters.iter().filter(is_chosen).map(labelled).collect();
    gauges(encoder, &ACTING_GAUGES, &chosen)?;
    let names = ClusterCounters::default().list();
    counters(encoder, "cluster", &all, names, |it| it.counters.list())?;
    gauges(encoder, &NODE_GAUGES, &nodes)?;
    let text = "Packets given to the node by this machine, second chances included";
    let name = "cluster_node_forwarded";
    let mut family = encoder.encode_descriptor(name, text, None, MetricType::Counter)?;
    for node in &nodes {
        let value = ConstCounter::new(node.of.forwarded);
        value.encode(family.encode_family(&node.labels)?)?;
    }
    Ok(())
}

fn labels(cluster: &Cluster) -> Labels<3> {
    [
        ("address", cluster.name.address.to_string()),
        ("protocol", cluster.name.protocol.to_string()),
        ("port", cluster.name.port.to_string()),
    ]
}

fn node_labels(cluster: &Cluster, node: &ClusterNode) -> Labels<4> {
    let [address, protocol, port] = labels(cluster);
    [address, protocol, port, ("node", node.id.to_string())]
}

#[cfg(test)]
pub mod tests {
    use super::super::metrics::tests::{lines, lines_with, names};
    use super::*;
    use service_group::netlink::{ClusterLocal, ClusterName, ClusterRole, NodeState, RoleReason};

    /// One with some of everything.
    pub fn cluster() -> Cluster {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        Cluster {
            role: ClusterRole::Standby,
            local: Some(ClusterLocal::Elsewhere),
            healthy: Some(true),
            ready: Some(false),
            directors: vec![7, 4],
            acting: Some(7),
            reason: Some(RoleReason::Preferred),
            epoch: 9,
            nodes: vec![ClusterNode {
                id: 4,
                state: NodeState::Draining,
                slots: 84,
                forwarded: 12,
                away: true,
                deputised: 83,
                ..ClusterNode::default()
            }],
            counters: ClusterCounters {
                owned: 41,
                ..ClusterCounters::default()
            },
            ..Cluster::new(name)
        }
    }

    #[test]
    fn cluster_ips_and_nodes_are_told_with_their_labels() {
        let lines = lines();
        let labels = r#"address="198.51.100.7",protocol="6",port="80""#;
        for line in [
            format!("service_group_cluster_role{{{labels}}} 3"),
            format!("service_group_cluster_epoch{{{labels}}} 9"),
            format!("service_group_cluster_nodes{{{labels}}} 1"),
            format!("service_group_cluster_device{{{labels}}} 0"),
            format!("service_group_cluster_address{{{labels}}} 1"),
            format!("service_group_cluster_acting{{{labels}}} 7"),
            format!("service_group_cluster_role_reason{{{labels}}} 3"),
            format!("service_group_cluster_healthy{{{labels}}} 1"),
            format!("service_group_cluster_ready{{{labels}}} 0"),
            format!("service_group_cluster_owned_total{{{labels}}} 41"),
            format!("service_group_cluster_node_state{{{labels},node=\"4\"}} 1"),
            format!("service_group_cluster_node_slots{{{labels},node=\"4\"}} 84"),
            format!("service_group_cluster_node_away{{{labels},node=\"4\"}} 1"),
            format!("service_group_cluster_node_deputised{{{labels},node=\"4\"}} 83"),
            format!("service_group_cluster_node_forwarded_total{{{labels},node=\"4\"}} 12"),
        ] {
            assert!(lines.contains(&line), "{line} is not in {lines:#?}");
        }
    }

    #[test]
    fn an_older_module_does_not_tell_of_addresses() {
        let told = |local| {
            let mut cluster = cluster();
            (cluster.role, cluster.local) = (ClusterRole::Director, local);
            cluster.directors.clear();
            lines_with(vec![cluster]).into_iter().find_map(|line| {
                line.strip_prefix("service_group_cluster_address{")?
                    .chars()
                    .last()
            })
        };
        assert_eq!(told(None), None);
        assert_eq!(told(Some(ClusterLocal::Elsewhere)), Some('0'));
        assert_eq!(told(Some(ClusterLocal::Device)), Some('1'));
    }

    #[test]
    fn every_counter_is_told() {
        let names = names();
        for counter in ClusterCounters::default().list() {
            let name = format!("service_group_cluster_{}_total", counter.name);
            assert!(names.contains(&name), "{name}");
        }
    }
}
