// SPDX-License-Identifier: GPL-2.0

//! Why a call of the option is refused, and with which errno.
//!
//! One meaning, one errno; the list for users is in `include/uapi/linux/service_group.h`.

#![forbid(unsafe_code)]

use crate::{
    logic::request::RequestError,
    sys::socket::listener::Kind, //
};
use kernel::{
    alloc::AllocError,
    bindings as errno,
    error::Error,
    prelude::*, //
};

/// Why a call of the option is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request itself is wrong.
    Request(RequestError),
    /// It is not a TCP socket.
    NotTcp,
    /// It is an MPTCP socket.
    Mptcp,
    /// It is of another network namespace than the caller.
    OtherNamespace,
    /// The same socket twice.
    Duplicate,
    /// Other users' sockets, or sockets to bind, without privilege.
    NotPermitted,
    /// It is neither closed nor listening.
    Connected,
    /// Another call has it locked for long.
    Busy,
    /// It has checks of its own.
    Guarded,
    /// The sockets are bound to different devices.
    OtherDevice,
    /// It is bound to another port or address.
    OtherPort,
    /// There is no such group.
    NoSuchGroup,
    /// The socket is in no group.
    NotMember,
    /// The user has too many groups.
    TooManyGroups,
    /// The group has too many members.
    GroupFull,
    /// No memory.
    NoMemory,
    /// The caller is confined, and may not have the kernel bind to a port of its choice.
    Confined,
    /// What a function of the kernel says: a descriptor, an upper layer protocol, `bind()`.
    Kernel(Error),
}

pub(super) fn refuse_kind(kind: Kind) -> Refusal {
    match kind {
        Kind::Mptcp => Refusal::Mptcp,
        Kind::Other => Refusal::NotTcp,
    }
}

impl Refusal {
    fn errno(self) -> Result<u32, Error> {
        Ok(match self {
            Self::Request(error) => match error {
                RequestError::BadSize => errno::EINVAL,
                RequestError::TooNew => errno::E2BIG,
                RequestError::UnknownFlag => errno::EOPNOTSUPP,
                RequestError::ReservedNotZero => errno::EBADMSG,
                RequestError::Empty => errno::ENODATA,
                RequestError::TooMany => errno::ETOOMANYREFS,
                RequestError::BadFamily => errno::EAFNOSUPPORT,
                RequestError::AddressWithoutPort => errno::EDESTADDRREQ,
                RequestError::OutOfRange => errno::EDOM,
            },
            Self::NotTcp => errno::EPROTONOSUPPORT,
            Self::Mptcp => errno::EPROTOTYPE,
            Self::OtherNamespace => errno::EXDEV,
            Self::Duplicate => errno::ENOTUNIQ,
            Self::NotPermitted => errno::EPERM,
            Self::Connected => errno::EISCONN,
            Self::Busy => errno::EBUSY,
            Self::Guarded => errno::EKEYREJECTED,
            Self::OtherDevice => errno::ENODEV,
            Self::OtherPort => errno::ERANGE,
            Self::NoSuchGroup => errno::ENOENT,
            Self::NotMember => errno::ESRCH,
            Self::TooManyGroups => errno::EUSERS,
            Self::GroupFull => errno::ENOSPC,
            Self::NoMemory => errno::ENOMEM,
            Self::Confined => errno::EACCES,
            Self::Kernel(error) => return Err(error),
        })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.errno() {
            Ok(errno) => c_int::try_from(errno)
                .ok()
                .and_then(c_int::checked_neg)
                .map_or(EINVAL, Error::from_errno),
            Err(error) => error,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<AllocError> for Refusal {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}
