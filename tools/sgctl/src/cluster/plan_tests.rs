// SPDX-License-Identifier: GPL-2.0
//! Tables: from scratch, after a change, and what stays as it was.

use super::*;
use crate::cluster::file::read;
use proptest::prelude::*;
use std::time::Duration;

const TEXT: &str = r#"# Three machines.
[[node]]
name = "a"
id = 1
address = "192.0.2.11"

[[node]]
name = "b"
id = 2
address = "192.0.2.12" # the old one

[[address]]
ip = "198.51.100.7"
slots = 6 # few, to see them
device = "eth0"
"#;

const C: &str = "\n[[node]]\nname = \"c\"\nid = 3\naddress = \"192.0.2.13\"\n";

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-01-31T12:00:00Z").expect("it is a time")
}

fn planned(text: &str) -> Plan {
    plan(Path::new("x"), text, now(), 0).expect("it is right")
}

/// The moves of the only change.
fn moved(plan: &Plan) -> Vec<(Option<&str>, Option<&str>, usize)> {
    let [change] = &plan.changes[..] else {
        panic!("{plan:?}");
    };
    let moves = change.moves.iter();
    moves
        .map(|it| (it.from.as_deref(), it.to.as_deref(), it.slots))
        .collect()
}

#[test]
fn a_first_table_is_written_and_all_else_stays() {
    let first = planned(TEXT);
    let added = "epoch = 1\nhashed = \"sum5\"\ntable = \"(1 2)x3\"\n";
    assert_eq!(first.text, format!("{TEXT}{added}"));
    assert_eq!(moved(&first), [(None, Some("a"), 3), (None, Some("b"), 3)]);
    let again = planned(&first.text);
    assert_eq!((again.text, again.changes), (first.text, vec![]));
}

#[test]
fn few_slots_move_when_a_node_comes_and_it_is_noted() {
    let three = planned(&(planned(TEXT).text + C));
    assert_eq!(
        moved(&three),
        [(Some("a"), Some("c"), 1), (Some("b"), Some("c"), 1)]
    );
    let table = "epoch = 2\nhashed = \"sum5\"\ntable = \"(1 2)x2 3x2\"\nbefore = \"0x4 1 2\"\n\
                 changed = 2026-01-31T12:00:00Z\n";
    assert_eq!(three.text, format!("{TEXT}{table}{C}"));
    assert!(three.changes[0]
        .words()
        .contains("epoch 1 -> 2, 2 of 6 slots move"));
    // It drains within the time in which that is young, and its slots go back.
    let drained = planned(&three.text.replace("id = 3", "id = 3\nstate = \"draining\""));
    assert_eq!(
        moved(&drained),
        [(Some("c"), Some("a"), 1), (Some("c"), Some("b"), 1)]
    );
    assert!(drained
        .text
        .contains("epoch = 3\nhashed = \"sum5\"\ntable = \"(1 2)x3\"\nbefore = \"0x4 3x2\"\n"));
    // What is not young is forgotten.
    let late = now() + Duration::from_secs(3601);
    let text = three.text.replace("id = 2\n", "id = 2\nstate = \"down\"\n");
    let down = plan(Path::new("x"), &text, late, 0).expect("it is right");
    assert!(
        down.text.contains("before = \"(0 2)x2 0x2\"\n"),
        "{}",
        down.text
    );
}

#[test]
fn more_slots_keep_their_owners_if_they_can() {
    let text = planned(TEXT).text;
    let twice = planned(&text.replace("slots = 6", "slots = 12"));
    assert_eq!(moved(&twice), []);
    assert!(
        twice
            .text
            .contains("epoch = 2\nhashed = \"sum5\"\ntable = \"(1 2)x6\"\n"),
        "{}",
        twice.text
    );
    let half = planned(&text.replace("slots = 6", "slots = 2"));
    assert_eq!(moved(&half), []);
    let other = planned(&text.replace("slots = 6", "slots = 7"));
    assert_eq!(moved(&other), [(None, Some("a"), 4), (None, Some("b"), 3)]);
}

#[test]
fn epochs_can_be_raised() {
    let text = planned(TEXT).text;
    let raised = plan(Path::new("x"), &text, now(), 7).expect("it is right");
    assert!(raised.text.contains("epoch = 7\n"));
    let same = plan(Path::new("x"), &raised.text, now(), 7).expect("it is right");
    assert_eq!(same.changes, []);
    let last = text.replace("epoch = 1", "epoch = 4294967295") + C;
    let failure = plan(Path::new("x"), &last, now(), 0).expect_err("there is none higher");
    assert!(failure.to_string().starts_with("x:13: "), "{failure}");
}

#[test]
fn a_key_is_made_and_not_told() {
    let keyed = planned(&format!("{TEXT}hash = \"keyed\"\n"));
    assert!(keyed.changes[0].new_key);
    let config = read(&keyed.text).expect("it is right");
    let key = config.addresses[0].key.expect("it has one");
    let words = keyed.changes[0].words();
    assert!(words.contains("secret") && !words.contains(&values::key_text(&key)));
    assert_eq!(misfit(&config, &config.addresses[0]), None);
}

#[test]
fn what_does_not_fit_is_told_apart() {
    let of = |text: &str| {
        let config = read(text).expect("it is right");
        misfit(&config, &config.addresses[0]).unwrap_or_default()
    };
    let text = planned(TEXT).text;
    assert_eq!(of(&text), "");
    assert!(of(TEXT).contains("no table"));
    assert!(of(&text.replace("slots = 6", "slots = 12")).contains("number of slots"));
    assert!(of(&(text.clone() + C)).contains("fit the nodes"));
    assert!(of(&text.replace("id = 2", "id = 9")).contains("fit the nodes"));
    assert!(of(&format!("{text}hash = \"keyed\"\n")).contains("no key"));
    assert!(of(&format!("{text}hash = \"sum3\"\n")).contains("another hash"));
}

#[test]
fn another_hash_or_key_is_another_epoch() {
    let sum5 = planned(&(planned(TEXT).text + C)).text;
    assert!(sum5.contains("before = "), "{sum5}");
    let change = |plan: &Plan| {
        assert_eq!(planned(&plan.text).changes, []);
        let [change] = &plan.changes[..] else {
            panic!("{plan:?}");
        };
        assert!(change.words().contains("another hash or key"));
        (change.epoch, change.new_hash, change.moves.len())
    };
    let sum3 = planned(&sum5.replace("slots = 6", "hash = \"sum3\"\nslots = 6"));
    assert_eq!(change(&sum3), (3, true, 0));
    assert!(!sum3.text.contains("before = "), "{}", sum3.text);
    let keyed = planned(&sum3.text.replacen("\"sum3\"", "\"keyed\"", 1));
    assert_eq!(change(&keyed), (4, true, 0));
    // A key of the operator's own.
    let (start, _) = keyed.text.split_once("key = \"").expect("it has one");
    let at = start.len() + "key = \"".len();
    let own = "000102030405060708090a0b0c0d0e0f";
    let mut text = keyed.text.clone();
    text.replace_range(at..at + 32, own);
    let config = read(&text).expect("it is right");
    let misfit = misfit(&config, &config.addresses[0]).unwrap_or_default();
    assert!(misfit.contains("hash or key"), "{misfit}");
    let other = planned(&text);
    assert_eq!(change(&other), (5, true, 0));
    // Of a table that does not say so it is not known.
    let unmarked = planned(&sum5.replace("hashed = \"sum5\"\n", ""));
    assert_eq!(
        (unmarked.changes[0].epoch, unmarked.changes[0].new_hash),
        (3, false)
    );
}

#[test]
fn without_nodes_there_is_nothing_to_plan() {
    let text = "\n\n[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\n";
    let failure = plan(Path::new("x"), text, now(), 0).expect_err("there are none");
    assert!(
        failure.to_string().starts_with("x:4: there is no node"),
        "{failure}"
    );
    assert_eq!(failure.status(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_plan_fits_and_is_stable(
        states in prop::collection::vec((0usize..3, 1u16..20), 1..6),
        changed in prop::collection::vec((0usize..3, 1u16..20), 1..6),
        slots in 1usize..300,
    ) {
        let file = |states: &[(usize, u16)], address: &str| {
            let node = |(id, (state, weight)): (usize, &(usize, u16))| {
                let state = ["up", "draining", "down"][*state];
                format!("[[node]]\nname = \"n{id}\"\nid = {id}\naddress = \"10.0.0.{id}\"\n\
                         weight = {weight}\nstate = \"{state}\"\n")
            };
            (1..).zip(states).map(node).collect::<String>() + address
        };
        let address = format!("[[address]]\nip = \"10.1.0.1\"\ndevice = \"e\"\nslots = {slots}\n");
        let first = planned(&file(&states, &address)).text;
        let (_, planned_address) = first.split_once("[[address]]").expect("it is there");
        let second = planned(&file(&changed, &format!("[[address]]{planned_address}")));
        let config = read(&second.text).expect("it is right");
        prop_assert_eq!(misfit(&config, &config.addresses[0]), None);
        prop_assert_eq!(&planned(&second.text).changes, &vec![]);
        let old = read(&first).expect("it is right").addresses[0].table.clone().expect("one");
        let new = config.addresses[0].table.clone().expect("one");
        let differ = old.slots.iter().zip(&new.slots).filter(|(old, new)| old != new).count();
        let moved: usize = second.changes.iter().flat_map(|it| &it.moves).map(|it| it.slots).sum();
        prop_assert_eq!(differ, moved);
        prop_assert_eq!(new.epoch > old.epoch, differ > 0);
    }
}
