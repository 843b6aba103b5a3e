// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster add`, `set`, `del`, `node` and `drain`: change the file, plan its
//! tables, and apply it here; all of it, or nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;
use service_group::netlink::ClusterName;
use service_group_logic::logic::cluster::slots::NodeId;
use toml_edit::{Array, Value};

use super::apply::{own_name, prepare, How, Report};
use super::file::edit::{checked, Edit, Kind};
use super::file::lock::Lock;
use super::file::{describe, read, store, values, Config, Mode};
use super::plan::{plan, Change, Plan};
use crate::cli::{
    AddressArgs, AddressName, ChangeArgs, ClusterAddArgs, ClusterDelArgs, ClusterSetArgs,
    DrainArgs, NodeAddArgs, NodeCommand, NodeDelArgs, NodeOptions, NodeSetArgs,
};
use crate::{output, Failure};

/// What an entry is given.
type Fields = Vec<(&'static str, Value)>;

/// What was changed, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Outcome {
    file: String,
    plan: Vec<Change>,
    apply: Option<Report>,
}

/// Runs `cluster add`.
pub fn add(args: &ClusterAddArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| add_address(config, edit, args))
}

/// Runs `cluster set`.
pub fn set(args: &ClusterSetArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| set_address(config, edit, args))
}

/// Runs `cluster del`.
pub fn del(args: &ClusterDelArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| del_address(config, edit, args))
}

/// Runs `cluster node`.
pub fn node(command: &NodeCommand) -> Result<(), Failure> {
    match command {
        NodeCommand::Add(args) => {
            change_or_begin(&args.change, |config, edit| add_node(config, edit, args))
        }
        NodeCommand::Set(args) => change(&args.change, |config, edit| set_node(config, edit, args)),
        NodeCommand::Del(args) => change(&args.change, |config, edit| del_node(config, edit, args)),
    }
}

/// Runs `cluster drain`.
pub fn drain(args: &DrainArgs) -> Result<(), Failure> {
    change(&args.change, |config, edit| {
        let at = find_node(config, &args.name)?;
        edit.put(Kind::Node, at, "state", "draining".into());
        Ok(())
    })
}

/// Changes the text of a file with `edit`, and plans it.
fn planned(
    path: &Path,
    text: &str,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(Config, Plan), Failure> {
    let (config, mut document) = checked(path, text)?;
    edit(&config, &mut document)?;
    let plan = outcome(path, &document.text()).map_err(|reason| {
        Failure::usage(format!("{} was not changed: {reason}", path.display()))
    })?;
    Ok((store::config(path, &plan.text)?, plan))
}

/// The plan of a text that is no file yet, so that nobody knows its lines.
fn outcome(path: &Path, text: &str) -> Result<Plan, String> {
    read(text).map_err(|problem| problem.reason)?;
    plan(path, text, SystemTime::now(), 0).map_err(|failure| {
        let text = failure.to_string();
        let place = format!("{}:", path.display());
        let reason = text.strip_prefix(&place).and_then(|it| it.split_once(": "));
        reason.map_or(text.clone(), |(_, reason)| reason.to_owned())
    })
}

/// Changes the file with `edit`, and does all that follows. Without a file nothing is made, neither
/// its folder nor its lock.
fn change(
    args: &ChangeArgs,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    store::text(&args.file)?;
    change_or_begin(args, edit)
}

/// The same, also with a file that is not there.
fn change_or_begin(
    args: &ChangeArgs,
    edit: impl FnOnce(&Config, &mut Edit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let path = &args.file;
    let _lock = match args.dry_run {
        true => None,
        false => Some(Lock::wait(path)?),
    };
    let (config, plan) = planned(path, &store::text_or_nothing(path)?, edit)?;
    let how = How {
        node: args.node.as_deref(),
        dry_run: args.dry_run,
    };
    let publish = || match args.dry_run {
        true => Ok(()),
        false => store::Draft::write(path, &plan.text)?.publish(),
    };
    let prepared = match args.no_apply {
        true => None,
        false => {
            own_name(&config, how.node).map_err(|failure| {
                Failure::usage(format!("{failure}, or leave it out with --no-apply"))
            })?;
            Some(prepare(path, &config, how)?)
        }
    };
    if !args.json {
        let mut text: String = plan.changes.iter().map(Change::words).collect();
        text.extend(prepared.iter().map(|it| it.report.sentences()));
        output::text(&text)?;
    }
    let report = match prepared {
        Some(prepared) => Some(prepared.carry_out(publish)?),
        None => publish().map(|()| None)?,
    };
    tell(args, plan.changes, report)
}

/// Says what is to be done next; or everything, as JSON.
fn tell(args: &ChangeArgs, plan: Vec<Change>, apply: Option<Report>) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    match (args.json, args.dry_run) {
        (true, _) => output::json(&Outcome { file, plan, apply }),
        (false, true) if args.no_apply => output::text("nothing was written\n"),
        (false, true) => Ok(()),
        (false, false) => {
            let others = match args.no_apply {
                true => "",
                false => "other ",
            };
            output::text(&format!(
                "{file} is written: copy it to the {others}machines, and run there: sgctl cluster \
                 apply {file}\n"
            ))
        }
    }
}

fn cluster_name(name: AddressName) -> ClusterName {
    ClusterName {
        address: name.ip,
        protocol: name.protocol.unwrap_or(0),
        port: name.port.unwrap_or(0),
    }
}

/// The place of an address in the file.
fn find_address(config: &Config, name: AddressName) -> Result<usize, Failure> {
    let name = cluster_name(name);
    let place = config
        .addresses
        .iter()
        .position(|address| address.name == name);
    place.ok_or_else(|| {
        let known = config.addresses.iter();
        let known: Vec<String> = known.map(|address| describe(&address.name)).collect();
        Failure::usage(format!(
            "the file has no address {}: it has {}",
            describe(&name),
            list(&known)
        ))
    })
}

/// The place of a node in the file.
fn find_node(config: &Config, name: &str) -> Result<usize, Failure> {
    let place = config.nodes.iter().position(|node| node.name == name);
    place.ok_or_else(|| {
        let known = config.nodes.iter();
        let known: Vec<String> = known.map(|node| node.name.clone()).collect();
        let known = list(&known);
        Failure::usage(format!("the file has no node \"{name}\": it has {known}"))
    })
}

fn list(names: &[String]) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// The name of a value of the command line, which is the file's too.
fn word(value: &impl ValueEnum) -> Value {
    let value = value.to_possible_value();
    value
        .map_or_else(String::new, |value| value.get_name().to_owned())
        .into()
}

fn address_fields(args: &AddressArgs) -> Fields {
    let directors: Array = args.director.iter().map(String::as_str).collect();
    let directors = (!directors.is_empty()).then_some(directors);
    let fields = [
        ("mode", args.mode.as_ref().map(word)),
        ("directors", directors.map(Value::from)),
        ("hash", args.hash.as_ref().map(word)),
        ("slots", args.slots.map(|slots| i64::from(slots).into())),
        ("settle", args.settle.map(|settle| i64::from(settle).into())),
        ("spill", args.spill.map(Value::from)),
    ];
    given(fields)
}

fn given<const N: usize>(fields: [(&'static str, Option<Value>); N]) -> Fields {
    let fields = fields.into_iter();
    fields
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn put_all(edit: &mut Edit, kind: Kind, at: usize, fields: Fields) -> Result<(), Failure> {
    if fields.is_empty() {
        return Err(Failure::usage(
            "there is nothing to change: say what, see --help",
        ));
    }
    for (key, value) in fields {
        edit.put(kind, at, key, value);
    }
    Ok(())
}

fn add_address(config: &Config, edit: &mut Edit, args: &ClusterAddArgs) -> Result<(), Failure> {
    let name = cluster_name(args.name);
    if find_address(config, args.name).is_ok() {
        return Err(Failure::usage(format!(
            "the file has {} already: change it with \"sgctl cluster set\"",
            describe(&name)
        )));
    }
    let protocol = args.name.protocol.map(values::protocol_name);
    let mut fields = given([
        ("ip", Some(name.address.to_string().into())),
        ("protocol", protocol.map(Value::from)),
        ("port", args.name.port.map(|port| i64::from(port).into())),
        ("device", Some(args.device.as_str().into())),
    ]);
    fields.extend(address_fields(&args.address));
    edit.add(Kind::Address, fields);
    Ok(())
}

fn set_address(config: &Config, edit: &mut Edit, args: &ClusterSetArgs) -> Result<(), Failure> {
    let at = find_address(config, args.name)?;
    let mut fields = address_fields(&args.address);
    let device = args.device.as_deref().map(Value::from);
    fields.extend(device.map(|device| ("device", device)));
    // What belongs to the other mode, or to another hash, goes.
    let mode = args
        .address
        .mode
        .map(|mode| word(&mode).as_str() == Some("shared"));
    match mode {
        Some(true) => edit.clear(Kind::Address, at, "directors"),
        Some(false) => edit.clear(Kind::Address, at, "mac"),
        None => {}
    }
    let hash = args
        .address
        .hash
        .map(|hash| word(&hash).as_str() == Some("keyed"));
    if hash == Some(false) {
        edit.clear(Kind::Address, at, "key");
    }
    put_all(edit, Kind::Address, at, fields)
}

fn del_address(config: &Config, edit: &mut Edit, args: &ClusterDelArgs) -> Result<(), Failure> {
    edit.remove(Kind::Address, find_address(config, args.name)?);
    Ok(())
}

fn node_fields(address: Option<IpAddr>, options: &NodeOptions) -> Fields {
    given([
        ("address", address.map(|address| address.to_string().into())),
        (
            "weight",
            options.weight.map(|weight| i64::from(weight).into()),
        ),
        ("state", options.state.as_ref().map(word)),
        ("way", options.way.as_ref().map(word)),
        ("device", options.device.as_deref().map(Value::from)),
    ])
}

fn add_node(config: &Config, edit: &mut Edit, args: &NodeAddArgs) -> Result<(), Failure> {
    if find_node(config, &args.name).is_ok() {
        return Err(Failure::usage(format!(
            "the file has a node \"{}\" already: change it with \"sgctl cluster node set\"",
            args.name
        )));
    }
    let id = args.id.unwrap_or_else(|| new_id(config));
    let mut fields: Fields = vec![
        ("name", args.name.as_str().into()),
        ("id", i64::from(id).into()),
    ];
    fields.extend(node_fields(Some(args.address), &args.options));
    edit.add(Kind::Node, fields);
    Ok(())
}

/// An id above all that the file has, also those of nodes that are gone: machines may still look
/// for connections with these.
fn new_id(config: &Config) -> u32 {
    let nodes = config.nodes.iter().map(|node| node.id);
    let tables = config.addresses.iter().filter_map(|it| it.table.as_ref());
    let owners = tables.flat_map(|table| table.slots.iter().chain(&table.before));
    let known = nodes.chain(owners.copied().flatten());
    let known: BTreeSet<u32> = known.map(NodeId::get).collect();
    let next = known.last().map_or(Some(1), |most| most.checked_add(1));
    // Above the largest number there is none.
    let free = || (1..=u32::MAX).find(|id| !known.contains(id));
    next.or_else(free).unwrap_or(u32::MAX)
}

fn set_node(config: &Config, edit: &mut Edit, args: &NodeSetArgs) -> Result<(), Failure> {
    let at = find_node(config, &args.name)?;
    put_all(
        edit,
        Kind::Node,
        at,
        node_fields(args.address, &args.options),
    )
}

fn del_node(config: &Config, edit: &mut Edit, args: &NodeDelArgs) -> Result<(), Failure> {
    let at = find_node(config, &args.name)?;
    let directs = |mode: &Mode| match mode {
        Mode::Directed { directors } => directors.contains(&args.name),
        Mode::Shared { .. } => false,
    };
    let mut addresses = config.addresses.iter();
    if let Some(address) = addresses.find(|address| directs(&address.mode)) {
        return Err(Failure::usage(format!(
            "\"{}\" is a director of {}: name others with \"sgctl cluster set --director\" first, \
             or write a [[director]] with its name",
            args.name,
            describe(&address.name)
        )));
    }
    edit.remove(Kind::Node, at);
    Ok(())
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
