// SPDX-License-Identifier: GPL-2.0

//! The frames of a link.
//!
//! ```text
//!    0        4      6         8          12
//!   +--------+------+---------+----------+--------------
//!   | length | kind | version | sequence | body ...
//!   +--------+------+---------+----------+--------------
//! ```
//!
//! All numbers are little-endian. The length is that of the whole frame, the version that of this kind
//! of message. A sender numbers its frames from 0 on. Its first one is a hello, and no other one is.
//!
//! A kind that is not known is skipped. A message of a newer version may have more fields behind those
//! that are known, and these keep their meaning; so machines of several versions understand each other.
//! Anything else that is not as it is told here ends the link: see [`WireError`].

#![forbid(unsafe_code)]

pub use super::error::{WireError, HEADER_LEN, MAX_FRAME_LEN};
use super::{
    bytes::{Reader, Writer},
    heartbeat::Heartbeat,
    hello::Hello, //
};

/// How long the frame of a bye is.
pub const BYE_LEN: usize = HEADER_LEN + 4;

const HELLO: u16 = 1;
const HEARTBEAT: u16 = 2;
const BYE: u16 = 3;

/// The version of a kind of message that this machine writes.
fn version(kind: u16) -> u16 {
    match kind {
        // Since load reports have an epoch.
        HEARTBEAT => 2,
        _ => 1,
    }
}

/// What a frame has in front of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: u16,
    version: u16,
    /// How many bytes the body has.
    body: usize,
}

impl Header {
    /// How long the frame is, from [`HEADER_LEN`] to [`MAX_FRAME_LEN`].
    pub fn frame_len(&self) -> usize {
        HEADER_LEN.saturating_add(self.body)
    }
}

/// What has come of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It is complete when so many bytes more are there, at least.
    More(usize),
    /// All of it.
    Frame(Header, Body<'a>),
}

/// The bytes of a frame behind its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'a>(&'a [u8]);

/// The frames of one peer, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// The number of the next one.
    sequence: u32,
    /// Whether its hello has come.
    greeted: bool,
}

impl Frames {
    /// Of a peer that has sent none.
    pub const fn new() -> Self {
        Self {
            sequence: 0,
            greeted: false,
        }
    }

    /// The frame that these bytes begin with, if it is complete. It counts as received; the caller
    /// takes its [`Header::frame_len()`] bytes away.
    ///
    /// After an error nothing that comes has a meaning.
    pub fn next<'a>(&mut self, received: &'a [u8]) -> Result<Progress<'a>, WireError> {
        let Some(bytes) = received.first_chunk::<HEADER_LEN>() else {
            return Ok(Progress::More(HEADER_LEN.saturating_sub(received.len())));
        };
        let header = self.header(bytes)?;
        let length = header.frame_len();
        let Some(body) = received.get(HEADER_LEN..length) else {
            return Ok(Progress::More(length.saturating_sub(received.len())));
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.greeted = true;
        Ok(Progress::Frame(header, Body(body)))
    }

    /// Reads and checks a header, before there is memory for what it announces.
    fn header(&self, bytes: &[u8; HEADER_LEN]) -> Result<Header, WireError> {
        let mut fields = Reader(bytes);
        let length = usize::try_from(fields.u32()?).map_err(|_| WireError::FrameLength)?;
        let kind = fields.u16()?;
        let version = fields.u16()?;
        let sequence = fields.u32()?;
        let body = length.checked_sub(HEADER_LEN);
        let body = body.filter(|_| length <= MAX_FRAME_LEN);
        let header = Header {
            kind,
            version,
            body: body.ok_or(WireError::FrameLength)?,
        };
        if (kind == HELLO) == self.greeted {
            return Err(WireError::Order);
        }
        if sequence != self.sequence {
            return Err(WireError::Sequence);
        }
        match version {
            0 => Err(WireError::MessageVersion),
            _ => Ok(header),
        }
    }
}

/// A frame's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Who the peer is.
    Hello(Hello),
    /// That it is there, and how it is.
    Heartbeat(Heartbeat<'a>),
    /// It ends the link, for a reason of its own.
    Bye(u16),
    /// Of a kind that a newer version has: skip it.
    Unknown,
}

impl<'a> Message<'a> {
    /// Reads and checks what is in a frame, all of it.
    pub fn parse(header: Header, body: Body<'a>) -> Result<Self, WireError> {
        let mut fields = Reader(body.0);
        let message = match header.kind {
            HELLO => Self::Hello(Hello::parse(&mut fields)?),
            HEARTBEAT => Self::Heartbeat(Heartbeat::parse(&mut fields, header.version)?),
            BYE => {
                let reason = fields.u16()?;
                fields.u16()?;
                Self::Bye(reason)
            }
            _ => return Ok(Self::Unknown),
        };
        fields.end(header.version)?;
        Ok(message)
    }
}

/// Writes a bye. Returns its length; none if it does not fit in.
pub fn write_bye(reason: u16, sequence: u32, room: &mut [u8]) -> Option<usize> {
    write(room, BYE, sequence, |fields| {
        fields.u16(reason)?;
        fields.u16(0)
    })
}

impl Hello {
    /// Writes the first frame. Returns its length; none if it does not fit in.
    pub fn write(&self, room: &mut [u8]) -> Option<usize> {
        write(room, HELLO, 0, |fields| self.put(fields))
    }
}

impl Heartbeat<'_> {
    /// Writes one with these load reports, [`MAX_LOADS`](super::heartbeat::MAX_LOADS) at most. Returns
    /// its length; none if it does not fit in.
    pub fn write(&self, sequence: u32, room: &mut [u8]) -> Option<usize> {
        write(room, HEARTBEAT, sequence, |fields| self.put(fields))
    }
}

/// Writes a frame with this body, and then its length.
fn write(
    room: &mut [u8],
    kind: u16,
    sequence: u32,
    body: impl FnOnce(&mut Writer<'_>) -> Option<()>,
) -> Option<usize> {
    let mut fields = Writer::new(room);
    fields.u32(0)?;
    fields.u16(kind)?;
    fields.u16(version(kind))?;
    fields.u32(sequence)?;
    body(&mut fields)?;
    let length = fields.written();
    let number = u32::try_from(length).ok()?;
    Writer::new(room).u32(number)?;
    Some(length).filter(|&length| length <= MAX_FRAME_LEN)
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_links_wire)
)]
mod tests {
    use super::*;

    fn framed(kind: u16, version: u16, sequence: u32, length: u32) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut fields = Writer::new(&mut bytes);
        assert_eq!(fields.u32(length), Some(()));
        assert_eq!(fields.u16(kind), Some(()));
        assert_eq!(fields.u16(version), Some(()));
        assert_eq!(fields.u32(sequence), Some(()));
        bytes
    }

    /// Of a peer that has sent so many frames.
    fn frames(sequence: u32) -> Frames {
        Frames {
            sequence,
            greeted: sequence > 0,
        }
    }

    #[test]
    fn headers() {
        // How many were sent before; kind, version, sequence and length; how much is missing then.
        for (sent, (kind, version, sequence, length), expected) in [
            (0, (HELLO, 1, 0, 16), Ok(0)),
            (0, (HELLO, 1, 0, 12), Ok(0)),
            (0, (HELLO, 1, 0, 17), Ok(1)),
            (0, (HELLO, 1, 0, 65_536), Ok(65_520)),
            (0, (HELLO, 1, 0, 65_537), Err(WireError::FrameLength)),
            (0, (HELLO, 1, 0, u32::MAX), Err(WireError::FrameLength)),
            (0, (HELLO, 1, 0, 11), Err(WireError::FrameLength)),
            (0, (HELLO, 1, 0, 0), Err(WireError::FrameLength)),
            (0, (HELLO, 0, 0, 16), Err(WireError::MessageVersion)),
            (0, (HELLO, 1, 1, 16), Err(WireError::Sequence)),
            (0, (BYE, 1, 0, 16), Err(WireError::Order)),
            (0, (99, 1, 0, 16), Err(WireError::Order)),
            (1, (HELLO, 1, 1, 16), Err(WireError::Order)),
            (1, (BYE, 1, 0, 16), Err(WireError::Sequence)),
            (1, (BYE, 1, 2, 16), Err(WireError::Sequence)),
            (1, (99, u16::MAX, 1, 16), Ok(0)),
            (u32::MAX, (BYE, 1, u32::MAX, 16), Ok(0)),
        ] {
            let bytes = framed(kind, version, sequence, length);
            let mut frames = frames(sent);
            let missing = match frames.next(&bytes) {
                Ok(Progress::More(count)) => Ok(count),
                Ok(Progress::Frame(header, body)) => {
                    assert_eq!(u32::try_from(header.frame_len()), Ok(length));
                    assert_eq!(header.frame_len(), HEADER_LEN.saturating_add(body.0.len()));
                    assert!(frames.greeted && frames.sequence == sent.wrapping_add(1));
                    Ok(0)
                }
                Err(error) => Err(error),
            };
            assert_eq!(missing, expected);
        }
    }

    #[test]
    fn what_is_not_complete_is_asked_for() {
        let mut bytes = [0; BYE_LEN];
        assert_eq!(write_bye(4, 1, &mut bytes), Some(BYE_LEN));
        let mut frames = frames(1);
        for length in 0..BYE_LEN {
            let needed = if length < HEADER_LEN {
                HEADER_LEN
            } else {
                BYE_LEN
            };
            let given = bytes.get(..length).unwrap_or(&[]);
            let more = needed.saturating_sub(length);
            assert_eq!(frames.next(given), Ok(Progress::More(more)));
        }
        let next = frames.next(&bytes);
        assert!(matches!(next, Ok(Progress::Frame(..))));
        if let Ok(Progress::Frame(header, body)) = next {
            assert_eq!(Message::parse(header, body), Ok(Message::Bye(4)));
        }
        // It does not come twice.
        assert_eq!(frames.next(&bytes), Err(WireError::Sequence));
    }

    #[test]
    fn messages_of_other_versions() {
        let bytes = [0; 64];
        // Kind, version, length of the body; whether it is understood.
        for (kind, version, length, expected) in [
            (BYE, 1, 4, Ok(Message::Bye(0))),
            (BYE, 1, 3, Err(WireError::BodyLength)),
            (BYE, 1, 5, Err(WireError::BodyLength)),
            (BYE, 2, 5, Ok(Message::Bye(0))),
            (BYE, 2, 3, Err(WireError::BodyLength)),
            (99, 1, 0, Ok(Message::Unknown)),
            (99, 7, 64, Ok(Message::Unknown)),
            (HELLO, 1, 51, Err(WireError::Hello)),
            (HEARTBEAT, 1, 36, Err(WireError::Load)),
        ] {
            let header = Header {
                kind,
                version,
                body: length,
            };
            let body = Body(bytes.get(..length).unwrap_or(&[]));
            assert_eq!(Message::parse(header, body), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        for length in 0..BYE_LEN {
            let mut room = [0; BYE_LEN];
            let room = room.get_mut(..length).unwrap_or(&mut []);
            assert_eq!(write_bye(1, 1, room), None);
        }
    }
}
