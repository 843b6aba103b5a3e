// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster status`: what this machine knows of the others, as the module tells it.

use std::collections::BTreeMap;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use service_group::netlink::{Cluster, Connection, Link, LinkReason, Machine, RoleReason};

use super::absent::{absent, short, AbsentView};
use super::apply::machine::clusters;
use super::file::{describe, store, values, Config};
use super::view::{acting, lacks_service};
use crate::agent::refusal;
use crate::cli::ClusterStatusArgs;
use crate::{output, Failure};

const HEADER: [&str; 9] = [
    "MACHINE", "ID", "STATE", "AWAY", "READY", "EPOCH", "HEARD", "VERSION", "LINK",
];

/// Runs the subcommand.
pub fn run(args: &ClusterStatusArgs) -> Result<(), Failure> {
    let mut kernel = Connection::open()?;
    let machine = kernel.machine().map_err(refusal)?;
    // Without a file that can be read names are missing, and machines that were never linked.
    let text = store::text(&args.file);
    let config = text.and_then(|text| store::config(&args.file, &text)).ok();
    let links = match &machine {
        Some(machine) => with_strangers(
            kernel.links().map_err(refusal)?,
            machine.id,
            config.as_ref(),
        ),
        None => Vec::new(),
    };
    let served = clusters(&mut kernel)?;
    let seen = Seen {
        machine: machine.as_ref(),
        links: &links,
        served: &served,
        config: config.as_ref(),
    };
    match args.json {
        true => output::json(&StatusView::new(&seen)),
        false => output::text(&seen.words()),
    }
}

/// What this machine knows of all of them.
struct Seen<'a> {
    machine: Option<&'a Machine>,
    links: &'a [Link],
    served: &'a [Cluster],
    config: Option<&'a Config>,
}

impl Seen<'_> {
    fn words(&self) -> String {
        let services = self.served.iter().flat_map(|cluster| {
            let name = describe(&cluster.name);
            let away = absent(cluster, self.links);
            // With others it is among those that are away.
            let own = cluster.ready == Some(false) && away.is_empty();
            let own = own.then(|| format!("{name}{}\n", lacks_service(cluster)));
            let acting = acting(cluster, self.config);
            let acting = acting.map(|it| format!("{name}: {it}\n"));
            let away = away.into_iter();
            let away = away.map(move |it| format!("{name}: {}\n", it.words(self.config)));
            acting.into_iter().chain(own).chain(away)
        });
        let services: String = services.collect();
        words(self.machine, self.links, self.config) + &services + &self.other_tables()
    }

    /// The machines whose newest table is another one than that of this machine: they have another file.
    fn other_tables(&self) -> String {
        let newest = |epoch: u32| match epoch {
            0 => "no table".to_owned(),
            epoch => format!("table {epoch}"),
        };
        let own = self.served.iter().map(|cluster| cluster.epoch).max();
        let own = own.unwrap_or(0);
        let linked = self.links.iter().filter(|link| link.ends.is_some());
        let others = linked.filter(|link| link.epoch != own).map(|link| {
            let name = name(link.peer, self.config).unwrap_or_else(|| link.peer.to_string());
            format!(
                "{name} has {}, and this machine {}: give all the same file with \"sgctl cluster push\"\n",
                newest(link.epoch),
                newest(own)
            )
        });
        others.collect::<Vec<_>>().concat()
    }
}

/// The links, and the machines of the file that were never linked to the one with this id, by their ids.
fn with_strangers(mut links: Vec<Link>, own: u32, config: Option<&Config>) -> Vec<Link> {
    let machines = config.map(Config::linked).unwrap_or_default();
    for id in machines.iter().map(|machine| machine.id.get()) {
        if id != own && links.iter().all(|link| link.peer != id) {
            links.push(Link::new(id));
        }
    }
    links.sort_by_key(|link| link.peer);
    links
}

/// The name that the file has for a machine.
fn name(id: u32, config: Option<&Config>) -> Option<String> {
    config?.machine_name(id).map(str::to_owned)
}

fn words(machine: Option<&Machine>, links: &[Link], config: Option<&Config>) -> String {
    let Some(machine) = machine else {
        return "this machine expects no links: start its agent, see \"sgctl agent --help\"\n"
            .to_owned();
    };
    let own = name(machine.id, config).unwrap_or_else(|| "?".to_owned());
    let security = match machine.insecure {
        true => ", links without TLS are taken",
        false => "",
    };
    let Machine { id, heartbeat, .. } = machine;
    format!(
        "{own} (id {id}): heartbeat {heartbeat}ms{security}\n{}\n",
        table(links, config)
    )
}

fn table(links: &[Link], config: Option<&Config>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(HEADER);
    for at in [1, 5, 6, 7] {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for link in links {
        let number = |number: u32| match number {
            0 => "-".to_owned(),
            number => number.to_string(),
        };
        let ready = match link.ready {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        table.add_row([
            name(link.peer, config).unwrap_or_else(|| "?".to_owned()),
            link.peer.to_string(),
            link.state.to_string(),
            if link.away { "away" } else { "-" }.to_owned(),
            ready.to_owned(),
            number(link.epoch),
            link.heard.map_or_else(|| "never".to_owned(), short),
            number(link.version),
            way(link),
        ]);
    }
    table.trim_fmt()
}

/// The link, or why there is none.
fn way(link: &Link) -> String {
    match (link.ends, link.secure) {
        (Some(_), true) => "TLS".to_owned(),
        (Some(_), false) => "not encrypted".to_owned(),
        (None, _) if link.reason == LinkReason::Nothing => "none: not linked yet".to_owned(),
        (None, _) => format!("none: {}", link.reason.text()),
    }
}

/// All of it as JSON.
#[derive(Debug, Serialize)]
struct StatusView {
    machine: Option<MachineView>,
    links: Vec<LinkView>,
    addresses: Vec<ServiceView>,
}

/// How a cluster IP is served.
#[derive(Debug, Serialize)]
struct ServiceView {
    address: String,
    protocol: u8,
    port: u16,
    role: &'static str,
    directors: Vec<u32>,
    acting: Option<u32>,
    role_reason: Option<&'static str>,
    healthy: Option<bool>,
    ready: Option<bool>,
    away: Vec<AbsentView>,
}

#[derive(Debug, Serialize)]
struct MachineView {
    id: u32,
    name: Option<String>,
    cluster: String,
    boot: Option<String>,
    heartbeat_ms: u32,
    insecure: bool,
}

/// A link as JSON; of an event, too.
#[derive(Debug, Serialize)]
pub struct LinkView {
    peer: u32,
    name: Option<String>,
    state: &'static str,
    reason: &'static str,
    away: bool,
    ready: Option<bool>,
    heard_ms: Option<u128>,
    since_ms: u128,
    held_ms: Option<u128>,
    epoch: u32,
    boot: Option<String>,
    version: u32,
    secure: bool,
    local: Option<String>,
    remote: Option<String>,
    frames_in: u64,
    frames_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    ended: BTreeMap<&'static str, u32>,
}

impl StatusView {
    fn new(seen: &Seen<'_>) -> Self {
        let Seen {
            machine,
            links,
            served,
            config,
        } = *seen;
        let service = |cluster: &Cluster| ServiceView {
            address: cluster.name.address.to_string(),
            protocol: cluster.name.protocol,
            port: cluster.name.port,
            role: cluster.role.name(),
            directors: cluster.directors.clone(),
            acting: cluster.acting,
            role_reason: cluster.reason.map(RoleReason::name),
            healthy: cluster.healthy,
            ready: cluster.ready,
            away: {
                let away = absent(cluster, links).into_iter();
                away.map(|it| AbsentView::new(&it, config)).collect()
            },
        };
        Self {
            addresses: served.iter().map(service).collect(),
            machine: machine.map(|machine| MachineView {
                id: machine.id,
                name: name(machine.id, config),
                cluster: values::hex(&machine.cluster),
                boot: machine.boot.map(|id| values::hex(&id)),
                heartbeat_ms: machine.heartbeat,
                insecure: machine.insecure,
            }),
            links: links.iter().map(|it| LinkView::new(it, config)).collect(),
        }
    }
}

impl LinkView {
    /// A link, with the name that the file has for its peer.
    pub fn new(link: &Link, config: Option<&Config>) -> Self {
        let ended = link.ended.iter();
        Self {
            peer: link.peer,
            name: name(link.peer, config),
            state: link.state.name(),
            reason: link.reason.name(),
            away: link.away,
            ready: link.ready,
            heard_ms: link.heard.map(|it| it.as_millis()),
            since_ms: link.since.as_millis(),
            held_ms: link.held.map(|it| it.as_millis()),
            epoch: link.epoch,
            boot: link.boot.map(|id| values::hex(&id)),
            version: link.version,
            secure: link.secure,
            local: link.ends.map(|ends| ends.local.to_string()),
            remote: link.ends.map(|ends| ends.peer.to_string()),
            frames_in: link.traffic.frames_in,
            frames_out: link.traffic.frames_out,
            bytes_in: link.traffic.bytes_in,
            bytes_out: link.traffic.bytes_out,
            ended: ended
                .map(|(reason, times)| (reason.name(), *times))
                .collect(),
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
