// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family: requests with their replies, and events.

use super::netlink_message::{command, number};
use crate::sys::{
    bindings,
    core::netns::Net, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*, //
};

pub(crate) use super::{
    netlink_dump::{Dump, DumpStart},
    netlink_message::Message, //
};

/// A node of a cluster IP, as a request gives it: numbers that the policy has checked.
pub(crate) type NodeNumbers = bindings::svcg_node;

/// A request for one object.
pub(crate) struct Request {
    pub(in crate::sys) skb: *const bindings::sk_buff,
    pub(in crate::sys) info: *const bindings::genl_info,
}

impl Request {
    pub(crate) fn net(&self) -> Net<'_> {
        // SAFETY: The request has a namespace as long as it is there.
        unsafe { Net::from_ptr(bindings::svcg_info_net(self.info)) }
    }

    /// The attribute, which the policy has checked.
    pub(crate) fn u32(&self, attribute: u32) -> Option<u32> {
        let mut value = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_u32(self.info, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }

    /// The attribute, which the policy has checked, if it is there.
    pub(crate) fn optional_u32(&self, attribute: u32) -> Option<u32> {
        let mut value = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_optional_u32(self.info, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }

    /// The attribute, which the policy has checked.
    pub(crate) fn u64(&self, attribute: u32) -> Option<u64> {
        let mut value = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_u64(self.info, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }

    /// The attribute, which the policy has checked, if it is there.
    pub(crate) fn optional_u64(&self, attribute: u32) -> Option<u64> {
        let bytes = self.data(attribute)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    }

    /// Says with the error that what the sender has read has changed.
    pub(crate) fn say_changed(&self) {
        // SAFETY: The request is there.
        unsafe { bindings::svcg_info_say_changed(self.info) };
    }

    /// The attribute, which the policy has checked.
    pub(crate) fn u16(&self, attribute: u32) -> Option<u16> {
        let mut value = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_u16(self.info, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }

    /// The port, host byte order, which the policy has checked.
    pub(crate) fn port(&self, attribute: u32) -> Option<u16> {
        let mut value = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_port(self.info, number(attribute).ok()?, &mut value) }
            .then_some(value)
    }

    /// The port, host byte order, which the policy has checked, if it is there.
    pub(crate) fn optional_port(&self, attribute: u32) -> Option<u16> {
        let bytes = self.data(attribute)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }

    /// The address of this length, at most 16, which the policy has checked.
    pub(crate) fn address(&self, attribute: u32, len: u32) -> Option<[u8; 16]> {
        let mut address = [0; 16];
        // SAFETY: As above; `address` has room for the most that is asked for.
        unsafe {
            bindings::svcg_info_address(
                self.info,
                number(attribute).ok()?,
                address.as_mut_ptr(),
                len.min(16),
            )
        }
        .then_some(address)
    }

    /// The bytes of the attribute, which the policy has checked, if it is there.
    pub(crate) fn data(&self, attribute: u32) -> Option<&[u8]> {
        let mut len = 0;
        // SAFETY: The request is there; the attribute is one of the command's policy.
        let data =
            unsafe { bindings::svcg_info_data(self.info, number(attribute).ok()?, &mut len) };
        if data.is_null() {
            return None;
        }
        // SAFETY: The attribute has so many bytes, and nobody writes to a request.
        Some(unsafe { core::slice::from_raw_parts(data.cast(), len as usize) })
    }

    /// The nodes that are given, one after the other; `position` is 0 at first.
    pub(crate) fn node(&self, position: &mut u32) -> Option<Result<NodeNumbers>> {
        let mut node = NodeNumbers::default();
        // SAFETY: The request is one to set a cluster IP, and there.
        match to_result(unsafe { bindings::svcg_info_node(self.info, position, &mut node) }) {
            Err(error) if error == ENOENT => None,
            result => Some(result.map(|()| node)),
        }
    }

    /// The numbers of an attribute that may be there several times, one after the other; `position` is
    /// 0 at first.
    pub(crate) fn next_u32(&self, attribute: u32, position: &mut u32) -> Option<u32> {
        let (attribute, mut value) = (number(attribute).ok()?, 0);
        // SAFETY: The request is there; the attribute is one of the command's policy.
        unsafe { bindings::svcg_info_next_u32(self.info, attribute, position, &mut value) }
            .then_some(value)
    }

    /// Whether the sender has `CAP_NET_ADMIN` in the namespace.
    pub(crate) fn may_change(&self) -> bool {
        // SAFETY: The request is there, and so is its namespace.
        unsafe { bindings::svcg_request_may_change(self.skb, self.net().as_ptr()) }
    }

    /// Whether the sender has `CAP_NET_ADMIN` in the initial user namespace.
    pub(crate) fn is_privileged(&self) -> bool {
        // SAFETY: The request is there.
        unsafe { bindings::svcg_request_is_privileged(self.skb) }
    }

    /// Answers with a message that `fill` fills.
    pub(crate) fn reply(&self, cmd: u32, fill: impl FnOnce(&mut Message) -> Result) -> Result {
        self.reply_long(cmd, 0, fill)
    }

    /// The same with room for `size` bytes, if that is more than usual.
    pub(crate) fn reply_long(
        &self,
        cmd: u32,
        size: u32,
        fill: impl FnOnce(&mut Message) -> Result,
    ) -> Result {
        let mut header = ptr::null_mut();
        // SAFETY: The request is there.
        let skb = unsafe { bindings::svcg_reply_new(self.info, command(cmd)?, size, &mut header) };
        if skb.is_null() {
            return Err(ENOMEM);
        }
        let mut message = Message {
            skb,
            // SAFETY: The request is there.
            userns: unsafe { bindings::svcg_request_userns(self.skb) },
        };
        if let Err(error) = fill(&mut message) {
            // SAFETY: It was made above, and is not sent.
            unsafe { bindings::svcg_message_free(skb) };
            return Err(error);
        }
        // SAFETY: Both were made above; sending takes the message.
        to_result(unsafe { bindings::svcg_reply_send(self.info, skb, header) })
    }
}

/// In which context an event is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// Sleeping is allowed.
    Process,
    /// It is not.
    Atomic,
}

/// Tells those who listen in the namespace; an event that there is no memory for is lost.
pub(crate) fn notify(
    net: Net<'_>,
    cmd: u32,
    context: Context,
    fill: impl FnOnce(&mut Message) -> Result,
) {
    notify_long(net, cmd, 0, context, fill);
}

/// The same with room for `size` bytes, if that is more than usual.
pub(crate) fn notify_long(
    net: Net<'_>,
    cmd: u32,
    size: u32,
    context: Context,
    fill: impl FnOnce(&mut Message) -> Result,
) {
    let atomic = context == Context::Atomic;
    let mut header = ptr::null_mut();
    // SAFETY: The namespace is there.
    if !unsafe { bindings::svcg_event_wanted(net.as_ptr()) } {
        return;
    }
    let Ok(cmd) = command(cmd) else { return };
    // SAFETY: It has no requirements.
    let skb = unsafe { bindings::svcg_event_new(cmd, size, atomic, &mut header) };
    if skb.is_null() {
        return;
    }
    let mut message = Message {
        skb,
        // SAFETY: The namespace is there.
        userns: unsafe { bindings::svcg_event_userns(net.as_ptr()) },
    };
    // SAFETY: The message was made above; sending takes it.
    unsafe {
        match fill(&mut message) {
            Ok(()) => bindings::svcg_event_send(net.as_ptr(), skb, header, atomic),
            Err(_) => bindings::svcg_message_free(skb),
        }
    }
}

/// The registration of the family.
pub(crate) struct NetlinkRegistration(());

impl NetlinkRegistration {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_netlink_register() })?;
        Ok(Self(()))
    }
}

impl Drop for NetlinkRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_netlink_unregister() };
    }
}
