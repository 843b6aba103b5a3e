// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster status`: what this machine knows of the others, as the module tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use service_group::netlink::{Connection, Link, LinkReason, Machine};

use super::file::{store, values, Config};
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
    match args.json {
        true => output::json(&StatusView::new(machine.as_ref(), &links, config.as_ref())),
        false => output::text(&words(machine.as_ref(), &links, config.as_ref())),
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
            link.heard.map_or_else(|| "never".to_owned(), ago),
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

/// A time that is past, not too exactly.
fn ago(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{}ms", time.as_millis()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

/// All of it as JSON.
#[derive(Debug, Serialize)]
struct StatusView {
    machine: Option<MachineView>,
    links: Vec<LinkView>,
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
    fn new(machine: Option<&Machine>, links: &[Link], config: Option<&Config>) -> Self {
        Self {
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
mod tests {
    use super::super::file::{read, samples::node};
    use super::*;
    use serde_json::{json, to_value};
    use service_group::netlink::{LinkEnds, LinkState};

    fn machine() -> Machine {
        Machine {
            id: 1,
            cluster: [5; 16],
            boot: Some([6; 16]),
            heartbeat: 100,
            insecure: false,
            peers: vec![2, 3],
        }
    }

    fn links() -> [Link; 2] {
        let up = Link {
            state: LinkState::Up,
            ready: Some(true),
            heard: Some(Duration::from_millis(70)),
            since: Duration::from_secs(2),
            epoch: 4,
            boot: Some([7; 16]),
            version: 1,
            secure: true,
            ends: Some(LinkEnds {
                local: ([192, 0, 2, 11], 5347).into(),
                peer: ([192, 0, 2, 12], 40000).into(),
            }),
            ..Link::new(2)
        };
        let lost = Link {
            state: LinkState::Unreachable,
            reason: LinkReason::Silent,
            away: true,
            heard: Some(Duration::from_millis(75_600)),
            epoch: 3,
            version: 1,
            ended: vec![(LinkReason::Silent, 2)],
            ..Link::new(3)
        };
        [up, lost]
    }

    #[test]
    fn machines_are_shown_with_their_links() {
        let config = read(&(node("a", 1, "") + &node("b", 2, ""))).ok();
        let expected = "\
a (id 1): heartbeat 100ms
 MACHINE  ID  STATE        AWAY  READY  EPOCH   HEARD  VERSION  LINK
 b         2  up           -     yes        4    70ms        1  TLS
 ?         3  unreachable  away  -          3  1m 15s        1  none: nothing was heard for ten heartbeats
";
        assert_eq!(words(Some(&machine()), &links(), config.as_ref()), expected);
        let open = Machine {
            insecure: true,
            ..machine()
        };
        assert!(words(Some(&open), &[], None)
            .starts_with("? (id 1): heartbeat 100ms, links without TLS"));
        assert!(words(None, &[], None).contains("start its agent"));
    }

    #[test]
    fn machines_that_were_never_linked_are_shown() {
        let cluster = format!(
            "[cluster]\nid = \"{}\"\nlink-security = \"none\"\n",
            "05".repeat(16)
        );
        let config = read(&(cluster + &node("a", 1, "") + &node("b", 2, "") + &node("d", 4, "")));
        let config = config.expect("it is right");
        let links = with_strangers(links().into(), 1, Some(&config));
        let ids: Vec<u32> = links.iter().map(|link| link.peer).collect();
        assert_eq!(ids, [2, 3, 4]);
        let told = words(Some(&machine()), &links, Some(&config));
        let last = told.lines().last().expect("a line");
        assert!(
            last.starts_with(" d ") && last.ends_with("none: not linked yet"),
            "{told}"
        );
        assert_eq!(with_strangers(Vec::new(), 1, None), []);
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let config = read(&node("a", 1, "")).ok();
        let view = StatusView::new(Some(&machine()), &links(), config.as_ref());
        let mut json = to_value(view).expect("it is JSON");
        let links = json["links"].take();
        let expected = json!({"id": 1, "name": "a", "cluster": "05".repeat(16),
            "boot": "06".repeat(16), "heartbeat_ms": 100, "insecure": false});
        assert_eq!(json, json!({"machine": expected, "links": null}));
        let expected = json!({
            "peer": 2, "name": null, "state": "up", "reason": "none", "away": false, "ready": true,
            "heard_ms": 70, "since_ms": 2000, "held_ms": null, "epoch": 4,
            "boot": "07".repeat(16), "version": 1, "secure": true, "local": "192.0.2.11:5347",
            "remote": "192.0.2.12:40000", "frames_in": 0, "frames_out": 0, "bytes_in": 0,
            "bytes_out": 0, "ended": {},
        });
        assert_eq!(links[0], expected);
        assert_eq!(
            (&links[1]["ended"], &links[1]["local"]),
            (&json!({"silent": 2}), &json!(null))
        );
        let none = StatusView::new(None, &[], None);
        assert_eq!(
            to_value(none).ok(),
            Some(json!({"machine": null, "links": []}))
        );
    }
}
