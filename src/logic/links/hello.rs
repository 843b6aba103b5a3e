// SPDX-License-Identifier: GPL-2.0

//! The first message on a link: who the peer is.
//!
//! ```text
//!    0       4         6       8         12           28        44          48      52
//!   +-------+---------+-------+---------+------------+---------+-----------+-------+
//!   | magic | version | least | machine | cluster id | boot id | heartbeat | epoch |
//!   +-------+---------+-------+---------+------------+---------+-----------+-------+
//! ```
//!
//! Each side tells which versions of the protocol it speaks. They speak the highest one of both.
//!
//! It does not prove anything: TLS has proved who the peer is, and its certificate which machine.

#![forbid(unsafe_code)]

use super::{
    bytes::{Reader, Writer},
    error::{WireError, HEADER_LEN}, //
};
use crate::logic::cluster::slots::NodeId;

/// How long the frame of a hello is.
pub const HELLO_LEN: usize = HEADER_LEN + 52;

/// `SVGL` in the order of the bytes.
const MAGIC: u32 = 0x4c47_5653;

/// The versions of the protocol that this machine speaks.
pub const VERSIONS: (u16, u16) = (1, 1);

/// How often heartbeats are sent, in milliseconds.
pub const HEARTBEATS: (u32, u32) = (10, 10_000);

/// What a machine tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The highest version of the protocol that it speaks.
    pub version: u16,
    /// The lowest one, at most `version`.
    pub least_version: u16,
    /// Its id among the machines of the cluster.
    pub machine: NodeId,
    /// Which cluster that is.
    pub cluster: [u8; 16],
    /// Another one after each start.
    pub boot: [u8; 16],
    /// How often it sends heartbeats, in milliseconds; in the bounds of [`HEARTBEATS`].
    pub heartbeat: u32,
    /// The highest epoch of a table that it has.
    pub epoch: u32,
}

/// Why a machine is none to have a link with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// It belongs to another cluster.
    OtherCluster,
    /// It is another machine than the one that the link is for.
    OtherMachine,
    /// There is no version that both speak.
    Version,
}

impl Hello {
    /// Of a machine that speaks the [`VERSIONS`].
    pub fn new(
        machine: NodeId,
        cluster: [u8; 16],
        boot: [u8; 16],
        heartbeat: u32,
        epoch: u32,
    ) -> Self {
        let (least_version, version) = VERSIONS;
        Self {
            version,
            least_version,
            machine,
            cluster,
            boot,
            heartbeat,
            epoch,
        }
    }

    /// The version to speak with this peer, if it is the one that is expected.
    pub fn check(&self, cluster: &[u8; 16], peer: NodeId) -> Result<u16, Stranger> {
        if self.cluster != *cluster {
            return Err(Stranger::OtherCluster);
        }
        if self.machine != peer {
            return Err(Stranger::OtherMachine);
        }
        let (least, version) = VERSIONS;
        match self.least_version <= version && least <= self.version {
            true => Ok(self.version.min(version)),
            false => Err(Stranger::Version),
        }
    }

    pub(super) fn parse(fields: &mut Reader<'_>) -> Result<Self, WireError> {
        let magic = fields.u32()?;
        let version = fields.u16()?;
        let least_version = fields.u16()?;
        let machine = fields.u32()?;
        let hello = Self {
            version,
            least_version,
            machine: NodeId::new(machine).ok_or(WireError::Hello)?,
            cluster: fields.take()?,
            boot: fields.take()?,
            heartbeat: fields.u32()?,
            epoch: fields.u32()?,
        };
        let (shortest, longest) = HEARTBEATS;
        let is_right = magic == MAGIC
            && (1..=version).contains(&least_version)
            && (shortest..=longest).contains(&hello.heartbeat);
        match is_right {
            true => Ok(hello),
            false => Err(WireError::Hello),
        }
    }

    pub(super) fn put(&self, fields: &mut Writer<'_>) -> Option<()> {
        fields.u32(MAGIC)?;
        fields.u16(self.version)?;
        fields.u16(self.least_version)?;
        fields.u32(self.machine.get())?;
        fields.put(self.cluster)?;
        fields.put(self.boot)?;
        fields.u32(self.heartbeat)?;
        fields.u32(self.epoch)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_hello)
)]
mod tests {
    use super::*;

    fn hello() -> Option<Hello> {
        let machine = NodeId::new(7)?;
        Some(Hello::new(machine, [1; 16], [2; 16], 100, 5))
    }

    #[test]
    fn who_may_have_a_link() {
        assert!(hello().is_some());
        let (Some(hello), Some(other)) = (hello(), NodeId::new(8)) else {
            return;
        };
        assert_eq!(hello.check(&[1; 16], hello.machine), Ok(1));
        assert_eq!(
            hello.check(&[2; 16], hello.machine),
            Err(Stranger::OtherCluster)
        );
        assert_eq!(hello.check(&[1; 16], other), Err(Stranger::OtherMachine));
        // Its lowest and highest version, and the one to speak.
        for (least_version, version, expected) in [
            (1, 1, Ok(1)),
            (1, 2, Ok(1)),
            (1, u16::MAX, Ok(1)),
            (2, 2, Err(Stranger::Version)),
            (2, u16::MAX, Err(Stranger::Version)),
        ] {
            let newer = Hello {
                least_version,
                version,
                ..hello
            };
            assert_eq!(newer.check(&[1; 16], hello.machine), expected);
        }
    }

    #[test]
    fn numbers_at_their_bounds() {
        let mut right = [0; HELLO_LEN];
        assert_eq!(
            hello().and_then(|hello| hello.write(&mut right)),
            Some(HELLO_LEN)
        );
        let body = right.split_at(HEADER_LEN).1;
        assert_eq!(Hello::parse(&mut Reader(body)).ok(), hello());
        // Where it is, the number in two bytes, and whether it may be there.
        for (at, number, expected) in [
            (0, 0x5652, false),
            (0, 0x5653, true),
            (4, 0, false),
            (4, 1, true),
            (4, u16::MAX, true),
            (6, 0, false),
            (6, 2, false),
            (8, 0, false),
            (8, u16::MAX, true),
            (44, 9, false),
            (44, 10, true),
            (44, 10_000, true),
            (44, 10_001, false),
            (46, 1, false),
        ] {
            let mut bytes = right;
            let field = bytes.iter_mut().skip(HEADER_LEN).skip(at);
            for (to, from) in field.zip(u16::to_le_bytes(number)) {
                *to = from;
            }
            let body = bytes.split_at(HEADER_LEN).1;
            let parsed = Hello::parse(&mut Reader(body));
            assert_eq!(parsed.is_ok(), expected);
            assert!(expected || parsed == Err(WireError::Hello));
        }
    }
}
