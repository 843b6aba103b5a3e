// SPDX-License-Identifier: GPL-2.0
//! Options of `init`, `push` and `status`, which are about links.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cluster::file::{values, FILE};

const INIT_NOTES: &str = "\
It makes a key and a certificate, which stay on this machine, and prints the fingerprint
of the certificate. Other machines know this machine by its fingerprint, which has to be
in the file, the same on all machines.

If the file has this machine, init writes the fingerprint into the file. If not, init
prints the command that adds the machine; run it where the file is. With --address, init
adds this machine to the file here, and makes the file if there is none.

If there are keys already, init says so and makes none. With --force it makes new ones;
then the other machines refuse new links until their file has the new fingerprint.

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
Apply the file on this machine first. push asks the agent of each other machine
whether it accepts the file; the agent checks it as \"check\" and \"apply --dry-run\" do.
If all accept, each agent applies the file and keeps it. If one refuses or does not
answer, no machine is given the file, unless --anyway is given. Both sides prove who
they are, as for links. With link-security \"none\" push is refused.

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
says of itself. HEARD is how long ago that was. Below stand the cluster IPs of which a node is
away, and who has its slots meanwhile; and of those with directing = \"one\" which machine directs,
and why this one does or stands by.

A machine that was never linked to this one has the state none. EPOCH is the number of
its newest table, VERSION that of the protocol, and LINK tells whether the link is
encrypted, or why there is none.

With --json it prints {\"machine\" (this one: {\"id\", \"name\" (or null), \"cluster\", \"boot\",
\"heartbeat_ms\", \"insecure\"}, or null if no agent has begun), \"links\": [{\"peer\", \"name\" (or
null), \"state\" (\"none\", \"up\", \"suspect\" or \"unreachable\"), \"reason\" (why the last link ended,
or \"none\"), \"away\", \"ready\" (or null), \"heard_ms\" (or null), \"since_ms\", \"held_ms\" (or null),
\"epoch\", \"boot\" (or null), \"version\", \"secure\", \"local\" and \"remote\" (both null while there is no
link), \"frames_in\", \"frames_out\", \"bytes_in\", \"bytes_out\", \"ended\": {REASON: how many}}], \"addresses\":
[{\"address\", \"protocol\", \"port\", \"role\", \"directors\", \"acting\", \"role_reason\", \"healthy\",
\"ready\" and \"away\", as \"cluster show\" has them}]}.";

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
