// SPDX-License-Identifier: GPL-2.0
//! Properties of the reader of the option's bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use service_group_logic::logic::request::{
    Address, Entry, Request, RequestError, ENTRY_LEN, HEADER_LEN, MAX_ENTRIES, MAX_HEADER_LEN,
    MAX_LEN,
};

const FLAG_BIND: u32 = 1;

/// What a caller asks for, in a form that has no wrong values.
#[derive(Clone, Debug)]
struct Wish {
    port: u16,
    flag: bool,
    /// Zero bytes behind the header that this version knows.
    newer: usize,
    entries: Vec<Entry>,
}

impl Wish {
    fn bytes(&self) -> Vec<u8> {
        let size = HEADER_LEN + self.newer;
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(size).unwrap().to_ne_bytes());
        bytes.extend(if self.flag { FLAG_BIND } else { 0 }.to_ne_bytes());
        bytes.extend(u32::try_from(self.entries.len()).unwrap().to_ne_bytes());
        bytes.extend(self.port.to_be_bytes());
        bytes.resize(size, 0);
        for entry in &self.entries {
            let (family, scope, addr) = match entry.address {
                None => (0u16, 0u32, [0; 16]),
                Some(Address::Ipv4([a, b, c, d])) => {
                    (2, 0, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                }
                Some(Address::Ipv6(addr, scope)) => (10, scope, addr),
            };
            bytes.extend(entry.fd.to_ne_bytes());
            bytes.extend(family.to_ne_bytes());
            bytes.extend([0; 2]);
            bytes.extend(scope.to_ne_bytes());
            bytes.extend([0; 4]);
            bytes.extend(addr);
        }
        bytes
    }

    /// Where an entry begins.
    fn entry(&self, index: usize) -> usize {
        HEADER_LEN + self.newer + index * ENTRY_LEN
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let address = prop_oneof![
        Just(None),
        any::<[u8; 4]>().prop_map(|addr| Some(Address::Ipv4(addr))),
        any::<([u8; 16], u32)>().prop_map(|(addr, scope)| Some(Address::Ipv6(addr, scope))),
    ];
    let entries = vec(
        (any::<i32>(), address).prop_map(|(fd, address)| Entry { fd, address }),
        1..6,
    );
    (1u16.., any::<bool>(), 0usize..64, entries).prop_map(|(port, flag, newer, entries)| Wish {
        port,
        flag,
        newer,
        entries,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(request) = Request::parse(&bytes) {
            prop_assert!((1..=MAX_ENTRIES).contains(&request.entries().count()));
        }
    }

    #[test]
    fn what_was_written_is_read(wish in wish()) {
        let bytes = wish.bytes();
        let request = Request::parse(&bytes).unwrap();
        prop_assert_eq!(request.port, Some(wish.port));
        prop_assert!(request.bind);
        prop_assert_eq!(request.entries().collect::<Vec<_>>(), wish.entries);
    }

    #[test]
    fn port_zero_is_none(mut wish in wish()) {
        wish.port = 0;
        let bytes = wish.bytes();
        let addressed = wish.entries.iter().any(|entry| entry.address.is_some());
        match Request::parse(&bytes) {
            Ok(request) => {
                prop_assert_eq!((request.port, request.bind), (None, wish.flag));
                prop_assert!(wish.flag || !addressed);
            }
            Err(error) => {
                prop_assert_eq!(error, RequestError::AddressWithoutPort);
                prop_assert!(addressed && !wish.flag);
            }
        }
    }

    #[test]
    fn another_length_is_a_bad_size(wish in wish(), cut in any::<prop::sample::Index>(), more in 1usize..99) {
        let mut bytes = wish.bytes();
        let cut = cut.index(bytes.len());
        prop_assert_eq!(Request::parse(&bytes[..cut]), Err(RequestError::BadSize));
        bytes.resize(bytes.len() + more, 0);
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::BadSize));
    }

    #[test]
    fn a_size_below_the_first_version_is_bad(wish in wish(), size in 0u32..16) {
        let mut bytes = wish.bytes();
        bytes[..4].copy_from_slice(&size.to_ne_bytes());
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::BadSize));
    }

    #[test]
    fn another_count_is_a_bad_size(wish in wish(), count: u32) {
        prop_assume!(usize::try_from(count).unwrap() != wish.entries.len());
        let mut bytes = wish.bytes();
        bytes[8..12].copy_from_slice(&count.to_ne_bytes());
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::BadSize));
    }

    #[test]
    fn a_newer_field_in_use_is_too_new(mut wish in wish(), more in 1usize..64, byte in 1u8.., at in any::<prop::sample::Index>()) {
        wish.newer = more;
        let mut bytes = wish.bytes();
        bytes[HEADER_LEN + at.index(more)] = byte;
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::TooNew));
    }

    #[test]
    fn an_unknown_flag_is_refused(wish in wish(), bit in 1u32..32) {
        let mut bytes = wish.bytes();
        let flags = 1u32 << bit;
        bytes[4..8].copy_from_slice(&flags.to_ne_bytes());
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::UnknownFlag));
    }

    #[test]
    fn a_reserved_byte_must_be_zero(wish in wish(), byte in 1u8.., entry in any::<prop::sample::Index>(), at in 0usize..8) {
        // The header's two, then those of an entry.
        let offset = match [14, 15, 6, 7, 12, 13, 14, 15][at] {
            header if at < 2 => header,
            field => wish.entry(entry.index(wish.entries.len())) + field,
        };
        let mut bytes = wish.bytes();
        bytes[offset] = byte;
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::ReservedNotZero));
    }

    #[test]
    fn bytes_behind_an_address_must_be_zero(mut wish in wish(), byte in 1u8.., at in any::<prop::sample::Index>(), ipv4: bool) {
        wish.entries[0].address = ipv4.then_some(Address::Ipv4([10, 0, 0, 1]));
        // The scope and the address; of an IPv4 one its first four bytes are free.
        let fields: Vec<usize> = (8..12).chain(if ipv4 { 20..32 } else { 16..32 }).collect();
        let mut bytes = wish.bytes();
        bytes[wish.entry(0) + at.get(&fields)] = byte;
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::ReservedNotZero));
    }

    #[test]
    fn a_family_that_there_is_not_is_refused(wish in wish(), family: u16, entry in any::<prop::sample::Index>()) {
        prop_assume!(!matches!(family, 0 | 2 | 10));
        let mut bytes = wish.bytes();
        let at = wish.entry(entry.index(wish.entries.len())) + 4;
        bytes[at..at + 2].copy_from_slice(&family.to_ne_bytes());
        prop_assert_eq!(Request::parse(&bytes), Err(RequestError::BadFamily));
    }
}

proptest! {
    #[test]
    fn an_address_is_compared_by_the_bytes_that_count(addr: [u8; 16], scope: u32, other: [u8; 16]) {
        let [a, b, c, d, ..] = addr;
        let (short, long) = (Address::Ipv4([a, b, c, d]), Address::Ipv6(addr, scope));
        prop_assert!(short.is_stored_as(&addr) && long.is_stored_as(&addr));
        prop_assert_eq!(short.is_stored_as(&other), other[..4] == addr[..4]);
        prop_assert_eq!(long.is_stored_as(&other), other == addr);
        prop_assert_eq!(short.is_wildcard(), addr[..4] == [0; 4]);
        prop_assert_eq!(long.is_wildcard(), addr == [0; 16]);
    }
}

#[test]
fn wildcards_are_all_zero() {
    assert!(Address::Ipv4([0; 4]).is_wildcard() && Address::Ipv6([0; 16], 3).is_wildcard());
}

/// A wish with this many entries and this much behind the header.
fn sized(entries: usize, newer: usize) -> Vec<u8> {
    let entry = Entry {
        fd: 3,
        address: None,
    };
    Wish {
        port: 80,
        flag: false,
        newer,
        entries: vec![entry; entries],
    }
    .bytes()
}

#[test]
fn counts_at_the_edges() {
    assert_eq!(Request::parse(&sized(0, 0)), Err(RequestError::Empty));
    assert!(Request::parse(&sized(1, 0)).is_ok());
    assert!(Request::parse(&sized(MAX_ENTRIES, 0)).is_ok());
    assert_eq!(
        Request::parse(&sized(MAX_ENTRIES + 1, 0)),
        Err(RequestError::TooMany)
    );
}

#[test]
fn headers_at_the_edges() {
    let most = MAX_HEADER_LEN - HEADER_LEN;
    assert!(Request::parse(&sized(1, most)).is_ok());
    assert_eq!(
        Request::parse(&sized(1, most + 1)),
        Err(RequestError::BadSize)
    );
    assert_eq!(sized(MAX_ENTRIES, most).len(), MAX_LEN);
}
