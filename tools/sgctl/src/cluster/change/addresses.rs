// SPDX-License-Identifier: GPL-2.0
//! Changes of a file's addresses.

use std::fs;
use std::path::Path;

use service_group::netlink::{ClusterHash, ClusterName, ClusterSettings};
use service_group::SettingKind;
use toml_edit::{Array, Value};

use super::{given, list, put_all, word, Fields};
use crate::cli::{
    AddressArgs, AddressName, ClusterAddArgs, ClusterDelArgs, ClusterSetArgs, ClusterSettingArgs,
};
use crate::cluster::file::edit::{Edit, Kind};
use crate::cluster::file::{describe, values, Config};
use crate::Failure;

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

fn address_fields(args: &AddressArgs) -> Result<Fields, Failure> {
    let directors: Array = args.director.iter().map(String::as_str).collect();
    let directors = (!directors.is_empty()).then_some(directors);
    let key = args.key_file.as_deref().map(key_in).transpose()?;
    let mut fields = given([
        ("mode", args.mode.as_ref().map(word)),
        ("directors", directors.map(Value::from)),
        ("directing", args.directing.as_ref().map(word)),
        ("mac", args.mac.map(|mac| values::mac_text(mac).into())),
        ("hash", args.hash.as_ref().map(word)),
        ("key", key),
        ("slots", args.slots.map(|slots| i64::from(slots).into())),
        ("check", args.check.clone().map(Value::from)),
    ]);
    fields.extend(settings(&args.settings));
    Ok(fields)
}

/// The settings that are given.
fn settings(args: &ClusterSettingArgs) -> impl Iterator<Item = (&'static str, Value)> + '_ {
    let all = ClusterSettings::ALL.iter().zip(args.0);
    all.filter_map(|(one, number)| {
        let value = match one.kind {
            SettingKind::Switch => Value::from(number? != 0),
            _ => Value::from(i64::from(number?)),
        };
        Some((one.name, value))
    })
}

/// The key that a file of its own has: on a command line everybody could read it.
fn key_in(path: &Path) -> Result<Value, Failure> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::new(format!(
            "{file} cannot be read: {error}: name the file of the key"
        ))
    })?;
    let key = values::key(text.trim())
        .map_err(|reason| Failure::usage(format!("{file} has no key: {reason}")))?;
    Ok(values::key_text(&key).into())
}

pub(super) fn add_address(
    config: &Config,
    edit: &mut Edit,
    args: &ClusterAddArgs,
) -> Result<(), Failure> {
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
    fields.extend(address_fields(&args.address)?);
    edit.add(Kind::Address, fields);
    Ok(())
}

pub(super) fn set_address(
    config: &Config,
    edit: &mut Edit,
    args: &ClusterSetArgs,
) -> Result<(), Failure> {
    let at = find_address(config, args.name)?;
    let mut fields = address_fields(&args.address)?;
    let device = args.device.as_deref().map(Value::from);
    fields.extend(device.map(|device| ("device", device)));
    // What belongs to the other mode, or to another hash, goes.
    let mode = args
        .address
        .mode
        .map(|mode| word(&mode).as_str() == Some("shared"));
    match mode {
        Some(true) => {
            edit.clear(Kind::Address, at, "directors");
            edit.clear(Kind::Address, at, "directing");
        }
        Some(false) => edit.clear(Kind::Address, at, "mac"),
        None => {}
    }
    let hash = args
        .address
        .hash
        .map(|hash| word(&hash).as_str() == Some("keyed"));
    if args.new_key && !hash.unwrap_or_else(|| is_keyed(config, at)) {
        return Err(Failure::usage(format!(
            "{} has no hash with a key: give --hash keyed too",
            describe(&cluster_name(args.name))
        )));
    }
    if hash == Some(false) || args.new_key {
        // The plan makes one where there is to be one.
        edit.clear(Kind::Address, at, "key");
    }
    if args.no_check {
        edit.clear(Kind::Address, at, "check");
    }
    match fields.is_empty() && (args.new_key || args.no_check) {
        true => Ok(()),
        false => put_all(edit, Kind::Address, at, fields),
    }
}

fn is_keyed(config: &Config, at: usize) -> bool {
    let address = config.addresses.get(at);
    address.is_some_and(|address| address.hash == ClusterHash::Keyed)
}

pub(super) fn del_address(
    config: &Config,
    edit: &mut Edit,
    args: &ClusterDelArgs,
) -> Result<(), Failure> {
    edit.remove(Kind::Address, find_address(config, args.name)?);
    Ok(())
}
