// SPDX-License-Identifier: GPL-2.0

//! Tests of heartbeats, on the host and under KUnit.

#![forbid(unsafe_code)]

#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_heartbeat)
)]
mod tests {
    use super::super::*;

    const LOAD: Load = Load {
        address: Address::V4(0xcb00_7107),
        protocol: 6,
        port: 80,
        ready: true,
        listening: true,
        full: false,
        queued: 2,
        room: 3,
        directs: false,
        active: true,
        epoch: 9,
    };

    fn written(load: Load) -> [u8; LOAD_LEN] {
        let mut bytes = [0; LOAD_LEN];
        assert_eq!(load.put(&mut Writer::new(&mut bytes)), Some(()));
        bytes
    }

    #[test]
    fn load_reports() {
        let v6 = Address::V6([0x2001_0db8, 0, 0, 1]);
        for flags in 0..32u8 {
            for address in [LOAD.address, v6] {
                let load = Load {
                    address,
                    ready: flags & 1 != 0,
                    listening: flags & 2 != 0,
                    full: flags & 4 != 0,
                    directs: flags & 8 != 0,
                    active: flags & 16 != 0,
                    ..LOAD
                };
                assert_eq!(Load::parse(&mut Reader(&written(load))), Ok(load));
            }
        }
    }

    #[test]
    fn addresses_that_are_none() {
        // Where a byte stands, what it is to be, and whether that is an address.
        for (at, byte, expected) in [
            (0, 0, false),
            (0, 1, false),
            (0, 2, true),
            (0, 10, true),
            (0, 11, false),
            (7, 0xff, true),
            (8, 1, false),
            (19, 1, false),
            (20, 0xff, true),
        ] {
            let mut bytes = written(LOAD);
            for to in bytes.iter_mut().skip(at).take(1) {
                *to = byte;
            }
            assert_eq!(Load::parse(&mut Reader(&bytes)).is_ok(), expected);
        }
    }

    /// The count, the length of each, the message's version, how many bytes there are; what comes of it.
    #[test]
    fn how_many_there_may_be() {
        let none = Err(WireError::Load);
        let short = Err(WireError::BodyLength);
        for (count, stride, version, length, expected) in [
            (0, 32, 1, 0, Ok(0)),
            (1, 32, 1, 32, Ok(1)),
            (1, 32, 1, 31, short),
            (2, 32, 1, 63, short),
            (2, 32, 1, 64, Ok(2)),
            (0, 0, 1, 0, none),
            (0, 31, 2, 0, none),
            (1, 33, 1, 33, none),
            (1, 32, 2, 32, none),
            (1, 36, 1, 36, none),
            (1, 37, 2, 37, none),
            (2, 36, 2, 71, short),
            (2, 36, 2, 72, Ok(2)),
            (1, 35, 3, 35, none),
            (2, 37, 3, 74, Ok(2)),
            (1, u16::MAX, 3, 74, short),
            (257, 36, 2, 74, none),
            (u16::MAX, u16::MAX, 3, 74, none),
        ] {
            let mut bytes = [0u8; 36 + 74];
            let mut fields = Writer::new(&mut bytes);
            assert_eq!(fields.put([0; 28]), Some(()));
            assert_eq!(fields.u32(100), Some(()));
            assert_eq!(fields.u16(count), Some(()));
            assert_eq!(fields.u16(stride), Some(()));
            for at in [0, usize::from(stride)] {
                let to = bytes.iter_mut().skip(36).skip(at);
                for (to, from) in to.zip(written(LOAD)) {
                    *to = from;
                }
            }
            let given = bytes.get(..usize::saturating_add(36, length));
            let parsed = Heartbeat::parse(&mut Reader(given.unwrap_or(&[])), version);
            assert_eq!(
                parsed.map(|heartbeat| heartbeat.loads.iter().count()),
                expected
            );
            if let Ok(heartbeat) = parsed {
                // Version 1 has no epoch.
                let epoch = if version == 1 { 0 } else { LOAD.epoch };
                let expected = Load { epoch, ..LOAD };
                assert!(heartbeat.loads.iter().all(|load| load == expected));
            }
        }
    }

    #[test]
    fn how_often_it_may_come() {
        for (period, expected) in [
            (9, Err(WireError::Period)),
            (10, Ok(10)),
            (10_000, Ok(10_000)),
            (10_001, Err(WireError::Period)),
        ] {
            let heartbeat = Heartbeat {
                sent: 0,
                echo: 0,
                heard: 0,
                ready: true,
                away: false,
                held: false,
                epoch: 0,
                period,
                loads: Loads::Given(&[]),
            };
            let mut bytes = [0; HEARTBEAT_LEN - HEADER_LEN];
            assert_eq!(heartbeat.put(&mut Writer::new(&mut bytes)), Some(()));
            let parsed = Heartbeat::parse(&mut Reader(&bytes), 2);
            assert_eq!(parsed.map(|heartbeat| heartbeat.period), expected);
        }
    }
}
