// SPDX-License-Identifier: GPL-2.0
//! Options of the subcommands that go on: `monitor`, `top` and `export`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

/// The shortest and the longest time between two pictures of `top`.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3600);

const MONITOR_JSON: &str = "\
With --json each line is an object: {\"time\" (RFC 3339, UTC), \"event\"} and, as \"show
--json\" has them, \"group\" (without its members) or \"member\" (with the number of its
\"group\"), or \"cluster\" as \"cluster show --json\" does, without names, table and its
number of slots, or \"link\" as \"cluster status --json\". The events are \"group-add\",
\"group-del\", \"group-change\", \"member-add\", \"member-del\", \"member-change\",
\"member-stall\", \"member-ready\", \"cluster-change\", \"cluster-del\" and \"link-change\";
\"lost\" when the kernel had to throw some away; \"module-unload\" and \"module-load\" when
the module is unloaded, and loaded again. monitor waits for the module then, and does
not load it. Events from while the module is being loaded may be missing: \"show\"
prints the state.";

/// Arguments of `monitor`.
#[derive(Args, Debug)]
#[command(after_long_help = MONITOR_JSON)]
pub struct MonitorArgs {
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

const TOP_NOTES: &str = "\
Each group has a line with its policy, what it does with SYNs when all members are
full, its stall time, whether it rewrites addresses, and its totals; and one for
each member:

  QUEUE   connections that wait to be accepted, of the backlog, and a bar
  HALF    requests that wait for the last packet of their handshake
  WGT     weight
  ACC/s   connections that the program accepted
  IN/s    SYNs taken for a sibling
  OUT/s   SYNs that a sibling took
  RES/s   complete connections that a sibling took over
  DRP/s   SYNs dropped, or answered with a reset, as no member had room

Behind the groups each cluster IP has a line with the packets of a second on this machine: own
(taken), given (to other nodes), left (to their owner) and dropped; and one for each node that is
away. Each machine that a link is expected to has a line as well.

The last five columns are for each second since the picture before; \"-\" where there was
none. Columns for which the terminal is too narrow are left out. Arrows, j, k, PageUp,
PageDown, Home and End scroll; q ends it. When the module is unloaded it waits until
the module is loaded again, and does not load it.

With --group nothing but this group is shown.

With --once it reads twice, one interval apart, prints one picture as plain text and
ends, to a terminal or not; at most 10000 lines, \"show\" prints all. With --json
that is an array of groups alone as \"show --json\" prints it, in which each group and
member has \"rates\" (or null): {\"accepted\", \"redirected_in\", \"redirected_out\",
\"rescued\", \"dropped\"} a second. Without --once both input and output have to be a
terminal.";

/// Arguments of `top`.
#[derive(Args, Debug)]
#[command(after_long_help = TOP_NOTES)]
pub struct TopArgs {
    /// Show this group only.
    #[arg(long, value_name = "ID")]
    pub group: Option<u32>,
    /// Time between two pictures, from 100ms to 1h.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// Print one picture as plain text, and end.
    #[arg(long)]
    pub once: bool,
    /// Print that picture as JSON.
    #[arg(long, requires = "once")]
    pub json: bool,
}

/// Reads the time between two pictures.
fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| INTERVALS.contains(time))
        .ok_or_else(|| "give a time from 100ms to 1h, such as 500ms or 2s".to_owned())
}

const EXPORT_NOTES: &str = "\
Prometheus reads http://ADDR:PORT/metrics, in the OpenMetrics text format. The kernel
is asked at each request, so no value is old; when the module is not loaded, and the
kernel cannot load it, the answer is status 503 with a sentence. Nothing is encrypted,
and no client is authenticated: listen on an address that only the monitoring reaches.

Metrics of a member have the labels group, address, port, inode and cookie, those of a
group the label group. service_group_member_state is 0 unbound, 1 bound, 2 listening,
3 connected, 4 unhooked, 5 stalled, 6 leaving. What --limit leaves out is counted in
service_group_members_left_out and service_group_groups_left_out.

Metrics of a cluster IP have the labels address, protocol and port (0 is any), those of
its nodes the label node as well, which is the id. service_group_cluster_role is 0
shared, 1 directed, 2 director, 3 standby, and service_group_cluster_node_state 0 up,
1 draining, 2 down. Metrics of a link have the label peer, which is the id of the other
machine. service_group_link_state is 0 none, 1 up, 2 suspect, 3 unreachable.
service_group_link_heartbeats_missed counts in heartbeats of this machine.

At most four requests are answered at the same time, each within five seconds. SIGTERM
and SIGINT end it. A dashboard for Grafana is in PREFIX/share/service_group, and in the
source: tools/sgctl/grafana-dashboard.json.";

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(after_long_help = EXPORT_NOTES)]
pub struct ExportArgs {
    /// Address and port to answer on.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9478",
          value_parser = crate::listen::parse)]
    pub listen: SocketAddr,
    /// Tell of at most so many groups and so many members, those of the lowest
    /// group numbers first.
    #[arg(long, value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::super::{refused, Cli, Command};
    use super::*;
    use clap::error::ErrorKind;
    use clap::Parser;

    #[test]
    fn intervals_have_a_range() {
        for good in ["100ms", "1s", "1h"] {
            assert!(interval(good).is_ok(), "{good}");
        }
        for bad in ["", "0s", "99ms", "3601s", "1", "often"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_of_top_is_of_one_picture() {
        let line = "sgctl top --json";
        assert_eq!(refused(line), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn export_stays_on_this_machine_unless_told() {
        let cli = Cli::try_parse_from(["sgctl", "export"]).expect("it is right");
        let Command::Export(args) = cli.command else {
            panic!("{:?}", cli.command);
        };
        assert!(args.listen.ip().is_loopback());
        for line in ["sgctl export --listen 9478", "sgctl export --limit 0"] {
            assert_eq!(refused(line), ErrorKind::ValueValidation, "{line}");
        }
    }
}
