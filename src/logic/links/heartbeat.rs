// SPDX-License-Identifier: GPL-2.0

//! The message that a machine sends while it is there.
//!
//! ```text
//!    0      8      16      20      24      28       32      34       36
//!   +------+------+-------+-------+-------+--------+-------+--------+---------------------
//!   | sent | echo | heard | flags | epoch | period | count | stride | count load reports ...
//!   +------+------+-------+-------+-------+--------+-------+--------+---------------------
//!
//!    0        1          2      4         20      24       28     32
//!   +--------+----------+------+---------+-------+--------+------+
//!   | family | protocol | port | address | flags | queued | room |
//!   +--------+----------+------+---------+-------+--------+------+
//! ```
//!
//! The stride is the length of a load report: a newer version's may have more fields. The family is
//! Linux's number; an IPv4 address has four bytes, and zeros follow. Flags that are not known are
//! ignored. The period is that of the hello at first, and another one when the machine is told so.

#![forbid(unsafe_code)]

use super::{
    bytes::{Reader, Writer},
    error::{WireError, HEADER_LEN},
    hello::HEARTBEATS, //
};
use crate::logic::cluster::flow::Address;

/// How many load reports a heartbeat has at most.
pub const MAX_LOADS: usize = 256;
/// How long a load report is.
pub const LOAD_LEN: usize = 32;
/// How long a heartbeat without load reports is, as a frame.
pub const HEARTBEAT_LEN: usize = HEADER_LEN + 36;
/// How long the longest heartbeat is that this version writes, as a frame.
pub const MAX_HEARTBEAT_LEN: usize = HEARTBEAT_LEN + MAX_LOADS * LOAD_LEN;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Flag of a heartbeat: its sender takes new flows.
const READY: u32 = 1;
/// Flag of a heartbeat: its sender gives the receiver's new flows to deputies.
const AWAY: u32 = 2;

/// How a cluster IP is served on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The cluster IP.
    pub address: Address,
    /// Its protocol; 0 for any.
    pub protocol: u8,
    /// Its port; 0 for any.
    pub port: u16,
    /// Whether it takes new flows there.
    pub ready: bool,
    /// Whether anything listens there.
    pub listening: bool,
    /// Whether the listener there has no room. Of several, as in a group, that is the one that the kernel
    /// looks up for one connection, here and below: to look at all with each heartbeat would cost too much.
    pub full: bool,
    /// How many connections wait there to be accepted.
    pub queued: u32,
    /// How many more could wait there.
    pub room: u32,
}

/// Which cluster IP a load report is of: its address, protocol and port.
pub type Service = (Address, u8, u16);

impl Load {
    /// What it is of.
    pub const fn service(&self) -> Service {
        (self.address, self.protocol, self.port)
    }
}

/// Flags of a load report.
const LOAD_READY: u32 = 1;
const LOAD_LISTENING: u32 = 2;
const LOAD_FULL: u32 = 4;

/// Several load reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loads<'a> {
    /// To be written.
    Given(&'a [Load]),
    /// As received, each of this length, and each checked.
    Received(&'a [u8], usize),
}

impl<'a> Loads<'a> {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Load> + 'a {
        let (given, received, stride) = match *self {
            Self::Given(loads) => (loads, [].as_slice(), LOAD_LEN),
            Self::Received(bytes, stride) => ([].as_slice(), bytes, stride),
        };
        let received = received.chunks_exact(stride.max(1));
        let parsed = received.filter_map(|bytes| Load::parse(&mut Reader(bytes)).ok());
        Iterator::chain(given.iter().copied(), parsed)
    }
}

/// That a machine is there, and how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// When it is sent, by its sender's clock; the receiver only sends it back.
    pub sent: u64,
    /// The latest `sent` that its sender has received on this link; 0 if none.
    pub echo: u64,
    /// How long ago its sender heard of the receiver on this link, in milliseconds; if it has not,
    /// how long ago the link began.
    pub heard: u32,
    /// Whether it takes new flows.
    pub ready: bool,
    /// Whether the receiver is away for it: as long as any of its tables gives slots of the receiver to
    /// deputies.
    pub away: bool,
    /// The highest epoch of a table that it has.
    pub epoch: u32,
    /// How often it sends one, in milliseconds; in the bounds of [`HEARTBEATS`].
    pub period: u32,
    /// How it serves its cluster IPs.
    pub loads: Loads<'a>,
}

impl<'a> Heartbeat<'a> {
    pub(super) fn parse(fields: &mut Reader<'a>, version: u16) -> Result<Self, WireError> {
        let sent = fields.u64()?;
        let echo = fields.u64()?;
        let heard = fields.u32()?;
        let flags = fields.u32()?;
        let epoch = fields.u32()?;
        let period = fields.u32()?;
        let count = usize::from(fields.u16()?);
        let stride = usize::from(fields.u16()?);
        let is_stride = stride == LOAD_LEN || stride > LOAD_LEN && version > 1;
        if count > MAX_LOADS || !is_stride {
            return Err(WireError::Load);
        }
        let (shortest, longest) = HEARTBEATS;
        if !(shortest..=longest).contains(&period) {
            return Err(WireError::Period);
        }
        let bytes = fields.bytes(count.saturating_mul(stride))?;
        for load in bytes.chunks_exact(stride) {
            Load::parse(&mut Reader(load))?;
        }
        Ok(Self {
            sent,
            echo,
            heard,
            ready: flags & READY != 0,
            away: flags & AWAY != 0,
            epoch,
            period,
            loads: Loads::Received(bytes, stride),
        })
    }

    pub(super) fn put(&self, fields: &mut Writer<'_>) -> Option<()> {
        let count = self.loads.iter().count();
        if count > MAX_LOADS {
            return None;
        }
        fields.u64(self.sent)?;
        fields.u64(self.echo)?;
        fields.u32(self.heard)?;
        fields.u32(flag(self.ready, READY) | flag(self.away, AWAY))?;
        fields.u32(self.epoch)?;
        fields.u32(self.period)?;
        fields.u16(u16::try_from(count).ok()?)?;
        fields.u16(u16::try_from(LOAD_LEN).ok()?)?;
        for load in self.loads.iter() {
            load.put(fields)?;
        }
        Some(())
    }
}

fn flag(is_set: bool, flag: u32) -> u32 {
    match is_set {
        true => flag,
        false => 0,
    }
}

impl Load {
    fn parse(fields: &mut Reader<'_>) -> Result<Self, WireError> {
        let family = fields.u8()?;
        let protocol = fields.u8()?;
        let port = fields.u16()?;
        let bytes: [u8; 16] = fields.take()?;
        let address = match (family, bytes) {
            (AF_INET, [a, b, c, d, zeros @ ..]) if zeros == [0; 12] => {
                Address::from_v4_bytes([a, b, c, d])
            }
            (AF_INET6, bytes) => Address::from_v6_bytes(bytes),
            _ => return Err(WireError::Load),
        };
        let flags = fields.u32()?;
        Ok(Self {
            address,
            protocol,
            port,
            ready: flags & LOAD_READY != 0,
            listening: flags & LOAD_LISTENING != 0,
            full: flags & LOAD_FULL != 0,
            queued: fields.u32()?,
            room: fields.u32()?,
        })
    }

    fn put(&self, fields: &mut Writer<'_>) -> Option<()> {
        let family = match self.address.is_ipv6() {
            true => AF_INET6,
            false => AF_INET,
        };
        fields.put([family, self.protocol])?;
        fields.u16(self.port)?;
        fields.put(self.address.to_bytes())?;
        fields.u32(
            flag(self.ready, LOAD_READY)
                | flag(self.listening, LOAD_LISTENING)
                | flag(self.full, LOAD_FULL),
        )?;
        fields.u32(self.queued)?;
        fields.u32(self.room)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_heartbeat)
)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        address: Address::V4(0xcb00_7107),
        protocol: 6,
        port: 80,
        ready: true,
        listening: true,
        full: false,
        queued: 2,
        room: 3,
    };

    fn written(load: Load) -> [u8; LOAD_LEN] {
        let mut bytes = [0; LOAD_LEN];
        assert_eq!(load.put(&mut Writer::new(&mut bytes)), Some(()));
        bytes
    }

    #[test]
    fn load_reports() {
        let v6 = Address::V6([0x2001_0db8, 0, 0, 1]);
        for flags in 0..8u8 {
            for address in [LOAD.address, v6] {
                let load = Load {
                    address,
                    ready: flags & 1 != 0,
                    listening: flags & 2 != 0,
                    full: flags & 4 != 0,
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
            (2, 33, 2, 66, Ok(2)),
            (1, u16::MAX, 2, 66, short),
            (257, 32, 1, 66, none),
            (u16::MAX, u16::MAX, 2, 66, none),
        ] {
            let mut bytes = [0u8; 36 + 66];
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
                assert!(heartbeat.loads.iter().all(|load| load == LOAD));
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
                epoch: 0,
                period,
                loads: Loads::Given(&[]),
            };
            let mut bytes = [0; HEARTBEAT_LEN - HEADER_LEN];
            assert_eq!(heartbeat.put(&mut Writer::new(&mut bytes)), Some(()));
            let parsed = Heartbeat::parse(&mut Reader(&bytes), 1);
            assert_eq!(parsed.map(|heartbeat| heartbeat.period), expected);
        }
    }
}
