// SPDX-License-Identifier: GPL-2.0

//! A place in a packet of which only the first bytes may be at hand.

#![forbid(unsafe_code)]

use super::packet::PacketError;

/// Where to read next. It is never behind the packet's end.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    given: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a packet of this length, of which these bytes are given.
    pub(super) fn new(given: &'a [u8], end: usize) -> Self {
        Self { given, at: 0, end }
    }

    /// How many bytes are in front of it.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes of the packet are behind it, given or not.
    pub(super) fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// The next bytes; they are not taken.
    pub(super) fn peek<const N: usize>(&self) -> Result<[u8; N], PacketError> {
        let end = self.after(N)?;
        self.given
            .get(self.at..end)
            .and_then(|bytes| bytes.first_chunk())
            .copied()
            .ok_or(PacketError::More(end))
    }

    /// Leaves out bytes that the packet has, given or not.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), PacketError> {
        self.at = self.after(count)?;
        Ok(())
    }

    /// Ends the packet so many bytes behind the cursor; it does not become longer.
    pub(super) fn limit(&mut self, left: usize) {
        self.end = self.end.min(self.at.saturating_add(left));
    }

    fn after(&self, count: usize) -> Result<usize, PacketError> {
        self.at
            .checked_add(count)
            .filter(|&end| end <= self.end)
            .ok_or(PacketError::Truncated)
    }
}
