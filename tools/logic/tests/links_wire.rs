// SPDX-License-Identifier: GPL-2.0
//! Properties of the frames of a link, whatever is in them and whatever becomes of their bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::cluster::flow::Address;
use service_group_logic::logic::cluster::slots::NodeId;
use service_group_logic::logic::links::heartbeat::{
    Heartbeat, Load, Loads, HEARTBEAT_LEN, LOAD_LEN, MAX_HEARTBEAT_LEN, MAX_LOADS,
};
use service_group_logic::logic::links::hello::{Hello, HEARTBEATS, HELLO_LEN};
use service_group_logic::logic::links::wire::{
    write_bye, Frames, Message, Progress, WireError, BYE_LEN, HEADER_LEN, MAX_FRAME_LEN,
};

fn hello() -> impl Strategy<Value = Hello> {
    let versions = (1u16.., 1u16..);
    let machine = (1u32..).prop_map(|id| NodeId::new(id).unwrap());
    (
        versions,
        machine,
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        10u32..=10_000,
        any::<u32>(),
    )
        .prop_map(
            |(versions, machine, cluster, boot, heartbeat, epoch)| Hello {
                version: versions.0.max(versions.1),
                least_version: versions.0.min(versions.1),
                ..Hello::new(machine, cluster, boot, heartbeat, epoch)
            },
        )
}

fn load() -> impl Strategy<Value = Load> {
    let address = prop_oneof![
        any::<u32>().prop_map(Address::V4),
        any::<[u32; 4]>().prop_map(Address::V6),
    ];
    let numbers = any::<[u32; 3]>();
    let flags = any::<[bool; 5]>();
    (address, any::<u8>(), any::<u16>(), flags, numbers).prop_map(
        |(address, protocol, port, flags, [queued, room, epoch])| {
            let [ready, listening, full, directs, active] = flags;
            Load {
                address,
                protocol,
                port,
                ready,
                listening,
                full,
                queued,
                room,
                directs,
                active,
                epoch,
            }
        },
    )
}

/// What a heartbeat has beside its load reports.
fn heartbeat() -> impl Strategy<Value = Heartbeat<'static>> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let numbers = (numbers, HEARTBEATS.0..=HEARTBEATS.1);
    (numbers, any::<[bool; 3]>()).prop_map(
        |(((sent, echo, heard, epoch), period), [ready, away, held])| Heartbeat {
            sent,
            echo,
            heard,
            ready,
            away,
            held,
            epoch,
            period,
            loads: Loads::Given(&[]),
        },
    )
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    prop_oneof![vec(load(), 0..4), vec(load(), MAX_LOADS)]
}

/// Of a peer that has sent so many frames.
fn frames(sent: u32) -> Frames {
    let mut frames = Frames::new();
    let mut room = [0; HELLO_LEN];
    let hello = Hello::new(NodeId::new(1).unwrap(), [0; 16], [0; 16], 100, 0);
    for number in 0..sent {
        match number {
            0 => hello.write(&mut room),
            _ => write_bye(0, number, &mut room),
        };
        assert!(matches!(frames.next(&room), Ok(Progress::Frame(..))));
    }
    frames
}

/// The first message in these bytes, which end with it.
fn only(mut frames: Frames, bytes: &[u8]) -> Result<Option<Message<'_>>, WireError> {
    match frames.next(bytes)? {
        Progress::More(more) => {
            assert!(more > 0 && bytes.len() + more <= MAX_FRAME_LEN);
            Ok(None)
        }
        Progress::Frame(header, body) => {
            assert!((HEADER_LEN..=bytes.len()).contains(&header.frame_len()));
            let message = Message::parse(header, body)?;
            if let Message::Heartbeat(heartbeat) = message {
                assert!(heartbeat.loads.iter().count() <= MAX_LOADS);
            }
            Ok(Some(message))
        }
    }
}

/// Whether all bytes are wanted, and no change of one is taken for something else than bytes.
fn damage(sent: u32, bytes: &[u8], at: prop::sample::Index, flip: u8) {
    let frames = frames(sent);
    for length in [at.index(bytes.len()), bytes.len() - 1] {
        assert_eq!(only(frames, &bytes[..length]), Ok(None));
    }
    let mut damaged = bytes.to_vec();
    damaged[at.index(bytes.len())] ^= flip;
    // It is a message or an error, and no more is asked for than a frame may have.
    let _ = only(frames, &damaged);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn hellos_come_back(hello in hello(), at: prop::sample::Index, flip in 1u8..) {
        let mut room = [0; HELLO_LEN];
        prop_assert_eq!(hello.write(&mut room[..HELLO_LEN - 1]), None);
        prop_assert_eq!(hello.write(&mut room), Some(HELLO_LEN));
        prop_assert_eq!(only(frames(0), &room), Ok(Some(Message::Hello(hello))));
        damage(0, &room, at, flip);
    }

    #[test]
    fn heartbeats_come_back(heartbeat in heartbeat(), loads in loads(), sent in 1u32..4, at: prop::sample::Index, flip in 1u8..) {
        let heartbeat = Heartbeat { loads: Loads::Given(&loads), ..heartbeat };
        let mut room = vec![0; MAX_HEARTBEAT_LEN];
        let length = heartbeat.write(sent, &mut room).unwrap();
        prop_assert_eq!(length, HEARTBEAT_LEN + loads.len() * LOAD_LEN);
        prop_assert_eq!(heartbeat.write(sent, &mut room[..length - 1]), None);
        prop_assert_eq!(heartbeat.write(sent, &mut room), Some(length));
        let Ok(Some(Message::Heartbeat(received))) = only(frames(sent), &room[..length]) else {
            return Err(TestCaseError::fail("no heartbeat"));
        };
        prop_assert_eq!(received.loads.iter().collect::<Vec<_>>(), &loads[..]);
        prop_assert_eq!(Heartbeat { loads: heartbeat.loads, ..received }, heartbeat);
        damage(sent, &room[..length], at, flip);
    }

    #[test]
    fn byes_come_back(reason: u16, sent in 1u32..4, at: prop::sample::Index, flip in 1u8..) {
        let mut room = [0; BYE_LEN];
        prop_assert_eq!(write_bye(reason, sent, &mut room), Some(BYE_LEN));
        prop_assert_eq!(only(frames(sent), &room), Ok(Some(Message::Bye(reason))));
        damage(sent, &room, at, flip);
    }

    #[test]
    fn all_truncations_and_flips_of_a_short_one(heartbeat in heartbeat(), load in load()) {
        let loads = [load];
        let heartbeat = Heartbeat { loads: Loads::Given(&loads), ..heartbeat };
        let mut room = [0; HEARTBEAT_LEN + LOAD_LEN];
        heartbeat.write(1, &mut room).unwrap();
        for length in 0..room.len() {
            prop_assert_eq!(only(frames(1), &room[..length]), Ok(None));
        }
        for at in 0..room.len() {
            for flip in [1, 0x80, 0xff] {
                room[at] ^= flip;
                let _ = only(frames(1), &room);
                room[at] ^= flip;
            }
        }
    }

    #[test]
    fn a_stream_is_the_same_in_any_pieces(reasons in vec(any::<u16>(), 0..20), pieces in vec(1usize..40, 1..20)) {
        let mut stream = vec![0; HELLO_LEN];
        Hello::new(NodeId::new(1).unwrap(), [0; 16], [0; 16], 100, 0).write(&mut stream).unwrap();
        for (number, &reason) in (1..).zip(&reasons) {
            let mut room = [0; BYE_LEN];
            write_bye(reason, number, &mut room).unwrap();
            stream.extend(room);
        }
        let (mut frames, mut begin, mut end) = (Frames::new(), 0, 0);
        let (mut found, mut pieces) = (Vec::new(), pieces.into_iter().cycle());
        loop {
            match frames.next(&stream[begin..end]).unwrap() {
                Progress::Frame(header, body) => {
                    found.push(Message::parse(header, body).unwrap());
                    begin += header.frame_len();
                }
                Progress::More(_) if end == stream.len() => break,
                // Not beyond what is asked for.
                Progress::More(more) => end += more.min(pieces.next().unwrap()).min(stream.len() - end),
            }
        }
        prop_assert_eq!(begin, stream.len());
        prop_assert!(matches!(found[0], Message::Hello(_)));
        let byes: Vec<_> = reasons.into_iter().map(Message::Bye).collect();
        prop_assert_eq!(&found[1..], byes);
    }
}

#[test]
fn no_more_loads_are_written() {
    let load = Load {
        address: Address::V4(1),
        protocol: 6,
        port: 80,
        ready: true,
        listening: true,
        full: false,
        queued: 0,
        room: 0,
        directs: true,
        active: false,
        epoch: 0,
    };
    let heartbeat = |loads| Heartbeat {
        sent: 1,
        echo: 2,
        heard: 3,
        ready: true,
        away: false,
        held: false,
        epoch: 4,
        period: 100,
        loads: Loads::Given(loads),
    };
    let mut room = vec![0; MAX_FRAME_LEN];
    let loads = vec![load; MAX_LOADS + 1];
    let most = heartbeat(&loads[1..]).write(0, &mut room);
    assert_eq!(most, Some(MAX_HEARTBEAT_LEN));
    assert_eq!(heartbeat(&loads).write(0, &mut room), None);
}
