// SPDX-License-Identifier: GPL-2.0

//! Dumps of the generic netlink family: replies of as many messages as they take.

use super::{
    netlink_message::{command, number, Message},
    netns::Net, //
};
use crate::sys::bindings;
use kernel::prelude::*;

/// A dump that goes on from where the last message ended.
pub(crate) struct Dump {
    pub(in crate::sys) cb: *mut bindings::netlink_callback,
    pub(in crate::sys) skb: *mut bindings::sk_buff,
}

/// A dump before its first message, or between two.
pub(crate) struct DumpStart {
    pub(in crate::sys) cb: *mut bindings::netlink_callback,
}

impl DumpStart {
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: The dump has a namespace as long as it is there.
        unsafe { Net::from_ptr(bindings::svcg_dump_net(self.cb)) }
    }

    /// Has an object of this size fit into each message that is made from now on. Otherwise that is
    /// so only if the kernel has memory for long ones, or if the reader has offered much room before.
    pub(crate) fn need(&mut self, size: u32) {
        // SAFETY: The dump is there.
        unsafe { bindings::svcg_dump_need(self.cb, size) };
    }

    /// The attribute of the request, which the policy has checked.
    pub(crate) fn u32(&self, attribute: u32) -> Option<u32> {
        let mut value = 0;
        // SAFETY: The dump is there, and its attributes were read before it was begun; the attribute is
        // one of the command's policy.
        unsafe { bindings::svcg_dump_u32(self.cb, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }
}

impl Dump {
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: The dump has a namespace as long as it is there.
        unsafe { Net::from_ptr(bindings::svcg_dump_net(self.cb)) }
    }

    /// Has an object of this size fit into the next message.
    pub(crate) fn need(&mut self, size: u32) {
        DumpStart { cb: self.cb }.need(size);
    }

    /// Whether the reader has `CAP_NET_ADMIN` in the namespace.
    pub(crate) fn may_change(&self) -> bool {
        // SAFETY: The dump is there.
        unsafe { bindings::svcg_dump_may_change(self.cb) }
    }

    /// The attribute of the request, which the policy has checked.
    pub(crate) fn u32(&self, attribute: u32) -> Option<u32> {
        DumpStart { cb: self.cb }.u32(attribute)
    }

    /// Two numbers that are zero at first and are kept from one message to the next.
    pub(crate) fn position(&mut self) -> &mut [usize; 2] {
        // SAFETY: The callback has room for six of them, and nobody else uses them. The kernel's
        // unsigned long is a usize.
        unsafe { &mut *bindings::svcg_dump_position(self.cb).cast() }
    }

    /// Tells of which generation what comes next is, or that nothing does: the reader is told if it is
    /// another one than that of the last message.
    pub(crate) fn is_of(&mut self, generation: u32) {
        // SAFETY: The dump is there.
        unsafe { bindings::svcg_dump_is_of(self.cb, generation) };
    }

    /// Adds an object that `fill` fills. `EMSGSIZE` when the message is full: then the dump is
    /// to be left, and goes on with this object next time.
    pub(crate) fn add(&mut self, cmd: u32, fill: impl FnOnce(&mut Message) -> Result) -> Result {
        // SAFETY: The dump is there.
        let header = unsafe { bindings::svcg_dump_begin(self.cb, self.skb, command(cmd)?) };
        if header.is_null() {
            return Err(EMSGSIZE);
        }
        let mut message = Message {
            skb: self.skb,
            // SAFETY: The dump is there.
            userns: unsafe { bindings::svcg_dump_userns(self.cb) },
        };
        let result = fill(&mut message);
        // SAFETY: The object was begun above.
        unsafe {
            match result {
                Ok(()) => bindings::svcg_dump_end(self.skb, header),
                Err(_) => bindings::svcg_dump_cancel(self.skb, header),
            }
        }
        result
    }

    /// The same for what is looked up in the namespace meanwhile.
    pub(crate) fn add_of(
        &mut self,
        cmd: u32,
        fill: impl FnOnce(&mut Message, Net<'_>) -> Result,
    ) -> Result {
        // SAFETY: The dump has a namespace as long as it is there, and so for the call.
        let net = unsafe { Net::from_ptr(bindings::svcg_dump_net(self.cb)) };
        self.add(cmd, |message| fill(message, net))
    }
}
