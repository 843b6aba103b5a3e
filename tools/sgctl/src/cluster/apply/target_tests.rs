// SPDX-License-Identifier: GPL-2.0
//! What a machine that is new is told of owners of before.

use std::path::Path;
use std::time::Duration;

use super::super::facts::Link;
use super::*;
use crate::cluster::file::{read, samples::node};
use crate::cluster::plan::plan;

const ADDRESS: &str = "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\nslots = 6\n";
const DIRECTED: &str = "mode = \"directed\"\ndirectors = [\"a\"]\n";
const DOWN: &str = "state = \"down\"";

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-01-31T12:00:00Z").expect("it is a time")
}

/// The text of a file with these nodes, whose address has been planned before, or not.
fn planned(nodes: &[String], address: &str) -> String {
    let text = nodes.concat() + address;
    plan(Path::new("x"), &text, now(), 0)
        .expect("it is right")
        .text
}

/// The same, of the address alone.
fn address(nodes: &[String], address: &str) -> String {
    let text = planned(nodes, address);
    let (_, address) = text.split_once("[[address]]").expect("it is there");
    format!("[[address]]{address}")
}

/// The table that node a is told first, so many seconds later; and the ids of the nodes.
fn told(text: &str, seconds: u64) -> (Option<Vec<u32>>, Vec<u32>) {
    let facts = Facts {
        links: vec![Link {
            index: 2,
            name: "eth0".to_owned(),
        }],
        ..Facts::default()
    };
    let config = read(text).expect("it is right");
    let now = now() + Duration::from_secs(seconds);
    let targets = targets(&config, "a", &facts, now).expect("they can be");
    let [target] = &targets[..] else {
        panic!("{targets:?}");
    };
    let earlier = target.earlier.as_ref().map(|it| it.table.clone());
    let ids = target.cluster.nodes.iter().map(|node| node.id).collect();
    (earlier, ids)
}

#[test]
fn of_nodes_that_are_gone_nothing_is_told() {
    let [a, b, c] =
        [("a", 1, ""), ("b", 2, ""), ("c", 3, "")].map(|(n, id, more)| node(n, id, more));
    for more in ["", DIRECTED] {
        let three = address(
            &[a.clone(), b.clone(), c.clone()],
            &format!("{ADDRESS}{more}"),
        );
        let down = address(&[a.clone(), node("b", 2, DOWN), c.clone()], &three);
        assert!(down.contains("before = \"(0 2 0)x2\""), "{down}");
        let gone = planned(&[a.clone(), c.clone()], &down);
        assert!(gone.contains("before = \"(0 2 0)x2\""), "{gone}");
        assert_eq!(told(&gone, 0), (None, vec![1, 3]));
        // Of two that moved the one that is there is told.
        let alone = planned(&[a.clone(), node("c", 3, DOWN)], &down);
        let (earlier, ids) = told(&alone, 0);
        let earlier = earlier.expect("slots of c have moved");
        assert!(earlier.contains(&3) && earlier.iter().all(|id| ids.contains(id)));
    }
}

#[test]
fn a_plan_notes_the_nodes_that_are_there() {
    let [a, b, c] =
        [("a", 1, ""), ("b", 2, ""), ("c", 3, "")].map(|(n, id, more)| node(n, id, more));
    let two = address(&[a.clone(), b.clone()], ADDRESS);
    let three = address(&[a.clone(), b.clone(), c], &two);
    assert!(
        three.contains("table = \"(1 2)x2 3x2\"\nbefore = \"0x4 1 2\"\n"),
        "{three}"
    );
    // Without its successor, who had the slot before that may have connections still.
    let back = planned(&[a, b], &three);
    assert!(
        back.contains("table = \"(1 2)x3\"\n") && !back.contains("before"),
        "{back}"
    );
}

#[test]
fn what_is_settled_makes_no_shared_machine_silent() {
    let [a, b] = [node("a", 1, ""), node("b", 2, "")];
    for (more, is_told_late) in [("", false), (DIRECTED, true)] {
        let one = address(std::slice::from_ref(&a), &format!("{ADDRESS}{more}"));
        let two = planned(&[a.clone(), b.clone()], &one);
        assert!(told(&two, 3599).0.is_some());
        assert_eq!(told(&two, 3600).0.is_some(), is_told_late);
        // A clock that is behind.
        let early = two.replace("2026-01-31T12:", "2026-01-31T13:");
        assert_ne!(early, two);
        assert!(told(&early, 0).0.is_some());
    }
}
