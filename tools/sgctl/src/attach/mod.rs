// SPDX-License-Identifier: GPL-2.0
//! `sgctl attach`: groups the sockets of programs that are running.
//!
//! It collects what is known of the sockets, lets [`plan`] decide, and does
//! that. The programs are not told, and need no change.

mod report;

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::sockopt::socket_protocol;
use service_group::netlink::{Connection, Error as NetlinkError};
use service_group::{configure, form, info, join, leave, Entry, Error, Options, Settings};

use crate::cli::AttachArgs;
use crate::listeners::{of_port, Listener};
use crate::mixing::Allowed;
use crate::owners::{self, Owners};
use crate::plan::{plan, Action, Found, Plan, Reason};
use crate::program::Programs;
use crate::view::words;
use crate::{devices, output, Failure};

const IPPROTO_MPTCP: u32 = 262;

/// For how long a new group keeps the places of members that have ended, unless told
/// otherwise: programs are reloaded, and started again.
const ADOPT: Duration = Duration::from_secs(60);

/// Runs the subcommand.
pub fn run(args: &AttachArgs) -> Result<(), Failure> {
    let Collected {
        found,
        sockets,
        others,
    } = collect(args)?;
    let mut plan = plan(&found, &others, allowed(args));
    let group = if args.dry_run {
        None
    } else {
        carry_out(&mut plan, &sockets)?
    };
    let mut settings = wanted(args, &plan);
    let set_up = if args.dry_run {
        Ok(())
    } else {
        set_up(args, &found, &plan, &sockets, &mut settings)
    };
    let told = set_up.is_ok().then_some(&settings);
    let report = report::new(args, &found, &plan, group, told);
    report::refusals(&report);
    if args.json {
        output::json(&report)?;
    } else {
        output::text(&report::sentences(&report, &plan, &settings))?;
        report::notes(&found, &plan);
    }
    let nothing = format!("nothing was grouped on port {}", args.port);
    match plan.action {
        Action::Impossible => Err(Failure::new(nothing)),
        Action::Mixed(mix) => Err(Failure::new(format!("{nothing}: {mix}"))),
        _ => set_up,
    }
}

/// What the group is to do. A new one adopts, unless told otherwise.
fn wanted(args: &AttachArgs, plan: &Plan) -> Settings {
    let mut settings = args.settings.0;
    if matches!(plan.action, Action::Form(_)) {
        settings.adopt = settings.adopt.or(Some(ADOPT));
    }
    settings
}

fn allowed(args: &AttachArgs) -> Allowed {
    Allowed {
        users: args.mixed_users,
        programs: args.mixed_programs,
        loopback: args.with_loopback,
    }
}

/// The sockets of the port.
struct Collected {
    /// Those that were asked for.
    found: Vec<Found>,
    /// And their descriptors, of those that are in no group yet.
    sockets: Vec<Option<OwnedFd>>,
    /// Those that were not.
    others: Vec<Found>,
}

/// Finds the sockets, and borrows those that are in no group yet.
fn collect(args: &AttachArgs) -> Result<Collected, Failure> {
    let groups = memberships(args.dry_run)?;
    let listeners = of_port(args.port)?;
    let inodes: HashSet<u64> = listeners.iter().map(|listener| listener.inode).collect();
    // All processes: what else holds a socket tells what it is.
    let owners = Owners::of(&inodes, &[]);
    let wanted = |listener: &Listener| {
        let pids = owners.pids(listener.inode);
        args.address
            .is_none_or(|address| address == listener.address.ip())
            && is_on_chosen_device(args, listener.device)
            && (args.pid.is_empty() || pids.iter().any(|pid| args.pid.contains(pid)))
    };
    let mut programs = Programs::default();
    let mut found = Vec::new();
    let mut sockets = Vec::new();
    let mut others = Vec::new();
    for listener in &listeners {
        let pids = owners.pids(listener.inode);
        let mut socket = Found {
            inode: listener.inode,
            address: listener.address,
            device: (listener.device != 0).then(|| devices::name(listener.device)),
            uid: listener.uid,
            programs: programs.of_holders(&pids),
            pids,
            group: groups.get(&listener.inode).copied(),
            obstacle: None,
        };
        if !wanted(listener) {
            others.push(socket);
            continue;
        }
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
    Ok(Collected {
        found,
        sockets,
        others,
    })
}

/// Whether what is bound to the device with this index, or to none if that is 0, was asked for.
fn is_on_chosen_device(args: &AttachArgs, index: u32) -> bool {
    match &args.device {
        Some(name) => index != 0 && devices::name(index) == *name,
        None => index == 0 || !args.no_device,
    }
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
    let any_device = args.device.is_none() && !args.no_device;
    let which = match (args.address, args.pid.as_slice()) {
        (None, []) if any_device => "no program listens",
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
        Action::Impossible | Action::Mixed(_) => Ok(None),
    }
}

/// Makes the group do what is wanted, through the socket of a member.
fn set_up(
    args: &AttachArgs,
    found: &[Found],
    plan: &Plan,
    sockets: &[Option<OwnedFd>],
    settings: &mut Settings,
) -> Result<(), Failure> {
    if settings.is_empty() {
        return Ok(());
    }
    let borrowed;
    let member = match &plan.action {
        Action::Impossible | Action::Mixed(_) => return Ok(()),
        Action::Form(members) | Action::Join(_, members) => {
            pick(members, sockets).first().map(|(_, fd)| *fd)
        }
        Action::Nothing(groups) if groups.len() > 1 => {
            return Err(Failure::new(
                "the sockets are in several groups, which were not changed: change each with \
                 \"sgctl set --group\"",
            ))
        }
        Action::Nothing(_) => {
            borrowed = borrow_member(found)?;
            Some(&borrowed)
        }
    };
    let mut done = member.map_or(Err(Error::NotMember), |fd| configure(fd, settings));
    // It can be had without what was not asked for.
    if let (Err(Error::UnknownFlag), Some(fd), None) = (done, member, args.settings.0.adopt) {
        eprintln!("sgctl: note: listeners of a reload do not become members here: attach them");
        settings.adopt = None;
        done = configure(fd, settings);
    }
    done.map_err(|error| {
        Failure::new(format!(
            "the group was not given {}: {error}",
            words(settings)
        ))
    })
}

/// Borrows the socket of a member; any will do.
fn borrow_member(found: &[Found]) -> Result<OwnedFd, Failure> {
    let members = || found.iter().filter(|socket| socket.group.is_some());
    let inodes: HashSet<u64> = members().map(|socket| socket.inode).collect();
    let pids: Vec<u32> = members().flat_map(|socket| socket.pids.clone()).collect();
    let owners = Owners::of(&inodes, &pids);
    let mut reason = Reason::Unseen;
    for inode in inodes {
        match owners.borrow(inode) {
            Ok(fd) => return Ok(fd),
            Err(refused) => reason = refused,
        }
    }
    Err(Failure::new(format!("the group was not changed: {reason}")))
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
            // Another program may have been as quick.
            Err(Error::AlreadyGrouped) if info(fd).is_ok_and(|info| info.id == group) => {}
            Err(error) => plan.refused.push((index, Reason::Refused(error))),
        }
    }
    joined
}
