// SPDX-License-Identifier: GPL-2.0
//! What two agents say to each other before the kernels have a connection.
//!
//! ```text
//! connects                     listens
//!    | -- introduction ----------> |
//!    | <- introduction, verdict -- |
//!    | -- verdict ---------------> |
//! ```
//!
//! Numbers are little-endian. An introduction is `SGLI`, the version of the protocol of links that
//! the machine speaks (u16), the least one (u16), its id (u32) and the cluster's (16 bytes). A verdict is
//! the length of a text (u16) and that: why not; none if all is well.

use std::io::{self, Read, Write};

/// What an introduction begins with.
const MAGIC: [u8; 4] = *b"SGLI";
const LENGTH: usize = 28;
/// Longest text of a verdict.
const VERDICT: usize = 400;

/// The version that this program and its module speak, and the least one.
pub const VERSIONS: (u16, u16) = (1, 1);

/// How a machine introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The version of the protocol that it speaks.
    pub version: u16,
    /// The least one.
    pub least: u16,
    /// Its id.
    pub machine: u32,
    /// The cluster's.
    pub cluster: [u8; 16],
}

impl Introduction {
    /// That of this machine.
    pub fn new(machine: u32, cluster: [u8; 16]) -> Self {
        let (version, least) = VERSIONS;
        Self {
            version,
            least,
            machine,
            cluster,
        }
    }

    /// Says it.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::from(MAGIC);
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.least.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend(self.cluster);
        to.write_all(&bytes)
    }

    /// Hears it.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; LENGTH];
        from.read_exact(&mut bytes)?;
        let (magic, rest) = bytes.split_at(4);
        if magic != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let number = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let mut cluster = [0; 16];
        cluster.copy_from_slice(&rest[8..]);
        Ok(Self {
            version: number(0),
            least: number(2),
            machine: u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]),
            cluster,
        })
    }

    /// Why the two cannot be linked, as a part of a sentence about the other one, if they cannot.
    /// `who` is the id that the other one has proved to be, if it had to.
    pub fn refuses(&self, other: &Self, who: Option<u32>) -> Option<String> {
        if other.cluster != self.cluster {
            return Some(
                "it is of another cluster, whose id differs: give all machines the same file"
                    .to_owned(),
            );
        }
        if other.version < self.least || self.version < other.least {
            let which = match other.version > self.version {
                true => "this one",
                false => "it",
            };
            return Some(format!(
                "it speaks versions {} to {} of links, this machine {} to {}: upgrade {which}",
                other.least, other.version, self.least, self.version
            ));
        }
        let wrong = who.filter(|who| *who != other.machine)?;
        Some(format!(
            "it says that it is machine {}, and is {wrong} in the file: give all machines the same \
             file",
            other.machine
        ))
    }
}

/// Says whether all is well, or why not.
pub fn write_verdict(to: &mut impl Write, why: Option<&str>) -> io::Result<()> {
    let mut text = why.unwrap_or_default();
    while text.len() > VERDICT {
        let cut = (0..=VERDICT).rev().find(|at| text.is_char_boundary(*at));
        text = &text[..cut.unwrap_or_default()];
    }
    let length = u16::try_from(text.len()).unwrap_or_default();
    let mut bytes = Vec::from(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    to.write_all(&bytes)
}

/// Hears it. The text is the other side's: it is made harmless for a terminal.
pub fn read_verdict(from: &mut impl Read) -> io::Result<Option<String>> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let length = usize::from(u16::from_le_bytes(length));
    if length > VERDICT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok((length > 0).then(|| harmless(&bytes)))
}

/// A text of another machine, on one line and without what a terminal would obey.
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Introduction = Introduction {
        version: 3,
        least: 2,
        machine: 7,
        cluster: [5; 16],
    };

    #[test]
    fn what_is_said_is_what_is_heard() {
        let mut bytes = Vec::new();
        OWN.write(&mut bytes).expect("there is room");
        let mut expected = b"SGLI\x03\0\x02\0\x07\0\0\0".to_vec();
        expected.extend([5; 16]);
        assert_eq!(bytes, expected);
        assert_eq!(Introduction::read(&mut &bytes[..]).ok(), Some(OWN));
        assert!(Introduction::read(&mut &bytes[..27]).is_err());
        bytes[0] = b'X';
        assert!(Introduction::read(&mut &bytes[..]).is_err());
    }

    #[test]
    fn machines_that_cannot_be_linked_are_told_why() {
        let told = |other: Introduction, who| OWN.refuses(&other, who).unwrap_or_default();
        for (version, least, which) in [
            (3, 3, ""),
            (2, 1, ""),
            (9, 3, ""),
            (9, 4, "this one"),
            (1, 1, "it"),
        ] {
            let told = told(
                Introduction {
                    version,
                    least,
                    ..OWN
                },
                Some(7),
            );
            assert_eq!(told.rsplit("upgrade ").next().unwrap_or_default(), which);
        }
        let cluster = [6; 16];
        assert!(told(Introduction { cluster, ..OWN }, Some(7)).contains("another cluster"));
        assert!(told(OWN, Some(8)).contains("is 8 in the file"));
        assert_eq!(told(OWN, None), "");
    }

    #[test]
    fn verdicts_are_short_and_harmless() {
        let told = |why: Option<&str>| {
            let mut bytes = Vec::new();
            write_verdict(&mut bytes, why).expect("there is room");
            read_verdict(&mut &bytes[..]).expect("it is whole")
        };
        assert_eq!(told(None), None);
        assert_eq!(told(Some("no\x1b[2J\n!")).as_deref(), Some("no [2J !"));
        let long = "ä".repeat(VERDICT);
        assert_eq!(told(Some(&long)), Some("ä".repeat(VERDICT / 2)));
        assert!(read_verdict(&mut &[0xff, 0xff][..]).is_err());
    }
}
