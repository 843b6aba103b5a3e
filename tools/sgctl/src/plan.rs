// SPDX-License-Identifier: GPL-2.0
//! What to do with the sockets that were found: a pure function of what is
//! known of them. It opens nothing and changes nothing.

use std::fmt;
use std::net::SocketAddr;

use service_group::Error;

use crate::mixing::{mix, Allowed, Mix};
use crate::program::Program;

/// Why a socket is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the only one, and one process has it.
    Alone,
    /// It is the only one, and several processes accept from it.
    SharedQueue {
        /// How many.
        processes: usize,
    },
    /// It is an MPTCP socket.
    Mptcp,
    /// The process may not be traced.
    NotPermitted {
        /// The process.
        pid: u32,
    },
    /// No process may be traced on this machine, whoever asks.
    Sealed,
    /// No process was seen that holds it.
    Unseen,
    /// The others are in several groups already.
    SeveralGroups,
    /// The kernel refused it.
    Refused(Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str(
                "it is the only listening socket, and a group needs two: start more workers, \
                 each with a socket of its own (SO_REUSEPORT)",
            ),
            Self::SharedQueue { processes } => write!(
                f,
                "{processes} processes share this one queue, so there is nothing to group: give \
                 each worker a socket of its own with SO_REUSEPORT (nginx: \"listen ... \
                 reuseport\"; HAProxy: one \"bind\" line a thread; gunicorn: --reuse-port)",
            ),
            Self::Mptcp => Error::Mptcp.fmt(f),
            Self::NotPermitted { pid } => write!(
                f,
                "process {pid} belongs to another user or may not be traced: run sgctl as root",
            ),
            Self::Sealed => f.write_str(
                "kernel.yama.ptrace_scope is 3, which lets no user borrow a socket, not even root, until \
                 the machine is started anew: set a lower one in /etc/sysctl.d and restart it, or \
                 have the program form its group by itself",
            ),
            Self::Unseen => f.write_str(
                "no process that holds it can be seen: run sgctl as root, in the PID namespace \
                 of the program",
            ),
            Self::SeveralGroups => f.write_str(
                "the others are in several groups: take those out with \"sgctl detach\" first, \
                 or choose with --address, --pid or --device",
            ),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

/// A socket that was found, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its inode number.
    pub inode: u64,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The device that it is bound to, if it is.
    pub device: Option<String>,
    /// The user that it belongs to, as the kernel has it: the one that made it, whatever that process became.
    pub uid: u32,
    /// The processes that hold it, as far as they are seen.
    pub pids: Vec<u32>,
    /// The programs of these; none if they are not known.
    pub programs: Vec<Program>,
    /// The group that it is in.
    pub group: Option<u32>,
    /// Why it cannot be taken, if it cannot.
    pub obstacle: Option<Reason>,
}

/// What to do. Sockets are named by their place among those found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Form a group of these.
    Form(Vec<usize>),
    /// Join these to the group.
    Join(u32, Vec<usize>),
    /// All that can be grouped are, in these groups.
    Nothing(Vec<u32>),
    /// There is nothing to make a group of.
    Impossible,
    /// Nothing is done, as these may be several services.
    Mixed(Mix),
}

/// An action, and the sockets that are left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The sockets that are not taken.
    pub refused: Vec<(usize, Reason)>,
}

/// Plans for sockets of one port.
///
/// Sockets that are in a group stay there, and the others join them; without
/// such a group, two are needed to form one. `others` are sockets that were not
/// chosen, among them members of these groups. What would mix in one group what is
/// not `allowed` is not done.
pub fn plan(found: &[Found], others: &[Found], allowed: Allowed) -> Plan {
    let mut plan = arrange(found);
    let together: Vec<&Found> = match &plan.action {
        Action::Form(members) => members
            .iter()
            .filter_map(|&index| found.get(index))
            .collect(),
        Action::Join(group, members) => {
            let joining = members.iter().filter_map(|&index| found.get(index));
            let all = found.iter().chain(others);
            let there = all.filter(|socket| socket.group == Some(*group));
            joining.chain(there).collect()
        }
        _ => Vec::new(),
    };
    if let Some(mix) = mix(&together, allowed) {
        plan.action = Action::Mixed(mix);
    }
    plan
}

/// What to do if they are one service.
fn arrange(found: &[Found]) -> Plan {
    let mut groups: Vec<u32> = found.iter().filter_map(|socket| socket.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut free = Vec::new();
    let mut refused = Vec::new();
    for (index, socket) in found.iter().enumerate() {
        match (&socket.group, &socket.obstacle) {
            (Some(_), _) => {}
            (None, Some(reason)) => refused.push((index, reason.clone())),
            (None, None) => free.push(index),
        }
    }
    let action = match (groups.as_slice(), free.as_slice()) {
        ([], []) => Action::Impossible,
        ([], &[only]) => {
            refused.push((only, lonely(found, only)));
            Action::Impossible
        }
        ([], _) => Action::Form(free),
        (_, []) => Action::Nothing(groups),
        (&[group], _) => Action::Join(group, free),
        (_, several) => {
            refused.extend(several.iter().map(|&index| (index, Reason::SeveralGroups)));
            Action::Impossible
        }
    };
    refused.sort_by_key(|(index, _)| *index);
    Plan { action, refused }
}

/// How many processes may accept from a socket. Process 1 keeps what it hands to a service, and accepts
/// nothing meanwhile.
fn sharers(socket: &Found) -> usize {
    socket.pids.iter().filter(|pid| **pid != 1).count()
}

/// Why one socket makes no group.
fn lonely(found: &[Found], index: usize) -> Reason {
    match found.get(index).map_or(0, sharers) {
        0 | 1 => Reason::Alone,
        processes => Reason::SharedQueue { processes },
    }
}

/// The addresses at which several processes share one socket, which a group
/// helps less than a socket for each of them would.
pub fn shared(found: &[Found]) -> Vec<(SocketAddr, usize)> {
    let alone = |socket: &&Found| {
        let place = |it: &Found| (it.address, it.device.clone());
        let same = found.iter().filter(|other| place(other) == place(socket));
        same.count() == 1 && sharers(socket) > 1
    };
    found
        .iter()
        .filter(alone)
        .map(|socket| (socket.address, sharers(socket)))
        .collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
