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
                "kernel.yama.ptrace_scope is 3, which lets nobody borrow a socket, not even root, until \
                 the machine is started anew: set a lower one in /etc/sysctl.d and restart it, or \
                 have the program form its group by itself",
            ),
            Self::Unseen => f.write_str(
                "no process that holds it can be seen: run sgctl as root, in the PID namespace \
                 of the program",
            ),
            Self::SeveralGroups => f.write_str(
                "the others are in several groups: take those out with \"sgctl detach\" first, \
                 or choose with --address or --pid",
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
    /// The user that it belongs to, as the kernel has it: who made it, whatever that process became.
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

/// Why one socket makes no group.
fn lonely(found: &[Found], index: usize) -> Reason {
    match found.get(index).map_or(0, |socket| socket.pids.len()) {
        0 | 1 => Reason::Alone,
        processes => Reason::SharedQueue { processes },
    }
}

/// The addresses at which several processes share one socket, which a group
/// helps less than a socket for each of them would.
pub fn shared(found: &[Found]) -> Vec<(SocketAddr, usize)> {
    let alone = |socket: &&Found| {
        let same = found.iter().filter(|other| other.address == socket.address);
        same.count() == 1 && socket.pids.len() > 1
    };
    found
        .iter()
        .filter(alone)
        .map(|socket| (socket.address, socket.pids.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixing::Difference;

    fn socket(inode: u64, pids: &[u32]) -> Found {
        Found {
            inode,
            address: SocketAddr::from(([0, 0, 0, 0], 80)),
            uid: 0,
            pids: pids.to_vec(),
            programs: vec![Program::new("/srv/shop", 1, &[], None)],
            group: None,
            obstacle: None,
        }
    }

    fn grouped(inode: u64, group: u32) -> Found {
        Found {
            group: Some(group),
            ..socket(inode, &[1])
        }
    }

    fn refused(inode: u64, reason: Reason) -> Found {
        Found {
            obstacle: Some(reason),
            ..socket(inode, &[1])
        }
    }

    fn check(found: &[Found], action: Action, refused: &[(usize, Reason)]) {
        let expected = Plan {
            action,
            refused: refused.to_vec(),
        };
        assert_eq!(plan(found, &[], Allowed::default()), expected, "{found:?}");
    }

    #[test]
    fn two_sockets_form_a_group() {
        let found = [socket(1, &[1]), socket(2, &[1, 2])];
        check(&found, Action::Form(vec![0, 1]), &[]);
    }

    #[test]
    fn new_sockets_join_the_group_that_there_is() {
        let found = [
            grouped(1, 7),
            socket(2, &[1]),
            grouped(3, 7),
            socket(4, &[]),
        ];
        check(&found, Action::Join(7, vec![1, 3]), &[]);
    }

    #[test]
    fn a_second_time_there_is_nothing_to_do() {
        let found = [grouped(1, 7), grouped(2, 7)];
        check(&found, Action::Nothing(vec![7]), &[]);
        // Also when the descriptors of members cannot be had.
        let mut unseen = grouped(3, 7);
        unseen.obstacle = Some(Reason::Unseen);
        check(&[unseen], Action::Nothing(vec![7]), &[]);
    }

    #[test]
    fn one_socket_makes_no_group_and_the_reason_is_told() {
        check(&[], Action::Impossible, &[]);
        check(
            &[socket(1, &[5])],
            Action::Impossible,
            &[(0, Reason::Alone)],
        );
        let shared = Reason::SharedQueue { processes: 3 };
        check(&[socket(1, &[5, 6, 7])], Action::Impossible, &[(0, shared)]);
    }

    #[test]
    fn what_cannot_be_taken_is_left_out() {
        let found = [
            socket(1, &[1]),
            refused(2, Reason::Mptcp),
            socket(3, &[1]),
            refused(4, Reason::NotPermitted { pid: 9 }),
        ];
        let reasons = [(1, Reason::Mptcp), (3, Reason::NotPermitted { pid: 9 })];
        check(&found, Action::Form(vec![0, 2]), &reasons);
        let reasons = [(0, Reason::Alone), (1, Reason::Mptcp)];
        check(&found[..2], Action::Impossible, &reasons);
    }

    #[test]
    fn several_groups_are_left_as_they_are() {
        let found = [grouped(1, 7), grouped(2, 8)];
        check(&found, Action::Nothing(vec![7, 8]), &[]);
        let found = [grouped(1, 7), socket(2, &[1]), grouped(3, 8)];
        check(&found, Action::Impossible, &[(1, Reason::SeveralGroups)]);
    }

    #[test]
    fn what_may_be_several_services_is_left_as_it_is() {
        let foreign = |inode| Found {
            uid: 7,
            ..socket(inode, &[9])
        };
        let users = Allowed {
            users: true,
            ..Allowed::default()
        };
        let needs = |found: &[Found], others: &[Found]| match plan(
            found,
            others,
            Allowed::default(),
        )
        .action
        {
            Action::Mixed(mix) => mix.differences,
            _ => Vec::new(),
        };
        let found = [socket(1, &[1]), foreign(2)];
        assert_eq!(needs(&found, &[]), [Difference::Users]);
        assert_eq!(plan(&found, &[], users).action, Action::Form(vec![0, 1]));
        // Members count, also those that were not chosen; of other groups they do not.
        let member = |group| Found {
            uid: 7,
            ..grouped(9, group)
        };
        let found = [socket(1, &[1]), grouped(2, 7)];
        assert_eq!(needs(&found, &[]), []);
        assert_eq!(needs(&found, &[member(8)]), []);
        assert_eq!(needs(&found, &[member(7)]), [Difference::Users]);
        assert_eq!(
            plan(&found, &[member(7)], users).action,
            Action::Join(7, vec![0])
        );
        // Where nothing is to be done, nothing is mixed; nor with what cannot be taken.
        assert_eq!(needs(&[grouped(1, 7), member(7)], &[]), []);
        let mut refused = foreign(3);
        refused.obstacle = Some(Reason::Unseen);
        assert_eq!(needs(&[socket(1, &[1]), socket(2, &[1]), refused], &[]), []);
    }

    #[test]
    fn queues_that_are_shared_are_noticed() {
        let mut other = socket(3, &[1, 2]);
        other.address = SocketAddr::from(([127, 0, 0, 1], 80));
        let found = [socket(1, &[1, 2]), socket(2, &[1, 2]), other.clone()];
        assert_eq!(shared(&found), [(other.address, 2)]);
    }

    #[test]
    fn reasons_are_parts_of_one_sentence() {
        for reason in [
            Reason::Alone,
            Reason::SharedQueue { processes: 2 },
            Reason::Mptcp,
            Reason::NotPermitted { pid: 1 },
            Reason::Sealed,
            Reason::Unseen,
            Reason::SeveralGroups,
            Reason::Refused(Error::OtherUlp),
        ] {
            let text = reason.to_string();
            assert!(text.contains(": ") && !text.ends_with('.'), "{text}");
        }
    }
}
