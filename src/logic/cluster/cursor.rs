// SPDX-License-Identifier: GPL-2.0

//! A place in a packet of which only the first bytes may be at hand.

#![forbid(unsafe_code)]

use super::error::PacketError;

/// Where to read next. It is never behind the packet's end.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// The given bytes behind it.
    given: &'a [u8],
    at: usize,
    /// How many the packet has behind it.
    left: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a packet of this length, of which these bytes are given.
    pub(super) fn new(given: &'a [u8], length: usize) -> Self {
        Self {
            given,
            at: 0,
            left: length,
        }
    }

    /// How many bytes are in front of it.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes of the packet are behind it, given or not.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next bytes; they are not taken.
    pub(super) fn peek<const N: usize>(&self) -> Result<[u8; N], PacketError> {
        if N > self.left {
            return Err(PacketError::Truncated);
        }
        match self.given.first_chunk() {
            Some(bytes) => Ok(*bytes),
            None => Err(PacketError::More(self.at.saturating_add(N))),
        }
    }

    /// Leaves out bytes that the packet has, given or not.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), PacketError> {
        self.left = self.left.checked_sub(count).ok_or(PacketError::Truncated)?;
        self.at = self.at.saturating_add(count);
        self.given = self.given.get(count..).unwrap_or(&[]);
        Ok(())
    }

    /// Ends the packet so many bytes behind the cursor; it does not become longer.
    pub(super) fn limit(&mut self, left: usize) {
        self.left = self.left.min(left);
    }
}
