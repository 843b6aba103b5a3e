// SPDX-License-Identifier: GPL-2.0
//! Options of the subcommands that only look: `show`, `ready`, `owner` and `lint`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::cluster::file::{values, FILE};

const SHOW_JSON: &str = "\
With --json it prints an array of {\"address\", \"protocol\" and \"port\" (0: any),
\"role\", \"device\" (null while it is gone), \"local\" (where this machine has the
address: \"device\", \"elsewhere\" or \"absent\"; null if the module does not tell),
\"healthy\" (whether no check of the agent has failed, or null) and \"ready\" (whether it
is healthy, and something listens, or null),
\"mac\" (or null), \"hash\", \"slots\", \"epoch\", \"settle\", \"spill\", \"node\"
(the id of this machine, or null), \"directors\" (the ids of those that links choose from, or
empty), \"acting\" (the id of the one that directs, as this machine believes, 0 if none does, or
null) and \"role_reason\" (why this machine directs or stands by: \"given\", \"first\", \"leaving\",
\"preferred\", \"held\", \"older\", \"waiting\", \"unable\" or \"unlinked\", or null), \"nodes\": [{\"id\", \"name\" (or null),
\"state\", \"weight\", \"address\", \"way\", \"slots\", \"forwarded\", \"away\" (whether it gets no
new connections) and \"deputised\" (how many of its slots others have meanwhile)}],
\"table\" (the id of each slot's owner, or 0), \"owners\" (the id of the node that has the slot
at this moment: its owner, or the deputy of that), \"away\": [{\"node\", \"name\" (or null),
\"reason\" (\"unreachable\", \"suspect\", \"held\", \"check\", \"silent\", \"not-ready\" or \"unknown\"),
\"since_ms\" (or null), \"deputies\": [{\"node\", \"name\" (or null), \"slots\"}]}],
\"counters\": {\"owned\", \"known\", \"ignored\", \"forwarded\", \"second_chance\",
\"second_chance_in\", \"silent\", \"dropped_no_owner\", \"dropped_spent\",
\"dropped_malformed\", \"dropped_unreachable\", \"dropped_hop_limit\", \"too_big\",
\"reassembled\", \"answered\", \"spilled_out\", \"spilled_in\", \"dropped_tunnel\"}}.
The key is not shown.

A node that is away gets no new connections, as this machine believes: it is unreachable or
suspect; it is held back, as it has come and gone; or it is not ready, as nothing listens
there, or a check fails. Its slots have deputies until it is back, and its connections stay.

The counters are packets on this machine:

OWNED: taken, as this node owns their slot.

KNOWN: taken, as their connection is here.

IGNORED: left to the owner, which has received them as well.

FORWARDED: given to the owner.

SECOND CHANCE: the owner does not know their connection, and gives them to the
nodes that may know it: those that had the slot before, and the node that the
slot spills to, four at most.

SECOND CHANCE IN: such packets of other nodes, which came here.

SILENT: not answered, as the nodes that may know their connection have received
them as well.

SPILLED OUT: SYNs that this node's group had no room for, given to another node.

SPILLED IN: such SYNs of other nodes, taken here.

ANSWERED: ARP requests and neighbour solicitations for the address, answered.

REASSEMBLED: datagrams put together of fragments.

TOO BIG: dropped, as they were too big for the way to their node; the sender was told.

DROPPED NO OWNER: their slot has no owner.

DROPPED SPENT: after a second chance no node knew their connection.

DROPPED MALFORMED: they contradict themselves.

DROPPED UNREACHABLE: there was no way to their node, or IPsec forbids it.

DROPPED HOP LIMIT: their sender allows no further hop; it was told.

DROPPED TUNNEL: they came in a tunnel, with what no node sends, or by a device that
does not lead to the node.";

/// Arguments of `cluster show`.
#[derive(Args, Debug)]
#[command(after_long_help = SHOW_JSON)]
pub struct ClusterShowArgs {
    /// The file that has the names of the nodes.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

const READY_NOTES: &str = "\
It fails if

- the module is not loaded, and the kernel cannot load it;

- this machine is neither the director nor the standby of an address;

- the device of a cluster IP is gone;

- this machine is the standby of an address, but its device has the address: then no
  machine answers ARP or neighbour discovery for it;

- this machine is the director of an address that its device does not have.

It says why, and what to do. keepalived has another machine direct then.";

/// Arguments of `cluster ready`.
#[derive(Args, Debug)]
#[command(after_long_help = READY_NOTES)]
pub struct ReadyArgs {
    /// The cluster IPs.
    #[arg(required = true, value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,
}

const OWNER_NOTES: &str = "\
SRC is the client and DST the cluster IP. Where a protocol has no ports they
are 0, and of an ICMP echo the source port is the identifier.

The file says whose the packet is. If this machine serves the address, it tells as well
whether the owner is away; the module is not loaded for that.

With --json it prints {\"source\", \"destination\", \"protocol\", \"address\" (which of
the file), \"hash\", \"terms\": [{\"name\", \"value\"}] or \"message\" (what is hashed
with the key), \"value\" (the sum or the hash), \"slots\", \"slot\", \"node\" (or
null), \"away\" (why that is away, as this machine believes: {\"reason\", \"since_ms\"}, as of
\"cluster show\"; or null), \"deputy\" (the node that gets new connections meanwhile, or null),
\"spill\" (the node that the slot spills to, or null), \"previous\" (the
one that had the slot before, if it is there still, or null), \"young\" (whether
the table has changed within the settle time)}.";

/// Arguments of `cluster owner`.
#[derive(Args, Debug)]
#[command(after_long_help = OWNER_NOTES)]
pub struct OwnerArgs {
    /// Address and port of the client.
    #[arg(value_name = "SRC:PORT", value_parser = endpoint)]
    pub source: SocketAddr,
    /// The cluster IP, and the port that is asked for.
    #[arg(value_name = "DST:PORT", value_parser = endpoint)]
    pub destination: SocketAddr,
    /// Protocol, by name or number.
    #[arg(value_name = "PROTO", value_parser = values::protocol)]
    pub protocol: u8,
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
}

impl OwnerArgs {
    /// Why the two cannot be the ends of one packet, if so.
    pub fn check(&self) -> Result<(), String> {
        match self.source.is_ipv4() == self.destination.is_ipv4() {
            true => Ok(()),
            false => {
                Err("one address is IPv4, the other IPv6: give those of one packet".to_owned())
            }
        }
    }
}

fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let endpoint: Option<SocketAddr> = text.parse().ok();
    endpoint
        .map(|end| SocketAddr::new(end.ip().to_canonical(), end.port()))
        .ok_or_else(|| "give an address and a port, such as 192.0.2.1:40000 or [::1]:0".to_owned())
}

const LINT_NOTES: &str = "\
It counts flows, by addresses, ports and protocol, and says how many of them
each node would get with each hash. With --file these are packets for the
addresses of the file, and its slots and nodes; with --nodes all packets, or
those for --to, and nodes of equal weight that take turns, with as many slots
as nodes unless --slots says otherwise. Of packets in both directions of a flow
those count that came first.

Captures are pcap or pcapng files, with Ethernet, VLANs, raw IP or Linux cooked
headers. --live needs CAP_NET_RAW. What cannot be placed (fragments but not
whole packets, what is no IP, what is cut off or malformed) is counted and left
out. The keyed hash is computed with the key of the file, or with one that is
made up.

With --json it prints {\"packets\", \"left_out\", \"addresses\": [{\"address\" (or
null), \"flows\", \"slots\", \"hashes\": [{\"hash\", \"nodes\": [{\"node\", \"flows\",
\"packets\", \"share\", \"ideal\"}], \"worst\" (the largest share by its ideal one),
\"hint\" (or null)}]}]}.";

/// Arguments of `cluster lint`.
#[derive(Args, Debug)]
#[command(after_long_help = LINT_NOTES)]
#[command(group(ArgGroup::new("source").required(true).args(["pcap", "live"])))]
pub struct LintArgs {
    /// Read this capture.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Watch this device.
    #[arg(long, value_name = "DEVICE", requires = "seconds", value_parser = values::device)]
    pub live: Option<String>,
    /// For how many seconds to watch; Ctrl-C ends it earlier.
    #[arg(long, value_name = "S", conflicts_with = "pcap",
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// Do not read the file; spread over this number of nodes.
    #[arg(long, value_name = "N", conflicts_with = "file",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub nodes: Option<u16>,
    /// Number of slots; as many as nodes if not given.
    #[arg(long, value_name = "N", requires = "nodes",
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub slots: Option<u16>,
    /// Count packets to this address only; may be given several times.
    #[arg(long, value_name = "ADDRESS", requires = "nodes")]
    pub to: Vec<IpAddr>,
    /// Print JSON instead of charts.
    #[arg(long)]
    pub json: bool,
}

/// How traffic is spread without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Number of nodes.
    pub nodes: u16,
    /// Number of slots.
    pub slots: u16,
}

impl LintArgs {
    /// How traffic is spread without the file, if it is.
    pub fn count(&self) -> Option<Count> {
        self.nodes.map(|nodes| Count {
            nodes,
            slots: self.slots.unwrap_or(nodes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_documented() {
        for counter in service_group::netlink::ClusterCounters::default().list() {
            let name = format!("\"{}\"", counter.name);
            assert!(SHOW_JSON.contains(&name), "{name}");
            let text = format!("\n{}: ", counter.name.replace('_', " ").to_uppercase());
            assert!(SHOW_JSON.contains(&text), "{text}");
        }
    }
}
