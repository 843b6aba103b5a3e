// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster show`: the cluster IPs of this machine, their nodes, and what
//! became of packets.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use service_group::netlink::{Cluster, Connection, Link};
use service_group::Value;

use super::absent::absent;
use super::apply::facts::Facts;
use super::apply::machine::clusters;
use super::apply::route::Route;
use super::file::{describe, store, Config};
use super::sources;
use super::view::{acting, lacks_address, lacks_service, name, setting_text, ClusterView};
use crate::cli::ClusterShowArgs;
use crate::snapshot::unless_unknown;
use crate::{output, Failure};

const HEADER: [&str; 8] = [
    "NODE",
    "ID",
    "STATE",
    "ADDRESS",
    "WAY",
    "WEIGHT",
    "SLOTS",
    "FORWARDED",
];
/// Columns from this one on are numbers.
const FIRST_NUMBER: usize = 5;

/// Runs the subcommand.
pub fn run(args: &ClusterShowArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let facts = Facts {
        clusters: clusters(&mut kernel)?,
        links: Route::open()?.links()?,
        ..Facts::default()
    };
    let peers = unless_unknown(kernel.links())?;
    for caution in sources::of_served(&facts) {
        eprintln!("sgctl: {caution}");
    }
    // Names only: what is shown is the kernel's.
    let text = store::text(&args.file);
    let config = text.and_then(|text| store::config(&args.file, &text)).ok();
    config.iter().for_each(store::warn_if_insecure);
    if args.json {
        let views = facts.clusters.iter().map(|cluster| {
            let device = facts.link_name(cluster.device);
            ClusterView::new(cluster, device, config.as_ref()).with_absent(
                cluster,
                &peers,
                config.as_ref(),
            )
        });
        return output::json(&views.collect::<Vec<_>>());
    }
    output::text(&describe_all(&facts, &peers, config.as_ref()))
}

fn describe_all(facts: &Facts, peers: &[Link], config: Option<&Config>) -> String {
    if facts.clusters.is_empty() {
        return "this machine serves no cluster IPs\n".to_owned();
    }
    let texts = facts.clusters.iter().map(|cluster| {
        let device = facts.link_name(cluster.device);
        let title = title(cluster, &device);
        let table = table(cluster, config);
        let away = absent(cluster, peers).into_iter();
        let away: Vec<String> = away.map(|it| format!(" {}\n", it.words(config))).collect();
        let away = away.concat();
        let acting = acting(cluster, config).map(|it| format!(" {it}\n"));
        let told = [acting.unwrap_or_default(), away].concat();
        format!("{title}\n{table}\n{told}{}", counters(cluster))
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn title(cluster: &Cluster, device: &str) -> String {
    let Cluster {
        role, hash, epoch, ..
    } = cluster;
    let name = describe(&cluster.name);
    let slots = output::count(cluster.table.len(), "slot");
    let settings = cluster.settings.list();
    let settings = settings.iter().filter_map(|one| match one.value {
        Value::Switch(on) => on.then(|| format!(", {}", one.name)),
        value => Some(format!(", {} {}", one.name, setting_text(value))),
    });
    let settings: String = settings.collect();
    let lacks = [lacks_address(cluster), lacks_service(cluster)].concat();
    format!("{name}: {role} on {device}, {hash}, {slots}, epoch {epoch}{settings}{lacks}")
}

fn table(cluster: &Cluster, config: Option<&Config>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(HEADER);
    for column in table.column_iter_mut().skip(FIRST_NUMBER) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for node in &cluster.nodes {
        let known = config.and_then(|config| name(node.id, config));
        let mut known = known.unwrap_or_else(|| "?".to_owned());
        if cluster.node == Some(node.id) {
            known += " (this)";
        }
        let address = node.address.map(|address| address.to_string());
        table.add_row([
            known,
            node.id.to_string(),
            match node.away {
                true => format!("{}, away", node.state),
                false => node.state.to_string(),
            },
            address.unwrap_or_default(),
            node.way.to_string(),
            node.weight.to_string(),
            node.slots.to_string(),
            node.forwarded.to_string(),
        ]);
    }
    table.trim_fmt()
}

/// The counters that are not 0, a few to a line.
fn counters(cluster: &Cluster) -> String {
    let counters = cluster.counters.list();
    let told = counters.iter().filter(|counter| counter.value > 0);
    let told: Vec<String> = told
        .map(|counter| format!("{} {}", counter.name.replace('_', " "), counter.value))
        .collect();
    match told.is_empty() {
        true => " no packets yet\n".to_owned(),
        false => told
            .chunks(6)
            .map(|line| format!(" {}\n", line.join(", ")))
            .collect::<Vec<_>>()
            .concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::absent::tests;
    use super::super::apply::facts::Link as Device;
    use super::super::file::{read, samples};
    use super::*;
    use service_group::netlink::{
        ClusterCounters, ClusterLocal, ClusterName, ClusterNode, ClusterSettings, LinkState,
    };

    #[test]
    fn a_cluster_is_shown_with_its_nodes_and_counters() {
        let name = ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port: 80,
        };
        let node = |id: u8| ClusterNode {
            id: id.into(),
            address: Some([192, 0, 2, id].into()),
            slots: 2,
            ..ClusterNode::default()
        };
        let cluster = Cluster {
            device: 2,
            node: Some(1),
            epoch: 3,
            settings: ClusterSettings {
                settle: 60,
                ..ClusterSettings::default()
            },
            nodes: vec![node(1), node(2)],
            table: vec![1, 2, 1, 2],
            counters: ClusterCounters {
                owned: 7,
                second_chance_in: 1,
                ..ClusterCounters::default()
            },
            ..Cluster::new(name)
        };
        let link = Device {
            index: 2,
            name: "eth0".to_owned(),
        };
        let mut facts = Facts {
            clusters: vec![cluster],
            links: vec![link],
            ..Facts::default()
        };
        let config = read(&samples::node("a", 1, "")).ok();
        let expected = "\
198.51.100.7 tcp port 80: shared on eth0, sum5, 4 slots, epoch 3, settle 60s
 NODE      ID  STATE  ADDRESS    WAY        WEIGHT  SLOTS  FORWARDED
 a (this)  1   up     192.0.2.1  neighbour       1      2          0
 ?         2   up     192.0.2.2  neighbour       1      2          0
 owned 7, second chance in 1
";
        assert_eq!(describe_all(&facts, &[], config.as_ref()), expected);
        facts.clusters[0].local = Some(ClusterLocal::Absent);
        assert!(describe_all(&facts, &[], None).contains("settle 60s, its address is missing\n"));
        facts.clusters[0].local = Some(ClusterLocal::Elsewhere);
        assert!(!describe_all(&facts, &[], None).contains("missing"));
        facts.clusters[0].ready = Some(false);
        assert!(
            describe_all(&facts, &[], None).contains("settle 60s, not ready as nothing listens\n")
        );
        facts.clusters[0].healthy = Some(false);
        assert!(
            describe_all(&facts, &[], None).contains("settle 60s, not ready as a check fails\n")
        );
        facts.clusters[0].counters = ClusterCounters::default();
        assert!(describe_all(&facts, &[], None).ends_with(" no packets yet\n"));
        facts.clusters.clear();
        assert!(describe_all(&facts, &[], None).contains("no cluster IPs"));
    }
    #[test]
    fn who_is_away_is_told_with_deputies() {
        let facts = Facts {
            clusters: vec![tests::cluster()],
            ..Facts::default()
        };
        let links = [tests::link(LinkState::Suspect)];
        let text = describe_all(&facts, &links, None);
        assert!(text.contains("up, away"), "{text}");
        let told = text.lines().find(|line| line.contains("suspect"));
        let told = told.unwrap_or_default();
        assert!(
            told.starts_with(" node 2 has been suspect for 12s: node "),
            "{text}"
        );
        assert!(told.ends_with(" meanwhile"), "{text}");
    }
}
