// SPDX-License-Identifier: GPL-2.0
//! A table of slots as text: ids of nodes, what repeats written once.
//!
//! ```text
//!   1x84 2x83 (1 3)x42     slots 0 to 83 are node 1's, 83 more node 2's, and of the last 84
//!                          every other one is node 1's and node 3's
//! ```
//!
//! 0 is a slot that nobody owns.

use service_group_logic::logic::cluster::hash::MAX_SLOTS;
use service_group_logic::logic::cluster::rebalance::MAX_NODES;
use service_group_logic::logic::cluster::slots::{NodeId, Slot};

/// Longest sequence that is looked for.
const LONGEST: usize = MAX_NODES;

/// The terms of a table; with a space between they are its text.
pub fn terms(table: &[Slot]) -> Vec<String> {
    let mut terms = Vec::new();
    let mut rest = table;
    while !rest.is_empty() {
        let (length, times) = best(rest);
        let ids: Vec<String> = rest[..length].iter().map(|slot| id(*slot)).collect();
        terms.push(match (length, times) {
            (1, 1) => ids.concat(),
            (1, times) => format!("{}x{times}", ids.concat()),
            (_, times) => format!("({})x{times}", ids.join(" ")),
        });
        rest = &rest[length * times..];
    }
    terms
}

fn id(slot: Slot) -> String {
    slot.map_or(0, NodeId::get).to_string()
}

/// The length of the sequence that the table begins with which saves most, and
/// how often it comes.
fn best(table: &[Slot]) -> (usize, usize) {
    let mut best = (1, 1);
    for length in 1..=LONGEST.min(table.len() / 2) {
        let pairs = table.iter().zip(&table[length..]);
        let same = pairs.take_while(|(one, next)| one == next).count();
        let times = 1 + same / length;
        if length * (times - 1) > best.0 * (best.1 - 1) {
            best = (length, times);
        }
    }
    best
}

/// The table of a text; says what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Slot>, String> {
    let mut table = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (ids, behind) = sequence(rest)?;
        let (times, behind) = times(behind)?;
        if ids.len().saturating_mul(times) > usize::from(MAX_SLOTS) - table.len() {
            return Err(format!("the table has more than {MAX_SLOTS} slots"));
        }
        for _ in 0..times {
            table.extend(&ids);
        }
        rest = behind.trim_start();
    }
    Ok(table)
}

/// The ids that a text begins with, and what is behind them.
fn sequence(text: &str) -> Result<(Vec<Slot>, &str), String> {
    let Some(group) = text.strip_prefix('(') else {
        let (id, behind) = number(text)?;
        return Ok((vec![NodeId::new(id)], behind));
    };
    let (inner, behind) = group
        .split_once(')')
        .ok_or("a parenthesis of the table is not closed")?;
    let ids = inner.split_whitespace().map(|word| match number(word)? {
        (id, "") => Ok(NodeId::new(id)),
        _ => Err(unreadable(word)),
    });
    let ids = ids.collect::<Result<Vec<Slot>, String>>()?;
    match ids.is_empty() {
        true => Err("a parenthesis of the table is empty".to_owned()),
        false => Ok((ids, behind)),
    }
}

/// How often a sequence comes, and what is behind that.
fn times(text: &str) -> Result<(usize, &str), String> {
    let (times, behind) = match text.strip_prefix('x') {
        Some(text) => number(text)?,
        None => (1, text),
    };
    if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
        return Err(unreadable(text));
    }
    match usize::try_from(times) {
        Ok(times) if times > 0 => Ok((times, behind)),
        _ => Err(unreadable(text)),
    }
}

fn number(text: &str) -> Result<(u32, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, behind) = text.split_at(end.unwrap_or(text.len()));
    let number = digits.parse().map_err(|_| unreadable(text))?;
    Ok((number, behind))
}

fn unreadable(text: &str) -> String {
    let word: String = text.chars().take_while(|c| !c.is_whitespace()).collect();
    format!("the table cannot be read at \"{word}\": write ids such as 1, 1x84 or (1 2)x42")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(ids: &[u32]) -> Vec<Slot> {
        ids.iter().map(|id| NodeId::new(*id)).collect()
    }

    #[test]
    fn what_repeats_is_written_once() {
        for (ids, text) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[7, 7], "7x2"),
            (&[1, 2, 3], "1 2 3"),
            (&[1, 2, 1, 2, 1], "(1 2)x2 1"),
            (&[1, 2, 3, 1, 2, 3, 0, 0, 0], "(1 2 3)x2 0x3"),
            (&[1, 1, 2, 1, 1, 2, 1, 1, 2], "(1 1 2)x3"),
        ] {
            assert_eq!(terms(&table(ids)).join(" "), text);
            assert_eq!(parse(text), Ok(table(ids)), "{text}");
        }
        let turns: Vec<u32> = (0..4096).map(|slot| 1 + slot % 256).collect();
        assert_eq!(terms(&table(&turns)).len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (text, told) in [
            ("1 a", "\"a\""),
            ("1x", "\"\""),
            ("1x0", "\"x0\""),
            ("1x2y", "\"x2y\""),
            ("-1", "\"-1\""),
            ("(1 2", "not closed"),
            ("()x2", "is empty"),
            ("(1 b)x2", "\"b\""),
            ("((1))x2", "\"(1\""),
            ("4294967296", "4294967296"),
            ("1x4097", "more than 4096"),
            ("1x4096 1", "more than 4096"),
            ("(1 2)x4294967295", "more than 4096"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_table_is_the_same_afterwards(
            ids in prop::collection::vec(0u32..5, 0..60),
            times in 1usize..40,
        ) {
            let table: Vec<Slot> = table(&ids.repeat(times));
            prop_assert_eq!(parse(&terms(&table).join(" ")), Ok(table));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[0-9x() ]{0,40}") {
            let _ = parse(&text);
        }
    }
}
