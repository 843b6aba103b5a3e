// SPDX-License-Identifier: GPL-2.0

//! The socket options' way into the module.

use crate::{
    group::option,
    logic::{request, settings},
    sys::{
        bindings::{self, uapi},
        core::netlink::NetlinkRegistration,
        errno,
        socket::listener::AnySock, //
    },
};
use core::{
    marker::PhantomData,
    mem::size_of, //
};
use kernel::{
    error::to_result,
    prelude::*,
    transmute::AsBytes, //
};

/// The value of an option, which is in the caller's memory.
///
/// # Invariants
///
/// `from` is a sockptr_t, there for `'a`, of so many bytes.
pub(crate) struct Value<'a> {
    from: *const c_void,
    len: u32,
    _call: PhantomData<&'a ()>,
}

impl Value<'_> {
    /// Its length, in bytes.
    pub(crate) fn len(&self) -> usize {
        // A `u32` fits on every machine that there is a kernel for.
        self.len as usize
    }

    /// Copies it, once. The caller has checked the length.
    pub(crate) fn copy(self) -> Result<KVVec<u8>> {
        let mut bytes = KVVec::from_elem(0u8, self.len(), GFP_KERNEL_ACCOUNT)?;
        // SAFETY: `bytes` has room for `len` bytes; and by the invariant.
        to_result(unsafe {
            bindings::sg_option_copy_from(bytes.as_mut_ptr().cast(), self.from, self.len)
        })?;
        Ok(bytes)
    }

    /// Copies it as a number; `None` if the length is not that of one.
    pub(crate) fn copy_u32(self) -> Result<Option<u32>> {
        let mut value = 0u32;
        if self.len() != size_of::<u32>() {
            return Ok(None);
        }
        // SAFETY: `value` has room for the four bytes; and by the invariant.
        to_result(unsafe {
            bindings::sg_option_copy_from((&raw mut value).cast(), self.from, self.len)
        })?;
        Ok(Some(value))
    }
}

// The request is read from its bytes, see `logic::request`.
const _: () = {
    assert!(request::HEADER_LEN == size_of::<bindings::service_group_request>());
    assert!(request::ENTRY_LEN == size_of::<bindings::service_group_entry>());
    assert!(request::MAX_ENTRIES == bindings::SERVICE_GROUP_MAX_MEMBERS as usize);
    assert!(
        request::MAX_LEN == request::MAX_HEADER_LEN + request::MAX_ENTRIES * request::ENTRY_LEN
    );
    assert!(settings::LEN == size_of::<bindings::service_group_settings>());
};

// SAFETY: The structure has no padding: the C definition orders its fields by size.
unsafe impl AsBytes for uapi::service_group_info {}

// SAFETY: All fields are of one size.
unsafe impl AsBytes for uapi::service_group_settings {}

/// The registration of the options.
pub(crate) struct OptionRegistration {
    _netlink: NetlinkRegistration,
}

impl OptionRegistration {
    pub(crate) fn new(netlink: NetlinkRegistration) -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::sg_option_register() })?;
        Ok(Self { _netlink: netlink })
    }
}

impl Drop for OptionRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::sg_option_unregister() };
    }
}

/// # Safety
///
/// Called by `option.c`: `sk` is a socket of the caller's, `value` its sockptr_t.
#[no_mangle]
unsafe extern "C" fn sg_option_set(
    sk: *mut bindings::sock,
    name: c_int,
    value: *const c_void,
    len: c_uint,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let sock = unsafe { AnySock::from_ptr(sk) };
    // INVARIANT: By the requirement, for the duration of the call.
    let value = Value {
        from: value,
        len,
        _call: PhantomData,
    };
    errno(match u32::try_from(name) {
        Ok(uapi::SO_SERVICE_GROUP) => option::set(sock, value),
        Ok(uapi::SO_SERVICE_GROUP_LEAVE) => option::leave(sock, value),
        Ok(uapi::SO_SERVICE_GROUP_SETTINGS) => option::set_settings(sock, value),
        _ => Err(ENOPROTOOPT),
    })
}

/// # Safety
///
/// Called by `option.c`: `sk` is a socket of the caller's, `to` the user's pointer, `len` the
/// length there.
#[no_mangle]
unsafe extern "C" fn sg_option_get(
    sk: *mut bindings::sock,
    name: c_int,
    to: *mut c_void,
    len: *mut c_int,
) -> c_int {
    // SAFETY: By the requirement, for the duration of the call.
    let (sock, len) = unsafe { (AnySock::from_ptr(sk), &mut *len) };
    errno(match u32::try_from(name) {
        Ok(uapi::SO_SERVICE_GROUP) => tell(option::get(sock), to, len),
        Ok(uapi::SO_SERVICE_GROUP_SETTINGS) => tell(option::get_settings(sock), to, len),
        _ => Err(ENOPROTOOPT),
    })
}

/// Writes a structure, or as much of it as there is room for.
fn tell<T: AsBytes>(structure: Result<T>, to: *mut c_void, len: &mut c_int) -> Result {
    let structure = structure?;
    let room = usize::try_from(*len).map_err(|_| EINVAL)?;
    let cut = structure
        .as_bytes()
        .get(..room.min(size_of::<T>()))
        .ok_or(EINVAL)?;
    let cut_len = c_uint::try_from(cut.len()).map_err(|_| EINVAL)?;
    // SAFETY: `cut` is there; `to` is a pointer of the user's, and is treated as such.
    to_result(unsafe { bindings::sg_option_copy_to(to, cut.as_ptr().cast(), cut_len) })?;
    *len = c_int::try_from(cut_len).map_err(|_| EINVAL)?;
    Ok(())
}
