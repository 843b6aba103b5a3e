// SPDX-License-Identifier: GPL-2.0
//! Options of `cluster` and what is below it.

mod change;
mod links;
mod look;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cluster::file::FILE;

pub use change::{
    AddressArgs, AddressName, ChangeArgs, ClusterAddArgs, ClusterDelArgs, ClusterSetArgs,
    DrainArgs, HashArg, ModeArg, NodeAddArgs, NodeCommand, NodeDelArgs, NodeOptions, NodeSetArgs,
    StateArg, WayArg,
};
pub use links::{ClusterInitArgs, ClusterPushArgs, ClusterStatusArgs};
pub use look::{ClusterShowArgs, Count, LintArgs, OwnerArgs, ReadyArgs};

const CLUSTER_NOTES: &str = "\
One file describes the whole cluster and is the same on every machine; \"apply\"
sets this machine up as the file says. sgctl finds this machine in the file by the
host name, or by --node. add, set, del, node and drain change the file, and apply it
on this machine and on all that agents have linked to it. Copy the file to the others,
and run \"sgctl cluster apply\" there, in any order. A node that is drained first loses
no connections; a node that goes down, or is removed while it is up, loses them.

The file has a [[node]] for each machine that serves the addresses, with name,
id and address, and maybe weight (1), state (up, draining or down), way
(neighbour or tunnel), device, fingerprint and listen; a [[director]] with a name,
and maybe id, address, device, fingerprint and listen, for each machine that only
directs; a [cluster] with id, and maybe heartbeat (100 ms), link-security (tls or
none) and port (5347), if the machines have links, which \"sgctl agent\" makes;
and an [[address]] for each address that they serve, with ip
and device, and maybe protocol, port, mode (shared or directed), directors,
directing (given, or one: links say which director directs), mac, hash (sum3, sum5 or keyed), key, slots (251), settle (3600 seconds),
spill (false) and check. A check has either command (the name of a program in the
folder \"checks\" beside the file, and maybe words) or http (a URL, or a path at the
cluster IP) and maybe status; and maybe interval (2000 ms), timeout (the interval),
rise (2) and fall (3). \"plan\" writes epoch, hashed, table, before and changed, which
are not to be edited. docs/cluster.md of the source explains all of them.

A file that is wrong is told with its line, and ends with status 2, or 1 if it is
checked; one that cannot be read with 1.";

/// Arguments of `cluster`.
#[derive(Args, Debug)]
#[command(after_long_help = CLUSTER_NOTES)]
pub struct ClusterArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ClusterCommand,
}

/// The subcommands of `cluster`.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the cluster IPs of this machine, their nodes and counters.
    Show(ClusterShowArgs),
    /// Show what this machine knows of the others.
    Status(ClusterStatusArgs),
    /// Make the key of this machine, and begin the file if there is none.
    Init(ClusterInitArgs),
    /// Set this machine up as the file says; if a step fails, undo all.
    Apply(ClusterApplyArgs),
    /// Give the file to the other machines, if all take it.
    Push(ClusterPushArgs),
    /// Stop serving cluster IPs, and end links, until the file is applied again.
    Leave(ClusterLeaveArgs),
    /// Say whether the file can be applied; the module is not needed.
    Check(ClusterCheckArgs),
    /// Write tables into the file that fit its nodes; few slots move.
    Plan(ClusterPlanArgs),
    /// Add an address to the file, and apply it.
    Add(ClusterAddArgs),
    /// Change an address in the file, and apply it.
    Set(ClusterSetArgs),
    /// Remove an address from the file, and apply it.
    Del(ClusterDelArgs),
    /// Add, change or remove a node in the file, and apply it.
    #[command(subcommand)]
    Node(NodeCommand),
    /// Give the slots of a node to others; its connections stay.
    Drain(DrainArgs),
    /// Say which node owns a packet, and how that is computed.
    Owner(OwnerArgs),
    /// Say how evenly each hash would spread traffic.
    Lint(LintArgs),
    /// Print a configuration of keepalived for this director.
    Keepalived(KeepalivedArgs),
    /// Make this machine the director or the standby, as keepalived does.
    Role(RoleArgs),
    /// Say whether this machine is fit to direct, as keepalived asks.
    Ready(ReadyArgs),
}

const APPLY_NOTES: &str = "\
It refuses a file whose tables do not fit its nodes, and one that is older than what
this machine does already. It sets the cluster IPs of the kernel, and removes those
that the file does not have; and gives the address itself to the loopback device, or
to the device of the only director. If a step fails, those before it are undone. A
cluster IP may lose its counters and the former owners of its slots then; apply names
such a cluster IP. SIGINT, SIGTERM or SIGHUP between two steps also makes apply undo
the steps before; the status is then 128 plus the number of the signal.

With --json it prints {\"machine\", \"dry_run\", \"clusters\": [{\"address\", \"action\"
(\"added\", \"changed\" or \"removed\"), \"changes\", \"moves\": [{\"from\", \"to\",
\"slots\"}]}], \"device_changes\", \"left\" (addresses that others have set)}.";

/// Arguments of `cluster apply`.
#[derive(Args, Debug)]
#[command(after_long_help = APPLY_NOTES)]
pub struct ClusterApplyArgs {
    /// The file that describes the cluster.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Tell what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

const LEAVE_NOTES: &str = "\
The module cannot be unloaded as long as a network namespace serves a cluster IP.
This takes away the addresses that \"apply\" has added, so that no neighbour
sends this machine anything for them, and then the cluster IPs; all or nothing. The
file stays as it is, and is not needed. Connections that are here end, unless the
machine was drained before. Where keepalived gives this machine the address, stop it
before. Links end as well; stop the agent before, or it takes part again when the file
changes.

It prints what \"apply\" would.";

/// Arguments of `cluster leave`.
#[derive(Args, Debug)]
#[command(after_long_help = LEAVE_NOTES)]
pub struct ClusterLeaveArgs {
    /// Tell what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

const CHECK_NOTES: &str = "\
It needs no module, and no machine of the cluster's; on a node of the file it also
looks whether rp_filter would drop what comes out of tunnels. Whether a machine has
the devices, and is not ahead of the file, is told there by \"apply --dry-run\".

The status is 0 if the file can be applied; if not it is 1, and each problem is
told with its line. With --json it prints {\"file\", \"problems\": [{\"line\",
\"reason\"}]} as well, if the file can be read.";

/// Arguments of `cluster check`.
#[derive(Args, Debug)]
#[command(after_long_help = CHECK_NOTES)]
pub struct ClusterCheckArgs {
    /// The file that describes the cluster.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Print JSON instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

const PLAN_NOTES: &str = "\
A table says which node owns which slot. It depends on the one before, so that
as few slots move as can, and that is why it stands in the file. Run it once
after an edit, on one machine; comments and order stay. A hash \"keyed\" without
a key is given one.

With --json it prints an array of {\"address\", \"old_epoch\" (or null), \"epoch\",
\"slots\", \"moves\": [{\"from\" (or null), \"to\" (or null), \"slots\"}], \"new_key\",
\"new_hash\"}.";

/// Arguments of `cluster plan`.
#[derive(Args, Debug)]
#[command(after_long_help = PLAN_NOTES)]
pub struct ClusterPlanArgs {
    /// The file that describes the cluster.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Give every table at least this number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub epoch: u32,
    /// Tell what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

const KEEPALIVED_NOTES: &str = "\
Of several directors one directs, the others stand by; keepalived decides
which, and gives that director the address. (With directing = \"one\" in the file links
decide, and there is no instance for the address.) On each director:

  sgctl cluster keepalived > /etc/keepalived/keepalived.conf
  systemctl restart keepalived

It runs \"sgctl cluster role\" when it has decided, and \"sgctl cluster ready\" every
second: a machine that does not serve the address does not direct. There is one VRRP
instance for each device and family. Their numbers begin with --router-id, which has
to be the same on all directors; no other VRRP router of the segment may use these
numbers.";

/// Arguments of `cluster keepalived`.
#[derive(Args, Debug)]
#[command(after_long_help = KEEPALIVED_NOTES)]
pub struct KeepalivedArgs {
    /// The file that describes the cluster.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Number of the first VRRP instance.
    #[arg(long, value_name = "N", default_value_t = 53,
          value_parser = clap::value_parser!(u8).range(1..))]
    pub router_id: u8,
}

/// What a director is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// It gives each packet to its owner.
    Director,
    /// It does not have the address, and gives packets that still come to their owners.
    Standby,
}

const ROLE_NOTES: &str = "\
With directing = \"one\" in the file links decide which machine directs an address; then
this is refused, as \"ready\" is.";

/// Arguments of `cluster role`.
#[derive(Args, Debug)]
#[command(after_long_help = ROLE_NOTES)]
pub struct RoleArgs {
    /// What this machine is to be.
    #[arg(value_enum, value_name = "ROLE")]
    pub role: RoleArg,
    /// The cluster IPs for which; all of which it is the director or the standby, if
    /// none is given.
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,
    /// Print JSON instead of sentences: an array of {"address", "role"}, of those that
    /// had another role.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::super::{refused, Cli};
    use clap::error::ErrorKind;
    use clap::Parser;

    #[test]
    fn every_subcommand_can_be_asked_for() {
        for line in [
            "show --json",
            "apply x.toml --dry-run --node a",
            "leave --dry-run --json",
            "status --file x.toml --json",
            "push x.toml --node a --keys . --dry-run --json",
            "init --name a --address 192.0.2.1 --file x.toml --keys . --force",
            "node add a --address 192.0.2.1 --listen 192.0.2.2:99",
            "check x.toml --json",
            "plan",
            "add 198.51.100.7 --device eth0 --mode directed --director a --director b",
            "set 198.51.100.7 --hash keyed --slots 31",
            "set 198.51.100.7 --new-key --mac 03:53:00:00:00:01",
            "add 198.51.100.7 --device eth0 --hash keyed --key-file x.key",
            "del 198.51.100.7 --protocol tcp --port 80",
            "node add a --address 192.0.2.1",
            "node set a --weight 3 --state up",
            "node del a --file x.toml",
            "drain a",
            "owner 192.0.2.1:4000 198.51.100.7:80 tcp",
            "owner [2001:db8::1]:1 [2001:db8::2]:80 58 --json",
            "lint --pcap x.pcap --nodes 3",
            "lint --live eth0 --seconds 5 --file x.toml",
            "keepalived --router-id 7",
            "role standby 198.51.100.7 2001:db8::7",
            "ready 198.51.100.7 2001:db8::7",
        ] {
            let words = ["sgctl", "cluster"].into_iter().chain(line.split(' '));
            let cli = Cli::try_parse_from(words).map(|cli| cli.check());
            assert!(matches!(cli, Ok(Ok(()))), "{line}: {cli:?}");
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for line in [
            "sgctl cluster add x --device eth0",
            "sgctl cluster add 198.51.100.7 --device a/b",
            "sgctl cluster add 198.51.100.7 --device eth0 --slots 4097",
            "sgctl cluster add 198.51.100.7 --device eth0 --protocol tpc",
            "sgctl cluster set 198.51.100.7 --mac 02:53:00:00:00:01",
            "sgctl cluster node add a --address 127.0.0.1",
            "sgctl cluster node set a --weight 0",
            "sgctl cluster set 198.51.100.7 --check /health",
            "sgctl cluster node set a --fingerprint MD5:00",
            "sgctl cluster node set a --listen 0.0.0.0",
            "sgctl cluster init --name a/b",
            "sgctl cluster owner 192.0.2.1 198.51.100.7:80 tcp",
            "sgctl cluster lint --pcap x --nodes 0",
            "sgctl cluster keepalived --router-id 0",
            "sgctl cluster role active",
        ] {
            let kind = refused(line);
            let expected = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
            assert!(expected.contains(&kind), "{line}: {kind:?}");
        }
        for line in [
            "sgctl cluster add 198.51.100.7",
            "sgctl cluster lint",
            "sgctl cluster ready",
            "sgctl cluster lint --live eth0",
            "sgctl cluster lint --pcap x --slots 7",
        ] {
            assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
        }
        for line in [
            "sgctl cluster lint --pcap x --live eth0 --seconds 1",
            "sgctl cluster lint --pcap x --nodes 2 --file y",
            "sgctl cluster set 198.51.100.7 --new-key --key-file x",
            "sgctl cluster set 198.51.100.7 --no-check --check fall=1",
        ] {
            assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
        }
    }
}
