// SPDX-License-Identifier: GPL-2.0

//! What a packet is told from others by: its 5-tuple.

#![forbid(unsafe_code)]

/// An IP address, host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// 192.0.2.1 is 0xc000_0201.
    V4(u32),
    /// Four words, the first one first: 2001:db8::1 is `[0x2001_0db8, 0, 0, 1]`.
    V6([u32; 4]),
}

impl Address {
    /// From the bytes of an IPv4 header.
    pub const fn from_v4_bytes(bytes: [u8; 4]) -> Self {
        Self::V4(u32::from_be_bytes(bytes))
    }

    /// From the bytes of an IPv6 header.
    pub const fn from_v6_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self::V6([
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
            u32::from_be_bytes([m, n, o, p]),
        ])
    }

    /// Its bytes, as in an IP header. An IPv4 address has four; zeros follow.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (to, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Whether it is of IPv6.
    pub const fn is_ipv6(&self) -> bool {
        matches!(self, Self::V6(_))
    }

    /// Whether one host can have it, and is found by it from other segments: it is not unspecified,
    /// loopback, link-local, multicast, reserved (IPv4: from 240.0.0.0 on, broadcast among them), nor
    /// an IPv4 address written as one of IPv6.
    pub const fn is_host(&self) -> bool {
        let is_link_local = match *self {
            Self::V4(word) => word >> 16 == 0xa9fe,
            Self::V6([first, ..]) => first >> 22 == 0x3fa,
        };
        self.is_neighbour() && !is_link_local
    }

    /// Whether one host can have it: as above, but it may be link-local.
    pub const fn is_neighbour(&self) -> bool {
        match *self {
            Self::V4(word) => !matches!(word >> 24, 0 | 127 | 224..),
            Self::V6([0, 0, 0 | 0xffff, _]) => false,
            Self::V6([first, ..]) => first >> 24 != 0xff,
        }
    }

    /// Its 32-bit words, one or four, the first one first.
    pub fn words(&self) -> &[u32] {
        match self {
            Self::V4(word) => core::slice::from_ref(word),
            Self::V6(words) => words,
        }
    }
}

/// The flow of a packet: its addresses and ports, host byte order.
///
/// What stands as ports for each protocol tells [`super::packet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The sender: the client.
    pub source: Address,
    /// The receiver: the cluster IP.
    pub destination: Address,
    /// 0 if there is none.
    pub source_port: u16,
    /// 0 if there is none.
    pub destination_port: u16,
    /// As in the IP header or in the last IPv6 extension header: 6 for TCP.
    pub protocol: u8,
}

impl Flow {
    /// The flow of the packets that go the other way.
    pub const fn turned(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_flow)
)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_words() {
        let v4 = Address::from_v4_bytes([192, 0, 2, 1]);
        assert_eq!(v4, Address::V4(0xc000_0201));
        assert_eq!(v4.words(), &[0xc000_0201]);
        let v6 = Address::from_v6_bytes([0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
        assert_eq!(v6, Address::V6([0x2001_0db8, 0x0102_0304, 0x0506_0708, 9]));
        assert_eq!(v6.words().len(), 4);
        assert_eq!(
            v4.to_bytes(),
            [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(Address::from_v6_bytes(v6.to_bytes()), v6);
    }

    #[test]
    fn addresses_of_hosts() {
        let v4 = [
            (0x0000_0000, false),
            (0x00ff_ffff, false),
            (0x0100_0000, true),
            (0x7eff_ffff, true),
            (0x7f00_0000, false),
            (0x8000_0000, true),
            (0xa9fd_ffff, true),
            (0xa9fe_0000, false),
            (0xa9fe_ffff, false),
            (0xa9ff_0000, true),
            (0xdfff_ffff, true),
            (0xe000_0000, false),
            (0xf000_0000, false),
            (0xffff_ffff, false),
        ];
        for (word, expected) in v4 {
            assert_eq!(Address::V4(word).is_host(), expected);
        }
        let v6 = [
            ([0, 0, 0, 0], false),
            ([0, 0, 0, 1], false),
            ([0, 0, 0, 0xc000_0201], false),
            ([0, 0, 0xffff, 0xc000_0201], false),
            ([0, 0, 1, 0], true),
            ([0x0064_ff9b, 0, 0, 0xc000_0201], true),
            ([0x2001_0db8, 0, 0, 1], true),
            ([0xfd09_0000, 0, 0, 1], true),
            ([0xfe7f_ffff, 0, 0, 1], true),
            ([0xfe80_0000, 0, 0, 1], false),
            ([0xfebf_ffff, 0, 0, 1], false),
            ([0xfec0_0000, 0, 0, 1], true),
            ([0xff02_0000, 0, 0, 1], false),
        ];
        for (words, expected) in v6 {
            assert_eq!(Address::V6(words).is_host(), expected);
        }
    }

    #[test]
    fn turning_twice_changes_nothing() {
        let flow = Flow {
            source: Address::V4(1),
            destination: Address::V4(2),
            source_port: 3,
            destination_port: 4,
            protocol: 5,
        };
        let turned = flow.turned();
        assert_eq!(turned.source, Address::V4(2));
        assert_eq!(turned.destination, Address::V4(1));
        assert_eq!((turned.source_port, turned.destination_port), (4, 3));
        assert_eq!(turned.protocol, 5);
        assert_eq!(turned.turned(), flow);
    }
}
