// SPDX-License-Identifier: GPL-2.0
use super::*;

const ALL: [Difference; 3] = [
    Difference::Users,
    Difference::Programs,
    Difference::Loopback,
];

fn program(path: &str) -> Program {
    Program::new(path, 1, &[], None)
}

fn socket(address: &str, uid: u32, path: &str, pids: &[u32]) -> Found {
    Found {
        inode: 1,
        address: format!("{address}:80").parse().expect("an address"),
        device: None,
        uid,
        pids: pids.to_vec(),
        programs: vec![program(path)],
        group: None,
        obstacle: None,
    }
}

fn shop(address: &str) -> Found {
    socket(address, 0, "/srv/shop", &[1])
}

fn differences(sockets: &[Found], allowed: Allowed) -> Vec<Difference> {
    let sockets: Vec<&Found> = sockets.iter().collect();
    mix(&sockets, allowed).map_or(Vec::new(), |mix| mix.differences)
}

/// What is in the way of a group of these, when nothing is allowed.
fn needs(sockets: &[Found]) -> Vec<Difference> {
    differences(sockets, Allowed::default())
}

#[test]
fn one_user_and_program_is_one_service() {
    assert_eq!(needs(&[]), []);
    assert_eq!(needs(&[shop("127.0.0.1")]), []);
    // Several instances at several addresses, of all processes that there are.
    let second = socket("10.0.0.2", 0, "/srv/shop", &[7, 8]);
    assert_eq!(
        needs(&[shop("10.0.0.1"), second, shop("0.0.0.0"), shop("[::]")]),
        []
    );
}

#[test]
fn each_difference_is_found_wherever_it_is() {
    let odd = [
        (socket("10.0.0.1", 33, "/srv/shop", &[1]), Difference::Users),
        (
            socket("10.0.0.1", 0, "/srv/admin", &[1]),
            Difference::Programs,
        ),
        (shop("127.0.0.1"), Difference::Loopback),
    ];
    for (odd, difference) in odd {
        for place in 0..3 {
            let mut sockets = vec![shop("10.0.0.1"), shop("0.0.0.0")];
            sockets.insert(place, odd.clone());
            assert_eq!(needs(&sockets), [difference], "{sockets:?}");
        }
    }
    assert_eq!(
        needs(&[shop("10.0.0.1"), socket("127.0.0.1", 1, "/admin", &[2])]),
        ALL
    );
}

#[test]
fn loopback_is_what_only_this_machine_reaches() {
    let alone = ["127.0.0.1", "127.255.0.9", "[::1]", "[::ffff:127.0.0.1]"];
    let others = [
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
        "128.0.0.1",
    ];
    for one in alone {
        for other in alone {
            assert_eq!(needs(&[shop(one), shop(other)]), [], "{one} {other}");
        }
        for other in others {
            let found = needs(&[shop(other), shop(one)]);
            assert_eq!(found, [Difference::Loopback], "{one} {other}");
        }
    }
    for one in others {
        assert_eq!(needs(&[shop("10.0.0.9"), shop(one)]), [], "{one}");
    }
}

#[test]
fn unknown_programs_are_not_the_same() {
    let unknown = |address: &str| Found {
        programs: Vec::new(),
        ..shop(address)
    };
    let pairs = [
        [unknown("10.0.0.1"), unknown("10.0.0.2")],
        [unknown("10.0.0.1"), shop("10.0.0.2")],
        [shop("10.0.0.1"), unknown("10.0.0.2")],
    ];
    for pair in &pairs {
        assert_eq!(needs(pair), [Difference::Programs], "{pair:?}");
    }
}

#[test]
fn a_helper_that_holds_one_of_them_makes_a_difference() {
    let mut helped = shop("10.0.0.1");
    helped.programs.push(program("/srv/helper"));
    assert_eq!(needs(&[helped.clone(), helped.clone()]), []);
    assert_eq!(needs(&[helped, shop("10.0.0.2")]), [Difference::Programs]);
}

#[test]
fn what_is_allowed_is_no_difference() {
    let sockets = [shop("10.0.0.1"), socket("127.0.0.1", 1, "/admin", &[2])];
    for bits in 0..8 {
        let allowed = Allowed {
            users: bits & 1 != 0,
            programs: bits & 2 != 0,
            loopback: bits & 4 != 0,
        };
        let left: Vec<Difference> = (0..3)
            .filter(|bit| bits & (1 << bit) == 0)
            .map(|bit| ALL[bit])
            .collect();
        assert_eq!(differences(&sockets, allowed), left, "{allowed:?}");
    }
}

#[test]
fn one_device_is_to_be_chosen() {
    let on = |device: &str, pid| Found {
        device: Some(device.to_owned()),
        ..socket("0.0.0.0", 0, "/srv/shop", &[pid])
    };
    assert_eq!(needs(&[on("red", 1), on("red", 2)]), []);
    // It comes before everything else that differs, and nothing allows it.
    let admin = socket("127.0.0.1", 33, "/srv/admin", &[9]);
    let sockets = [on("red", 1), on("blue", 2), on("red", 3), admin];
    assert_eq!(needs(&sockets), [Difference::Devices]);
    let all = Allowed {
        users: true,
        programs: true,
        loopback: true,
    };
    assert_eq!(differences(&sockets, all), [Difference::Devices]);
    let sockets: Vec<&Found> = sockets.iter().collect();
    let mix = mix(&sockets, all).expect("it is one");
    assert_eq!(
        mix.to_string(),
        "the sockets are bound to different devices, and a group is of one: 0.0.0.0:80 on red of user \
         0 (shop, processes 1, 3); 0.0.0.0:80 on blue of user 0 (shop, process 2); 127.0.0.1:80 of user \
         33 (admin, process 9); choose with --no-device or --device blue or --device red"
    );
}

#[test]
fn the_sentence_says_who_and_what_to_do() {
    let mut admin = socket("127.0.0.1", 33, "/srv/admin", &[99]);
    admin.group = Some(7);
    let mut kernel = shop("[::1]");
    (kernel.programs, kernel.pids) = (Vec::new(), Vec::new());
    let sockets = [
        socket("10.0.0.2", 0, "/srv/shop", &[5, 4, 3]),
        socket("10.0.0.1", 0, "/srv/shop", &[6, 3]),
        admin,
        kernel,
    ];
    let sockets: Vec<&Found> = sockets.iter().collect();
    let mix = mix(&sockets, Allowed::default()).expect("it is one");
    assert_eq!(
        mix.to_string(),
        "the sockets may be several services, as they belong to different users, and not all are \
         known to be of one program, and started alike, and those at loopback addresses would serve what comes for \
         other addresses: 10.0.0.1:80, 10.0.0.2:80 of user 0 (shop, processes 3, 4, 5 and 1 \
         more); 127.0.0.1:80 of user 33 (admin, process 99, in group 7); [::1]:80 of user 0 (an \
         unknown program, no visible process); choose with --address or --pid, or group them all \
         the same with --mixed-users --mixed-programs --with-loopback"
    );
}
