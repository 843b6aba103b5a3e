// SPDX-License-Identifier: GPL-2.0
//! `sgctl detach`: takes sockets out of their group.

use std::collections::HashSet;

use service_group::netlink::{Connection, Member};
use service_group::{leave, Error};

use crate::cli::DetachArgs;
use crate::owners::Owners;
use crate::plan::Reason;
use crate::view::endpoint;
use crate::{output, Failure};

/// Runs the subcommand.
pub fn run(args: &DetachArgs) -> Result<(), Failure> {
    let mut members = Connection::open()?.members(args.group)?;
    members.retain(|member| args.port.is_none_or(|port| port == member.port));
    let inodes: HashSet<u64> = members.iter().map(|member| member.inode).collect();
    let owners = Owners::of(&inodes, &args.pid);
    if !args.pid.is_empty() {
        members.retain(|member| !owners.holders(member.inode).is_empty());
    }
    if members.is_empty() {
        return Err(nothing_found(args));
    }
    let mut refused = 0;
    for member in &members {
        if let Err(reason) = detach(&owners, member, args.drain) {
            refused += 1;
            let place = endpoint(member);
            let inode = member.inode;
            eprintln!("sgctl: {place} (inode {inode}) stays in its group: {reason}");
        }
    }
    let done = output::count(members.len() - refused, "socket");
    output::text(&format!("{done} taken out\n"))?;
    match refused {
        0 => Ok(()),
        refused => Err(Failure::new(format!(
            "{} could not be taken out",
            output::count(refused, "socket")
        ))),
    }
}

fn detach(owners: &Owners, member: &Member, drain: bool) -> Result<(), Reason> {
    let fd = owners.borrow(member.inode)?;
    match leave(&fd, drain) {
        // It left by itself meanwhile.
        Ok(()) | Err(Error::NotMember) => Ok(()),
        Err(error) => Err(Reason::Refused(error)),
    }
}

fn nothing_found(args: &DetachArgs) -> Failure {
    let which = match (args.group, args.port) {
        (Some(group), _) => format!("of group {group}"),
        (None, Some(port)) => format!("on port {port}"),
        (None, None) => String::new(),
    };
    let whose = if args.pid.is_empty() {
        ""
    } else {
        " of the chosen processes"
    };
    Failure::new(format!(
        "there is no member {which}{whose} to take out: look with \"sgctl show\""
    ))
}
