// SPDX-License-Identifier: GPL-2.0

//! The bytes of `setsockopt(SO_SERVICE_GROUP)`, read and checked.
//!
//! The wire form is `struct service_group_request` and its entries in
//! `include/uapi/linux/service_group.h`:
//!
//! ```text
//!  0        4        8        12    14       16       size            size + 32
//!  +--------+--------+--------+-----+--------+--------+----------------+----
//!  | size   | flags  | count  |port |reserved| zeroes | entry 0        | …
//!  +--------+--------+--------+-----+--------+--------+----------------+----
//!
//!  an entry:  0      4        6          8          12          16            32
//!             +------+--------+----------+----------+-----------+-------------+
//!             | fd   | family | reserved | scope_id | reserved2 | addr        |
//!             +------+--------+----------+----------+-----------+-------------+
//! ```
//!
//! Numbers are in the byte order of the machine, the port and the addresses in that of the
//! network. It does not look at what the descriptors are.

#![forbid(unsafe_code)]

/// Length of the first version's `struct service_group_request`.
pub const HEADER_LEN: usize = 16;
/// Length of `struct service_group_entry`.
pub const ENTRY_LEN: usize = 32;
/// Longest header that is taken, as `copy_struct_from_user()` has it: one page.
pub const MAX_HEADER_LEN: usize = 4096;
/// `SERVICE_GROUP_MAX_MEMBERS`.
pub const MAX_ENTRIES: usize = 1024;
/// Longest option that can be right; a longer one has too many entries.
pub const MAX_LEN: usize = 36_864;

/// `SERVICE_GROUP_BIND`.
const FLAG_BIND: u32 = 1;

const AF_UNSPEC: u16 = 0;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// What is wrong with a request; the errno of each is in `include/uapi/linux/service_group.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The length is not what the header says (`EINVAL`).
    BadSize,
    /// The header is longer than this version knows, and not zero there (`E2BIG`).
    TooNew,
    /// A flag that this version does not know (`EOPNOTSUPP`).
    UnknownFlag,
    /// A reserved field is not zero (`EBADMSG`).
    ReservedNotZero,
    /// No entries (`ENODATA`).
    Empty,
    /// More than [`MAX_ENTRIES`] (`ETOOMANYREFS`).
    TooMany,
    /// An entry's family is none that there is (`EAFNOSUPPORT`).
    BadFamily,
    /// An address, but no port (`EDESTADDRREQ`).
    AddressWithoutPort,
    /// A setting that is out of its range (`EDOM`).
    OutOfRange,
}

/// An address to bind to, network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// For a socket of family `AF_INET`.
    Ipv4([u8; 4]),
    /// For a socket of family `AF_INET6`, with the index of a link-local address's interface.
    Ipv6([u8; 16], u32),
}

impl Address {
    /// Whether it stands for all addresses.
    pub fn is_wildcard(&self) -> bool {
        match self {
            Self::Ipv4(address) => address.iter().all(|&byte| byte == 0),
            Self::Ipv6(address, _) => address.iter().all(|&byte| byte == 0),
        }
    }

    /// Whether it is the address that these bytes begin with.
    pub fn is_stored_as(&self, bytes: &[u8; 16]) -> bool {
        match self {
            Self::Ipv4(address) => bytes.starts_with(address),
            Self::Ipv6(address, _) => bytes == address,
        }
    }
}

/// One socket of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The caller's descriptor; not checked.
    pub fd: i32,
    /// Where the socket is bound or is to be bound, if the caller says so.
    pub address: Option<Address>,
}

/// A request that is well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The port to bind to, host byte order; none when the request has zero there.
    pub port: Option<u16>,
    /// Whether unbound sockets are to be bound although there is no port.
    pub bind: bool,
    entries: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads and checks the bytes of the option, all of them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RequestError> {
        let (header, _) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(RequestError::BadSize)?;
        let mut fields = Fields(header);
        let size = usize::try_from(fields.u32()?).map_err(|_| RequestError::BadSize)?;
        let flags = fields.u32()?;
        let count = usize::try_from(fields.u32()?).map_err(|_| RequestError::BadSize)?;
        let port = u16::from_be_bytes(fields.take()?);
        let reserved = fields.u16()?;

        if !(HEADER_LEN..=MAX_HEADER_LEN).contains(&size) {
            return Err(RequestError::BadSize);
        }
        let (header, entries) = bytes.split_at_checked(size).ok_or(RequestError::BadSize)?;
        if count.checked_mul(ENTRY_LEN) != Some(entries.len()) {
            return Err(RequestError::BadSize);
        }
        if header.iter().skip(HEADER_LEN).any(|&byte| byte != 0) {
            return Err(RequestError::TooNew);
        }
        if flags & !FLAG_BIND != 0 {
            return Err(RequestError::UnknownFlag);
        }
        if reserved != 0 {
            return Err(RequestError::ReservedNotZero);
        }
        if count == 0 {
            return Err(RequestError::Empty);
        }
        if count > MAX_ENTRIES {
            return Err(RequestError::TooMany);
        }

        let request = Self {
            port: (port != 0).then_some(port),
            bind: port != 0 || flags & FLAG_BIND != 0,
            entries,
        };
        request.check_entries()?;
        Ok(request)
    }

    /// Number of entries, from 1 to [`MAX_ENTRIES`].
    pub fn count(&self) -> usize {
        // ENTRY_LEN is a constant and not zero.
        self.entries.len().checked_div(ENTRY_LEN).unwrap_or(0)
    }

    /// The entries, in the caller's order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + 'a {
        self.entries
            .chunks_exact(ENTRY_LEN)
            .filter_map(|bytes| Entry::parse(bytes).ok())
    }

    fn check_entries(&self) -> Result<(), RequestError> {
        for bytes in self.entries.chunks_exact(ENTRY_LEN) {
            let entry = Entry::parse(bytes)?;
            if entry.address.is_some() && !self.bind {
                return Err(RequestError::AddressWithoutPort);
            }
        }
        Ok(())
    }
}

impl Entry {
    fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let mut fields = Fields(bytes);
        let fd = i32::from_ne_bytes(fields.take()?);
        let family = fields.u16()?;
        let reserved = fields.u16()?;
        let scope_id = fields.u32()?;
        let reserved2 = fields.u32()?;
        let addr: [u8; 16] = fields.take()?;

        if reserved != 0 || reserved2 != 0 {
            return Err(RequestError::ReservedNotZero);
        }
        let zero_from = |start: usize| addr.iter().skip(start).all(|&byte| byte == 0);
        let (address, zeroes) = match family {
            AF_UNSPEC => (None, scope_id == 0 && zero_from(0)),
            AF_INET => {
                let [a, b, c, d, ..] = addr;
                (
                    Some(Address::Ipv4([a, b, c, d])),
                    scope_id == 0 && zero_from(4),
                )
            }
            AF_INET6 => (Some(Address::Ipv6(addr, scope_id)), true),
            _ => return Err(RequestError::BadFamily),
        };
        if !zeroes {
            return Err(RequestError::ReservedNotZero);
        }
        Ok(Self { fd, address })
    }
}

/// Takes one field after the other off the front of a struct.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RequestError> {
        let (field, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(RequestError::BadSize)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, RequestError> {
        self.take().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, RequestError> {
        self.take().map(u32::from_ne_bytes)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(CONFIG_KUNIT = "y", kernel::macros::kunit_tests(service_group_request))]
mod tests {
    use super::*;

    const TEST_LEN: usize = HEADER_LEN + 2 * ENTRY_LEN;

    fn set<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
        for (to, from) in bytes.iter_mut().skip(at).zip(value) {
            *to = from;
        }
    }

    /// Two entries, one of them with an address, and port 80.
    fn sound() -> [u8; TEST_LEN] {
        let mut bytes = [0; TEST_LEN];
        set(&mut bytes, 0, 16u32.to_ne_bytes());
        set(&mut bytes, 8, 2u32.to_ne_bytes());
        set(&mut bytes, 12, 80u16.to_be_bytes());
        set(&mut bytes, 16, 3i32.to_ne_bytes());
        set(&mut bytes, 48, (-1i32).to_ne_bytes());
        set(&mut bytes, 52, AF_INET.to_ne_bytes());
        set(&mut bytes, 64, [127, 0, 0, 1]);
        bytes
    }

    #[test]
    fn a_sound_request_is_read() {
        let bytes = sound();
        let request = Request::parse(&bytes);
        assert!(request.is_ok());
        let Ok(request) = request else { return };
        assert_eq!(request.port, Some(80));
        assert!(request.bind);
        assert_eq!(request.count(), 2);
        let mut entries = request.entries();
        assert_eq!(
            entries.next(),
            Some(Entry {
                fd: 3,
                address: None
            })
        );
        let address = Some(Address::Ipv4([127, 0, 0, 1]));
        assert_eq!(entries.next(), Some(Entry { fd: -1, address }));
        assert_eq!(entries.next(), None);
    }

    #[test]
    fn each_flaw_has_its_error() {
        // Where a byte is put to 255 in a sound request, and what comes of it.
        let table = [
            (0, RequestError::BadSize),
            (4, RequestError::UnknownFlag),
            (8, RequestError::BadSize),
            (14, RequestError::ReservedNotZero),
            (22, RequestError::ReservedNotZero),
            (24, RequestError::ReservedNotZero),
            (28, RequestError::ReservedNotZero),
            (32, RequestError::ReservedNotZero),
            (52, RequestError::BadFamily),
            (56, RequestError::ReservedNotZero),
            (68, RequestError::ReservedNotZero),
        ];
        for (at, error) in table {
            let mut bytes = sound();
            set(&mut bytes, at, [255]);
            assert_eq!(Request::parse(&bytes), Err(error));
        }
        let mut portless = sound();
        set(&mut portless, 12, [0, 0]);
        assert_eq!(
            Request::parse(&portless),
            Err(RequestError::AddressWithoutPort)
        );
    }

    #[test]
    fn every_other_length_is_refused() {
        let bytes = sound();
        for len in 0..TEST_LEN {
            let cut = bytes.get(..len);
            assert_eq!(cut.map(Request::parse), Some(Err(RequestError::BadSize)));
        }
    }

    #[test]
    fn a_longer_header_must_be_zero() {
        let mut bytes = [0; 20 + ENTRY_LEN];
        set(&mut bytes, 0, 20u32.to_ne_bytes());
        set(&mut bytes, 8, 1u32.to_ne_bytes());
        assert!(Request::parse(&bytes).is_ok());
        set(&mut bytes, 19, [1]);
        assert_eq!(Request::parse(&bytes), Err(RequestError::TooNew));
    }

    #[test]
    fn an_empty_list_is_refused() {
        let mut bytes = [0; HEADER_LEN];
        set(&mut bytes, 0, 16u32.to_ne_bytes());
        assert_eq!(Request::parse(&bytes), Err(RequestError::Empty));
    }
}
