// SPDX-License-Identifier: GPL-2.0
//! The two system calls that the standard library and rustix do not have for an
//! option they do not know. This is the only unsafe code of the workspace.
#![expect(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Level of the options.
const LEVEL: libc::c_int = libc::SOL_IP;
/// Forms, joins and reads.
pub(crate) const SO_SERVICE_GROUP: libc::c_int = 0x5347;
/// Leaves.
pub(crate) const SO_SERVICE_GROUP_LEAVE: libc::c_int = 0x5348;
/// Sets and reads what the group does, and the member's weight.
pub(crate) const SO_SERVICE_GROUP_SETTINGS: libc::c_int = 0x5349;

/// The errno of the call that has just failed.
fn last_errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

/// Sets the option `name` of the module to `value`, or tells the errno.
pub(crate) fn set(fd: BorrowedFd<'_>, name: libc::c_int, value: &[u8]) -> Result<(), i32> {
    set_at(fd, LEVEL, name, value)
}

/// Reads the option `name` of the module into `value`, and tells how many bytes of it the kernel
/// wrote, or the errno.
pub(crate) fn get(fd: BorrowedFd<'_>, name: libc::c_int, value: &mut [u8]) -> Result<usize, i32> {
    get_at(fd, LEVEL, name, value)
}

/// Gives a socket another one's option, or tells the errno.
pub(crate) fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> Result<(), i32> {
    // The longest is the name of a device.
    let mut value = [0u8; 16];
    let length = get_at(from, level, name, &mut value)?;
    set_at(to, level, name, &value[..length])
}

/// Sets an option of any level, or tells the errno.
pub(crate) fn set_at(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> Result<(), i32> {
    let Ok(length) = libc::socklen_t::try_from(value.len()) else {
        return Err(libc::EINVAL);
    };
    // SAFETY: `value` is readable for `length` bytes during the call, which
    // keeps no pointer to it.
    let status =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if status == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

fn get_at(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut [u8],
) -> Result<usize, i32> {
    let Ok(mut length) = libc::socklen_t::try_from(value.len()) else {
        return Err(libc::EINVAL);
    };
    // SAFETY: `value` is writable for `length` bytes, `length` is a valid
    // socklen_t, and the call keeps no pointer to either.
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if status == 0 {
        Ok(usize::try_from(length).map_or(value.len(), |length| length.min(value.len())))
    } else {
        Err(last_errno())
    }
}
