// SPDX-License-Identifier: GPL-2.0

//! The socket options' way into the module.

use crate::{
    logic::{request, settings},
    sys::bindings::{self, uapi}, //
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
    /// # Safety
    ///
    /// As the invariant.
    pub(in crate::sys) unsafe fn from_raw(from: *const c_void, len: u32) -> Self {
        // INVARIANT: By the requirement.
        Self {
            from,
            len,
            _call: PhantomData,
        }
    }

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
            bindings::svcg_option_copy_from(bytes.as_mut_ptr().cast(), self.from, self.len)
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
            bindings::svcg_option_copy_from((&raw mut value).cast(), self.from, self.len)
        })?;
        Ok(Some(value))
    }
}

// The request is read from its bytes, see `logic::request`.
const _: () = {
    assert!(request::HEADER_LEN == size_of::<uapi::service_group_request>());
    assert!(request::ENTRY_LEN == size_of::<uapi::service_group_entry>());
    assert!(request::MAX_ENTRIES == uapi::SERVICE_GROUP_MAX_MEMBERS as usize);
    assert!(
        request::MAX_LEN == request::MAX_HEADER_LEN + request::MAX_ENTRIES * request::ENTRY_LEN
    );
    assert!(settings::LEN == size_of::<uapi::service_group_settings>());
};

// SAFETY: The structure has no padding: the C definition orders its fields by size.
unsafe impl AsBytes for uapi::service_group_info {}

/// The registration of the options.
pub(crate) struct OptionRegistration(());

impl OptionRegistration {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, when the module is loaded.
        to_result(unsafe { bindings::svcg_option_register() })?;
        Ok(Self(()))
    }
}

impl Drop for OptionRegistration {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::svcg_option_unregister() };
    }
}

/// Writes a structure to the user's memory, or as much of it as there is room for.
pub(in crate::sys) fn tell<T: AsBytes>(
    structure: Result<T>,
    to: *mut c_void,
    len: &mut c_int,
) -> Result {
    let structure = structure?;
    let room = usize::try_from(*len).map_err(|_| EINVAL)?;
    let cut = structure
        .as_bytes()
        .get(..room.min(size_of::<T>()))
        .ok_or(EINVAL)?;
    let cut_len = c_uint::try_from(cut.len()).map_err(|_| EINVAL)?;
    // SAFETY: `cut` is there; `to` is a pointer of the user's, and is treated as such.
    to_result(unsafe { bindings::svcg_option_copy_to(to, cut.as_ptr().cast(), cut_len) })?;
    *len = c_int::try_from(cut_len).map_err(|_| EINVAL)?;
    Ok(())
}
