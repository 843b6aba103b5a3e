// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster plan`: tables that fit the nodes, in the file.
//!
//! A new table depends on the old one, so that as few slots move as can. That is
//! why it stands in the file, which is the same on every machine, and is not
//! computed by each of them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use service_group::netlink::{ClusterHash, ClusterKey};
use service_group_logic::logic::cluster::place::{place, Share};
use service_group_logic::logic::cluster::slots::{remember, Slot};

use super::file::edit::{self, Edit, Kind};
use super::file::{describe, store, values, Address, Config};
use super::moves::{moves, Move};
use crate::cli::ClusterPlanArgs;
use crate::{output, Failure};

/// What a plan changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The file's new text.
    pub text: String,
    /// The addresses that have a new table or a new key.
    pub changes: Vec<Change>,
}

/// A new table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The cluster IP, in words.
    pub address: String,
    /// The epoch that the file had, if any.
    pub old_epoch: Option<u32>,
    /// The epoch that it has now.
    pub epoch: u32,
    /// Number of slots.
    pub slots: usize,
    /// Who gives slots to whom.
    pub moves: Vec<Move>,
    /// Whether a key was made.
    pub new_key: bool,
}

/// Runs the subcommand.
pub fn run(args: &ClusterPlanArgs) -> Result<(), Failure> {
    let path = &args.file;
    let text = store::text(path)?;
    let plan = plan(path, &text, SystemTime::now(), args.epoch)?;
    if !args.dry_run && plan.text != text {
        store::Draft::write(path, &plan.text)?.publish()?;
    }
    if args.json {
        return output::json(&plan.changes);
    }
    output::text(&sentences(&plan.changes, path, args.dry_run))
}

/// Computes what is to be written into this file. Epochs are at least `least`.
pub fn plan(path: &Path, text: &str, now: SystemTime, least: u32) -> Result<Plan, Failure> {
    let (config, mut edit) = edit::checked(path, text)?;
    let mut changes = Vec::new();
    for (at, address) in config.addresses.iter().enumerate() {
        if config.nodes.is_empty() {
            let reason = "there is no node to serve it: write a [[node]] first";
            return Err(store::at(path, address.line, reason));
        }
        let new_key = address.hash == ClusterHash::Keyed && address.key.is_none();
        if new_key {
            let key = values::key_text(&random_key()?);
            edit.put(Kind::Address, at, "key", key.into());
        }
        let old = address.table.as_ref().map(|table| table.epoch);
        let new = slots(&config, address);
        let fits = address
            .table
            .as_ref()
            .is_some_and(|table| table.slots == new);
        if fits && !new_key && old >= Some(least) {
            continue;
        }
        let next = old.map_or(Some(1), |epoch| epoch.checked_add(1));
        let epoch = next.map(|epoch| epoch.max(least)).ok_or_else(|| {
            let reason = "there is no higher epoch: serve the address anew with epoch 1";
            store::at(path, address.line, reason)
        })?;
        let was = stretched(address);
        changes.push(Change {
            address: describe(&address.name),
            old_epoch: old,
            epoch,
            slots: new.len(),
            moves: moves(&was, &new, &config),
            new_key,
        });
        write(&mut edit, at, address, (epoch, &was, &new), now);
    }
    Ok(Plan {
        text: edit.text(),
        changes,
    })
}

/// The table that fits, with as few changes as can be.
fn slots(config: &Config, address: &Address) -> Vec<Slot> {
    let mut table = stretched(address);
    let nodes = config.shares();
    let mut shares = vec![Share::default(); nodes.len()];
    // The file's limits are those of the placement.
    let placed = place(&mut table, &nodes, &mut shares);
    debug_assert!(placed.is_ok(), "{placed:?}");
    table
}

/// Why a table does not fit, if it does not.
pub fn misfit(config: &Config, address: &Address) -> Option<&'static str> {
    match &address.table {
        None => Some("it has no table yet"),
        Some(_) if address.hash().is_none() => Some("it has no key yet"),
        Some(table) if table.slots.len() != address.slots.get() => {
            Some("its table has another number of slots")
        }
        Some(table) if table.slots != slots(config, address) => {
            Some("its table does not fit the nodes")
        }
        Some(_) => None,
    }
}

/// The old table with the number of slots that is wanted. With k times as many the
/// sums have the same owners as before; with none, or of another number, there is
/// nothing to keep.
fn stretched(address: &Address) -> Vec<Slot> {
    let wanted = address.slots.get();
    let old = address.table.as_ref().map_or(&[][..], |table| &table.slots);
    let divides = !old.is_empty() && (wanted % old.len() == 0 || old.len() % wanted == 0);
    match divides {
        true => old.iter().copied().cycle().take(wanted).collect(),
        false => vec![None; wanted],
    }
}

/// Writes a table, and who had the slots that moved.
fn write(
    edit: &mut Edit,
    at: usize,
    address: &Address,
    (epoch, was, new): (u32, &[Slot], &[Slot]),
    now: SystemTime,
) {
    edit.put(Kind::Address, at, "epoch", i64::from(epoch).into());
    edit.put(Kind::Address, at, "table", edit::table(new));
    let mut before = earlier(address, new.len(), now);
    remember(&mut before, was, new);
    if before.iter().all(Option::is_none) {
        edit.clear(Kind::Address, at, "before");
        edit.clear(Kind::Address, at, "changed");
        return;
    }
    edit.put(Kind::Address, at, "before", edit::table(&before));
    let time = humantime::format_rfc3339_seconds(now).to_string();
    if let Ok(time) = time.parse::<toml_edit::Datetime>() {
        edit.put(Kind::Address, at, "changed", time.into());
    }
}

/// What the last change noted, if that is young still and of so many slots.
fn earlier(address: &Address, slots: usize, now: SystemTime) -> Vec<Slot> {
    let table = address.table.as_ref();
    let young = table.filter(|table| {
        let age = table
            .changed
            .and_then(|changed| now.duration_since(changed).ok());
        age.is_some_and(|age| age.as_secs() < address.settle.into())
    });
    let noted = young.map(|table| table.before.clone());
    noted
        .filter(|noted| noted.len() == slots)
        .unwrap_or_else(|| vec![None; slots])
}

fn random_key() -> Result<ClusterKey, Failure> {
    let mut key = [0; 16];
    let filled = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(16) => Ok(ClusterKey(key)),
        _ => Err(Failure::new("the kernel gave no random key: give one")),
    }
}

/// What was planned, in words.
fn sentences(changes: &[Change], path: &Path, dry_run: bool) -> String {
    let path = path.display();
    if changes.is_empty() {
        return format!("the tables of {path} fit its nodes\n");
    }
    let mut text: String = changes.iter().map(Change::words).collect();
    match dry_run {
        true => text += "nothing was written\n",
        // Writing to a text does not fail.
        false => drop(writeln!(text, "written to {path}")),
    }
    text
}

impl Change {
    /// What is new, in words.
    pub fn words(&self) -> String {
        let Self {
            address,
            epoch,
            slots,
            ..
        } = self;
        let moved: usize = self.moves.iter().map(|one| one.slots).sum();
        let mut text = match self.old_epoch {
            None => format!("{address}: epoch {epoch}, a first table of {slots} slots\n"),
            Some(old) => {
                format!("{address}: epoch {old} -> {epoch}, {moved} of {slots} slots move\n")
            }
        };
        if self.new_key {
            text += "  a key was made: the file is a secret now\n";
        }
        text + &self.moves.iter().map(Move::line).collect::<String>()
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
