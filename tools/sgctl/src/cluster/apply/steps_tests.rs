// SPDX-License-Identifier: GPL-2.0
//! Steps to a target, and back when one of them fails.

use super::super::facts::{Link, Local, LOOPBACK};
use super::super::report::Report;
use super::super::target::{self, own_name, whole};
use super::*;
use crate::cluster::file::{read, samples::node, Config};
use service_group::netlink::ClusterRole;
use std::net::IpAddr;
use std::time::SystemTime;

const DIRECTORS: &str = "[[director]]\nname = \"lb1\"\n[[director]]\nname = \"lb2\"\n";

pub const SHARED: &str = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 4\n\
                      epoch = 3\ntable = \"(1 2)x2\"\n";

pub fn config(address: &str) -> Config {
    let nodes = node("a", 1, "") + &node("b", 2, "device = \"ens5\"");
    read(&format!("{nodes}{DIRECTORS}{address}")).expect("it is right")
}

pub fn directed(directors: &str) -> Config {
    config(&format!(
        "{SHARED}mode = \"directed\"\ndirectors = [{directors}]\n"
    ))
}

pub fn facts() -> Facts {
    let link = |(index, name): (u32, &str)| Link {
        index,
        name: name.to_owned(),
    };
    Facts {
        links: [(1, "lo"), (2, "eth0"), (3, "ens5")].map(link).to_vec(),
        ..Facts::default()
    }
}

pub fn targets(config: &Config, own: &str, facts: &Facts) -> Result<Vec<Target>, Failure> {
    target::targets(config, own, facts, SystemTime::now())
}

fn ip() -> IpAddr {
    [198, 51, 100, 7].into()
}

/// How this machine is once it has done what it is to.
pub fn settled(config: &Config, own: &str, facts: &Facts) -> Facts {
    let targets = targets(config, own, facts).expect("they can be");
    let mut facts = facts.clone();
    for step in steps(&targets, &facts.clone()).expect("they can be") {
        match step {
            Step::AddAddress { index, address } => {
                let prefix = whole(address);
                let local = Local {
                    index,
                    address,
                    prefix,
                };
                facts.addresses.push(local);
                facts.ours.push(local);
            }
            Step::RemoveAddress { index, address } => {
                let stays = |it: &Local| (it.index, it.address) != (index, address);
                facts.addresses.retain(stays);
                facts.ours.retain(stays);
            }
            Step::Serve { new, .. } => {
                facts.clusters.retain(|it| it.name != new.name);
                facts.clusters.push(*new);
            }
            Step::Forget(old) => facts.clusters.retain(|it| it.name != old.name),
        }
    }
    facts
}

fn kinds(config: &Config, own: &str, facts: &Facts) -> Vec<&'static str> {
    let targets = targets(config, own, facts).expect("they can be");
    let steps = steps(&targets, facts).expect("they can be");
    let kind = |step: &Step| match step {
        Step::AddAddress { index: 1, .. } => "add to lo",
        Step::AddAddress { .. } => "add to device",
        Step::RemoveAddress { .. } => "remove",
        Step::Serve { .. } => "serve",
        Step::Forget(_) => "forget",
    };
    steps.iter().map(kind).collect()
}

#[test]
fn each_machine_has_its_part() {
    let node = ["serve", "add to lo"];
    let (one, two) = (directed("\"lb1\""), directed("\"lb1\", \"b\""));
    let shared = config(SHARED);
    for (config, own, role, kinds_of) in [
        (&shared, "a", Some(ClusterRole::Shared), &node[..]),
        (&shared, "lb1", None, &[]),
        (&one, "a", Some(ClusterRole::Directed), &node),
        (
            &one,
            "lb1",
            Some(ClusterRole::Director),
            &["serve", "add to device"],
        ),
        (&one, "lb2", None, &[]),
        (&two, "lb1", Some(ClusterRole::Standby), &node[..1]),
        (&two, "b", Some(ClusterRole::Standby), &node),
        (&two, "a", Some(ClusterRole::Directed), &node),
    ] {
        assert_eq!(kinds(config, own, &facts()), kinds_of, "{own}");
        let after = settled(config, own, &facts());
        let served = after.clusters.first().map(|cluster| cluster.role);
        assert_eq!(served, role, "{own}");
        // Once is enough.
        assert_eq!(kinds(config, own, &after), [""; 0], "{own}");
    }
}

#[test]
fn what_the_kernel_gets_is_what_the_file_says() {
    let after = settled(&config(SHARED), "b", &facts());
    let [cluster] = &after.clusters[..] else {
        panic!("{after:?}");
    };
    assert_eq!(
        (cluster.device, cluster.node, cluster.epoch),
        (3, Some(2), 3)
    );
    assert_eq!(cluster.table, [1, 2, 1, 2]);
    assert_eq!(cluster.mac, Some([3, 0x53, 198, 51, 100, 7]));
    assert_eq!((cluster.nodes[1].id, cluster.nodes[1].weight), (2, 1));
    assert!(after.has(LOOPBACK, ip()));
}

#[test]
fn the_order_of_the_nodes_is_of_no_matter() {
    let after = settled(&config(SHARED), "a", &facts());
    let mut other = config(SHARED);
    other.nodes.reverse();
    assert_eq!(kinds(&other, "a", &after), [""; 0]);
}

#[test]
fn what_keepalived_decided_stays() {
    let two = directed("\"lb1\", \"lb2\"");
    let mut facts = facts();
    facts.addresses.push(Local {
        index: 2,
        address: ip(),
        prefix: 32,
    });
    let after = settled(&two, "lb1", &facts);
    assert_eq!(after.clusters[0].role, ClusterRole::Director);
    assert!(after.has(2, ip()));
    let mut standby = after;
    standby.clusters[0].role = ClusterRole::Standby;
    assert_eq!(
        settled(&two, "lb1", &standby).clusters[0].role,
        ClusterRole::Standby
    );
}

#[test]
fn what_the_file_has_no_more_is_removed() {
    let after = settled(&config(SHARED), "a", &facts());
    let none = config("");
    assert_eq!(kinds(&none, "a", &after), ["remove", "forget"]);
    // Another port of the same address still needs it.
    let port = SHARED.replace("device", "protocol = \"tcp\"\nport = 80\ndevice");
    assert_eq!(kinds(&config(&port), "a", &after), ["serve", "forget"]);
    // Where there is no room for both it goes first.
    let mut full = after.clone();
    while full.clusters.len() < MAX_CLUSTERS {
        full.clusters.push(after.clusters[0].clone());
    }
    let order = kinds(&config(&port), "a", &full);
    assert_eq!((order[0], order.last()), ("forget", Some(&"serve")));
    let report = {
        let steps = steps(&[], &after).expect("they can be");
        Report::new("a", &none, &after, (&steps, &[]), true).sentences()
    };
    let expected = "198.51.100.7: removed\n198.51.100.7 removed from lo\nnothing was changed\n";
    assert_eq!(report, expected);
}

#[test]
fn changes_tell_what_moves() {
    let after = settled(&config(SHARED), "a", &facts());
    let new = SHARED
        .replace("epoch = 3", "epoch = 4")
        .replace("(1 2)x2", "2x4");
    let new = config(&new.replace("slots", "settle = 5\nslots"));
    let targets = targets(&new, "a", &after).expect("they can be");
    let steps = steps(&targets, &after).expect("they can be");
    let report = Report::new("a", &new, &after, (&steps, &[]), false);
    let expected = "198.51.100.7: changed, epoch 3 -> 4, settle 3600s -> 5s\n  \
                    2 slots from a to b\n";
    assert_eq!(report.sentences(), expected);
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["clusters"][0]["moves"][0]["slots"], 2);
    assert_eq!(json["clusters"][0]["action"], "changed");
    let nothing = Report::new("a", &new, &after, (&[], &[]), false).sentences();
    assert!(nothing.contains("already"), "{nothing}");
}

#[test]
fn an_older_or_a_different_table_is_refused() {
    let after = settled(&config(SHARED), "a", &facts());
    for (text, told) in [
        (
            SHARED.replace("epoch = 3", "epoch = 2"),
            "epoch 3 on this machine already",
        ),
        (
            SHARED.replace("(1 2)x2", "2x4"),
            "another table with epoch 3",
        ),
        (
            format!("{SHARED}hash = \"sum3\"\n"),
            "another hash with epoch 3",
        ),
    ] {
        let targets = targets(&config(&text), "a", &after).expect("they can be");
        let failure = steps(&targets, &after)
            .expect_err("it is refused")
            .to_string();
        assert!(
            failure.contains(told) && failure.contains("plan --epoch 4"),
            "{failure}"
        );
    }
}

#[test]
fn machines_and_devices_have_to_be_known() {
    let config = config(SHARED);
    assert_eq!(own_name(&config, Some("lb1")), Ok("lb1".to_owned()));
    let failure = own_name(&config, Some("x")).expect_err("it is not");
    assert!(
        failure.to_string().contains("it has a, b, lb1, lb2"),
        "{failure}"
    );
    assert_eq!(failure.status(), 2);
    let failure = targets(&config, "a", &Facts::default()).expect_err("it has none");
    assert!(
        failure.to_string().contains("no device \"eth0\""),
        "{failure}"
    );
    assert_eq!(targets(&config, "lb1", &Facts::default()), Ok(vec![]));
}
