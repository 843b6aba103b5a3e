// SPDX-License-Identifier: GPL-2.0
//! Changes of a file's nodes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use service_group_logic::logic::cluster::slots::NodeId;
use toml_edit::Value;

use super::{given, list, put_all, word, Fields};
use crate::cli::{NodeAddArgs, NodeDelArgs, NodeOptions, NodeSetArgs};
use crate::cluster::file::edit::{Edit, Kind};
use crate::cluster::file::{describe, Config, Mode};
use crate::Failure;

/// The place of a node in the file.
pub(super) fn find_node(config: &Config, name: &str) -> Result<usize, Failure> {
    let place = config.nodes.iter().position(|node| node.name == name);
    place.ok_or_else(|| {
        let known = config.nodes.iter();
        let known: Vec<String> = known.map(|node| node.name.clone()).collect();
        let known = list(&known);
        Failure::usage(format!("the file has no node \"{name}\": it has {known}"))
    })
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
        (
            "fingerprint",
            options.fingerprint.map(|it| it.to_string().into()),
        ),
        ("listen", options.listen.as_deref().map(Value::from)),
    ])
}

pub(super) fn add_node(
    config: &Config,
    edit: &mut Edit,
    args: &NodeAddArgs,
) -> Result<(), Failure> {
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
pub fn new_id(config: &Config) -> u32 {
    let nodes = config.nodes.iter().map(|node| node.id);
    let nodes = nodes.chain(config.directors.iter().filter_map(|one| one.id));
    let tables = config.addresses.iter().filter_map(|it| it.table.as_ref());
    let owners = tables.flat_map(|table| table.slots.iter().chain(&table.before));
    let known = nodes.chain(owners.copied().flatten());
    let known: BTreeSet<u32> = known.map(NodeId::get).collect();
    let next = known.last().map_or(Some(1), |most| most.checked_add(1));
    // Above the largest number there is none.
    let free = || (1..=u32::MAX).find(|id| !known.contains(id));
    next.or_else(free).unwrap_or(u32::MAX)
}

pub(super) fn set_node(
    config: &Config,
    edit: &mut Edit,
    args: &NodeSetArgs,
) -> Result<(), Failure> {
    let at = find_node(config, &args.name)?;
    put_all(
        edit,
        Kind::Node,
        at,
        node_fields(args.address, &args.options),
    )
}

pub(super) fn del_node(
    config: &Config,
    edit: &mut Edit,
    args: &NodeDelArgs,
) -> Result<(), Failure> {
    let at = find_node(config, &args.name)?;
    let directs = |mode: &Mode| mode.directors().contains(&args.name);
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
