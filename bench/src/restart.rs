// SPDX-License-Identifier: GPL-2.0

//! All eight workers are replaced, one by one, under load: which connections the
//! clients lost, and how.
//!
//! A connection is *late* if it was served, but its SYN had to be sent again or it
//! took longer than a second.

use crate::load::{End, Run, Variant};
use crate::row::{self, Row};
use crate::stats;

const PEER: &str = "SO_REUSEPORT, tcp_migrate_req = 0";
const LATE_MS: f64 = 1000.0;

pub const VARIANTS: [Variant; 4] = [
    Variant::Reuseport,
    Variant::Migrate,
    Variant::Overflow,
    Variant::Balance,
];

/// A way to lose a connection, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Reset,
    Refused,
    Closed,
    GivenUp,
    Late,
}

pub const LOSSES: [Loss; 5] = [
    Loss::Reset,
    Loss::Refused,
    Loss::Closed,
    Loss::GivenUp,
    Loss::Late,
];

impl Loss {
    pub fn title(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Closed => "closed unanswered",
            Self::GivenUp => "given up",
            Self::Late => "late",
        }
    }

    fn count(self, run: &Run) -> f64 {
        let lost = run.connections.iter().filter(|connection| {
            let late = connection.0 > LATE_MS || connection.2 > 0;
            match connection.1 {
                End::Served => late && self == Self::Late,
                End::Reset => self == Self::Reset,
                End::Refused => self == Self::Refused,
                End::Closed => self == Self::Closed,
                End::GivenUp => self == Self::GivenUp,
            }
        });
        lost.count() as f64
    }
}

fn of(runs: &[Run], variant: Variant) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| run.variant == variant)
}

fn counts(runs: &[Run], variant: Variant, loss: Loss) -> Vec<f64> {
    of(runs, variant).map(|run| loss.count(run)).collect()
}

/// So many connections a run were lost like this.
pub fn mean(runs: &[Run], variant: Variant, loss: Loss) -> f64 {
    stats::mean(&counts(runs, variant, loss))
}

/// So many connections a run were made.
pub fn made(runs: &[Run], variant: Variant) -> f64 {
    let made: Vec<f64> = of(runs, variant)
        .map(|run| run.connections.len() as f64)
        .collect();
    stats::mean(&made)
}

/// Each variant beside the stock kernel's default; the goal is the groups'.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows = Vec::new();
    for variant in VARIANTS.into_iter().skip(1) {
        rows.extend(LOSSES.map(|loss| row_of(runs, variant, loss)));
    }
    rows
}

fn row_of(runs: &[Run], variant: Variant, loss: Loss) -> Row {
    let name = format!("{}: {}", variant.title(), loss.title());
    let values = counts(runs, variant, loss);
    let stock = counts(runs, Variant::Reuseport, loss);
    let row = Row::new(name, "connections", &values, PEER, &stock);
    if !variant.is_group() {
        return row;
    }
    let met = row.runs > 0 && row.value == 0.0;
    row.with_goal("none", met)
}

pub fn report(runs: &[Run], rows: &[Row]) {
    row::print(
        "Connections lost or late while all workers are replaced, a run",
        rows,
    );
    for variant in VARIANTS {
        println!(
            "{}: {:.0} connections a run",
            variant.title(),
            made(runs, variant)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Case;
    use crate::load::tests::{run, with};

    fn all_losses() -> Run {
        let mut bad = run(Case::Restart, Variant::Reuseport, &[20.0, 1000.1]);
        bad = with(bad, 0.5, End::Reset, 0);
        bad = with(bad, 0.5, End::Refused, 0);
        bad = with(bad, 0.5, End::Closed, 0);
        bad = with(bad, 2000.1, End::GivenUp, 1);
        with(bad, 400.0, End::Served, 1)
    }

    #[test]
    fn each_connection_is_lost_in_one_way() {
        let counts = LOSSES.map(|loss| loss.count(&all_losses()));
        assert_eq!(counts, [1.0, 1.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn only_groups_have_a_goal() {
        let group = run(Case::Restart, Variant::Balance, &[20.0]);
        let bad_group = with(
            run(Case::Restart, Variant::Overflow, &[20.0]),
            0.1,
            End::Reset,
            0,
        );
        let rows = rows(&[all_losses(), group, bad_group]);
        let met: Vec<Option<bool>> = rows
            .iter()
            .map(|row| row.goal.as_ref().map(|goal| goal.met))
            .collect();
        assert_eq!(met[..5], [None; 5]);
        assert_eq!(met[5..7], [Some(false), Some(true)]);
        assert_eq!(met[10..], [Some(true); 5]);
        assert_eq!((rows[5].value, rows[5].peer_value), (1.0, 1.0));
    }

    #[test]
    fn what_was_not_measured_meets_no_goal() {
        assert!(
            rows(&[all_losses()])
                .iter()
                .all(|row| row.goal.as_ref().is_none_or(|goal| !goal.met))
        );
    }
}
