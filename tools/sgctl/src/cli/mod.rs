// SPDX-License-Identifier: GPL-2.0
//! The command line: the one definition of which the man pages and the shell
//! completions are made, too.

mod agent;
mod change;
mod cluster;
mod settings;
mod watch;
mod why;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};

use crate::cluster::file::values::device;

pub use agent::AgentArgs;
pub use change::{MemberName, SetArgs};
pub use cluster::{
    AddressArgs, AddressName, ChangeArgs, ClusterAddArgs, ClusterApplyArgs, ClusterArgs,
    ClusterCheckArgs, ClusterCommand, ClusterDelArgs, ClusterInitArgs, ClusterLeaveArgs,
    ClusterPlanArgs, ClusterPushArgs, ClusterSetArgs, ClusterShowArgs, ClusterStatusArgs, Count,
    DrainArgs, HashArg, KeepalivedArgs, LintArgs, ModeArg, NodeAddArgs, NodeCommand, NodeDelArgs,
    NodeOptions, NodeSetArgs, OwnerArgs, ReadyArgs, RoleArg, RoleArgs, StateArg, WayArg,
};
pub use settings::{ClusterSettingArgs, SettingArgs};
pub use watch::{ExportArgs, MonitorArgs, TopArgs};
pub use why::WhyArgs;

const EXIT: &str = "Exit status: 0 when done, 1 when it failed, 2 when the command line is wrong.";

/// Show, make, change and follow groups of listening sockets.
///
/// The kernel module service_group keeps a connection from being dropped while
/// any listening socket of its group has room, and has several machines serve one
/// address. sgctl groups the sockets of programs that run already, starts programs
/// with grouped sockets, changes what a group does, shows how full each socket is,
/// and sets up cluster IPs. The module has to be installed. Commands that ask it make the
/// kernel load it. For "run", and for programs that use the socket option, load it before:
/// modprobe service_group.
#[derive(Debug, Parser)]
#[command(name = "sgctl", version, after_long_help = EXIT)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process, which ends here if that is wrong.
    pub fn of_process() -> Self {
        let cli = Self::parse();
        if let Err(why) = cli.check() {
            Self::command()
                .error(ErrorKind::ValueValidation, why)
                .exit();
        }
        cli
    }

    /// What is wrong with the arguments together.
    fn check(&self) -> Result<(), String> {
        match &self.command {
            Command::Why(args) => args.check(),
            Command::Cluster(args) => match &args.command {
                ClusterCommand::Owner(args) => args.check(),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show groups, their members, and what became of connections.
    Show(ShowArgs),
    /// Group the listening sockets of programs that are running.
    Attach(AttachArgs),
    /// Take sockets out of their group.
    Detach(DetachArgs),
    /// Change what a group does, or the weight of members.
    Set(SetArgs),
    /// Start workers, each with its own listening sockets, grouped.
    Run(RunArgs),
    /// Say what became of one connection, and why.
    Why(WhyArgs),
    /// Show and change cluster IPs: addresses that several machines serve.
    Cluster(Box<ClusterArgs>),
    /// Link this machine to the others of its cluster, until a signal ends it.
    Agent(AgentArgs),
    /// Print what happens to groups and members, as it happens.
    Monitor(MonitorArgs),
    /// Show members' queues and rates, again and again.
    Top(TopArgs),
    /// Serve queues, states and counters to Prometheus, over HTTP.
    Export(ExportArgs),
    /// Become a worker that `run` starts.
    #[command(hide = true)]
    ExecWorker(ExecWorkerArgs),
}

const SHOW_JSON: &str = "\
With --json it prints an array of groups:
  [{\"id\": 1, \"uid\": 0, SETTINGS, \"adopted\": 2 (listeners in members' places that became members), \"not_adopted\": 1
    (those that were refused), \"not_adopted_reason\" (of the last one, or null),
    \"counters\": COUNTERS, \"members\": [MEMBER, ...]},
   ...]

SETTINGS are what \"set\" changes, by the names of the options; those of times end with
\"_ms\" (0: off).

MEMBER is {\"inode\", \"cookie\", \"family\" (\"ipv4\" or \"ipv6\"), \"address\" (or null),
\"port\", \"state\", \"queued\", \"half_open\", \"backlog\", \"weight\", \"adopted\" (whether it
took another one's place), \"device\" (that it is bound to, while it has a port and is not
connected; else null), \"counters\": COUNTERS}. Events and \"top\" have no \"device\".
The states are \"unbound\", \"bound\", \"listening\", \"connected\", \"unhooked\", \"stalled\"
and \"leaving\".

COUNTERS is {\"home\", \"home_unpromised\", \"redirected_in\", \"redirected_queue_full\",
\"redirected_promised\", \"redirected_stalled\", \"redirected_balanced\",
\"redirected_leaving\", \"dropped_full\", \"dropped_unfit\", \"reset\", \"rescued_in\",
\"rescued_overflow\", \"rescued_stalled\", \"rescued_balanced\", \"rescued_leaving\",
\"handed_in\", \"handed_out\", \"accepted\", \"stalls\", \"rewritten\", \"spilled\",
\"rescued_out\"}; the last is the sum of \"rescued_overflow\", \"rescued_stalled\",
\"rescued_balanced\" and \"rescued_leaving\".

The table has sums. HOME are SYNs that the member took as the listener that was looked
up, IN those that it took for a sibling, OUT those that a sibling took for it. DROPPED are
SYNs that no member took, reset or not. RESCUED are complete connections that it took
over (+) and gave away (-).

Members are ordered by family, address, port and inode. Fields may be added, and
keep their meaning.";

/// Arguments of `show`.
#[derive(Args, Debug)]
#[command(after_long_help = SHOW_JSON)]
pub struct ShowArgs {
    /// Show this group only.
    #[arg(long, value_name = "ID")]
    pub group: Option<u32>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

const ATTACH_NOTES: &str = "\
Members of a group serve each other's connections, and the number of a port does not
say that programs belong together: an administrator's page may listen on 127.0.0.1,
behind the public service of that port. So nothing is changed, and the exit status is
1, if the sockets, with those of the group that they would join, belong to different
users or to different programs, or if some are at loopback addresses and some are not.
Choose with --address or --pid, or allow it with --mixed-users, --mixed-programs or
--with-loopback.

The members of a group are all bound to one device or VRF (SO_BINDTODEVICE), or all to
none. If these sockets are not, nothing is changed either, and nothing allows it: choose
with --device or --no-device, once for each group.

A socket's user is the one that made it, whatever its process has become since. Its
program is the executable of the processes that hold it, and the script of an
interpreter, with all its arguments if the first of them is an option; several instances
of it are one program. A socket whose processes cannot be looked at is of no known
program.

A new group adopts, for 60 s unless --adopt tells otherwise: what begins to listen in the
place of a member, as after a reload, becomes a member at once. A place is the user,
address, port, device and family of a member's socket. It is kept while that socket is
open, and for the adopt time afterwards; with all members gone the group waits for that
time. \"show\" and \"monitor\" tell which listener was refused, and why. Listeners at
other addresses do not join by themselves: run \"attach\" again.

It may be repeated: sockets that are new since the last time join the group, and
when there are none, nothing changes. It succeeds when the sockets that can be grouped
are in one group. Standard error tells what it could not take, and why. --policy,
--when-full, --stall, --rewrite and --adopt hold for the whole group, also for members
that were there before.

The descriptors are borrowed from the programs with pidfd_getfd, which needs the
right to trace them: the same user, or root. The programs notice nothing. With
kernel.yama.ptrace_scope at 3 no user has it, and attach says so.

With --json it prints
  {\"port\", \"group\" (or null), \"action\": \"formed\", \"joined\", \"unchanged\" or \"none\",
   \"dry_run\", \"needs\": [\"--mixed-users\", ...] (the options without which nothing was
   done), \"settings\" (or null),
   \"sockets\": [{\"inode\", \"address\", \"device\" (or null), \"uid\",
     \"programs\": [\"nginx\", ...], \"pids\",
     \"status\": \"added\", \"member\", \"refused\" or \"left\", \"reason\" (or null)}, ...]}
\"left\" is a socket that was not grouped because an option is missing; where the sockets
are bound to different devices, that is \"--device\" or --no-device.";

/// Arguments of `attach`.
#[derive(Args, Debug)]
#[command(after_long_help = ATTACH_NOTES)]
pub struct AttachArgs {
    /// Port that the programs listen on.
    #[arg(long, value_name = "PORT", value_parser = port())]
    pub port: u16,
    /// Take sockets of this process only; may be given several times.
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Take sockets that are bound to this address only.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// Take sockets that are bound to this device or VRF only.
    #[arg(long, value_name = "NAME", value_parser = device)]
    pub device: Option<String>,
    /// Take sockets that are bound to no device only.
    #[arg(long, conflicts_with = "device")]
    pub no_device: bool,
    /// Group sockets of different users.
    #[arg(long)]
    pub mixed_users: bool,
    /// Group sockets of different programs.
    #[arg(long)]
    pub mixed_programs: bool,
    /// Group listeners at loopback addresses with listeners at other addresses.
    #[arg(long)]
    pub with_loopback: bool,
    /// What the group is to do, whether it is new or not.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Tell what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `detach`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["port", "group"])))]
pub struct DetachArgs {
    /// Take out the sockets of this port.
    #[arg(long, value_name = "PORT", value_parser = port())]
    pub port: Option<u16>,
    /// Take out the members of this group.
    #[arg(long, value_name = "ID")]
    pub group: Option<u32>,
    /// Take out sockets of this process only; may be given several times.
    #[arg(long, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Move the connections that wait in each socket to those that stay.
    #[arg(long)]
    pub drain: bool,
}

const RUN_NOTES: &str = "\
Each worker finds its sockets as descriptors 3 and up, in the order of --listen,
with LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES as systemd sets them; a name is
\"port\" and the number. The sockets of one port form one group. An IPv6 wildcard
serves IPv4 as well, unless an IPv4 address of the same port is listed. Port 0 is
one that the kernel chooses.

When a worker ends, sgctl starts it again with the same sockets, after 100 ms. The
delay doubles with each further end, up to 10 s; after a worker has run for 10 s, the
delay is 100 ms again. The program has to stay in the foreground (nginx: -g \"daemon
off;\").

sgctl passes SIGHUP, SIGUSR1 and SIGUSR2 to all workers and their children. It also passes
SIGTERM and SIGINT, then waits until the workers have ended, and kills those that are left
after --grace. The output is that of the workers; sgctl adds a line for each group.";

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_long_help = RUN_NOTES)]
pub struct RunArgs {
    /// Number of workers.
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
    /// Address and port to listen on; may be given several times.
    #[arg(long, value_name = "ADDR:PORT", required = true, value_parser = crate::listen::parse)]
    pub listen: Vec<SocketAddr>,
    /// Connections that may wait in each socket.
    #[arg(long, value_name = "B", default_value_t = 511,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub backlog: u16,
    /// How long workers may take to end, before they are killed.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub grace: u32,
    /// What the groups are to do.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// The program that serves, and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Arguments of `exec-worker`.
#[derive(Args, Debug)]
pub struct ExecWorkerArgs {
    /// The process without which the worker is to end.
    #[arg(long)]
    pub parent: u32,
    /// Number of sockets, which are descriptors 3 and up.
    #[arg(long)]
    pub sockets: usize,
    /// Their names, with colons between.
    #[arg(long)]
    pub names: String,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// A port that is not zero.
fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// Why a command line is refused, which it has to be.
#[cfg(test)]
fn refused(line: &str) -> ErrorKind {
    match Cli::try_parse_from(line.split(' ')) {
        Ok(cli) => panic!("{line} is taken as {cli:?}"),
        Err(error) => error.kind(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_have_ranges() {
        for line in [
            "sgctl attach --port 0",
            "sgctl attach --port 65536",
            "sgctl detach --port 0",
            "sgctl run --workers 0 --listen 1.2.3.4:5 -- true",
            "sgctl run --workers 1025 --listen 1.2.3.4:5 -- true",
            "sgctl run --listen 1.2.3.4 -- true",
            "sgctl run --listen 1.2.3.4:5 --stall 2h -- true",
            "sgctl attach --port 80 --stall 0s",
            "sgctl attach --port 80 --device a/b",
        ] {
            assert_eq!(refused(line), ErrorKind::ValueValidation, "{line}");
        }
    }

    #[test]
    fn a_device_or_none_is_chosen() {
        let both = refused("sgctl attach --port 80 --device eth0 --no-device");
        assert_eq!(both, ErrorKind::ArgumentConflict);
    }

    #[test]
    fn every_counter_is_documented() {
        for counter in service_group::netlink::Counters::default().list() {
            let name = format!("\"{}\"", counter.name);
            assert!(SHOW_JSON.contains(&name), "{name}");
        }
    }

    #[test]
    fn detach_wants_to_know_which() {
        assert_eq!(refused("sgctl detach"), ErrorKind::MissingRequiredArgument);
        let both = refused("sgctl detach --port 80 --group 1");
        assert_eq!(both, ErrorKind::ArgumentConflict);
    }

    #[test]
    fn run_wants_a_command_behind_dashes() {
        let line = "sgctl run --listen [::]:80";
        assert_eq!(refused(line), ErrorKind::MissingRequiredArgument);
        let line = "sgctl run --listen [::]:80 --listen 10.0.0.1:81 -- nginx -g x";
        let cli = Cli::try_parse_from(line.split(' ')).expect("it is right");
        let Command::Run(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        assert_eq!((args.listen.len(), args.command.len()), (2, 3));
    }
}
