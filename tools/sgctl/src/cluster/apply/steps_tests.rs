// SPDX-License-Identifier: GPL-2.0
//! Steps to a target, and back when one of them fails.

use super::super::facts::{Link, Local};
use super::super::report::Report;
use super::super::target::{self, own_name};
use super::*;
use crate::cluster::file::{read, samples::node, Config};
use service_group::netlink::ClusterRole;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

const DIRECTORS: &str = "[[director]]\nname = \"lb1\"\n[[director]]\nname = \"lb2\"\n";

const SHARED: &str = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 4\n\
                      epoch = 3\ntable = \"(1 2)x2\"\n";

fn config(address: &str) -> Config {
    let nodes = node("a", 1, "") + &node("b", 2, "device = \"ens5\"");
    read(&format!("{nodes}{DIRECTORS}{address}")).expect("it is right")
}

fn directed(directors: &str) -> Config {
    config(&format!(
        "{SHARED}mode = \"directed\"\ndirectors = [{directors}]\n"
    ))
}

fn facts() -> Facts {
    let link = |(index, name): (u32, &str)| Link {
        index,
        name: name.to_owned(),
    };
    Facts {
        links: [(1, "lo"), (2, "eth0"), (3, "ens5")].map(link).to_vec(),
        ..Facts::default()
    }
}

fn targets(config: &Config, own: &str, facts: &Facts) -> Result<Vec<Target>, Failure> {
    target::targets(config, own, facts, SystemTime::now())
}

fn ip() -> IpAddr {
    [198, 51, 100, 7].into()
}

/// How this machine is once it has done what it is to.
fn settled(config: &Config, own: &str, facts: &Facts) -> Facts {
    let targets = targets(config, own, facts).expect("they can be");
    let mut facts = facts.clone();
    for step in steps(&targets, &facts.clone()).expect("they can be") {
        match step {
            Step::AddAddress { index, address } => facts.addresses.push(Local {
                index,
                address,
                prefix: whole(address),
            }),
            Step::RemoveAddress { index, address } => {
                facts
                    .addresses
                    .retain(|it| (it.index, it.address) != (index, address));
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
        Report::new("a", &none, &after, &steps, true).sentences()
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
    let report = Report::new("a", &new, &after, &steps, false);
    let expected = "198.51.100.7: changed, epoch 3 -> 4, settle 3600s -> 5s\n  \
                    2 slots from a to b\n";
    assert_eq!(report.sentences(), expected);
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["clusters"][0]["moves"][0]["slots"], 2);
    assert_eq!(json["clusters"][0]["action"], "changed");
    let nothing = Report::new("a", &new, &after, &[], false).sentences();
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

/// A system that fails at one action, and notes what it did.
#[derive(Default)]
struct Mock {
    fails_at: Option<usize>,
    epochs: BTreeMap<String, u32>,
    calls: usize,
    state: BTreeSet<String>,
}

impl Mock {
    fn act(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Failure> {
        self.calls += 1;
        if self.fails_at == Some(self.calls) {
            return Err(Failure::new("it broke"));
        }
        change(self);
        Ok(())
    }
}

impl System for Mock {
    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        self.act(|it| {
            it.state.insert(format!("{address} on {index}"));
        })
    }

    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        self.act(|it| {
            it.state.remove(&format!("{address} on {index}"));
        })
    }

    fn serve(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let name = describe(&cluster.name);
        if Some(&cluster.epoch) < self.epochs.get(&name) {
            return Err(Failure::new("the epoch is too low"));
        }
        self.act(|it| {
            it.state
                .retain(|own| !own.starts_with(&format!("{name}: ")));
            it.state.insert(format!("{name}: epoch {}", cluster.epoch));
            it.epochs.insert(name, cluster.epoch);
        })
    }

    fn forget(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let name = describe(&cluster.name);
        self.act(|it| {
            it.state
                .retain(|own| !own.starts_with(&format!("{name}: ")));
            it.epochs.remove(&name);
        })
    }
}

/// A machine that serves 198.51.100.7 with epoch 3, and fails.
fn serving(fails_at: Option<usize>) -> Mock {
    let state = ["198.51.100.7: epoch 3", "198.51.100.7 on 1"];
    Mock {
        fails_at,
        epochs: BTreeMap::from([("198.51.100.7".to_owned(), 3)]),
        state: state.map(str::to_owned).into(),
        ..Mock::default()
    }
}

/// What is told when each of the steps to this file fails, and then what is to follow them; for each
/// everything is as it was.
fn failures(config: &Config) -> Vec<String> {
    let before = settled(&self::config(SHARED), "a", &facts());
    let targets = targets(config, "a", &before).expect("they can be");
    let steps = steps(&targets, &before).expect("they can be");
    let fails_at = (1..=steps.len()).map(Some).chain([None]);
    let told = fails_at.map(|fails_at| {
        let mut mock = serving(fails_at);
        let outcome = carry_out(&steps, &mut mock, || Err(Failure::new("it broke")));
        assert_eq!(mock.state, serving(None).state, "{fails_at:?}");
        outcome.expect_err("it fails").to_string()
    });
    told.collect()
}

const UNDONE: &str = "it broke; nothing has changed";
const LOST: &str = "it broke; all is served as it was, but what the kernel alone knew is lost, \
                    counters and who had slots before, of 198.51.100.7";
const MORE: &str = "[[address]]\nip = \"198.51.100.8\"\ndevice = \"ens5\"\nslots = 2\nepoch = 9\n\
                    table = \"1 2\"\nbefore = \"2 0\"\nchanged = 2200-01-01T00:00:00Z\n";

#[test]
fn whichever_step_fails_nothing_has_changed() {
    let settle = SHARED.replace("slots", "settle = 5\nslots");
    let epoch = SHARED
        .replace("epoch = 3", "epoch = 4")
        .replace("(1 2)x2", "2x4");
    // The new one is told what was before, too; then the other one changes.
    assert_eq!(failures(&config(&(settle + MORE))), [UNDONE; 5]);
    let expected = [UNDONE, UNDONE, UNDONE, LOST, LOST];
    assert_eq!(failures(&config(&(epoch + MORE))), expected);
    // What goes is last, behind its address.
    assert_eq!(failures(&config(MORE))[..5], [UNDONE; 5]);
    assert_eq!(failures(&config(MORE))[5..], [LOST]);
}

#[test]
fn if_no_step_fails_all_is_done() {
    let before = settled(&config(SHARED), "a", &facts());
    let targets = targets(&config(MORE), "a", &before).expect("they can be");
    let steps = steps(&targets, &before).expect("they can be");
    let mut mock = serving(None);
    assert_eq!(carry_out(&steps, &mut mock, || Ok(())), Ok(()));
    let state = ["198.51.100.8: epoch 9", "198.51.100.8 on 1"];
    assert_eq!(mock.state, state.map(str::to_owned).into());
}

#[test]
fn what_cannot_be_undone_is_told() {
    struct Broken;
    impl System for Broken {
        fn add_address(&mut self, _: u32, _: IpAddr) -> Result<(), Failure> {
            Err(Failure::new("it broke"))
        }
        fn remove_address(&mut self, _: u32, _: IpAddr) -> Result<(), Failure> {
            Ok(())
        }
        fn serve(&mut self, _: &Cluster) -> Result<(), Failure> {
            Ok(())
        }
        fn forget(&mut self, _: &Cluster) -> Result<(), Failure> {
            Err(Failure::new("no way back"))
        }
    }
    let targets = targets(&config(SHARED), "a", &facts()).expect("they can be");
    let steps = steps(&targets, &facts()).expect("they can be");
    let failure = carry_out(&steps, &mut Broken, || Ok(())).expect_err("it fails");
    let text = failure.to_string();
    assert!(
        text.starts_with("it broke; ") && text.contains("no way back"),
        "{text}"
    );
}
