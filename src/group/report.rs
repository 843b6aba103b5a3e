// SPDX-License-Identifier: GPL-2.0

//! What netlink tells: groups, members and totals, and that they come and go.

#![forbid(unsafe_code)]

use super::{
    counters::Counter,
    Group,
    Member, //
};
use crate::logic::settings::Setting;
use crate::sys::{
    core::{
        netlink::{notify, Context, Dump, Message, Request},
        netns::Net, //
    },
    socket::listener::{Sock, State},
    uapi, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        rcu, //
    },
};

/// What happened to a group or a member.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Added,
    Removed,
    /// Its settings.
    Changed,
    /// The member was found stalled, with so many connections in its queue.
    Stalled(u32),
    /// The member accepts again, and leaves so many in its queue.
    Ready(u32),
}

/// The `enum service_group_member_state` of a member and its socket.
pub(super) fn member_state(member: &Member, state: &State) -> u32 {
    state_of(member, state, member.was_told_stalled())
}

fn state_of(member: &Member, state: &State, stalled: bool) -> u32 {
    let leaving = member.leaving.load(Relaxed);
    match state.facts.listening {
        true if leaving => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_LEAVING,
        true if stalled => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_STALLED,
        true if !state.hooked => {
            uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_UNHOOKED
        }
        _ => own_state(state),
    }
}

/// What a socket does by itself, whether it is a member or not: one that has left has no hooks any
/// more, and is neither stalled nor leaving.
fn own_state(state: &State) -> u32 {
    match (state.facts.listening, state.closed, state.facts.port) {
        (true, _, _) => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_LISTENING,
        (_, false, _) => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_CONNECTED,
        (_, true, 0) => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_UNBOUND,
        (_, true, _) => uapi::service_group_member_state_SERVICE_GROUP_MEMBER_STATE_BOUND,
    }
}

/// Puts a nest with all counters, which `get` reads.
fn put_counters(message: &mut Message, attribute: u32, get: impl Fn(Counter) -> u64) -> Result {
    message.put_nest(attribute, |nest| {
        for counter in Counter::ALL {
            let pad = uapi::SERVICE_GROUP_A_COUNTERS_PAD;
            nest.put_u64(counter.attribute(), get(counter), pad)?;
        }
        Ok(())
    })
}

fn put_adoption(message: &mut Message, group: &Group) -> Result {
    let adoption = &group.adoption;
    let (refused, reason) = adoption.refused();
    let pad = uapi::SERVICE_GROUP_A_GROUP_PAD;
    message.put_u64(uapi::SERVICE_GROUP_A_GROUP_ADOPTED, adoption.adopted(), pad)?;
    message.put_u64(uapi::SERVICE_GROUP_A_GROUP_NOT_ADOPTED, refused, pad)?;
    message.put_u32(uapi::SERVICE_GROUP_A_GROUP_NOT_ADOPTED_ERRNO, reason)
}

fn put_group(message: &mut Message, group: &Group) -> Result {
    let members = u32::try_from(group.members.used()).unwrap_or(u32::MAX);
    message.put_u32(uapi::SERVICE_GROUP_A_GROUP_ID, group.id)?;
    message.put_uid(uapi::SERVICE_GROUP_A_GROUP_UID, group.key.uid)?;
    message.put_u32(uapi::SERVICE_GROUP_A_GROUP_MEMBERS, members)?;
    for setting in Setting::ALL {
        if let Some(attribute) = setting.group_attribute() {
            message.put_u32(attribute, group.setting(setting))?;
        }
    }
    put_adoption(message, group)?;
    put_counters(message, uapi::SERVICE_GROUP_A_GROUP_COUNTERS, |counter| {
        let guard = rcu::read_lock();
        group
            .members
            .iter(&guard)
            .map(|member| member.counters.get(counter))
            .fold(group.retired.get(counter), u64::wrapping_add)
    })
}

/// Puts a member as it is, or as it was when the change happened: that may be over by now.
fn put_member(
    message: &mut Message,
    group: &Group,
    member: &Member,
    sock: &Sock,
    change: Option<Change>,
) -> Result {
    let identity = sock.identity();
    let state = sock.state();
    let load = state.facts.load;
    let (stalled, queued) = match change {
        Some(Change::Stalled(queued)) => (true, queued),
        Some(Change::Ready(queued)) => (false, queued),
        _ => (member.was_told_stalled(), load.queued),
    };
    let address_len = if identity.family == 10 { 16 } else { 4 };
    let address = identity.address.get(..address_len).unwrap_or(&[]);
    let pad = uapi::SERVICE_GROUP_A_MEMBER_PAD;

    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_GROUP, group.id)?;
    message.put_u64(uapi::SERVICE_GROUP_A_MEMBER_COOKIE, identity.cookie, pad)?;
    message.put_u64(uapi::SERVICE_GROUP_A_MEMBER_INODE, identity.inode, pad)?;
    message.put_u16(uapi::SERVICE_GROUP_A_MEMBER_FAMILY, identity.family)?;
    message.put_be16(uapi::SERVICE_GROUP_A_MEMBER_PORT, identity.port)?;
    message.put_bytes(uapi::SERVICE_GROUP_A_MEMBER_ADDRESS, address)?;
    let told = match change {
        Some(Change::Removed) => own_state(&state),
        _ => state_of(member, &state, stalled),
    };
    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_STATE, told)?;
    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_QUEUED, queued)?;
    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_HALF_OPEN, load.half_open)?;
    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_BACKLOG, load.backlog)?;
    message.put_u32(
        uapi::SERVICE_GROUP_A_MEMBER_WEIGHT,
        member.weight.load(Relaxed),
    )?;
    message.put_u32(uapi::SERVICE_GROUP_A_MEMBER_ADOPTED, member.adopted.into())?;
    put_counters(message, uapi::SERVICE_GROUP_A_MEMBER_COUNTERS, |counter| {
        member.counters.get(counter)
    })
}

/// `group-get` of one group. `ENOENT` if there is none with the id, `EINVAL` without one.
pub(crate) fn group(request: &Request) -> Result {
    let id = request.u32(uapi::SERVICE_GROUP_A_GROUP_ID).ok_or(EINVAL)?;
    let group = request.net().registry().get(id).ok_or(ENOENT)?;
    request.reply(uapi::SERVICE_GROUP_CMD_GROUP_GET, |message| {
        put_group(message, &group)
    })
}

/// `group-get` of all groups.
pub(crate) fn groups(dump: &mut Dump) -> Result {
    loop {
        let [next, _] = *dump.position();
        dump.is_of(dump.net().registry().generation());
        let Some(group) = group_from(dump, next) else {
            return Ok(());
        };
        dump.add(uapi::SERVICE_GROUP_CMD_GROUP_GET, |message| {
            put_group(message, &group)
        })?;
        *dump.position() = [after(group.id), 0];
    }
}

/// `member-get` of the members of one group, or of all. `ENOENT` if there is no such group.
pub(crate) fn members(dump: &mut Dump) -> Result {
    let only = dump.u32(uapi::SERVICE_GROUP_A_MEMBER_GROUP);
    if let Some(id) = only {
        return match dump.net().registry().get(id) {
            Some(group) => members_of(dump, &group),
            // It may have ended while it was dumped.
            None if *dump.position() == [0, 0] => Err(ENOENT),
            None => Ok(()),
        };
    }
    loop {
        let [next, _] = *dump.position();
        let Some(group) = group_from(dump, next) else {
            return Ok(());
        };
        if group.id as usize != next {
            *dump.position() = [group.id as usize, 0];
        }
        members_of(dump, &group)?;
        *dump.position() = [after(group.id), 0];
    }
}

fn members_of(dump: &mut Dump, group: &Group) -> Result {
    loop {
        let guard = rcu::read_lock();
        let [_, index] = *dump.position();
        if index >= group.members.capacity(&guard) {
            return Ok(());
        }
        dump.is_of(dump.net().registry().generation());
        if let Some(member) = group.members.get(index, &guard) {
            dump.add(uapi::SERVICE_GROUP_CMD_MEMBER_GET, |message| {
                put_member(message, group, member, member.sock(&guard), None)
            })?;
        }
        let [_, index] = dump.position();
        *index = index.saturating_add(1);
    }
}

/// The first group with at least the id that a dump's position tells.
fn group_from(dump: &Dump, next: usize) -> Option<kernel::sync::Arc<Group>> {
    dump.net().registry().get_from(u32::try_from(next).ok()?)
}

/// The position behind a group; ids are 32 bits wide, positions 64.
fn after(id: u32) -> usize {
    (id as usize).saturating_add(1)
}

/// `stats-get`.
pub(crate) fn stats(request: &Request) -> Result {
    let stats = request.net().registry().stats();
    let cluster_generation = request.net().clusters().generation();
    let pad = uapi::SERVICE_GROUP_A_STATS_PAD;
    request.reply(uapi::SERVICE_GROUP_CMD_STATS_GET, |message| {
        message.put_u32(uapi::SERVICE_GROUP_A_STATS_GROUPS, stats.groups)?;
        message.put_u32(uapi::SERVICE_GROUP_A_STATS_MEMBERS, stats.members)?;
        for (attribute, value) in [
            (
                uapi::SERVICE_GROUP_A_STATS_REFUSED_LIMIT,
                stats.refused_limit,
            ),
            (
                uapi::SERVICE_GROUP_A_STATS_REFUSED_PERMISSION,
                stats.refused_permission,
            ),
            (
                uapi::SERVICE_GROUP_A_STATS_REFUSED_OTHER,
                stats.refused_other,
            ),
            (
                uapi::SERVICE_GROUP_A_STATS_CLUSTER_GENERATION,
                cluster_generation,
            ),
        ] {
            message.put_u64(attribute, value, pad)?;
        }
        Ok(())
    })
}

/// Tells what happened to a group.
pub(super) fn group_event(change: Change, group: &Group, net: Net<'_>, context: Context) {
    let cmd = match change {
        Change::Added => uapi::SERVICE_GROUP_CMD_GROUP_ADD_NTF,
        Change::Removed => uapi::SERVICE_GROUP_CMD_GROUP_DEL_NTF,
        _ => uapi::SERVICE_GROUP_CMD_GROUP_CHANGE_NTF,
    };
    notify(net, cmd, context, |message| put_group(message, group));
}

/// Tells what happened to a member.
pub(super) fn member_event(
    change: Change,
    group: &Group,
    member: &Member,
    sock: &Sock,
    context: Context,
) {
    let cmd = match change {
        Change::Added => uapi::SERVICE_GROUP_CMD_MEMBER_ADD_NTF,
        Change::Removed => uapi::SERVICE_GROUP_CMD_MEMBER_DEL_NTF,
        Change::Changed => uapi::SERVICE_GROUP_CMD_MEMBER_CHANGE_NTF,
        Change::Stalled(_) => uapi::SERVICE_GROUP_CMD_MEMBER_STALL_NTF,
        Change::Ready(_) => uapi::SERVICE_GROUP_CMD_MEMBER_READY_NTF,
    };
    notify(sock.net(), cmd, context, |message| {
        put_member(message, group, member, sock, Some(change))
    });
}
