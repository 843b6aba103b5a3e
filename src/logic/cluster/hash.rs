// SPDX-License-Identifier: GPL-2.0

//! From a flow to a slot.
//!
//! ```text
//!   sum3   (SRC_IP + DST_IP + DST_PORT) % N
//!   sum5   (SRC_IP + SRC_PORT + DST_IP + DST_PORT + PROTOCOL) % N
//!   keyed  SipHash-2-4(key, 5-tuple) % N
//! ```
//!
//! The numbers of a sum are in host byte order. An IPv6 address enters it as the sum of its four
//! 32-bit words. Sums have 64 bits and never wrap: the largest is below 2^36.
//!
//! What is hashed with a key are these bytes, each field in network byte order, without gaps: 13 of
//! an IPv4 flow, 37 of an IPv6 one.
//!
//! ```text
//!   +----------------+---------------------+-------------+------------------+----------+
//!   | source address | destination address | source port | destination port | protocol |
//!   +----------------+---------------------+-------------+------------------+----------+
//!     4 or 16          4 or 16               2             2                  1
//! ```

#![forbid(unsafe_code)]

use core::num::NonZeroU16;

use super::flow::{Address, Flow};
use super::siphash::siphash_2_4;
pub use super::siphash::Key;

/// The most slots that a table has. A table of 32-bit node ids then takes 16 KiB, which still fits
/// into one netlink attribute (less than 64 KiB).
pub const MAX_SLOTS: u16 = 4096;

/// A number of slots, from 1 to [`MAX_SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCount(NonZeroU16);

impl SlotCount {
    /// None if it is out of its range.
    pub fn new(count: usize) -> Option<Self> {
        let count = u16::try_from(count)
            .ok()
            .filter(|&count| count <= MAX_SLOTS)?;
        NonZeroU16::new(count).map(Self)
    }

    /// The number.
    pub fn get(self) -> usize {
        usize::from(self.0.get())
    }
}

/// How the slot of a flow is computed. All nodes of a cluster have to use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// Addresses and the destination port: all connections of a client to a service have one slot.
    Sum3,
    /// The whole 5-tuple.
    #[default]
    Sum5,
    /// SipHash of the whole 5-tuple, which cannot be foretold without the key.
    Keyed(Key),
}

impl Hash {
    /// The slot of a flow, counted from 0.
    #[inline(always)]
    pub fn slot(&self, flow: &Flow, slots: SlotCount) -> usize {
        let remainder = self.value(flow).checked_rem(u64::from(slots.0.get()));
        // There is a remainder, as there is a slot, and it is below 2^16.
        remainder
            .and_then(|slot| usize::try_from(slot).ok())
            .unwrap_or(0)
    }

    /// What is divided by the number of slots.
    #[inline(always)]
    pub fn value(&self, flow: &Flow) -> u64 {
        let addresses = || sum(&flow.source).wrapping_add(sum(&flow.destination));
        let source_port = u64::from(flow.source_port);
        let destination_port = u64::from(flow.destination_port);
        // None of these can wrap: eight numbers of 32 bits and three of 16.
        match self {
            Self::Sum3 => addresses().wrapping_add(destination_port),
            Self::Sum5 => addresses()
                .wrapping_add(source_port)
                .wrapping_add(destination_port)
                .wrapping_add(u64::from(flow.protocol)),
            Self::Keyed(key) => keyed(*key, flow),
        }
    }
}

fn keyed(key: Key, flow: &Flow) -> u64 {
    siphash_2_4(key, Message::of(flow).bytes())
}

/// What an address adds to a sum.
fn sum(address: &Address) -> u64 {
    match *address {
        Address::V4(word) => u64::from(word),
        Address::V6(words) => words
            .into_iter()
            .fold(0, |sum: u64, word| sum.wrapping_add(u64::from(word))),
    }
}

/// The bytes that are hashed with a key.
struct Message {
    bytes: [u8; 37],
    length: usize,
}

impl Message {
    fn of(flow: &Flow) -> Self {
        let mut message = Self {
            bytes: [0; 37],
            length: 0,
        };
        for address in [&flow.source, &flow.destination] {
            for word in address.words() {
                message.put(word.to_be_bytes());
            }
        }
        message.put(flow.source_port.to_be_bytes());
        message.put(flow.destination_port.to_be_bytes());
        message.put([flow.protocol]);
        message
    }

    fn put<const N: usize>(&mut self, field: [u8; N]) {
        for (to, from) in self.bytes.iter_mut().skip(self.length).zip(field) {
            *to = from;
        }
        self.length = self.length.saturating_add(N);
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_hash)
)]
mod tests {
    use super::*;

    /// From 192.0.2.1, port 40000, to 198.51.100.7, port 80, TCP.
    const V4: Flow = Flow {
        source: Address::V4(3_221_225_985),
        destination: Address::V4(3_325_256_711),
        source_port: 40_000,
        destination_port: 80,
        protocol: 6,
    };

    /// From 2001:db8::1, port 40000, to 2001:db8:0:1::7, port 443, UDP.
    const V6: Flow = Flow {
        source: Address::V6([536_939_960, 0, 0, 1]),
        destination: Address::V6([536_939_960, 1, 0, 7]),
        source_port: 40_000,
        destination_port: 443,
        protocol: 17,
    };

    /// 00 01 … 0f.
    const KEY: Key = Key::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    fn slot(hash: Hash, flow: &Flow, slots: usize) -> Option<usize> {
        SlotCount::new(slots).map(|slots| hash.slot(flow, slots))
    }

    #[test]
    fn examples_of_the_documentation() {
        // The hash, the flow, what is divided, and the slot of 3 and of 256.
        let table = [
            (Hash::Sum3, V4, 6_546_482_776, 1, 88),
            (Hash::Sum5, V4, 6_546_522_782, 2, 158),
            (Hash::Sum3, V6, 1_073_880_372, 0, 52),
            (Hash::Sum5, V6, 1_073_920_389, 0, 133),
            (Hash::Keyed(KEY), V4, 0x4ae0_dc15_e684_3b46, 1, 70),
            (Hash::Keyed(KEY), V6, 0x648a_fd7e_15ca_fd50, 0, 80),
        ];
        for (hash, flow, value, of_3, of_256) in table {
            assert_eq!(hash.value(&flow), value);
            assert_eq!(slot(hash, &flow, 3), Some(of_3));
            assert_eq!(slot(hash, &flow, 256), Some(of_256));
        }
    }

    #[test]
    fn the_bytes_of_a_keyed_hash() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x40, 0, 80, 6];
        assert_eq!(Message::of(&V4).bytes(), &v4);
        let v6 = [
            0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
            0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, //
            0x9c, 0x40, 1, 0xbb, 17,
        ];
        assert_eq!(Message::of(&V6).bytes(), &v6);
    }

    #[test]
    fn the_largest_sum_does_not_wrap() {
        let most = Flow {
            source: Address::V6([u32::MAX; 4]),
            destination: Address::V6([u32::MAX; 4]),
            source_port: u16::MAX,
            destination_port: u16::MAX,
            protocol: u8::MAX,
        };
        // 8 × (2^32 − 1) + 65535, and 65535 + 255 more.
        assert_eq!(Hash::Sum3.value(&most), 34_359_803_895);
        assert_eq!(Hash::Sum5.value(&most), 34_359_869_685);
        let least = Flow {
            source: Address::V4(0),
            destination: Address::V4(0),
            source_port: 0,
            destination_port: 0,
            protocol: 0,
        };
        assert_eq!(Hash::Sum5.value(&least), 0);
    }

    #[test]
    fn numbers_of_slots() {
        let table = [
            (0, None),
            (1, Some(0)),
            (4096, Some(670)),
            (4097, None),
            (65_536, None),
            (usize::MAX, None),
        ];
        for (slots, expected) in table {
            assert_eq!(slot(Hash::default(), &V4, slots), expected);
        }
        assert_eq!(SlotCount::new(4096).map(SlotCount::get), Some(4096));
    }

    #[test]
    fn sums_see_only_the_low_bits() {
        // Even source ports reach half of an even number of slots, and all of an odd one.
        for (slots, expected) in [(2, 1), (64, 32), (3, 3), (63, 63)] {
            let mut seen = [false; 64];
            for step in 0..1000u16 {
                let source_port = step.wrapping_mul(2);
                let flow = Flow { source_port, ..V4 };
                let slot = slot(Hash::Sum5, &flow, slots).unwrap_or(usize::MAX);
                assert!(seen.get(slot).is_some());
                if let Some(seen) = seen.get_mut(slot) {
                    *seen = true;
                }
            }
            assert_eq!(seen.iter().filter(|&&seen| seen).count(), expected);
        }
    }
}
