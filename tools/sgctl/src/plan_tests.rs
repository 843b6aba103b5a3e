// SPDX-License-Identifier: GPL-2.0
use super::*;
use crate::mixing::Difference;

fn socket(inode: u64, pids: &[u32]) -> Found {
    Found {
        inode,
        address: SocketAddr::from(([0, 0, 0, 0], 80)),
        device: None,
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
    check(
        &[socket(1, &[1, 5])],
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
    let needs =
        |found: &[Found], others: &[Found]| match plan(found, others, Allowed::default()).action {
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
fn one_group_is_of_one_device() {
    let on = |device: &str, socket: Found| Found {
        device: Some(device.to_owned()),
        ..socket
    };
    let (red, blue) = (on("red", socket(1, &[1])), on("blue", socket(2, &[1])));
    let all = Allowed {
        users: true,
        programs: true,
        loopback: true,
    };
    let is_mixed = |found: &[Found], others: &[Found]| {
        matches!(plan(found, others, all).action, Action::Mixed(_))
    };
    assert!(is_mixed(&[red.clone(), blue.clone()], &[]));
    assert!(is_mixed(&[red.clone(), socket(3, &[1])], &[]));
    check(&[red.clone(), red.clone()], Action::Form(vec![0, 1]), &[]);
    // What joins a group is of its members' device, whether these were chosen or not.
    let member = on("red", grouped(4, 7));
    assert!(is_mixed(&[member.clone(), blue.clone()], &[]));
    assert!(is_mixed(&[member.clone(), red.clone(), blue.clone()], &[]));
    check(&[member.clone(), red], Action::Join(7, vec![1]), &[]);
    let mut taken = blue;
    taken.obstacle = Some(Reason::Unseen);
    check(
        &[member, taken],
        Action::Nothing(vec![7]),
        &[(1, Reason::Unseen)],
    );
}

#[test]
fn queues_that_are_shared_are_noticed() {
    let mut other = socket(3, &[2, 3]);
    other.address = SocketAddr::from(([127, 0, 0, 1], 80));
    let found = [socket(1, &[2, 3]), socket(2, &[2, 3]), other.clone()];
    assert_eq!(shared(&found), [(other.address, 2)]);
    let (first, mut second) = (socket(1, &[2, 3]), socket(2, &[2]));
    second.device = Some("eth1".to_owned());
    assert_eq!(shared(&[first.clone(), second]), [(first.address, 2)]);
    // What systemd started, and keeps the socket for.
    let served = |pids: &[u32]| shared(&[socket(1, pids)]);
    assert!(served(&[1, 2]).is_empty());
    assert_eq!(served(&[1, 2, 3]), [(first.address, 2)]);
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
