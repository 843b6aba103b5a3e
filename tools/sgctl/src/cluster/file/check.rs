// SPDX-License-Identifier: GPL-2.0
//! Whether a file makes sense, and which line does not.

use std::collections::HashSet;
use std::ops::Range;
use std::time::SystemTime;

use serde::Serialize;
use service_group::netlink::{ClusterHash, ClusterName, ClusterSettings, MAX_CLUSTERS};
use service_group_logic::logic::cluster::hash::{SlotCount, MAX_SLOTS};
use service_group_logic::logic::cluster::rebalance::MAX_NODES;
use service_group_logic::logic::cluster::slots::Slot;
use toml::Spanned;

use super::checks;
use super::machines::machines;
use super::mode::mode;
use super::raw::{setting_lines, RawAddress, RawFile, SettingLine, Text, Word};
use super::{describe, runs, values, Address, Config, Table};

/// Slots of an address that does not say how many: a prime, so that the sums have
/// no pattern in common with it.
pub const DEFAULT_SLOTS: usize = 251;

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which line.
    pub line: usize,
    /// A sentence without the full stop.
    pub reason: String,
}

/// What is wrong, and at which bytes.
pub(super) type Found = (Range<usize>, String);

/// Reads a file.
pub fn read(text: &str) -> Result<Config, Problem> {
    let raw: RawFile = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let reason = error.message().lines().collect::<Vec<_>>().join(", ");
        Problem {
            line: line(text, span.start),
            reason,
        }
    })?;
    check(&raw, text).map_err(|(span, reason)| Problem {
        line: line(text, span.start),
        reason,
    })
}

/// The line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn check(raw: &RawFile, text: &str) -> Result<Config, Found> {
    limit(&raw.node, MAX_NODES, "nodes")?;
    limit(&raw.address, MAX_CLUSTERS, "addresses")?;
    let mut config = machines(raw)?;
    for one in &raw.address {
        let address = address(one, &config, text)?;
        let mut others = config.addresses.iter();
        if let Some(other) = others.find(|other| other.name == address.name) {
            let (name, line) = (describe(&address.name), other.line);
            let reason = format!("{name} is there already, in line {line}: remove one");
            return Err((one.get_ref().ip.span(), reason));
        }
        let mut others = config.addresses.iter();
        if let Some(other) = others.find(|other| has_other_director(other, &address)) {
            let (name, line) = (describe(&other.name), other.line);
            let reason = format!(
                "one machine has the address, so give it the directors and the directing of {name} in \
                 line {line}"
            );
            return Err((one.get_ref().ip.span(), reason));
        }
        config.addresses.push(address);
    }
    Ok(config)
}

/// Whether both are of one address, of which links would choose different directors.
fn has_other_director(one: &Address, other: &Address) -> bool {
    one.name.address == other.name.address
        && (one.mode.follows_links() || other.mode.follows_links())
        && one.mode != other.mode
}

fn limit<T>(list: &[Spanned<T>], most: usize, things: &str) -> Result<(), Found> {
    match list.get(most) {
        Some(one) => Err((one.span(), format!("there are more than {most} {things}"))),
        None => Ok(()),
    }
}

/// Refuses the second of two that are equal.
pub(super) fn unique<'a, T: Eq + std::hash::Hash + 'a>(
    all: impl Iterator<Item = &'a Spanned<T>>,
    reason: impl Fn(&T) -> String,
) -> Result<(), Found> {
    let mut seen = HashSet::new();
    for one in all {
        if !seen.insert(one.get_ref()) {
            return Err((one.span(), reason(one.get_ref())));
        }
    }
    Ok(())
}

/// Reads a text that stands in the file.
pub(super) fn word<T>(
    text: &Spanned<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Found> {
    read(text.get_ref()).map_err(|reason| (text.span(), reason))
}

/// The same, if it is there.
pub(super) fn maybe<T>(
    text: Option<&Spanned<String>>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Found> {
    text.map(|text| word(text, read)).transpose()
}

pub(super) fn number(number: &Spanned<i64>, what: &str, range: (i64, i64)) -> Result<u32, Found> {
    let (least, most) = range;
    let value = *number.get_ref();
    match u32::try_from(value) {
        Ok(fits) if (least..=most).contains(&value) => Ok(fits),
        _ => Err((
            number.span(),
            format!("{what} {value} is out of range: give a number from {least} to {most}"),
        )),
    }
}

fn address(spanned: &Spanned<RawAddress>, config: &Config, text: &str) -> Result<Address, Found> {
    let raw = spanned.get_ref();
    let name = name(raw)?;
    let hash = maybe(raw.hash.as_ref(), values::hash)?.unwrap_or(ClusterHash::Sum5);
    let key = maybe(raw.key.as_ref(), values::key)?;
    if let (Some(key), false) = (&raw.key, hash == ClusterHash::Keyed) {
        let reason = "only the hash \"keyed\" has a key: remove it, or write hash = \"keyed\"";
        return Err((key.span(), reason.to_owned()));
    }
    let slots = raw.slots.as_ref();
    let slots = slots.map(|slots| number(slots, "slots", (1, MAX_SLOTS.into())));
    let slots = slots
        .transpose()?
        .and_then(|slots| usize::try_from(slots).ok());
    let slots = SlotCount::new(slots.unwrap_or(DEFAULT_SLOTS));
    Ok(Address {
        mode: mode(raw, name.address, config)?,
        name,
        hash,
        key,
        slots: slots.ok_or_else(|| (spanned.span(), "there are no slots".to_owned()))?,
        settings: settings(raw)?,
        device: word(&raw.device, values::device)?,
        table: table(raw, text)?,
        check: raw
            .check
            .as_ref()
            .map(|it| checks::check(it, &name))
            .transpose()?,
        line: line(text, raw.ip.span().start),
    })
}

fn settings(raw: &RawAddress) -> Result<ClusterSettings, Found> {
    let mut settings = ClusterSettings::default();
    for (line, given) in setting_lines().iter().zip(raw.settings()) {
        let SettingLine {
            definition: one,
            most,
            initial,
        } = line;
        let range = (one.bounds.0.into(), (*most).into());
        let given = given.map(|given| number(&given, one.name, range));
        settings.set(one.name, given.transpose()?.unwrap_or(*initial));
    }
    Ok(settings)
}

fn name(raw: &RawAddress) -> Result<ClusterName, Found> {
    let protocol = raw.protocol.as_ref().map(|word| {
        let text = match word.get_ref() {
            Word::Name(name) => name.clone(),
            Word::Number(number) => number.to_string(),
        };
        values::protocol(&text).map_err(|reason| (word.span(), reason))
    });
    let protocol = protocol.transpose()?.unwrap_or(0);
    let port = match &raw.port {
        Some(port) if !values::has_ports(protocol) => {
            let reason =
                "a port belongs to a protocol that has ports: write protocol = \"tcp\" too";
            return Err((port.span(), reason.to_owned()));
        }
        Some(port) => number(port, "port", (1, u16::MAX.into()))?,
        None => 0,
    };
    Ok(ClusterName {
        address: word(&raw.ip, values::unicast)?,
        protocol,
        port: u16::try_from(port).unwrap_or_default(),
    })
}

fn table(raw: &RawAddress, text: &str) -> Result<Option<Table>, Found> {
    let (table, epoch) = match (&raw.table, &raw.epoch) {
        (None, None) => return Ok(None),
        (Some(table), Some(epoch)) => (table, number(epoch, "epoch", (1, u32::MAX.into()))?),
        (Some(table), None) => {
            let reason = "a table needs an epoch: remove the table, and \"sgctl cluster plan\" \
                          makes both";
            return Err((table.span(), reason.to_owned()));
        }
        (None, Some(epoch)) => {
            let reason = "an epoch needs a table: remove the epoch, and \"sgctl cluster plan\" \
                          makes both";
            return Err((epoch.span(), reason.to_owned()));
        }
    };
    let before = raw.before.as_ref().map(slots).transpose()?;
    Ok(Some(Table {
        epoch,
        hashed: raw.hashed.clone(),
        slots: slots(table)?,
        before: before.unwrap_or_default(),
        changed: raw.changed.as_ref().map(time).transpose()?,
        line: line(text, table.span().start),
    }))
}

fn slots(text: &Spanned<Text>) -> Result<Vec<Slot>, Found> {
    runs::parse(&text.get_ref().joined()).map_err(|reason| (text.span(), reason))
}

fn time(time: &Spanned<toml::value::Datetime>) -> Result<SystemTime, Found> {
    let text = time.get_ref().to_string();
    humantime::parse_rfc3339(&text).map_err(|_| {
        let reason = format!("{text} is no time in UTC, such as 2026-01-31T12:00:00Z: remove it");
        (time.span(), reason)
    })
}

#[cfg(test)]
#[path = "check_tests.rs"]
pub(super) mod tests;
