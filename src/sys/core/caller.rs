// SPDX-License-Identifier: GPL-2.0

//! Whose call it is that the kernel is in. All of it process context.

use crate::sys::{
    bindings,
    core::netns::Net, //
};

/// The caller's effective user id, as the initial user namespace has it.
pub(crate) fn caller_uid() -> u32 {
    // SAFETY: There is always a caller.
    unsafe { bindings::svcg_caller_uid() }
}

/// The account that the groups which the caller forms in its network namespace are counted to.
pub(crate) fn caller_account(net: Net<'_>) -> u64 {
    // SAFETY: There is always a caller, and the namespace is there.
    unsafe { bindings::svcg_caller_account(net.as_ptr()) }
}

/// The caller's process.
pub(crate) fn caller_process() -> u32 {
    // SAFETY: There is always a caller.
    unsafe { bindings::svcg_caller_process() }
}

/// Whether the caller has `CAP_NET_ADMIN` in the initial user namespace.
pub(crate) fn caller_is_privileged() -> bool {
    // SAFETY: There is always a caller.
    unsafe { bindings::svcg_caller_is_privileged() }
}

/// Whether something confines the caller that its calls of the option do not pass by.
pub(crate) fn caller_is_confined() -> bool {
    // SAFETY: There is always a caller.
    unsafe { bindings::svcg_caller_is_confined() }
}
