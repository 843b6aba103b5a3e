// SPDX-License-Identifier: GPL-2.0
//! Options of `init`, `push` and `status`, which are about links.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cluster::file::{values, FILE};

const INIT_NOTES: &str = "\
It makes a key and a certificate, which stay on this machine, and prints the fingerprint
of the certificate. Others know this machine by that: it belongs into the file, which is
the same on all machines.

If the file has this machine, the fingerprint is entered. If it has not, or there is no file
here, the command is printed that adds the machine where the file is. With --address it is
added to the file here, which is begun if there is none.

Run again it says that there are keys, and makes none. With --force it makes new ones: then
the other machines need the new fingerprint before they take part again.

With --json it prints {\"name\", \"fingerprint\", \"keys\" (the folder), \"new_keys\", \"file\",
\"in_file\" (whether the file has the fingerprint now)}.";

/// Arguments of `cluster init`.
#[derive(Args, Debug)]
#[command(after_long_help = INIT_NOTES)]
pub struct ClusterInitArgs {
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME", value_parser = values::machine)]
    pub name: Option<String>,
    /// Address to reach this machine by: adds it to the file.
    #[arg(long, value_name = "ADDRESS", value_parser = values::unicast)]
    pub address: Option<IpAddr>,
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The folder for the key, if it is not that of the file.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Make new keys in place of those that are there.
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

const PUSH_NOTES: &str = "\
The agent of each other machine is asked whether it would take the file: it checks it as \"check\"
and \"apply --dry-run\" do. If all would, each applies it, and keeps it. If one refuses, or does
not answer, nobody is given the file, unless --anyway is given. This machine is to have applied
it before. Both sides prove themselves, as for links.

With --json it prints {\"given\", \"machines\": [{\"machine\", \"ok\", \"reason\" (or null)}]}. The
status is 0 if all have taken it.";

/// Arguments of `cluster push`.
#[derive(Args, Debug)]
#[command(after_long_help = PUSH_NOTES)]
pub struct ClusterPushArgs {
    /// The file that describes the cluster.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// The folder of the key of this machine, if it is not that of the file.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Give it to those that take it, also if others do not.
    #[arg(long)]
    pub anyway: bool,
    /// Ask only.
    #[arg(long, conflicts_with = "anyway")]
    pub dry_run: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

const STATUS_NOTES: &str = "\
A machine is up, suspect if it has not been heard of for three heartbeats, and unreachable if
its link is lost, or after ten. AWAY are those that get no new connections: they are
not up, are not ready, or are held back as they have come and gone. READY is what a machine
says of itself. HEARD is how long ago that was.

With --json it prints {\"machine\" (this one: {\"id\", \"name\" (or null), \"cluster\", \"boot\",
\"heartbeat_ms\", \"insecure\"}, or null if no agent has begun), \"links\": [{\"peer\", \"name\" (or
null), \"state\" (\"none\", \"up\", \"suspect\" or \"unreachable\"), \"reason\" (why the last link ended,
or \"none\"), \"away\", \"ready\" (or null), \"heard_ms\" (or null), \"since_ms\", \"held_ms\" (or null),
\"epoch\", \"boot\" (or null), \"version\", \"secure\", \"local\" and \"remote\" (both null while there is no
link), \"frames_in\", \"frames_out\", \"bytes_in\", \"bytes_out\", \"ended\": {REASON: how many}}]}.";

/// Arguments of `cluster status`.
#[derive(Args, Debug)]
#[command(after_long_help = STATUS_NOTES)]
pub struct ClusterStatusArgs {
    /// The file that has the names of the machines.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}
