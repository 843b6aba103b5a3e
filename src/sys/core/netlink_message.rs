// SPDX-License-Identifier: GPL-2.0

//! A message of the generic netlink family, and its attributes.

use crate::sys::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A message that is being written.
pub(crate) struct Message {
    pub(super) skb: *mut bindings::sk_buff,
    /// In which user ids are told.
    pub(super) userns: *mut bindings::user_namespace,
}

impl Message {
    pub(crate) fn put_u16(&mut self, attribute: u32, value: u16) -> Result {
        // SAFETY: The message is being written.
        to_result(unsafe { bindings::svcg_put_u16(self.skb, number(attribute)?, value) })
    }

    /// Puts a number, given in host byte order, in network byte order.
    pub(crate) fn put_be16(&mut self, attribute: u32, value: u16) -> Result {
        // SAFETY: The message is being written.
        to_result(unsafe { bindings::svcg_put_be16(self.skb, number(attribute)?, value) })
    }

    pub(crate) fn put_u32(&mut self, attribute: u32, value: u32) -> Result {
        // SAFETY: The message is being written.
        to_result(unsafe { bindings::svcg_put_u32(self.skb, number(attribute)?, value) })
    }

    /// Puts a user id, given as the initial user namespace has it, as the reader sees it.
    pub(crate) fn put_uid(&mut self, attribute: u32, uid: u32) -> Result {
        // SAFETY: The message is being written, and the user namespace is there.
        to_result(unsafe { bindings::svcg_put_uid(self.skb, number(attribute)?, uid, self.userns) })
    }

    pub(crate) fn put_u64(&mut self, attribute: u32, value: u64, pad: u32) -> Result {
        // SAFETY: The message is being written.
        to_result(unsafe {
            bindings::svcg_put_u64(self.skb, number(attribute)?, value, number(pad)?)
        })
    }

    pub(crate) fn put_bytes(&mut self, attribute: u32, bytes: &[u8]) -> Result {
        let len = c_uint::try_from(bytes.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The message is being written, and `bytes` is there.
        to_result(unsafe {
            bindings::svcg_put_bytes(self.skb, number(attribute)?, bytes.as_ptr().cast(), len)
        })
    }

    /// Puts a nest, which `fill` fills.
    pub(crate) fn put_nest(
        &mut self,
        attribute: u32,
        fill: impl FnOnce(&mut Self) -> Result,
    ) -> Result {
        // SAFETY: The message is being written.
        let nest = unsafe { bindings::svcg_nest_begin(self.skb, number(attribute)?) };
        if nest.is_null() {
            return Err(EMSGSIZE);
        }
        fill(self)?;
        // SAFETY: The nest was begun above. When `fill` fails the whole message is given up.
        unsafe { bindings::svcg_nest_end(self.skb, nest) };
        Ok(())
    }
}

pub(super) fn number(attribute: u32) -> Result<c_int> {
    c_int::try_from(attribute).map_err(|_| EINVAL)
}

pub(super) fn command(cmd: u32) -> Result<u8> {
    u8::try_from(cmd).map_err(|_| EINVAL)
}
