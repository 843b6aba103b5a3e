// SPDX-License-Identifier: GPL-2.0

//! Messages of the generic netlink family.

use crate::sys::{
    bindings,
    core::netns::Net, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A message that is being written.
pub(crate) struct Message {
    skb: *mut bindings::sk_buff,
    /// In which user ids are told.
    userns: *mut bindings::user_namespace,
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

fn number(attribute: u32) -> Result<c_int> {
    c_int::try_from(attribute).map_err(|_| EINVAL)
}

fn command(cmd: u32) -> Result<u8> {
    u8::try_from(cmd).map_err(|_| EINVAL)
}

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
