// SPDX-License-Identifier: GPL-2.0
//! `sgctl attach`: groups the sockets of programs that are running.
//!
//! It collects what is known of the sockets, lets [`plan`] decide, and does
//! that. The programs are not told, and need no change.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::socket_protocol;
use serde::Serialize;
use service_group::netlink::{Connection, Error as NetlinkError};
use service_group::{form, info, join, leave, Entry, Error, Options};

use crate::cli::AttachArgs;
use crate::listeners::{of_port, Listener};
use crate::owners::{self, Owners};
use crate::plan::{plan, shared, Action, Found, Plan, Reason};
use crate::{output, Failure};

const IPPROTO_MPTCP: u32 = 262;

/// What was done, as `--json` tells it.
#[derive(Debug, Serialize)]
struct Report {
    port: u16,
    /// The group, once there is one.
    group: Option<u32>,
    /// `formed`, `joined`, `unchanged` or `none`.
    action: &'static str,
    dry_run: bool,
    sockets: Vec<SocketReport>,
}

#[derive(Debug, Serialize)]
struct SocketReport {
    inode: u64,
    address: String,
    pids: Vec<u32>,
    /// `added`, `member` or `refused`.
    status: &'static str,
    reason: Option<String>,
}

/// Runs the subcommand.
pub fn run(args: &AttachArgs) -> Result<(), Failure> {
    let (found, sockets) = collect(args)?;
    let mut plan = plan(&found);
    let group = if args.dry_run {
        None
    } else {
        carry_out(&mut plan, &sockets)?
    };
    let report = report(args, &found, &plan, group);
    for socket in report.sockets.iter().filter(|s| s.status == "refused") {
        let reason = socket.reason.as_deref().unwrap_or_default();
        let (address, inode) = (&socket.address, socket.inode);
        let holder = holder(&socket.pids);
        eprintln!("sgctl: {address} (inode {inode}, {holder}) is not taken: {reason}");
    }
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&sentence(&report, &plan))?;
        notes(&found, &plan);
    }
    match plan.action {
        Action::Impossible => Err(Failure::new(format!(
            "nothing was grouped on port {}",
            args.port
        ))),
        _ => Ok(()),
    }
}

/// Finds the sockets, and borrows those that are in no group yet.
fn collect(args: &AttachArgs) -> Result<(Vec<Found>, Vec<Option<OwnedFd>>), Failure> {
    let groups = memberships(args.dry_run)?;
    let listeners = of_port(args.port)?;
    let inodes: HashSet<u64> = listeners.iter().map(|listener| listener.inode).collect();
    let owners = Owners::of(&inodes, &args.pid);
    let wanted = |listener: &&Listener| {
        args.address
            .is_none_or(|address| address == listener.address.ip())
            && (args.pid.is_empty() || !owners.holders(listener.inode).is_empty())
    };
    let mut found = Vec::new();
    let mut sockets = Vec::new();
    for listener in listeners.iter().filter(wanted) {
        let mut socket = Found {
            inode: listener.inode,
            address: listener.address,
            pids: owners.pids(listener.inode),
            group: groups.get(&listener.inode).copied(),
            obstacle: None,
        };
        let mut fd = None;
        if socket.group.is_none() {
            match borrow(&owners, listener.inode) {
                Ok(borrowed) => fd = Some(borrowed),
                Err(reason) => socket.obstacle = Some(reason),
            }
        }
        found.push(socket);
        sockets.push(fd);
    }
    if found.is_empty() {
        return Err(nothing_found(args));
    }
    Ok((found, sockets))
}

/// The group of each member, by inode. A dry run goes without the module.
fn memberships(dry_run: bool) -> Result<HashMap<u64, u32>, Failure> {
    let members = match Connection::open() {
        Err(NetlinkError::NotLoaded) if dry_run => return Ok(HashMap::new()),
        kernel => kernel?.members(None)?,
    };
    let members = members.iter();
    Ok(members.map(|member| (member.inode, member.group)).collect())
}

/// Borrows a socket that can be grouped.
fn borrow(owners: &Owners, inode: u64) -> Result<OwnedFd, Reason> {
    let fd = owners.borrow(inode)?;
    match socket_protocol(&fd) {
        Ok(Some(protocol)) if protocol.as_raw().get() == IPPROTO_MPTCP => Err(Reason::Mptcp),
        _ => Ok(fd),
    }
}

fn nothing_found(args: &AttachArgs) -> Failure {
    let port = args.port;
    let ours = owners::namespace("self");
    for pid in &args.pid {
        let theirs = owners::namespace(&pid.to_string());
        if theirs.is_some() && theirs != ours {
            return Failure::new(format!(
                "process {pid} is in another network namespace: run \"nsenter --net --target \
                 {pid} sgctl attach --port {port}\""
            ));
        }
    }
    let which = match (args.address, args.pid.as_slice()) {
        (None, []) => "no program listens",
        _ => "none of the chosen sockets listens",
    };
    Failure::new(format!(
        "{which} on TCP port {port} in this network namespace: look with \"ss -ltnp\""
    ))
}

/// Does what was planned. Sockets that the kernel refuses are moved to the
/// plan's refused ones. Tells the group, if all are in one.
fn carry_out(plan: &mut Plan, sockets: &[Option<OwnedFd>]) -> Result<Option<u32>, Failure> {
    match plan.action.clone() {
        Action::Form(members) => {
            let fds: Vec<(usize, &OwnedFd)> = pick(&members, sockets);
            let entries: Vec<Entry> = fds.iter().map(|(_, fd)| Entry::new(*fd)).collect();
            match form(&entries, Options::default()) {
                Ok(group) => Ok(Some(group)),
                Err(error) if of_a_socket(error) => Ok(one_by_one(plan, &fds)),
                Err(error) => Err(error.into()),
            }
        }
        Action::Join(group, members) => {
            let fds = pick(&members, sockets);
            let joined = join_each(plan, group, &fds);
            plan.action = if joined.is_empty() {
                Action::Nothing(vec![group])
            } else {
                Action::Join(group, joined)
            };
            Ok(Some(group))
        }
        Action::Nothing(groups) => Ok(match groups[..] {
            [group] => Some(group),
            _ => None,
        }),
        Action::Impossible => Ok(None),
    }
}

fn pick<'fd>(members: &[usize], sockets: &'fd [Option<OwnedFd>]) -> Vec<(usize, &'fd OwnedFd)> {
    let fd = |&index: &usize| Some((index, sockets.get(index)?.as_ref()?));
    members.iter().filter_map(fd).collect()
}

/// Whether it is about one of the sockets, and others may do without it.
fn of_a_socket(error: Error) -> bool {
    matches!(
        error,
        Error::NotTcp
            | Error::Mptcp
            | Error::OtherNamespace
            | Error::NotPermitted
            | Error::AlreadyGrouped
            | Error::OtherUlp
            | Error::Connected
            | Error::OwnChecks
            | Error::OtherDevice
            | Error::OtherPort
    )
}

/// Makes the group of the first socket that the kernel takes, so that it is
/// known which of the others it refuses. A group of one is undone.
fn one_by_one(plan: &mut Plan, fds: &[(usize, &OwnedFd)]) -> Option<u32> {
    for (place, &(index, fd)) in fds.iter().enumerate() {
        let group = match form(&[Entry::new(fd)], Options::default()) {
            Ok(group) => group,
            Err(error) => {
                plan.refused.push((index, Reason::Refused(error)));
                continue;
            }
        };
        let mut members = vec![index];
        members.extend(join_each(plan, group, &fds[place + 1..]));
        if members.len() > 1 {
            plan.action = Action::Form(members);
            return Some(group);
        }
        // Nothing can be done about a failure to leave; the user sees the group.
        let _ = leave(fd, false);
        plan.refused.push((index, Reason::Alone));
        break;
    }
    plan.action = Action::Impossible;
    None
}

/// Joins each to the group; tells which ones the kernel took.
fn join_each(plan: &mut Plan, group: u32, fds: &[(usize, &OwnedFd)]) -> Vec<usize> {
    let mut joined = Vec::new();
    for &(index, fd) in fds {
        match join(fd, group) {
            Ok(()) => joined.push(index),
            // Somebody else may have been as quick.
            Err(Error::AlreadyGrouped) if info(fd).is_ok_and(|info| info.id == group) => {}
            Err(error) => plan.refused.push((index, Reason::Refused(error))),
        }
    }
    joined
}

fn report(args: &AttachArgs, found: &[Found], plan: &Plan, group: Option<u32>) -> Report {
    let (action, group) = match &plan.action {
        Action::Form(_) => ("formed", group),
        Action::Join(group, _) => ("joined", Some(*group)),
        Action::Nothing(_) => ("unchanged", found.iter().find_map(|socket| socket.group)),
        Action::Impossible => ("none", None),
    };
    let sockets = found.iter().enumerate().map(|(index, socket)| {
        let refused = plan.refused.iter().find(|(refused, _)| *refused == index);
        let status = match (refused, socket.group) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "member",
            (None, None) => "added",
        };
        SocketReport {
            inode: socket.inode,
            address: socket.address.to_string(),
            pids: socket.pids.clone(),
            status,
            reason: refused.map(|(_, reason)| reason.to_string()),
        }
    });
    Report {
        port: args.port,
        group,
        action,
        dry_run: args.dry_run,
        sockets: sockets.collect(),
    }
}

/// The processes that hold a socket, in words.
fn holder(pids: &[u32]) -> String {
    match pids {
        [] => "held by no visible process".to_owned(),
        [pid] => format!("{} {pid}", owners::name(*pid)),
        [pid, others @ ..] => {
            format!("{} {pid} and {} more", owners::name(*pid), others.len())
        }
    }
}

fn sentence(report: &Report, plan: &Plan) -> String {
    let port = report.port;
    let will = if report.dry_run { "would be " } else { "" };
    match (&plan.action, report.group) {
        (Action::Form(members), Some(group)) => {
            let sockets = output::count(members.len(), "socket");
            format!("group {group}: formed of {sockets} on port {port}\n")
        }
        (Action::Form(members), None) => {
            let sockets = output::count(members.len(), "socket");
            format!("a group {will}formed of {sockets} on port {port}\n")
        }
        (Action::Join(group, members), _) => {
            let sockets = output::count(members.len(), "socket");
            format!("group {group}: {will}joined by {sockets} on port {port}\n")
        }
        (Action::Nothing(groups), _) => {
            let ids: Vec<String> = groups.iter().map(u32::to_string).collect();
            let groups = if ids.len() == 1 { "group" } else { "groups" };
            let ids = ids.join(", ");
            let members = report.sockets.iter().filter(|s| s.status == "member");
            let sockets = output::count(members.count(), "socket");
            format!("{groups} {ids}: all of {sockets} on port {port} belong to it already\n")
        }
        (Action::Impossible, _) => String::new(),
    }
}

/// Tells what a group can help with only in part.
fn notes(found: &[Found], plan: &Plan) {
    if plan.action == Action::Impossible {
        return;
    }
    for (address, processes) in shared(found) {
        eprintln!(
            "sgctl: note: {processes} processes share the one queue of {address}: with a socket \
             for each (SO_REUSEPORT) a slow one would hold up none of the others' connections"
        );
    }
}
