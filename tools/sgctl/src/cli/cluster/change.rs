// SPDX-License-Identifier: GPL-2.0
//! Options of the subcommands that change the file.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use toml_edit::{InlineTable, Value};

use crate::cli::ClusterSettingArgs;
use crate::cluster::file::links::{self, Fingerprint};
use crate::cluster::file::{values, FILE};

/// What becomes of a changed file; a macro, as constants are put together of literals.
macro_rules! change_notes {
    () => {
        "\
The file is changed, its tables are planned anew, and it is applied on this
machine; if one of these fails, the file and the machine stay as they are. If an
agent has linked this machine to others, these are asked before whether they would
take the file, as \"push\" does. If one refuses, or does not answer, nothing is
changed anywhere, unless --anyway is given; else all are given the file, and what
each answers is told. A machine that the change adds is not asked. Without an agent
copy the file to the other machines, and run there: sgctl cluster apply"
    };
}

const CHANGE_NOTES: &str = change_notes!();

const SET_NOTES: &str = concat!(
    "\
A new key gives nearly all connections another slot, as another hash does; they go
on as after any change of the table. No key is printed: it is in the file, which
root alone may read, and goes to the other machines with that.

",
    change_notes!()
);

/// Options that all changes have.
#[derive(Args, Debug)]
pub struct ChangeArgs {
    /// The file that describes the cluster. Its folder has to be there, unless no file is named.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// The folder of the key of this machine, if it is not that of the file.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Change and plan the file, and do not apply it, neither here nor on other machines.
    #[arg(long)]
    pub no_apply: bool,
    /// Change it on this machine only.
    #[arg(long)]
    pub no_push: bool,
    /// Change it also if other machines refuse it, or do not answer.
    #[arg(long, conflicts_with_all = ["no_push", "no_apply"])]
    pub anyway: bool,
    /// Tell what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of sentences: {"file", "plan", "apply" and "push" (or null)}, which are
    /// what "plan", "apply" and "push" print.
    #[arg(long)]
    pub json: bool,
}

/// What names an address of the file.
#[derive(Args, Clone, Copy, Debug)]
pub struct AddressName {
    /// The cluster IP.
    #[arg(value_name = "IP", value_parser = values::unicast)]
    pub ip: IpAddr,
    /// Its protocol, by name or number; any, if none is given.
    #[arg(long, value_name = "PROTOCOL", value_parser = values::protocol)]
    pub protocol: Option<u8>,
    /// Its port; any, if none is given.
    #[arg(long, value_name = "PORT", requires = "protocol",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

/// A value of `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Every node receives every packet, and takes its own.
    Shared,
    /// A director gives each packet to its owner.
    Directed,
}

/// A value of `--directing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DirectingArg {
    /// keepalived says which one of several directors directs, with "sgctl cluster role".
    Given,
    /// Links say so: the first director that is there directs.
    One,
}

/// A value of `--hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HashArg {
    /// Both addresses and the destination port: one owner for all that a client asks.
    Sum3,
    /// Both addresses, both ports and the protocol.
    Sum5,
    /// SipHash of the same five, with a secret key: clients cannot choose their slot.
    Keyed,
}

/// What an address is to be; what is not given stays as it is.
#[derive(Args, Debug)]
pub struct AddressArgs {
    /// How packets come to the nodes.
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeArg>,
    /// A machine that directs; may be given several times, the preferred one first.
    #[arg(long, value_name = "NAME", value_parser = values::machine)]
    pub director: Vec<String>,
    /// Who says which one of several directors directs.
    #[arg(long, value_enum, value_name = "WAY")]
    pub directing: Option<DirectingArg>,
    /// The multicast MAC address that the nodes of a shared address have in common.
    #[arg(long, value_name = "MAC", value_parser = values::mac)]
    pub mac: Option<[u8; 6]>,
    /// From which numbers of a packet its slot is computed.
    #[arg(long, value_enum, value_name = "HASH")]
    pub hash: Option<HashArg>,
    /// A file that has nothing but the key of a keyed hash, 32 hexadecimal digits. Without
    /// one a new address has a key made.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Number of slots; 251 for a new address.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub slots: Option<u16>,
    /// What is set besides.
    #[command(flatten)]
    pub settings: ClusterSettingArgs,
    /// How nodes check their service, as a line of TOML: 'http = "/health", interval = 1000'.
    #[arg(long, value_name = "TOML", value_parser = toml_table)]
    pub check: Option<InlineTable>,
}

/// Reads what stands between the braces of a table of TOML.
fn toml_table(text: &str) -> Result<InlineTable, String> {
    let value: Option<Value> = format!("{{ {text} }}").parse().ok();
    let table = value.and_then(|value| value.as_inline_table().cloned());
    table.ok_or_else(|| {
        "write it as in the file: http = \"/health\", or command = \"web\", fall = 1".to_owned()
    })
}

/// Arguments of `cluster add`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_NOTES)]
pub struct ClusterAddArgs {
    /// Which address.
    #[command(flatten)]
    pub name: AddressName,
    /// The device that its packets come by.
    #[arg(long, value_name = "DEVICE", value_parser = values::device)]
    pub device: String,
    /// What it is to be.
    #[command(flatten)]
    pub address: AddressArgs,
    /// How it is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `cluster set`.
#[derive(Args, Debug)]
#[command(after_long_help = SET_NOTES)]
pub struct ClusterSetArgs {
    /// Which address.
    #[command(flatten)]
    pub name: AddressName,
    /// The device that its packets come by.
    #[arg(long, value_name = "DEVICE", value_parser = values::device)]
    pub device: Option<String>,
    /// Make a new key for its keyed hash.
    #[arg(long, conflicts_with = "key_file")]
    pub new_key: bool,
    /// Have nodes not check their service any more.
    #[arg(long, conflicts_with = "check")]
    pub no_check: bool,
    /// What it is to be.
    #[command(flatten)]
    pub address: AddressArgs,
    /// How it is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `cluster del`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_NOTES)]
pub struct ClusterDelArgs {
    /// Which address.
    #[command(flatten)]
    pub name: AddressName,
    /// How it is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// The subcommands of `cluster node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Add a node to the file, and apply it.
    Add(NodeAddArgs),
    /// Change a node in the file, and apply it.
    Set(NodeSetArgs),
    /// Remove a node from the file, and apply it.
    Del(NodeDelArgs),
}

/// A value of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateArg {
    /// It takes connections.
    Up,
    /// It keeps the connections that it has, and takes no others.
    Draining,
    /// It is dead: others get its slots, and its connections are lost.
    Down,
}

/// A value of `--way`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WayArg {
    /// Packets are sent to its MAC address, and change in nothing but the TTL or hop
    /// limit: it is on the same segment.
    Neighbour,
    /// Packets get to it within IP packets.
    Tunnel,
}

/// What a node is to be; what is not given stays as it is.
#[derive(Args, Debug)]
pub struct NodeOptions {
    /// How many slots it is to have, compared with others; 1 for a new node.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub weight: Option<u16>,
    /// Whether it is there; up for a new node.
    #[arg(long, value_enum, value_name = "STATE")]
    pub state: Option<StateArg>,
    /// How packets get to it; neighbour for a new node.
    #[arg(long, value_enum, value_name = "WAY")]
    pub way: Option<WayArg>,
    /// Its own device, if it is another than that of the addresses.
    #[arg(long, value_name = "DEVICE", value_parser = values::device)]
    pub device: Option<String>,
    /// The fingerprint that "cluster init" prints there: with it the machine has links.
    #[arg(long, value_name = "FINGERPRINT")]
    pub fingerprint: Option<Fingerprint>,
    /// Where its agent listens, if it is not at its address and the port of the file.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = links::listen)]
    pub listen: Option<String>,
}

/// Arguments of `cluster node add`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_NOTES)]
pub struct NodeAddArgs {
    /// Its name; best its host name.
    #[arg(value_name = "NAME", value_parser = values::machine)]
    pub name: String,
    /// Address to reach it by.
    #[arg(long, value_name = "ADDRESS", value_parser = values::unicast)]
    pub address: IpAddr,
    /// Its id in tables; one above all that the file has, if none is given.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u32).range(1..))]
    pub id: Option<u32>,
    /// What it is to be.
    #[command(flatten)]
    pub options: NodeOptions,
    /// How the file is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `cluster node set`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_NOTES)]
pub struct NodeSetArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Address to reach it by.
    #[arg(long, value_name = "ADDRESS", value_parser = values::unicast)]
    pub address: Option<IpAddr>,
    /// What it is to be.
    #[command(flatten)]
    pub options: NodeOptions,
    /// How the file is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Arguments of `cluster node del`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_NOTES)]
pub struct NodeDelArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How the file is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

const DRAIN_NOTES: &str = "\
The same as \"node set NAME --state draining\"; \"node set NAME --state up\" gives
the slots back. The node keeps its TCP connections until they end, at a shared address
for the settle time. When the counter \"known\" of \"sgctl cluster show\" on that node
stands still, remove the node with \"node del NAME\".

The file is changed and planned, and applied on this machine, and on those that it is
linked to, as with \"node set\".";

/// Arguments of `cluster drain`.
#[derive(Args, Debug)]
#[command(after_long_help = DRAIN_NOTES)]
pub struct DrainArgs {
    /// The node's name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How the file is changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}
