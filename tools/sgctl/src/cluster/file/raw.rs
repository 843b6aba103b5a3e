// SPDX-License-Identifier: GPL-2.0
//! The file as it is written: every value with its place, and nothing checked but
//! that there is no key which nobody knows.

use serde::Deserialize;
use toml::value::Datetime;
use toml::Spanned;

use service_group::netlink::ClusterSettings;
use service_group::SettingDefinition;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    pub cluster: Option<RawCluster>,
    #[serde(default)]
    pub node: Vec<Spanned<RawNode>>,
    #[serde(default)]
    pub director: Vec<Spanned<RawDirector>>,
    #[serde(default)]
    pub address: Vec<Spanned<RawAddress>>,
}

/// What the links of all machines have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCluster {
    pub id: Spanned<String>,
    pub heartbeat: Option<Spanned<i64>>,
    pub link_security: Option<Spanned<String>>,
    pub port: Option<Spanned<i64>>,
}

/// A machine that serves the addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    pub name: Spanned<String>,
    pub id: Spanned<i64>,
    pub address: Spanned<String>,
    pub weight: Option<Spanned<i64>>,
    pub state: Option<Spanned<String>>,
    pub way: Option<Spanned<String>>,
    pub device: Option<Spanned<String>>,
    pub fingerprint: Option<Spanned<String>>,
    pub listen: Option<Spanned<String>>,
}

/// A machine that only directs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDirector {
    pub name: Spanned<String>,
    pub id: Option<Spanned<i64>>,
    pub address: Option<Spanned<String>>,
    pub device: Option<Spanned<String>>,
    pub fingerprint: Option<Spanned<String>>,
    pub listen: Option<Spanned<String>>,
}

/// A cluster IP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAddress {
    pub ip: Spanned<String>,
    pub protocol: Option<Spanned<Word>>,
    pub port: Option<Spanned<i64>>,
    pub mode: Option<Spanned<String>>,
    pub device: Spanned<String>,
    pub directors: Option<Spanned<Vec<Spanned<String>>>>,
    pub directing: Option<Spanned<String>>,
    pub mac: Option<Spanned<String>>,
    pub hash: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub slots: Option<Spanned<i64>>,
    pub settle: Option<Spanned<i64>>,
    pub spill: Option<Spanned<bool>>,
    pub epoch: Option<Spanned<i64>>,
    pub hashed: Option<String>,
    pub table: Option<Spanned<Text>>,
    pub before: Option<Spanned<Text>>,
    pub changed: Option<Spanned<Datetime>>,
    pub check: Option<Spanned<RawCheck>>,
}

/// How it is found out whether a node can serve an address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCheck {
    pub command: Option<Spanned<Text>>,
    pub http: Option<Spanned<String>>,
    pub status: Option<Spanned<i64>>,
    pub interval: Option<Spanned<i64>>,
    pub timeout: Option<Spanned<i64>>,
    pub rise: Option<Spanned<i64>>,
    pub fall: Option<Spanned<i64>>,
}

/// A setting of an address as the file may have it.
#[derive(Clone, Copy)]
pub struct SettingLine {
    /// What the crate knows of it.
    pub definition: SettingDefinition,
    /// The largest number that the file may give.
    pub most: u32,
    /// What it is if the file does not say.
    pub initial: u32,
}

/// The largest number of each setting, and what it is if the file does not say.
const LIMITS: [(u32, u32); ClusterSettings::COUNT] = [
    (86_400, 3600), // settle
    (1, 0),         // spill
];

/// The settings of an address, in the crate's order.
pub fn setting_lines() -> [SettingLine; ClusterSettings::COUNT] {
    std::array::from_fn(|place| {
        let (most, initial) = LIMITS[place];
        SettingLine {
            definition: ClusterSettings::ALL[place],
            most,
            initial,
        }
    })
}

impl RawAddress {
    /// The settings that are given, in the crate's order.
    pub fn settings(&self) -> [Option<Spanned<i64>>; ClusterSettings::COUNT] {
        [self.settle.clone(), self.spill.as_ref().map(switch)]
    }
}

/// A switch as its number.
fn switch(on: &Spanned<bool>) -> Spanned<i64> {
    Spanned::new(on.span(), (*on.get_ref()).into())
}

/// A name or a number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a name or a number")]
pub enum Word {
    Name(String),
    Number(i64),
}

/// A text, on one line or on several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text, or several in brackets")]
pub enum Text {
    Line(String),
    Lines(Vec<String>),
}

impl Text {
    /// All of it.
    pub fn joined(&self) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Lines(lines) => lines.join(" "),
        }
    }
}
