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
use service_group::netlink::ClusterKey;
use service_group_logic::logic::cluster::candidates::{remember, Candidates, Shares};
use service_group_logic::logic::cluster::hash::Hash;
use service_group_logic::logic::cluster::rebalance::{rebalance, Share};
use service_group_logic::logic::cluster::slots::Slot;

use super::file::edit::{self, Edit, Kind};
use super::file::lock::Lock;
use super::file::{describe, store, values, Address, Config, Node, Problem, Table};
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
    /// Whether packets have other slots than before.
    pub new_hash: bool,
}

/// Runs the subcommand.
pub fn run(args: &ClusterPlanArgs) -> Result<(), Failure> {
    let path = &args.file;
    // Without a file nothing is made, neither its folder nor its lock.
    store::text(path)?;
    let _lock = match args.dry_run {
        true => None,
        false => Some(Lock::wait(path)?),
    };
    let text = store::text(path)?;
    let plan = plan(path, &text, SystemTime::now(), args.epoch)?;
    if !args.dry_run && plan.text != text {
        store::Draft::write(path, &plan.text)?.publish()?;
    }
    store::warn_if_open(path, &store::config(path, &plan.text)?);
    if args.json {
        return output::json(&plan.changes);
    }
    output::text(&sentences(&plan.changes, path, args.dry_run))
}

/// Computes what is to be written into this file. Epochs are at least `least`.
pub fn plan(path: &Path, text: &str, now: SystemTime, least: u32) -> Result<Plan, Failure> {
    plan_after(path, text, now, least, &[])
}

/// The same for a file that had these nodes until now: they are told by their names.
pub fn plan_after(
    path: &Path,
    text: &str,
    now: SystemTime,
    least: u32,
    former: &[Node],
) -> Result<Plan, Failure> {
    let (mut config, mut edit) = edit::checked(path, text)?;
    config.former = former.to_vec();
    let mut changes = Vec::new();
    for at in 0..config.addresses.len() {
        let new_key = give_key(&mut config, at, &mut edit)?;
        let Some(address) = config.addresses.get(at) else {
            break;
        };
        let New { epoch, slots } = match new(&config, address, least) {
            Ok(Some(new)) => new,
            Ok(None) => continue,
            Err(reason) => return Err(store::at(path, address.line, reason)),
        };
        let was = stretched(address);
        let is_known = |table: &Table| table.hashed.is_some();
        changes.push(Change {
            address: describe(&address.name),
            old_epoch: address.table.as_ref().map(|table| table.epoch),
            epoch,
            slots: slots.len(),
            moves: moves(&was, &slots, &config),
            new_key,
            new_hash: address.table.as_ref().is_some_and(is_known) && !is_counted_alike(address),
        });
        write(
            &mut edit,
            at,
            (&config, address),
            (epoch, &was, &slots),
            now,
        );
    }
    Ok(Plan {
        text: edit.text(),
        changes,
    })
}

/// A table that is to take the place of the one that is there.
struct New {
    epoch: u32,
    slots: Vec<Slot>,
}

/// Makes a key if the address at this place needs one and has none.
fn give_key(config: &mut Config, at: usize, edit: &mut Edit) -> Result<bool, Failure> {
    let keyless = |address: &&mut Address| address.hash().is_none();
    let Some(address) = config.addresses.get_mut(at).filter(keyless) else {
        return Ok(false);
    };
    let key = random_key()?;
    address.key = Some(key);
    edit.put(Kind::Address, at, "key", values::key_text(&key).into());
    Ok(true)
}

/// The table that an address is to have, if it is to have another one. What the kernel takes only
/// with a higher epoch has one: other owners, another number of slots, another hash or key.
fn new(config: &Config, address: &Address, least: u32) -> Result<Option<New>, &'static str> {
    if config.nodes.is_empty() {
        return Err("there is no node to serve it: write a [[node]], or add one with \"sgctl cluster node add\"");
    }
    let slots = slots(config, address);
    let old = address.table.as_ref();
    if is_counted_alike(address) && old.is_some_and(|old| old.slots == slots && old.epoch >= least)
    {
        return Ok(None);
    }
    let next = old.map_or(Some(1), |old| old.epoch.checked_add(1));
    let epoch = next.ok_or("there is no higher epoch: serve the address anew with epoch 1")?;
    Ok(Some(New {
        epoch: epoch.max(least),
        slots,
    }))
}

/// Whether the table is known to be one for this hash and key.
fn is_counted_alike(address: &Address) -> bool {
    let table = address.table.as_ref();
    table.is_some_and(|table| table.hashed.is_some() && table.hashed == address.mark())
}

/// The table that fits, with as few changes as can be.
fn slots(config: &Config, address: &Address) -> Vec<Slot> {
    let mut table = stretched(address);
    let nodes = config.shares();
    let mut shares = vec![Share::default(); nodes.len()];
    // The file's limits are those of the placement.
    let placed = rebalance(&mut table, &nodes, &mut shares);
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
        Some(table) if table.hashed.is_some() && !is_counted_alike(address) => {
            Some("its table was made for another hash or key")
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

/// The table and the hash of an address, if they fit; or what to do, with its line in this file.
pub fn fitting<'a>(
    path: &Path,
    config: &Config,
    address: &'a Address,
) -> Result<(&'a Table, Hash), Failure> {
    let problem = |found: Problem| store::at(path, found.line, &found.reason);
    checked(path, config, address).map_err(problem)
}

/// The same, with the line and what to do for whoever tells them apart.
pub fn checked<'a>(
    path: &Path,
    config: &Config,
    address: &'a Address,
) -> Result<(&'a Table, Hash), Problem> {
    let found = address.table.as_ref().zip(address.hash());
    let misfit = match (misfit(config, address), found) {
        (None, Some(found)) => return Ok(found),
        (misfit, _) => misfit.unwrap_or("it is not planned yet"),
    };
    let table = address.table.as_ref();
    Err(Problem {
        line: table.map_or(address.line, |table| table.line),
        reason: format!(
            "{misfit}: run \"sgctl cluster plan {}\" first",
            path.display()
        ),
    })
}

/// Writes a table, and who had the slots that moved.
fn write(
    edit: &mut Edit,
    at: usize,
    (config, address): (&Config, &Address),
    (epoch, was, new): (u32, &[Slot], &[Slot]),
    now: SystemTime,
) {
    edit.put(Kind::Address, at, "epoch", i64::from(epoch).into());
    if let Some(mark) = address.mark() {
        edit.put(Kind::Address, at, "hashed", mark.into());
    }
    edit.put(Kind::Address, at, "table", edit::table(new));
    let mut before = earlier(address, new.len(), now);
    // By another hash the slots of before were those of other packets.
    if is_counted_alike(address) {
        for ((before, &was), &new) in before.iter_mut().zip(was).zip(new) {
            // Who is no node any more has no connections.
            let owned = Shares {
                owner: was,
                ..Shares::default()
            };
            *before = remember(Candidates::only(*before), &owned, new)
                .iter()
                .find(|id| config.state(*id).is_some());
        }
    }
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
    let young = table.filter(|_| is_counted_alike(address) && address.is_young(now));
    let noted = young.map(|table| table.before.clone());
    noted
        .filter(|noted| noted.len() == slots)
        .unwrap_or_else(|| vec![None; slots])
}

/// 16 bytes that nobody can guess.
pub fn random_key() -> Result<ClusterKey, Failure> {
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
        if self.new_hash {
            text += "  another hash or key: nearly all connections get another slot\n";
        }
        text + &self.moves.iter().map(Move::line).collect::<String>()
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
