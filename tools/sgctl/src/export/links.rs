// SPDX-License-Identifier: GPL-2.0
//! Links as metrics: how the other machines of the cluster are, as this one believes.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::MetricType;
use service_group::netlink::{Link, Machine};

use super::metrics::{gauges, Gauge, Labelled, Labels};

const GAUGES: [Gauge<Link>; 6] = [
    (
        "link_state",
        "What is known of the machine: 0 none, 1 up, 2 suspect, 3 unreachable",
        |link| link.state.number(),
    ),
    (
        "link_away",
        "Whether the machine gets no new connections: 1, or 0",
        |link| u32::from(link.away),
    ),
    (
        "link_ready",
        "Whether the machine says that it can serve, or has said nothing: 1, or 0",
        |link| u32::from(link.ready != Some(false)),
    ),
    (
        "link_connected",
        "Whether there is a link to the machine: 1, or 0",
        |link| u32::from(link.ends.is_some()),
    ),
    (
        "link_secure",
        "Whether the link is encrypted: 1, or 0",
        |link| u32::from(link.secure),
    ),
    (
        "link_epoch",
        "The highest number of the machine's tables",
        |link| link.epoch,
    ),
];

/// The name, the text and the value of a counter.
type Count = (&'static str, &'static str, fn(&Link) -> u64);

const COUNTERS: [Count; 4] = [
    (
        "link_frames_in",
        "Frames received from the machine",
        |link| link.traffic.frames_in,
    ),
    ("link_frames_out", "Frames sent to the machine", |link| {
        link.traffic.frames_out
    }),
    ("link_bytes_in", "Bytes of the frames received", |link| {
        link.traffic.bytes_in
    }),
    ("link_bytes_out", "Bytes of the frames sent", |link| {
        link.traffic.bytes_out
    }),
];

/// Tells of this machine, and of its links.
pub fn encode(
    encoder: &mut DescriptorEncoder,
    machine: Option<&Machine>,
    links: &[Link],
) -> fmt::Result {
    let labelled = |of| Labelled {
        labels: labels(of),
        of,
    };
    let all: Vec<_> = links.iter().map(labelled).collect();
    gauges(encoder, &GAUGES, &all)?;
    let text = "How long ago the machine was heard of; not there if it never was";
    let mut family =
        encoder.encode_descriptor("link_heard_seconds", text, None, MetricType::Gauge)?;
    for link in &all {
        if let Some(heard) = link.of.heard {
            let gauge = ConstGauge::new(heard.as_secs_f64());
            gauge.encode(family.encode_family(&link.labels)?)?;
        }
    }
    if let Some(machine) = machine {
        heartbeats(encoder, machine, &all)?;
    }
    for (name, text, number) in COUNTERS {
        let mut family = encoder.encode_descriptor(name, text, None, MetricType::Counter)?;
        for link in &all {
            let number = ConstCounter::new(number(link.of));
            number.encode(family.encode_family(&link.labels)?)?;
        }
    }
    let text = "Links to the machine that ended";
    let mut family = encoder.encode_descriptor("link_ended", text, None, MetricType::Counter)?;
    for link in links {
        for (reason, times) in &link.ended {
            let [peer] = labels(link);
            let labels = [peer, ("reason", reason.name().to_owned())];
            let times = ConstCounter::new(u64::from(*times));
            times.encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// How often this machine sends heartbeats, and how many of each peer's did not come.
fn heartbeats(
    encoder: &mut DescriptorEncoder,
    machine: &Machine,
    links: &[Labelled<'_, Link, 1>],
) -> fmt::Result {
    let heartbeat = Duration::from_millis(machine.heartbeat.into());
    let text = "After how much silence this machine sends a heartbeat";
    let name = "machine_heartbeat_seconds";
    let family = encoder.encode_descriptor(name, text, None, MetricType::Gauge)?;
    ConstGauge::new(heartbeat.as_secs_f64()).encode(family)?;
    let text = "How many heartbeats long the machine was not heard of; not there if it never was";
    let name = "link_heartbeats_missed";
    let mut family = encoder.encode_descriptor(name, text, None, MetricType::Gauge)?;
    for link in links {
        if let Some(heard) = link.of.heard {
            let missed = heard.as_millis().checked_div(heartbeat.as_millis());
            let missed = u64::try_from(missed.unwrap_or_default()).unwrap_or(u64::MAX);
            let gauge = ConstGauge::new(missed);
            gauge.encode(family.encode_family(&link.labels)?)?;
        }
    }
    Ok(())
}

fn labels(link: &Link) -> Labels<1> {
    [("peer", link.peer.to_string())]
}

#[cfg(test)]
pub mod tests {
    use super::super::metrics::tests::lines;
    use super::*;
    use service_group::netlink::{LinkReason, LinkState, LinkTraffic};

    /// This machine.
    pub fn machine() -> Machine {
        Machine {
            id: 1,
            cluster: [5; 16],
            boot: None,
            heartbeat: 100,
            insecure: false,
            peers: vec![7],
        }
    }

    /// One with some of everything.
    pub fn link() -> Link {
        Link {
            state: LinkState::Suspect,
            away: true,
            heard: Some(Duration::from_millis(350)),
            epoch: 9,
            traffic: LinkTraffic {
                frames_in: 1,
                frames_out: 2,
                bytes_in: 3,
                bytes_out: 4,
            },
            ended: vec![(LinkReason::Silent, 5)],
            ..Link::new(7)
        }
    }

    #[test]
    fn links_are_told_with_their_peer() {
        let lines = lines();
        for line in [
            "service_group_link_state{peer=\"7\"} 2",
            "service_group_link_away{peer=\"7\"} 1",
            "service_group_link_connected{peer=\"7\"} 0",
            "service_group_link_secure{peer=\"7\"} 0",
            "service_group_link_epoch{peer=\"7\"} 9",
            "service_group_link_heard_seconds{peer=\"7\"} 0.35",
            "service_group_link_heartbeats_missed{peer=\"7\"} 3",
            "service_group_link_ready{peer=\"7\"} 1",
            "service_group_machine_heartbeat_seconds 0.1",
            "service_group_link_frames_in_total{peer=\"7\"} 1",
            "service_group_link_frames_out_total{peer=\"7\"} 2",
            "service_group_link_bytes_in_total{peer=\"7\"} 3",
            "service_group_link_bytes_out_total{peer=\"7\"} 4",
            "service_group_link_ended_total{peer=\"7\",reason=\"silent\"} 5",
        ] {
            assert!(
                lines.contains(&line.to_owned()),
                "{line} is not in {lines:#?}"
            );
        }
    }
}
