// SPDX-License-Identifier: GPL-2.0
//! Options of `agent`.

use std::path::PathBuf;

use clap::Args;

use crate::cluster::file::FILE;

const NOTES: &str = "\
The agent runs until SIGTERM or SIGINT ends it, best as service-group-agent.service.
First it applies the file, as \"sgctl cluster apply\" does, and tells the module which
machines to expect. Then it connects to each machine with a higher id, and accepts
connections of those with a lower one. Both sides prove who they are, with TLS 1.3 and
certificates whose fingerprints the file has. The agent gives each connection to the
module; from then on it is a link. A link stays when the agent ends, and the next
agent finds it. When a link is lost, the agent connects again, at once, and then after
100ms to 5s.

It does the checks of the file: a node whose check fails gets no new connections. A
program runs with the variables SERVICE_GROUP_ADDRESS, SERVICE_GROUP_PROTOCOL and
SERVICE_GROUP_PORT; what it writes to standard error is the agent's. While the agent does not
run nothing is checked, and all stays as the last check has left it.

After SIGHUP, and after each change of the file, the agent applies the file again. If the file
is wrong, the agent says why, and changes nothing.

It prints a line each time that something changes; with --json
that is an object: {\"time\" (RFC 3339, UTC), \"event\", \"machine\" (a name or an address,
where it is about one), \"text\"}. The events are \"begin\", \"apply\", \"reload\", \"link\",
\"state\", \"health\" (a service is healthy or not, by several checks), \"check\" (one has failed),
\"failed\" (this machine has connected in vain), \"refused\" (another one has, or a file
was not applied), \"taken\" (a file of \"sgctl cluster push\"), \"module-unload\", \"module-load\" and \"end\".";

/// Arguments of `agent`.
#[derive(Args, Debug)]
#[command(after_long_help = NOTES)]
pub struct AgentArgs {
    /// The file that describes the cluster.
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The name of this machine in the file, if it is not the host name.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// The folder of the key of this machine, if it is not that of the file.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}
