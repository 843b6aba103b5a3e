// SPDX-License-Identifier: GPL-2.0
//! Any bytes as what a peer sends on its link, all at once or in pieces: they are refused, or what they say is
//! in its bounds, and written again it says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use service_group_logic::logic::links::heartbeat::{
    Heartbeat, Loads, MAX_HEARTBEAT_LEN, MAX_LOADS,
};
use service_group_logic::logic::links::hello::{Hello, HEARTBEATS, HELLO_LEN};
use service_group_logic::logic::links::wire::{
    Frames, Message, Progress, WireError, HEADER_LEN, MAX_FRAME_LEN,
};

fuzz_target!(|bytes: &[u8]| {
    let whole = messages(bytes, usize::MAX);
    let Some((&first, _)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(first).max(1);
    assert_eq!(messages(bytes, piece), whole);
});

/// How many messages there are, and the error that ends them, when so many bytes come at a time.
fn messages(bytes: &[u8], piece: usize) -> (usize, Option<WireError>) {
    let (mut frames, mut begin, mut end, mut count) = (Frames::new(), 0, 0, 0);
    loop {
        match frames.next(&bytes[begin..end]) {
            Err(error) => return (count, Some(error)),
            Ok(Progress::More(_)) if end == bytes.len() => return (count, None),
            Ok(Progress::More(more)) => {
                assert!(more > 0 && end - begin + more <= MAX_FRAME_LEN);
                end = end.saturating_add(piece).min(bytes.len());
            }
            Ok(Progress::Frame(header, body)) => {
                assert!((HEADER_LEN..=end - begin).contains(&header.frame_len()));
                match Message::parse(header, body) {
                    Err(error) => return (count, Some(error)),
                    Ok(Message::Hello(hello)) => check_hello(hello),
                    Ok(Message::Heartbeat(heartbeat)) => check_heartbeat(heartbeat),
                    Ok(Message::Bye(_) | Message::Unknown) => (),
                }
                begin += header.frame_len();
                count += 1;
            }
        }
    }
}

/// What is written comes back.
fn again<'a>(mut frames: Frames, bytes: &'a [u8]) -> Message<'a> {
    match frames.next(bytes) {
        Ok(Progress::Frame(header, body)) => Message::parse(header, body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn check_hello(hello: Hello) {
    let (shortest, longest) = HEARTBEATS;
    assert!((1..=hello.version).contains(&hello.least_version));
    assert!((shortest..=longest).contains(&hello.heartbeat));
    let mut room = [0; HELLO_LEN];
    assert_eq!(hello.write(&mut room), Some(HELLO_LEN));
    assert_eq!(again(Frames::new(), &room), Message::Hello(hello));
}

fn check_heartbeat(heartbeat: Heartbeat<'_>) {
    let loads: Vec<_> = heartbeat.loads.iter().collect();
    assert!(loads.len() <= MAX_LOADS);
    let mut room = [0; MAX_HEARTBEAT_LEN];
    let length = heartbeat.write(1, &mut room).unwrap();
    let mut frames = Frames::new();
    let hello: &[u8] = &[64, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let hello = [hello, &[0; 52]].concat();
    assert!(matches!(frames.next(&hello), Ok(Progress::Frame(..))));
    let Message::Heartbeat(second) = again(frames, &room[..length]) else {
        panic!("another message");
    };
    assert_eq!(second.loads.iter().collect::<Vec<_>>(), loads);
    let loads = Loads::Given(&[]);
    assert_eq!(
        Heartbeat { loads, ..second },
        Heartbeat { loads, ..heartbeat }
    );
}
