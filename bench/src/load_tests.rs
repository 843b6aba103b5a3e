// SPDX-License-Identifier: GPL-2.0

//! Tests of a loaded service's report, on runs made up here; no time is asserted.

use super::*;

/// A run in which connections took so long.
pub fn run(case: Case, variant: Variant, times: &[f64]) -> Run {
    Run {
        case,
        variant,
        load: 50,
        patience_ms: 2000.0,
        stall_ms: 100.0,
        connections: times
            .iter()
            .map(|time| Connection(*time, End::Served, 0))
            .collect(),
    }
}

/// The same run, and this connection.
pub fn with(mut run: Run, milliseconds: f64, end: End, sent_again: u32) -> Run {
    run.connections
        .push(Connection(milliseconds, end, sent_again));
    run
}

#[test]
fn reads_what_the_guest_writes() {
    let line = r#"{"run":1,"case":"hung","variant":"bpf","load":50,"workers":8,"capacity":350,
        "patience_ms":2000,"stall_ms":100,"kernel":"7.3.4",
        "connections":[[20.612,"served",0],[2000.145,"given_up",1],[0.3,"refused",0]]}"#;
    let run: Run = serde_json::from_str(line).expect("the guest's form");
    assert_eq!((run.case, run.variant), (Case::Hung, Variant::Bpf));
    assert_eq!(run.times().collect::<Vec<_>>(), [20.612, 2000.0, 2000.0]);
    assert_eq!(run.unserved(), 2.0);
}

#[test]
fn percentiles_are_of_all_runs_together() {
    let short = run(Case::Hung, Variant::Balance, &[1.0, 1.0, 1.0]);
    let long = run(Case::Hung, Variant::Balance, &[7.0]);
    let other = run(Case::Hung, Variant::Shared, &[50.0]);
    let runs = [short, long, other];
    let series = Series::of(&runs, Case::Hung, Variant::Balance, 50);
    assert_eq!(series.connections(), 4);
    assert_eq!(series.value(MEASURES[0]), 1.0);
    assert_eq!(series.value(MAX), 7.0);
    assert_eq!(series.by_run(MAX), [1.0, 7.0]);
}

#[test]
fn unserved_is_the_mean_of_the_runs() {
    let good = run(Case::Uneven, Variant::Shared, &[1.0]);
    let bad = with(good.clone(), 0.1, End::Reset, 0);
    let runs = [good, bad];
    let series = Series::of(&runs, Case::Uneven, Variant::Shared, 50);
    assert_eq!(series.value(Measure::Unserved), 0.5);
    assert_eq!(series.value(MAX), 2000.0);
}

#[test]
fn rows_are_beside_the_stock_kernel() {
    let stock = run(Case::Uneven, Variant::Reuseport, &[40.0]);
    let shared = run(Case::Uneven, Variant::Shared, &[10.0]);
    let rows = rows(&[stock, shared], Case::Uneven);
    assert_eq!(rows.len(), 20);
    assert_eq!(rows[0].name, "one listener for all, load 50 %: p50");
    assert_eq!(
        (rows[0].peer, rows[0].ratio, rows[0].runs),
        (STOCK, Some(0.25), 1)
    );
}

#[test]
fn groups_are_shown_beside_themselves_unharmed() {
    let titles = |case| {
        let all = series(&[], case, 50);
        all.iter().map(Series::title).collect::<Vec<_>>()
    };
    assert_eq!(titles(Case::Uneven).len(), 5);
    assert_eq!(titles(Case::Hung).len(), 7);
    assert_eq!(titles(Case::Hung)[4], "group, overflow, no worker hung");
}
