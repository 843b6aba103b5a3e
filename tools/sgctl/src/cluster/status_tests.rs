// SPDX-License-Identifier: GPL-2.0
//! What is told of the other machines, and of the cluster IPs.

use super::super::absent::tests;
use super::super::file::{read, samples::node};
use super::*;
use serde_json::{json, to_value};
use service_group::netlink::{ClusterRole, LinkEnds, LinkState};
use std::time::Duration;

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
    assert!(
        words(Some(&open), &[], None).starts_with("? (id 1): heartbeat 100ms, links without TLS")
    );
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
    let machine = machine();
    let links = links();
    let served = [tests::cluster()];
    let seen = Seen {
        machine: Some(&machine),
        links: &links,
        served: &served,
        config: config.as_ref(),
    };
    let view = StatusView::new(&seen);
    let mut json = to_value(view).expect("it is JSON");
    let links = json["links"].take();
    let expected = json!({"id": 1, "name": "a", "cluster": "05".repeat(16),
            "boot": "06".repeat(16), "heartbeat_ms": 100, "insecure": false});
    let services = json["addresses"].take();
    assert_eq!(
        json,
        json!({"machine": expected, "links": null, "addresses": null})
    );
    let mut service = services[0].clone();
    // The node is up, and so it has said that it is not ready.
    assert_eq!(service["away"][0]["reason"], "not-ready");
    service["away"].take();
    assert_eq!(
        service,
        json!({"address": "198.51.100.7", "protocol": 6, "port": 80, "role": "shared",
                "directors": [], "acting": null, "role_reason": null, "healthy": null,
                "ready": null, "away": null})
    );
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
    let none = StatusView::new(&Seen {
        machine: None,
        links: &[],
        served: &[],
        config: None,
    });
    assert_eq!(
        to_value(none).ok(),
        Some(json!({"machine": null, "links": [], "addresses": []}))
    );
}

#[test]
fn who_directs_is_told() {
    let served = [Cluster {
        role: ClusterRole::Standby,
        directors: vec![7, 8],
        acting: Some(7),
        reason: Some(RoleReason::Preferred),
        ..tests::cluster()
    }];
    let seen = Seen {
        machine: None,
        links: &[],
        served: &served,
        config: None,
    };
    let told =
        "198.51.100.7 tcp port 80: machine 7 directs, and this machine stands by, as a director \
                that comes before it is there\n";
    assert!(seen.words().contains(told), "{}", seen.words());
    let json = serde_json::to_value(StatusView::new(&seen)).expect("it is JSON");
    let service = &json["addresses"][0];
    assert_eq!(service["acting"], 7);
    assert_eq!(service["role_reason"], "preferred");
}

#[test]
fn services_that_are_not_ready_are_told() {
    let mut served = [tests::cluster()];
    let told = |served: &[Cluster]| {
        let seen = Seen {
            machine: None,
            links: &[],
            served,
            config: None,
        };
        seen.words()
    };
    assert!(told(&served).contains("\n198.51.100.7 tcp port 80: node 2 is away: node "));
    served[0].nodes[1].away = false;
    assert_eq!(told(&served).lines().count(), 1);
    served[0].ready = Some(false);
    let text = told(&served);
    assert!(text.ends_with("\n198.51.100.7 tcp port 80, not ready as nothing listens\n"));
}

#[test]
fn machines_with_other_tables_are_told() {
    let config = read(&(node("a", 1, "") + &node("b", 2, ""))).ok();
    let links = links();
    let told = |served: &[Cluster]| {
        let seen = Seen {
            machine: None,
            links: &links,
            served,
            config: config.as_ref(),
        };
        seen.other_tables()
    };
    let of = |epoch| Cluster {
        epoch,
        ..tests::cluster()
    };
    // Not of the machine that has no link, whose table is that of some time ago.
    let older = told(&[of(2), of(3)]);
    assert_eq!(older.lines().count(), 1, "{older}");
    assert!(older.starts_with("b has table 4, and this machine table 3: "));
    assert!(told(&[]).starts_with("b has table 4, and this machine no table: "));
    assert_eq!(told(&[of(4), of(3)]), "");
}
