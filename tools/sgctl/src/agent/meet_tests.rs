// SPDX-License-Identifier: GPL-2.0
//! Both halves of a meeting over the loopback device, in one process; and others who are no
//! agents.

use super::super::keys::tests::{keys, valid};
use super::*;
use crate::cluster::file::links::{Fingerprint, Links};
use rustls::sign::CertifiedKey;
use service_group_logic::logic::cluster::slots::NodeId;
use std::net::{SocketAddr, TcpListener};
use std::thread;

const LINKS: Links = Links {
    id: [5; 16],
    heartbeat: 100,
    is_secure: true,
    port: 5347,
};

fn machine(id: u32, fingerprint: Option<Fingerprint>) -> Machine {
    Machine {
        name: format!("m{id}"),
        id: NodeId::new(id).expect("it is not 0"),
        listen: SocketAddr::from(([127, 0, 0, 1], 1)),
        fingerprint,
    }
}

/// Machine 1, which connects, and 2; each knows the other one.
fn pair_with(keys: [Keys; 2]) -> [Me; 2] {
    let prints = [1, 2].map(|id| {
        let of = &keys[usize::from(id == 2)];
        machine(id, Some(of.fingerprint()))
    });
    let [one, two] = keys;
    let roster = |own: usize| Roster {
        links: LINKS,
        own: prints[own].clone(),
        peers: vec![prints[1 - own].clone()],
    };
    [(one, roster(0)), (two, roster(1))].map(|(keys, roster)| Me {
        roster,
        keys: Some(keys),
    })
}

fn pair() -> [Me; 2] {
    pair_with([keys(), keys()])
}

/// Two sockets that are connected.
fn sockets() -> [TcpStream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let at = listener.local_addr().expect("it is bound");
    let near = TcpStream::connect(at).expect("it listens");
    let (far, _) = listener.accept().expect("somebody has connected");
    [near, far]
}

fn timed(socket: TcpStream) -> Timed {
    Timed::new(socket, Instant::now() + LIMIT)
}

/// What the two have come to.
fn meet([one, two]: &[Me; 2]) -> [Result<Met, String>; 2] {
    let [near, far] = sockets().map(timed);
    let peer = one.roster.peers[0].clone();
    thread::scope(|scope| {
        let accepts = scope.spawn(|| accept(two, far));
        let connected = connect(one, &peer, Purpose::Link, near);
        [connected, accepts.join().expect("it does not panic")]
    })
}

/// Why the two did not meet, as each of them has it.
#[track_caller]
fn refused(pair: &[Me; 2]) -> [String; 2] {
    meet(pair).map(|outcome| match outcome {
        Ok(met) => panic!("met {}", met.peer.name),
        Err(why) => {
            let fits = why.starts_with(char::is_lowercase) && !why.ends_with('.');
            assert!(fits && !why.contains('\n'), "{why}");
            why
        }
    })
}

#[track_caller]
fn told(pair: &[Me; 2], expected: [&str; 2]) {
    for (why, expected) in refused(pair).iter().zip(expected) {
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn two_that_know_each_other_meet() {
    for is_secure in [true, false] {
        let mut pair = pair();
        for me in &mut pair {
            me.roster.links.is_secure = is_secure;
            me.keys = me.keys.take().filter(|_| is_secure);
        }
        let [one, two] = meet(&pair).map(|outcome| outcome.unwrap_or_else(|why| panic!("{why}")));
        assert_eq!([one.peer.id.get(), two.peer.id.get()], [2, 1]);
        let [mut near, mut far] = [one.line, two.line];
        near.write_all(b"hello").expect("it is open");
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).expect("it was sent");
        assert_eq!(&bytes, b"hello");
    }
}

#[test]
fn what_the_handshake_leaves_is_left_to_the_kernel() {
    let [one, two] = meet(&pair()).map(|outcome| outcome.unwrap_or_else(|why| panic!("{why}")));
    let (Line::Secure(near), Line::Secure(far)) = (one.line, two.line) else {
        panic!("they are secure");
    };
    // A kernel without TLS refuses, with TLS both ends talk.
    let sockets = [near.into_kernel(), far.into_kernel()];
    let [Ok(mut near), Ok(mut far)] = sockets else {
        return;
    };
    near.write_all(b"hello").expect("it is open");
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).expect("it was sent");
    assert_eq!(&bytes, b"hello");
}

#[test]
fn more_than_was_to_be_said_is_refused() {
    let [one, two] = meet(&pair()).map(|outcome| outcome.unwrap_or_else(|why| panic!("{why}")));
    let (mut near, Line::Secure(mut far)) = (one.line, two.line) else {
        panic!("they are secure");
    };
    near.write_all(b"hello").expect("it is open");
    far.read_exact(&mut [0; 1]).expect("it was sent");
    assert!(far.into_kernel().is_err());
}

#[test]
fn a_stranger_is_told_on_both_sides() {
    // Another key answers there.
    let mut pair = pair();
    pair[1].keys = Some(keys());
    told(
        &pair,
        [
            "that of the file is SHA256:",
            "does not know the certificate",
        ],
    );
    // Another key connects.
    let mut pair = self::pair();
    pair[0].keys = Some(keys());
    told(
        &pair,
        [
            "does not know the certificate",
            "no machine of the file has",
        ],
    );
}

#[test]
fn certificates_have_their_time() {
    let old = pair_with([keys(), valid((1990, 2000))]);
    told(&old, ["has expired", "correct the clocks"]);
    let old = pair_with([valid((1990, 2000)), keys()]);
    told(&old, ["correct the clocks", "has expired"]);
    let new = pair_with([valid((2500, 2600)), keys()]);
    told(&new, ["correct the clocks", "not valid yet"]);
}

#[test]
fn other_clusters_versions_and_numbers_are_told_on_both_sides() {
    let mut pair = pair();
    pair[0].roster.links.id = [6; 16];
    told(&pair, ["another cluster", "another cluster"]);
    let mut pair = self::pair();
    pair[0].roster.own.id = NodeId::new(3).expect("it is not 0");
    told(&pair, ["is 1 in the file", "is 1 in the file"]);
    let mut pair = self::pair();
    pair[1].roster.own.id = NodeId::new(1).expect("it is not 0");
    pair[0].roster.peers[0].id = NodeId::new(1).expect("it is not 0");
    pair[1].roster.peers[0].id = NodeId::new(3).expect("it is not 0");
    pair[0].roster.own.id = NodeId::new(3).expect("it is not 0");
    told(&pair, ["the lower id", "the lower id"]);
}

#[test]
fn a_machine_that_is_not_in_the_file_is_told_without_tls_too() {
    let mut pair = pair();
    for me in &mut pair {
        me.roster.links.is_secure = false;
        me.keys = None;
    }
    pair[1].roster.peers.clear();
    told(
        &pair,
        [
            "you are machine 1, which is not in the file",
            "is machine 1, which is not",
        ],
    );
}

/// What one who listens makes of these bytes, and of nothing more.
fn accepted(bytes: &[u8]) -> String {
    let [mut near, far] = sockets();
    let [_, two] = pair();
    near.write_all(bytes).expect("it is open");
    near.shutdown(std::net::Shutdown::Write)
        .expect("it is open");
    match accept(&two, timed(far)) {
        Ok(met) => panic!("met {}", met.peer.name),
        Err(why) => why,
    }
}

#[test]
fn who_does_not_speak_tls_is_told() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1, 0xff, 0xff],
        &[0; 64],
    ] {
        let why = accepted(bytes);
        assert!(why.contains("does not speak TLS"), "{why}");
    }
    assert!(accepted(&[]).contains("without a word"));
    assert!(accepted(&[0x16, 3, 1, 0, 4, 9, 9, 9, 9]).contains("TLS"));
    // Of an agent whose file says "none".
    let mut plain = Vec::new();
    let introduction = Introduction::new(1, LINKS.id);
    introduction.write(&mut plain).expect("there is room");
    assert!(accepted(&plain).contains("link-security"));
}

/// A hello of TLS 1.2, as an older program sends it: a cipher, no compression, no extension.
#[test]
fn tls_1_2_is_refused() {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let mut bytes = vec![0x16, 3, 1, 0, 0, 1, 0, 0, 0];
    bytes[4] = u8::try_from(hello.len() + 4).expect("it is short");
    bytes[8] = u8::try_from(hello.len()).expect("it is short");
    bytes.extend(hello);
    let why = accepted(&bytes);
    assert!(why.contains("TLS 1.3") || why.contains("ciphers"), "{why}");
}

#[test]
fn another_purpose_is_refused_on_both_sides() {
    let [one, two] = pair();
    let [near, far] = sockets().map(timed);
    let known = one.roster.peers[0].fingerprint.expect("it has one");
    let verifier = Verifier::of(known);
    let keys = one.keys.as_ref().expect("it has some");
    let own = tls::certified(keys).expect("they belong together");
    let connection = tls::client(own, verifier.clone(), &[b"service-group-link/9"]);
    let connection = connection.expect("it can begin");
    thread::scope(|scope| {
        let accepts = scope.spawn(|| accept(&two, far).map(|met| met.peer.name));
        let begun = Session::begin(connection, near).map(|_| ());
        let near = verifier.explain(&begun.expect_err("nothing is agreed on"));
        let far = accepts.join().expect("it does not panic");
        assert!(near.contains("another version"), "{near}");
        assert!(far
            .expect_err("it is nothing known")
            .contains("asks for nothing"));
    });
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let [_, two] = pair();
    let [mut near, far] = sockets();
    // Some of a record, and no more.
    near.write_all(&[0x16, 3, 1, 1, 0, 1]).expect("it is open");
    let soon = Instant::now() + Duration::from_millis(20);
    let why = accept(&two, Timed::new(far, soon)).map(|met| met.peer.name);
    assert!(why.expect_err("it is slow").contains("too long"));
}

#[test]
fn a_certificate_that_is_shown_has_to_be_proved() {
    let [one, two] = pair();
    let [near, far] = sockets().map(timed);
    let keys = one.keys.as_ref().expect("it has some");
    // It shows a certificate of the file, and signs with another key.
    let other = self::keys().key;
    let signing = rustls::crypto::ring::sign::any_supported_type(&other);
    let shown = vec![keys.certificate.clone()];
    let thief = CertifiedKey::new(shown, signing.expect("it is a key"));
    let known = one.roster.peers[0].fingerprint.expect("it has one");
    let connection = tls::client(thief, Verifier::of(known), &[Purpose::Link.name()]);
    let connection = connection.expect("it can begin");
    thread::scope(|scope| {
        let accepts = scope.spawn(|| accept(&two, far).map(|met| met.peer.name));
        // The one who connects learns it with the first answer only.
        drop(Session::begin(connection, near));
        let why = accepts.join().expect("it does not panic");
        let why = why.expect_err("nothing is proved");
        assert!(why.contains("does not have the key"), "{why}");
    });
}
