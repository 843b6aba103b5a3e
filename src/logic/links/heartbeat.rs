// SPDX-License-Identifier: GPL-2.0

//! The message that a machine sends while it is there.
//!
//! ```text
//!    0      8      16      20      24      28       32      34       36
//!   +------+------+-------+-------+-------+--------+-------+--------+---------------------
//!   | sent | echo | heard | flags | epoch | period | count | stride | count load reports ...
//!   +------+------+-------+-------+-------+--------+-------+--------+---------------------
//!
//!    0        1          2      4         20      24       28     32      36
//!   +--------+----------+------+---------+-------+--------+------+-------+
//!   | family | protocol | port | address | flags | queued | room | epoch |
//!   +--------+----------+------+---------+-------+--------+------+-------+
//! ```
//!
//! The stride is the length of a load report: a newer version's may have more fields, and version 1 has no
//! epoch. The family is Linux's number; an IPv4 address has four bytes, and zeros follow. Flags that are not
//! known are ignored. The period is that of the hello at first, and another one when the machine is told so.

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
pub const LOAD_LEN: usize = 36;
/// How long it is in version 1.
const LOAD_LEN_1: usize = 32;
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
/// Flag of a heartbeat: its sender holds the receiver back.
const HELD: u32 = 4;

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
    /// Whether it can direct there, as one of several directors whose roles follow links.
    pub directs: bool,
    /// Whether it is the active one of these.
    pub active: bool,
    /// The epoch of its table; 0 if it does not say.
    pub epoch: u32,
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
const LOAD_DIRECTS: u32 = 8;
const LOAD_ACTIVE: u32 = 16;

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
    /// Whether the receiver is held back by it, as it came and went.
    pub held: bool,
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
        let is_stride = match version {
            0 | 1 => stride == LOAD_LEN_1,
            2 => stride == LOAD_LEN,
            _ => stride >= LOAD_LEN,
        };
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
            held: flags & HELD != 0,
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
        fields.u32(flag(self.ready, READY) | flag(self.away, AWAY) | flag(self.held, HELD))?;
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
            directs: flags & LOAD_DIRECTS != 0,
            active: flags & LOAD_ACTIVE != 0,
            // Version 1 does not have it.
            epoch: fields.u32().unwrap_or(0),
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
                | flag(self.full, LOAD_FULL)
                | flag(self.directs, LOAD_DIRECTS)
                | flag(self.active, LOAD_ACTIVE),
        )?;
        fields.u32(self.queued)?;
        fields.u32(self.room)?;
        fields.u32(self.epoch)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[path = "heartbeat_tests.rs"]
mod heartbeat_tests;
