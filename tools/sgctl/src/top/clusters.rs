// SPDX-License-Identifier: GPL-2.0
//! Cluster IPs and machines in `top`: a line for each, and one for each node that is away.

use std::path::Path;
use std::time::Duration;

use service_group::netlink::{
    Cluster, ClusterCounters, Connection, Error, Link, LinkState, Machine,
};

use super::columns::compact;
use crate::agent::link_words;
use crate::cluster::absent::{named, short, Why};
use crate::cluster::file::{describe, store, Config, FILE};
use crate::cluster::view::{lacks_address, lacks_service};
use crate::output;
use crate::snapshot::unless_unknown;

/// What was read.
#[derive(Debug, Default)]
pub struct Seen {
    clusters: Vec<Cluster>,
    machine: Option<Machine>,
    links: Vec<Link>,
}

/// The names of machines, as the file has them.
#[derive(Debug, Default)]
pub struct Names(Option<Config>);

/// A line of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As a heading.
    Heading,
    /// As anything.
    Plain,
    /// Something is wrong.
    Bad,
}

impl Seen {
    /// Reads all of it.
    pub fn read(kernel: &mut Connection) -> Result<Self, Error> {
        let mut clusters = unless_unknown(kernel.clusters())?;
        clusters.sort_by_key(|cluster| cluster.name);
        Ok(Self {
            clusters,
            machine: unless_unknown(kernel.machine())?,
            links: unless_unknown(kernel.links())?,
        })
    }

    /// How many there are of what is shown, as a part of the title.
    pub fn title(&self) -> String {
        let clusters = match self.clusters.len() {
            0 => String::new(),
            count => format!(", {}", output::count(count, "cluster IP")),
        };
        match self.links.len() {
            0 => clusters,
            count => format!("{clusters}, {}", output::count(count, "link")),
        }
    }

    /// All lines; rates are those since what was seen so long ago.
    pub fn lines(&self, before: Option<(&Self, Duration)>, names: &Names) -> Vec<Line> {
        let config = names.0.as_ref();
        let services = self.clusters.iter().flat_map(|cluster| {
            let old = before.and_then(|(seen, passed)| {
                let mut old = seen.clusters.iter();
                let old = old.find(|old| old.name == cluster.name)?;
                Some((old.counters, passed))
            });
            let away = cluster.nodes.iter().filter(|node| node.away);
            let away = away.map(move |node| Line {
                text: format!(
                    "  {} {}: {} of {} with deputies",
                    named(node.id, config),
                    Why::of(node.id, cluster, &self.links).words(),
                    node.deputised,
                    output::count(size(node.slots), "slot")
                ),
                tone: Tone::Bad,
            });
            std::iter::once(service(cluster, old)).chain(away)
        });
        services.chain(self.machines(config)).collect()
    }

    fn machines<'a>(&'a self, config: Option<&'a Config>) -> impl Iterator<Item = Line> + 'a {
        let own = self.machine.iter().filter(|_| !self.links.is_empty());
        let own = own.map(move |own| Line {
            text: format!("links of {}:", named(own.id, config)),
            tone: Tone::Heading,
        });
        let links = self.links.iter().map(move |link| {
            let heard = link.heard.map_or_else(
                || "never heard of".to_owned(),
                |heard| format!("heard of {} ago", short(heard)),
            );
            let (name, state) = (named(link.peer, config), link_words(link));
            let is_bad = link.away || link.state != LinkState::Up;
            Line {
                text: format!("  {name}: {state}, {heard}"),
                tone: if is_bad { Tone::Bad } else { Tone::Plain },
            }
        });
        own.chain(links)
    }
}

impl Names {
    /// Those of the file that is the default; none, if it cannot be read.
    pub fn read() -> Self {
        let file = Path::new(FILE);
        let text = store::text(file);
        Self(text.and_then(|text| store::config(file, &text)).ok())
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Packets of one kind.
type Count = fn(&ClusterCounters) -> u64;

/// What this machine does for a cluster IP.
fn service(cluster: &Cluster, old: Option<(ClusterCounters, Duration)>) -> Line {
    let Cluster { role, epoch, .. } = cluster;
    let name = describe(&cluster.name);
    let lacks = [lacks_address(cluster), lacks_service(cluster)].concat();
    let kinds: [(&str, Count); 4] = [
        ("own", |it| it.owned.saturating_add(it.known)),
        ("given", |it| {
            let given = it.forwarded.saturating_add(it.second_chance);
            given.saturating_add(it.spilled_out)
        }),
        ("left", |it| it.ignored.saturating_add(it.silent)),
        ("dropped", dropped),
    ];
    let rates = kinds.map(|(what, count)| {
        let rate =
            old.and_then(|(old, passed)| rate(count(&old), count(&cluster.counters), passed));
        format!("{what} {}/s", rate.map_or_else(|| "-".to_owned(), compact))
    });
    Line {
        text: format!("{name}: {role}, epoch {epoch}{lacks}: {}", rates.join(", ")),
        tone: match lacks.is_empty() {
            true => Tone::Heading,
            false => Tone::Bad,
        },
    }
}

/// Packets that were dropped, for whatever reason.
fn dropped(counters: &ClusterCounters) -> u64 {
    let all = counters.list();
    let dropped = all.iter().filter(|it| it.name.starts_with("dropped"));
    dropped.fold(0, |sum, it| it.value.saturating_add(sum))
}

fn rate(old: u64, new: u64, passed: Duration) -> Option<f64> {
    // More precision than a picture shows.
    #[expect(clippy::cast_precision_loss)]
    let more = new.saturating_sub(old) as f64;
    (!passed.is_zero()).then(|| more / passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::absent::tests::{cluster, link};

    fn seen(owned: u64) -> Seen {
        let mut one = cluster();
        one.counters.owned = owned;
        one.counters.known = owned;
        one.counters.forwarded = 3 * owned;
        one.counters.dropped_no_owner = owned;
        one.counters.dropped_spent = owned;
        Seen {
            clusters: vec![one],
            machine: Some(Machine {
                id: 1,
                cluster: [5; 16],
                boot: None,
                heartbeat: 100,
                insecure: false,
                peers: vec![2, 3],
            }),
            links: vec![
                link(LinkState::Unreachable),
                Link {
                    state: LinkState::Up,
                    heard: Some(Duration::from_millis(70)),
                    ..Link::new(3)
                },
            ],
        }
    }

    #[test]
    fn cluster_ips_and_machines_have_lines() {
        let (old, now) = (seen(10), seen(110));
        let before = Some((&old, Duration::from_millis(500)));
        let lines = now.lines(before, &Names::default());
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "198.51.100.7 tcp port 80: shared, epoch 0: own 400/s, given 600/s, left 0/s, \
                 dropped 400/s",
                "  node 2 has been unreachable for 12s: 4 of 4 slots with deputies",
                "links of node 1:",
                "  node 2: unreachable, as it has not linked again, gets no new connections, never heard of",
                "  node 3: up, heard of 70ms ago",
            ]
        );
        let tones = lines.iter().map(|line| line.tone).collect::<Vec<_>>();
        assert_eq!(
            tones,
            [
                Tone::Heading,
                Tone::Bad,
                Tone::Heading,
                Tone::Bad,
                Tone::Plain
            ]
        );
        assert_eq!(now.title(), ", 1 cluster IP, 2 links");
        assert_eq!(Seen::default().title(), "");
    }

    #[test]
    fn without_a_time_before_there_are_no_rates() {
        let mut now = seen(1);
        now.clusters[0].ready = Some(false);
        let lines = now.lines(None, &Names::default());
        let Line { text, tone } = &lines[0];
        assert!(
            text.ends_with("own -/s, given -/s, left -/s, dropped -/s"),
            "{text}"
        );
        assert!(text.contains("not ready as nothing listens") && *tone == Tone::Bad);
        let lines = now.lines(Some((&seen(0), Duration::ZERO)), &Names::default());
        assert!(lines[0].text.contains("own -/s"));
        assert!(Seen::default().lines(None, &Names::default()).is_empty());
    }
}
