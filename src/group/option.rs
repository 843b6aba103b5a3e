// SPDX-License-Identifier: GPL-2.0

//! The socket options `SO_SERVICE_GROUP` and `SO_SERVICE_GROUP_LEAVE`.
//!
//! What they mean is written in `include/uapi/linux/service_group.h`. Process context, and no
//! socket is locked.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    error::{refuse_kind, Refusal},
    membership,
    report,
    settings, //
};
use crate::{
    logic::{
        request::{self, Request, RequestError},
        settings::MAX_LEN as SETTINGS_MAX_LEN, //
    },
    sys::{
        socket::{
            listener::{AnySock, Sock},
            option::Value, //
        },
        uapi, //
    },
};
use core::mem::size_of;
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// Length of an option that is a group's id.
const ID_LEN: usize = size_of::<u32>();

/// `setsockopt(SO_SERVICE_GROUP)`.
pub(crate) fn set(sock: &AnySock, value: Value<'_>) -> Result {
    counted(
        sock,
        check_kind(sock).and_then(|sock| form_or_join(sock, value)),
    )
}

fn form_or_join(sock: &Sock, value: Value<'_>) -> Result<(), Refusal> {
    if value.len() == ID_LEN {
        let id = value.copy_u32()?.ok_or(RequestError::BadSize)?;
        return membership::join(sock, id);
    }
    if value.len() < request::HEADER_LEN {
        return Err(RequestError::BadSize.into());
    }
    if value.len() > request::MAX_LEN {
        return Err(RequestError::TooMany.into());
    }
    let bytes = value.copy()?;
    membership::form(sock.net(), &Request::parse(&bytes)?)
}

/// `setsockopt(SO_SERVICE_GROUP_LEAVE)`.
pub(crate) fn leave(sock: &AnySock, value: Value<'_>) -> Result {
    counted(sock, leave_as(sock, value))
}

fn leave_as(sock: &AnySock, value: Value<'_>) -> Result<(), Refusal> {
    let sock = check_kind(sock)?;
    let flags = value.copy_u32()?.ok_or(RequestError::BadSize)?;
    if flags & !uapi::service_group_leave_flags_SERVICE_GROUP_LEAVE_DRAIN != 0 {
        return Err(RequestError::UnknownFlag.into());
    }
    let drain = flags & uapi::service_group_leave_flags_SERVICE_GROUP_LEAVE_DRAIN != 0;
    membership::leave(sock, drain)
}

/// `setsockopt(SO_SERVICE_GROUP_SETTINGS)`.
pub(crate) fn set_settings(sock: &AnySock, value: Value<'_>) -> Result {
    counted(sock, change(sock, value))
}

fn change(sock: &AnySock, value: Value<'_>) -> Result<(), Refusal> {
    let sock = check_kind(sock)?;
    if value.len() > SETTINGS_MAX_LEN {
        return Err(RequestError::BadSize.into());
    }
    let bytes = value.copy()?;
    settings::set(sock, &settings::parse(&bytes)?)
}

/// `getsockopt(SO_SERVICE_GROUP_SETTINGS)`.
pub(crate) fn get_settings(sock: &AnySock) -> Result<settings::Fields> {
    Ok(settings::get(check_kind(sock)?)?)
}

/// `getsockopt(SO_SERVICE_GROUP)`.
pub(crate) fn get(sock: &AnySock) -> Result<uapi::service_group_info> {
    let sock = check_kind(sock)?;
    let guard = rcu::read_lock();
    let member = sock.ulp_member(&guard).ok_or(Refusal::NotMember)?;
    let state = sock.state();
    let load = state.facts.load;
    let count = |counter| member.counters.get(counter);
    let sum = |counters: &[Counter]| {
        counters
            .iter()
            .map(|&counter| count(counter))
            .fold(0, u64::wrapping_add)
    };
    Ok(uapi::service_group_info {
        size: size_of::<uapi::service_group_info>() as u32,
        id: member.group.id,
        members: u32::try_from(member.group.members.used()).unwrap_or(u32::MAX),
        state: report::member_state(member, &state),
        queued: load.queued,
        half_open: load.half_open,
        backlog: load.backlog,
        reserved: 0,
        home: sum(&[Counter::Home, Counter::HomeUnpromised]),
        redirected_in: count(Counter::RedirectedIn),
        redirected_out: sum(&Counter::REDIRECTED_OUT),
        dropped: sum(&[Counter::DroppedFull, Counter::DroppedUnfit, Counter::Reset]),
        rescued_in: count(Counter::RescuedIn),
        rescued_out: sum(&Counter::RESCUED_OUT),
        accepted: count(Counter::Accepted),
    })
}

/// The socket, if it is one that can be a member at all.
fn check_kind(sock: &AnySock) -> Result<&Sock, Refusal> {
    sock.tcp().map_err(refuse_kind)
}

fn counted(sock: &AnySock, result: Result<(), Refusal>) -> Result {
    if let Err(refusal) = result {
        sock.net().registry().refused(refusal);
    }
    Ok(result?)
}
