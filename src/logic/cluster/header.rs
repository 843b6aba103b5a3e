// SPDX-License-Identifier: GPL-2.0

//! IPv4 and IPv6 headers, with all that stands between them and the upper layer.
//!
//! Options and extension headers are passed over, not looked at. The destination is the one of the
//! IP header, also where a routing header or a source route names further ones.

#![forbid(unsafe_code)]

use super::{
    cursor::Cursor,
    error::{PacketError, MAX_EXTENSIONS},
    flow::Address, //
};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// The most that the length field of an IP header can say. Longer packets exist within a machine
/// only, merged or not yet cut, and have a zero there.
const MAX_LENGTH: usize = 65_535;
const IPV6_HEADER_LEN: usize = 40;

/// Whether it is a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A whole packet. So is an IPv6 packet whose only fragment it is (RFC 6946).
    Whole,
    /// The first fragment of several.
    First,
    /// Another one, which has no upper-layer header.
    Later,
}

/// What the IP header and its extensions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: Address,
    pub(super) destination: Address,
    /// The upper layer.
    pub(super) protocol: u8,
    pub(super) part: Part,
}

impl Header {
    /// Reads the header and moves behind it and its extensions. What follows the packet's end, as
    /// its length says, is cut off.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, PacketError> {
        let [first] = cursor.peek()?;
        match first >> 4 {
            4 => Self::read_ipv4(cursor, false),
            6 => Self::read_ipv6(cursor, false),
            _ => Err(PacketError::NotIp),
        }
    }

    /// The same for a packet that an ICMP error quotes, the end of which may be missing. Its length
    /// is not looked at: there are routers that change it before they quote.
    pub(super) fn read_quoted(cursor: &mut Cursor<'_>, ipv6: bool) -> Result<Self, PacketError> {
        let [first] = cursor.peek()?;
        match (first >> 4, ipv6) {
            (4, false) => Self::read_ipv4(cursor, true),
            (6, true) => Self::read_ipv6(cursor, true),
            _ => Err(PacketError::NotIp),
        }
    }

    /// Whether it is of IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self.source, Address::V6(_))
    }

    fn read_ipv4(cursor: &mut Cursor<'_>, quoted: bool) -> Result<Self, PacketError> {
        let [first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
            cursor.peek()?;
        let header_len = usize::from(first & 15).saturating_mul(4);
        if header_len < 20 {
            return Err(PacketError::HeaderLength);
        }
        if !quoted {
            limit(cursor, u16::from_be_bytes([l0, l1]), 0, header_len)?;
        }
        cursor.skip(header_len)?;

        let fragment = u16::from_be_bytes([f0, f1]);
        let part = Part::new(fragment & 0x1fff, fragment & 0x2000 != 0);
        let mut header = Self {
            source: Address::from_v4_bytes([s0, s1, s2, s3]),
            destination: Address::from_v4_bytes([d0, d1, d2, d3]),
            protocol,
            part,
        };
        header.read_extensions(cursor, quoted)?;
        Ok(header)
    }

    fn read_ipv6(cursor: &mut Cursor<'_>, quoted: bool) -> Result<Self, PacketError> {
        let [_, _, _, _, length @ .., protocol, _] = cursor.peek::<8>()?;
        if !quoted {
            limit(
                cursor,
                u16::from_be_bytes(length),
                IPV6_HEADER_LEN,
                IPV6_HEADER_LEN,
            )?;
        }
        cursor.skip(8)?;
        let source = cursor.peek()?;
        cursor.skip(16)?;
        let destination = cursor.peek()?;
        cursor.skip(16)?;
        let mut header = Self {
            source: Address::from_v6_bytes(source),
            destination: Address::from_v6_bytes(destination),
            protocol,
            part: Part::Whole,
        };
        header.read_extensions(cursor, quoted)?;
        Ok(header)
    }

    /// Passes over the extension headers; of IPv4 that is the authentication header alone. It ends
    /// at a fragment that has no upper-layer header, and at the first one unless it is quoted.
    fn read_extensions(
        &mut self,
        cursor: &mut Cursor<'_>,
        quoted: bool,
    ) -> Result<(), PacketError> {
        let ipv6 = self.is_ipv6();
        for _ in 0..=MAX_EXTENSIONS {
            if self.part == Part::Later || self.part == Part::First && !quoted {
                return Ok(());
            }
            let length = match self.protocol {
                FRAGMENT if ipv6 => {
                    let [_, _, o0, o1] = cursor.peek()?;
                    let field = u16::from_be_bytes([o0, o1]);
                    self.part = Part::new(field >> 3, field & 1 != 0);
                    8
                }
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS if ipv6 => {
                    let [_, length] = cursor.peek()?;
                    usize::from(length).saturating_add(1).saturating_mul(8)
                }
                AUTHENTICATION => {
                    let [_, length] = cursor.peek()?;
                    usize::from(length).saturating_add(2).saturating_mul(4)
                }
                _ => return Ok(()),
            };
            [self.protocol] = cursor.peek()?;
            cursor.skip(length)?;
        }
        Err(PacketError::TooManyHeaders)
    }
}

impl Part {
    fn new(offset: u16, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::First,
            _ => Self::Later,
        }
    }
}

/// Ends the packet where its length field says, to which `base` bytes are to be added.
fn limit(
    cursor: &mut Cursor<'_>,
    field: u16,
    base: usize,
    header_len: usize,
) -> Result<(), PacketError> {
    let length = match usize::from(field) {
        0 if cursor.left() > MAX_LENGTH.saturating_add(base) => cursor.left(),
        length => length.saturating_add(base),
    };
    if length < header_len || length > cursor.left() {
        return Err(PacketError::Length);
    }
    cursor.limit(length);
    Ok(())
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_header)
)]
mod tests {
    use super::*;

    fn set<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
        for (to, from) in bytes.iter_mut().skip(at).zip(value) {
            *to = from;
        }
    }

    /// What was read, and where the upper layer begins.
    fn read(bytes: &[u8], quoted: bool) -> Result<(u8, Part, usize), PacketError> {
        let mut cursor = Cursor::new(bytes, bytes.len());
        let header = match quoted {
            true => Header::read_quoted(&mut cursor, bytes.first() == Some(&0x60))?,
            false => Header::read(&mut cursor)?,
        };
        Ok((header.protocol, header.part, cursor.at()))
    }

    fn ipv4() -> [u8; 40] {
        let mut bytes = [0; 40];
        set(&mut bytes, 0, [0x45, 0, 0, 40]);
        set(&mut bytes, 9, [6]);
        bytes
    }

    #[test]
    fn flaws_of_ipv4() {
        // Where a sound packet is changed to what, and what is read of it, and of a quote.
        let sound = Ok((6, Part::Whole, 20));
        let table = [
            (0, [0x45], sound, sound),
            (
                0,
                [0x44],
                Err(PacketError::HeaderLength),
                Err(PacketError::HeaderLength),
            ),
            (
                0,
                [0x4a],
                Ok((6, Part::Whole, 40)),
                Ok((6, Part::Whole, 40)),
            ),
            (
                0,
                [0x4b],
                Err(PacketError::Length),
                Err(PacketError::Truncated),
            ),
            (0, [0x55], Err(PacketError::NotIp), Err(PacketError::NotIp)),
            (3, [0], Err(PacketError::Length), sound),
            (3, [19], Err(PacketError::Length), sound),
            (3, [20], sound, sound),
            (3, [41], Err(PacketError::Length), sound),
            (6, [0x40], sound, sound),
            (
                6,
                [0x20],
                Ok((6, Part::First, 20)),
                Ok((6, Part::First, 20)),
            ),
            (7, [1], Ok((6, Part::Later, 20)), Ok((6, Part::Later, 20))),
        ];
        for (at, value, expected, quoted) in table {
            let mut bytes = ipv4();
            set(&mut bytes, at, value);
            assert_eq!(read(&bytes, false), expected);
            assert_eq!(read(&bytes, true), quoted);
        }
    }

    #[test]
    fn extension_headers_are_passed_over() {
        // IPv6 with hop-by-hop, routing, authentication, destination options and TCP.
        let mut bytes = [0; 96];
        set(&mut bytes, 0, [0x60, 0, 0, 0, 0, 56, HOP_BY_HOP]);
        set(&mut bytes, 40, [ROUTING, 0]);
        set(&mut bytes, 48, [AUTHENTICATION, 1]);
        set(&mut bytes, 64, [DESTINATION_OPTIONS, 1]);
        set(&mut bytes, 76, [6, 0]);
        assert_eq!(read(&bytes, false), Ok((6, Part::Whole, 84)));
        // One that reaches beyond the packet.
        set(&mut bytes, 77, [2]);
        assert_eq!(read(&bytes, false), Err(PacketError::Truncated));
        set(&mut bytes, 77, [1]);
        assert_eq!(read(&bytes, false), Ok((6, Part::Whole, 92)));
    }

    #[test]
    fn fragments_of_ipv6() {
        // Offset and flag, what is read of a packet and of a quote.
        let table = [
            ([0, 0], Part::Whole, 56, 56),
            ([0, 1], Part::First, 48, 56),
            ([0, 8], Part::Later, 48, 48),
            ([0, 9], Part::Later, 48, 48),
            // The two bits between are reserved.
            ([0, 6], Part::Whole, 56, 56),
        ];
        for (field, part, upper, upper_of_quote) in table {
            let mut bytes = [0; 60];
            set(&mut bytes, 0, [0x60, 0, 0, 0, 0, 20, FRAGMENT]);
            set(&mut bytes, 40, [DESTINATION_OPTIONS]);
            set(&mut bytes, 42, field);
            set(&mut bytes, 48, [17, 0]);
            let read = |quoted| read(&bytes, quoted).map(|(_, part, upper)| (part, upper));
            assert_eq!(read(false), Ok((part, upper)));
            assert_eq!(read(true), Ok((part, upper_of_quote)));
        }
    }

    #[test]
    fn headers_are_counted() {
        for (count, expected) in [
            (MAX_EXTENSIONS, Ok((6, Part::Whole, 104))),
            (
                MAX_EXTENSIONS.saturating_add(1),
                Err(PacketError::TooManyHeaders),
            ),
        ] {
            let mut bytes = [0; 120];
            set(&mut bytes, 0, [0x60, 0, 0, 0, 0, 80, DESTINATION_OPTIONS]);
            for (at, _) in (40..).step_by(8).zip(0..count) {
                set(&mut bytes, at, [DESTINATION_OPTIONS]);
            }
            set(&mut bytes, count.saturating_mul(8).saturating_add(32), [6]);
            assert_eq!(read(&bytes, false), expected);
        }
    }

    #[test]
    fn longer_than_its_field_can_say() {
        let mut v4 = ipv4();
        set(&mut v4, 2, [0, 0]);
        let mut v6 = [0; 40];
        set(&mut v6, 0, [0x60, 0, 0, 0, 0, 0, 6]);
        // The length of the packet, and how much is left of it behind the header. An IPv6 packet
        // may have no payload.
        let table = [
            (v4, 65_535, Err(PacketError::Length)),
            (v4, 65_536, Ok(65_516)),
            (v6, 65_575, Ok(0)),
            (v6, 65_576, Ok(65_536)),
        ];
        for (bytes, length, left) in table {
            let mut cursor = Cursor::new(&bytes, length);
            let read = Header::read(&mut cursor);
            assert_eq!(read.map(|_| cursor.left()), left);
        }
    }
}
