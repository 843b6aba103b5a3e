// SPDX-License-Identifier: GPL-2.0

//! Numbers in a message: little-endian, one behind the other.

#![forbid(unsafe_code)]

use super::error::WireError;

/// Takes one field after the other off the front of a message.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(WireError::BodyLength)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let split = self.0.split_at_checked(count);
        let (bytes, rest) = split.ok_or(WireError::BodyLength)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.take().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.take().map(u64::from_le_bytes)
    }

    /// Nothing may be left of a message of the first version; a newer one may have more fields.
    pub(super) fn end(self, version: u16) -> Result<(), WireError> {
        match self.0.is_empty() || version > 1 {
            true => Ok(()),
            false => Err(WireError::BodyLength),
        }
    }
}

/// Puts one field after the other into memory, as long as they fit in.
pub(super) struct Writer<'a> {
    room: &'a mut [u8],
    written: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(room: &'a mut [u8]) -> Self {
        Self { room, written: 0 }
    }

    /// None if it does not fit in.
    pub(super) fn put<const N: usize>(&mut self, field: [u8; N]) -> Option<()> {
        let end = self.written.checked_add(N)?;
        self.room
            .get_mut(self.written..end)?
            .copy_from_slice(&field);
        self.written = end;
        Some(())
    }

    pub(super) fn u16(&mut self, number: u16) -> Option<()> {
        self.put(number.to_le_bytes())
    }

    pub(super) fn u32(&mut self, number: u32) -> Option<()> {
        self.put(number.to_le_bytes())
    }

    pub(super) fn u64(&mut self, number: u64) -> Option<()> {
        self.put(number.to_le_bytes())
    }

    /// How many bytes were written.
    pub(super) fn written(&self) -> usize {
        self.written
    }
}
