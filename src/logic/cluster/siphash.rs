// SPDX-License-Identifier: GPL-2.0

//! SipHash-2-4 with a result of 64 bits.
//!
//! From Jean-Philippe Aumasson and Daniel J. Bernstein, "SipHash: a fast short-input PRF". It is
//! here, and not the kernel's, because what is here is built on the host as well.

#![forbid(unsafe_code)]

/// The secret of a keyed hash: 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

impl core::fmt::Debug for Key {
    /// Without the key: it is not to be found in a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// From 16 bytes: two words of 64 bits, each with its lowest byte first, as in the paper.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        ])
    }
}

struct State([u64; 4]);

impl State {
    fn new(key: Key) -> Self {
        let [k0, k1] = key.0;
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    /// One SipRound; additions are modulo 2^64.
    fn round(&mut self) {
        let [mut v0, mut v1, mut v2, mut v3] = self.0;
        v0 = v0.wrapping_add(v1);
        v1 = v1.rotate_left(13) ^ v0;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v3);
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.wrapping_add(v3);
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.wrapping_add(v1);
        v1 = v1.rotate_left(17) ^ v2;
        v2 = v2.rotate_left(32);
        self.0 = [v0, v1, v2, v3];
    }

    fn absorb(&mut self, word: u64) {
        let [.., v3] = &mut self.0;
        *v3 ^= word;
        self.round();
        self.round();
        let [v0, ..] = &mut self.0;
        *v0 ^= word;
    }

    fn finish(mut self) -> u64 {
        let [_, _, v2, _] = &mut self.0;
        *v2 ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.0.iter().fold(0, |hash, word| hash ^ word)
    }
}

/// A word of at most eight bytes, the lowest one first.
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

/// The hash of a message.
pub(in crate::logic) fn siphash_2_4(key: Key, message: &[u8]) -> u64 {
    let mut state = State::new(key);
    let blocks = message.chunks_exact(8);
    let rest = blocks.remainder();
    for block in blocks {
        state.absorb(word(block));
    }
    // The last block: what is left, zeroes, and the length's lowest byte at the top.
    let [length, ..] = message.len().to_le_bytes();
    state.absorb(word(rest) | (u64::from(length) << 56));
    state.finish()
}

#[cfg(any(test, CONFIG_KUNIT = "y"))]
#[cfg_attr(
    CONFIG_KUNIT = "y",
    kernel::macros::kunit_tests(service_group_cluster_siphash)
)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_its_authors() {
        let mut bytes = [0u8; 64];
        for (byte, value) in bytes.iter_mut().zip(0..) {
            *byte = value;
        }
        let mut key = [0u8; 16];
        for (byte, value) in key.iter_mut().zip(0..) {
            *byte = value;
        }
        // The key is 00 01 … 0f, and so is the message, of this length. That of 15 bytes is in the
        // paper (appendix A), the others are in its authors' reference code.
        let table = [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
            (63, 0x958a_324c_eb06_4572),
        ];
        for (length, hash) in table {
            let message = bytes.get(..length).unwrap_or(&[]);
            assert_eq!(message.len(), length);
            assert_eq!(siphash_2_4(Key::from_bytes(key), message), hash);
        }
    }
}
