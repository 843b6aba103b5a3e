// SPDX-License-Identifier: GPL-2.0

//! Tests of the stall's report, on runs made up here; no time is asserted.

use super::*;

fn run(mode: Mode, dropped: u64, again: u64, connections: Vec<Connection>) -> Run {
    Run {
        mode,
        workers: 8,
        kernel: "7.3".into(),
        emulated: true,
        give_up_ms: 3000.0,
        hung_queue: 33,
        syns_dropped: dropped,
        syns_sent_again: again,
        connections_sent_again: again.min(2),
        redirected: 0,
        connections,
    }
}

fn served(number: u32, connect: f64) -> Connection {
    Connection(number, connect, connect + 1.0, End::Served, false)
}

fn unconnected(number: u32) -> Connection {
    Connection(number, 0.0, 0.0, End::Unconnected, false)
}

fn late(number: u32) -> Connection {
    Connection(number, 1002.0, 1003.0, End::Served, true)
}

fn bad_stock() -> Run {
    let connections = vec![served(1, 2.0), unconnected(2), late(3), served(4, 3.0)];
    run(Mode::Stock, 5, 3, connections)
}

fn good_group() -> Run {
    let mut grouped = run(
        Mode::Grouped,
        0,
        0,
        (1..=4).map(|n| served(n, 2.0)).collect(),
    );
    grouped.redirected = 2;
    grouped
}

#[test]
fn reads_what_the_guest_writes() {
    let line = r#"{"run": 1, "mode": "grouped", "workers": 8, "backlog": 32, "kernel": "7.3.4",
        "emulated": true,
        "give_up_ms": 3000, "hung_queue": 33, "syns_dropped": 0,
        "syns_sent_again": 0, "connections_sent_again": 0, "redirected": 1,
        "connections": [[1, 1.5, 2.5, "served", false], [2, 0.0, 0.0, "unconnected", false]]}"#;
    let run: Run = serde_json::from_str(line).expect("the guest's form");
    assert_eq!(run.mode, Mode::Grouped);
    assert_eq!(run.lost(), 1);
    assert_eq!(run.connect(), [1.5, 3000.0]);
    assert_eq!(run.first_byte(), [2.5, 3000.0]);
}

#[test]
fn lost_and_late_are_told_apart() {
    let stock = bad_stock();
    assert_eq!((stock.lost(), stock.late()), (1, 1));
    assert_eq!(stock.share_lost_or_late(), 50.0);
    assert_eq!(stock.for_stopped(), 2);
}

#[test]
fn slow_without_a_syn_sent_again_is_not_late() {
    let slow = run(Mode::Grouped, 0, 0, vec![served(1, 1500.0)]);
    assert_eq!(slow.late(), 0);
}

#[test]
fn unanswered_is_lost() {
    let hung = run(
        Mode::Grouped,
        0,
        0,
        vec![Connection(1, 2.0, 0.0, End::Unanswered, false)],
    );
    assert_eq!(hung.lost(), 1);
    assert_eq!(hung.connect(), [2.0]);
    assert_eq!(hung.first_byte(), [3000.0]);
}

#[test]
fn verdict_is_good_only_if_the_group_had_something_to_do() {
    let (stock, grouped) = (bad_stock(), good_group());
    assert!(verdict(&stock, &grouped).is_ok());
    let mut idle = grouped.clone();
    idle.redirected = 0;
    assert!(verdict(&stock, &idle).is_err());
}

#[test]
fn verdict_is_bad_for_one_lost_or_late() {
    let (stock, grouped) = (bad_stock(), good_group());
    let mut lost = grouped.clone();
    lost.connections[0].3 = End::Unanswered;
    assert!(verdict(&stock, &lost).is_err());
    let mut delayed = grouped;
    delayed.connections[0].4 = true;
    assert!(verdict(&stock, &delayed).is_err());
}

#[test]
fn rows_compare_the_group_with_stock() {
    let rows = rows(&[bad_stock(), good_group()]);
    let share = &rows[0];
    assert_eq!(
        (share.value, share.peer_value, share.ratio),
        (0.0, 50.0, Some(0.0))
    );
    assert!(share.goal.as_ref().is_some_and(|goal| goal.met));
    assert_eq!(rows.len(), 9);
}
