// SPDX-License-Identifier: GPL-2.0
//! What the kernel tells, as metrics of Prometheus.
//!
//! The names of counters are those of the crate's list, with `group_` or
//! `member_` before and `_total` behind.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{text, DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use service_group::netlink::{Cluster, Counter, Counters, Group, Link, Machine, Member, Stats};

use super::{clusters, links, settings};
use crate::snapshot::Snapshot;
use crate::Failure;

/// What stands before all names.
const PREFIX: &str = "service_group";

/// What there is to tell.
#[derive(Debug)]
pub struct Figures {
    /// The totals of the network namespace.
    pub stats: Stats,
    /// Groups and members.
    pub snapshot: Snapshot,
    /// Cluster IPs.
    pub clusters: Vec<Cluster>,
    /// This machine among them, if it has links.
    pub machine: Option<Machine>,
    /// Machines that a link is expected to.
    pub links: Vec<Link>,
    /// How many groups, and how many members, are told of.
    pub limit: usize,
}

/// The page that a scrape gets.
pub fn page(figures: Figures) -> Result<String, Failure> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(figures));
    let mut page = String::new();
    text::encode(&mut page, &registry)
        .map_err(|_| Failure::new("the metrics could not be written"))?;
    Ok(page)
}

/// The name, the text and the value of a gauge.
pub(super) type Gauge<Of> = (&'static str, &'static str, fn(&Of) -> u32);

const GROUP_GAUGES: [Gauge<Group>; 1] = [("group_members", "Members of the group", |group| {
    group.members
})];

const MEMBER_GAUGES: [Gauge<Member>; 5] = [
    (
        "member_state",
        "What the socket is doing: 0 unbound, 1 bound, 2 listening, 3 connected, 4 unhooked, \
         5 stalled, 6 leaving",
        |member| member.state.number(),
    ),
    (
        "member_queued",
        "Connections in the accept queue",
        |member| member.queued,
    ),
    (
        "member_half_open",
        "Requests that wait for the last packet of their handshake",
        |member| member.half_open,
    ),
    (
        "member_backlog",
        "What listen() asked for; the accept queue takes one more",
        |member| member.backlog,
    ),
    (
        "member_weight",
        "How many connections the member is to have waiting, compared with the others",
        |member| member.weight,
    ),
];

pub(super) type Labels<const N: usize> = [(&'static str, String); N];

/// Something that has labels, and what it is.
pub(super) struct Labelled<'figures, Of, const N: usize> {
    pub(super) labels: Labels<N>,
    pub(super) of: &'figures Of,
}

fn group_labels(group: &Group) -> Labels<1> {
    [("group", group.id.to_string())]
}

fn member_labels(member: &Member) -> Labels<5> {
    let address = member.address.map(|address| address.to_string());
    [
        ("group", member.group.to_string()),
        ("address", address.unwrap_or_default()),
        ("port", member.port.to_string()),
        ("inode", member.inode.to_string()),
        ("cookie", member.cookie.to_string()),
    ]
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let groups = self.snapshot.groups.iter().take(self.limit);
        let groups: Vec<_> = groups
            .map(|of| Labelled {
                labels: group_labels(of),
                of,
            })
            .collect();
        let members = self.snapshot.members.iter().take(self.limit);
        let members: Vec<_> = members
            .map(|of| Labelled {
                labels: member_labels(of),
                of,
            })
            .collect();
        self.totals(&mut encoder)?;
        settings::encode(&mut encoder, &groups)?;
        gauges(&mut encoder, &GROUP_GAUGES, &groups)?;
        adoptions(&mut encoder, &groups)?;
        let names = Counters::default().list();
        counters(&mut encoder, "group", &groups, names, |it| {
            it.counters.list()
        })?;
        gauges(&mut encoder, &MEMBER_GAUGES, &members)?;
        counters(&mut encoder, "member", &members, names, |it| {
            it.counters.list()
        })?;
        clusters::encode(&mut encoder, &self.clusters)?;
        links::encode(&mut encoder, self.machine.as_ref(), &self.links)
    }
}

impl Figures {
    /// What is told of the network namespace as a whole.
    fn totals(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let left_out = |length: usize| {
            let number = length.saturating_sub(self.limit);
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        let Snapshot { groups, members } = &self.snapshot;
        for (name, text, value) in [
            ("groups", "Groups there are", self.stats.groups),
            ("members", "Members there are", self.stats.members),
            (
                "groups_left_out",
                "Groups beyond the limit of the export",
                left_out(groups.len()),
            ),
            (
                "members_left_out",
                "Members beyond the limit of the export",
                left_out(members.len()),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, text, None, MetricType::Gauge)?)?;
        }
        let text = "Requests for groups that the kernel refused";
        let name = "requests_refused";
        let mut family = encoder.encode_descriptor(name, text, None, MetricType::Counter)?;
        for (reason, value) in [
            ("limit", self.stats.refused_limit),
            ("permission", self.stats.refused_permission),
            ("other", self.stats.refused_other),
        ] {
            ConstCounter::new(value).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}

/// Listeners in members' places.
fn adoptions(encoder: &mut DescriptorEncoder, groups: &[Labelled<Group, 1>]) -> fmt::Result {
    type Kind = (&'static str, &'static str, fn(&Group) -> u64);
    let kinds: [Kind; 2] = [
        (
            "group_adopted",
            "Listeners in members' places that became members",
            |group| group.adopted,
        ),
        (
            "group_not_adopted",
            "Listeners in members' places that were refused",
            |group| group.not_adopted,
        ),
    ];
    for (name, text, number) in kinds {
        let mut family = encoder.encode_descriptor(name, text, None, MetricType::Counter)?;
        for group in groups {
            let number = ConstCounter::new(number(group.of));
            number.encode(family.encode_family(&group.labels)?)?;
        }
    }
    Ok(())
}

pub(super) fn gauges<Of, const N: usize>(
    encoder: &mut DescriptorEncoder,
    gauges: &[Gauge<Of>],
    all: &[Labelled<Of, N>],
) -> fmt::Result {
    for (name, text, value) in gauges {
        let mut family = encoder.encode_descriptor(name, text, None, MetricType::Gauge)?;
        for one in all {
            let gauge = ConstGauge::new(value(one.of));
            gauge.encode(family.encode_family(&one.labels)?)?;
        }
    }
    Ok(())
}

pub(super) fn counters<Of, const N: usize, const C: usize>(
    encoder: &mut DescriptorEncoder,
    prefix: &str,
    all: &[Labelled<Of, N>],
    names: [Counter; C],
    counters: fn(&Of) -> [Counter; C],
) -> fmt::Result {
    let lists: Vec<_> = all.iter().map(|one| counters(one.of)).collect();
    for (place, counter) in names.iter().enumerate() {
        let name = format!("{prefix}_{}", counter.name);
        let mut family =
            encoder.encode_descriptor(&name, counter.text, None, MetricType::Counter)?;
        for (one, list) in all.iter().zip(&lists) {
            let value = ConstCounter::new(list[place].value);
            value.encode(family.encode_family(&one.labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use service_group::{GroupSettings, MemberState, Policy};
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn figures(limit: usize) -> Figures {
        let counters = Counters {
            accepted: 41,
            stalls: 42,
            ..Counters::default()
        };
        let group = |id| Group {
            id,
            uid: 33,
            members: 2,
            settings: GroupSettings {
                policy: Policy::Balance,
                stall: Duration::from_millis(100),
                ..GroupSettings::default()
            },
            counters,
            ..Group::default()
        };
        let member = |cookie| Member {
            group: 3,
            cookie,
            inode: 4711,
            port: 80,
            address: "::1".parse().ok(),
            state: MemberState::Stalled,
            queued: 7,
            counters,
            ..Member::default()
        };
        Figures {
            stats: Stats {
                groups: 2,
                members: 2,
                refused_permission: 6,
                ..Stats::default()
            },
            snapshot: Snapshot::new(vec![group(3), group(4)], vec![member(5), member(6)]),
            clusters: vec![clusters::tests::cluster()],
            machine: Some(links::tests::machine()),
            links: vec![links::tests::link()],
            limit,
        }
    }

    pub fn lines() -> Vec<String> {
        lines_with(vec![clusters::tests::cluster()])
    }

    /// With these cluster IPs.
    pub fn lines_with(clusters: Vec<Cluster>) -> Vec<String> {
        let figures = Figures {
            clusters,
            ..figures(1024)
        };
        let page = page(figures).expect("it can be written");
        page.lines().map(str::to_owned).collect()
    }

    /// The names of all series.
    pub fn names() -> BTreeSet<String> {
        let lines = lines();
        let series = lines.iter().filter(|line| !line.starts_with('#'));
        let names = series.map(|line| line.split(['{', ' ']).next().unwrap_or_default());
        names.map(str::to_owned).collect()
    }

    #[test]
    fn members_and_groups_are_told_with_their_labels() {
        let lines = lines();
        let labels = r#"{group="3",address="::1",port="80",inode="4711",cookie="5"}"#;
        for line in [
            format!("service_group_member_queued{labels} 7"),
            format!("service_group_member_state{labels} 5"),
            format!("service_group_member_weight{labels} 1"),
            format!("service_group_member_accepted_total{labels} 41"),
            r#"service_group_group_stalls_total{group="4"} 42"#.to_owned(),
            r#"service_group_group_stall_seconds{group="3"} 0.1"#.to_owned(),
            r#"service_group_group_adopt_seconds{group="3"} 0.0"#.to_owned(),
            r#"service_group_group_adopted_total{group="3"} 0"#.to_owned(),
            r#"service_group_group_not_adopted_total{group="4"} 0"#.to_owned(),
            r#"service_group_requests_refused_total{reason="permission"} 6"#.to_owned(),
            "service_group_members 2".to_owned(),
            "service_group_members_left_out 0".to_owned(),
            "# EOF".to_owned(),
        ] {
            assert!(lines.contains(&line), "{line} is not in {lines:#?}");
        }
        let info = lines
            .iter()
            .find(|line| line.starts_with("service_group_group_info{"));
        let info = info.expect("there is one");
        assert!(
            [r#"group="3""#, r#"policy="balance""#, r#"rewrite="false""#]
                .iter()
                .all(|label| info.contains(label)),
            "{info}"
        );
    }

    #[test]
    fn every_counter_is_told_of_members_and_groups() {
        let names = names();
        for counter in Counters::default().list() {
            for kind in ["group", "member"] {
                let name = format!("{PREFIX}_{kind}_{}_total", counter.name);
                assert!(names.contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn names_are_declared_once() {
        let lines = lines();
        let types: Vec<&String> = lines.iter().filter(|l| l.starts_with("# TYPE ")).collect();
        let unique: BTreeSet<&&String> = types.iter().collect();
        assert_eq!(types.len(), unique.len());
    }

    #[test]
    fn what_is_beyond_the_limit_is_left_out_and_counted() {
        let page = page(figures(1)).expect("it can be written");
        assert!(
            page.contains("service_group_members_left_out 1\n"),
            "{page}"
        );
        assert!(page.contains("service_group_groups_left_out 1\n"), "{page}");
        assert!(!page.contains(r#"cookie="6""#) && !page.contains(r#"group="4""#));
        assert!(page.contains("service_group_members 2\n"));
    }
}
