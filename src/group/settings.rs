// SPDX-License-Identifier: GPL-2.0

//! What a group does, and how it is changed: through the option, or netlink.
//!
//! Each setting is changed by itself, and no lock is taken, but for that of the kernel's tracepoints
//! when a group is to adopt: netlink holds one of all families of the machine meanwhile.

#![forbid(unsafe_code)]

use super::{
    adopt::Means,
    error::Refusal,
    report::{self, Change},
    Group,
    GroupKey,
    Member, //
};
use crate::{
    logic::{
        request::RequestError,
        select::Policy,
        settings::{self, Changes, Setting, WhenFull}, //
    },
    sys::{
        core::{
            caller::{caller_is_privileged, caller_uid},
            clock::NS_OF_MS, //
            netlink::{Context, Request},
            netns::Net,
        },
        socket::listener::Sock,
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        rcu::{self, Guard}, //
    },
};

const _: () = assert!(settings::MIN_STALL == uapi::SERVICE_GROUP_MIN_STALL);

/// So many times in a stall time waiting connections are looked after, and not more often.
const LOOKS: u64 = 16;

/// A group's settings but for adopting, each of which may change at any time.
pub(crate) struct Settings([Atomic<u32>; Setting::COUNT]);

impl Settings {
    pub(super) fn new() -> Self {
        Self(Setting::ALL.map(|setting| Atomic::new(setting.initial())))
    }

    fn number(&self, setting: Setting) -> u32 {
        self.0
            .get(setting as usize)
            .map_or(setting.initial(), |number| number.load(Relaxed))
    }

    pub(super) fn policy(&self) -> Policy {
        Policy::from_number(self.number(Setting::Policy)).unwrap_or(Policy::Overflow)
    }

    pub(super) fn when_full(&self) -> WhenFull {
        WhenFull::from_number(self.number(Setting::WhenFull)).unwrap_or(WhenFull::Drop)
    }

    /// Whether programs are shown the address that their listener is bound to.
    pub(super) fn rewrite(&self) -> bool {
        self.number(Setting::Rewrite) != 0
    }

    /// The stall time in milliseconds; 0 for never.
    pub(super) fn stall(&self) -> u32 {
        self.number(Setting::Stall)
    }

    /// The stall time in nanoseconds; 0 for never.
    pub(super) fn stall_ns(&self) -> u64 {
        u64::from(self.stall()).saturating_mul(NS_OF_MS)
    }

    /// Whether connections that wait are looked after at all.
    pub(super) fn is_watched(&self) -> bool {
        self.stall() != 0 || self.policy() == Policy::Balance
    }

    /// Nanoseconds after which they are looked after first.
    pub(super) fn first_delay(&self) -> u64 {
        match self.policy() {
            Policy::Balance => self.min_interval(),
            Policy::Overflow => self.stall_ns(),
        }
    }

    /// Nanoseconds between two looks at them at least: so many in a stall time.
    pub(super) fn min_interval(&self) -> u64 {
        let stall = match self.stall() {
            0 => uapi::SERVICE_GROUP_DEFAULT_STALL,
            stall => stall,
        };
        u64::from(stall)
            .saturating_mul(NS_OF_MS)
            .checked_div(LOOKS)
            .unwrap_or(0)
    }

    fn change(&self, changes: &Changes) {
        for (number, setting) in self.0.iter().zip(Setting::ALL) {
            if let Some(changed) = changes.get(setting) {
                number.store(changed, Relaxed);
            }
        }
    }
}

impl Group {
    /// The number of one of the group's settings.
    pub(super) fn setting(&self, setting: Setting) -> u32 {
        match setting {
            Setting::Adopt => self.adoption.time(),
            other => self.settings.number(other),
        }
    }

    /// Changes what is the group's. Process context.
    fn change(&self, changes: &Changes, means: Option<Means>, net: Net<'_>) {
        self.settings.change(changes);
        if let Some(adopt) = changes.get(Setting::Adopt) {
            self.adoption.change(adopt, means);
        }
        // With a shorter stall time a waiting connection may be due, and so may a group without members.
        self.watch.at_once();
        self.stall_timer.arm(0);
        report::group_event(Change::Changed, self, net, Context::Atomic);
    }
}

/// Longer than this many milliseconds only an administrator has a group wait for members.
const LONG_ADOPT_MS: u32 = 60_000;

/// What a group needs that is to adopt.
fn means_for(changes: &Changes) -> Result<Option<Means>> {
    match changes.get(Setting::Adopt) {
        None | Some(0) => Ok(None),
        Some(_) => Ok(Some(Means::new()?)),
    }
}

impl Member {
    fn change(&self, weight: u32, sock: &Sock) {
        self.weight.store(weight, Relaxed);
        report::member_event(Change::Changed, &self.group, self, sock, Context::Atomic);
    }
}

/// `setsockopt(SO_SERVICE_GROUP_SETTINGS)`.
pub(super) fn set(sock: &Sock, changes: &Changes) -> Result<(), Refusal> {
    let net = sock.net();
    if !net.is_callers() {
        return Err(Refusal::OtherNamespace);
    }
    // It may go to another group while memory is waited for.
    check_may_change(sock, changes, &rcu::read_lock())?;
    let means = means_for(changes)?;
    let guard = rcu::read_lock();
    let member = check_may_change(sock, changes, &guard)?;
    if changes.are_of_group() {
        member.group.change(changes, means, net);
    }
    if let Some(weight) = changes.get(Setting::Weight) {
        member.change(weight, sock);
    }
    Ok(())
}

/// The member that the socket is, if the caller may make the changes. As for joining: whoever has a
/// socket need not be the one whose group it is.
fn check_may_change<'g>(
    sock: &'g Sock,
    changes: &Changes,
    guard: &'g Guard,
) -> Result<&'g Member, Refusal> {
    let member = sock.ulp_member(guard).ok_or(Refusal::NotMember)?;
    let key = &member.group.key;
    // Asking for a capability is not free of effect: security modules log it.
    let takes_admin = key.founder != caller_uid() || takes_to_adopt(changes, key);
    if takes_admin && !sock.net().caller_is_admin()
        || changes.need_privilege() && !caller_is_privileged()
    {
        return Err(Refusal::NotPermitted);
    }
    Ok(member)
}

/// Whether the changes are for an administrator: to adopt sockets of another user, as who formed the group
/// may never have had a descriptor of them, or to keep a group without members for long.
fn takes_to_adopt(changes: &Changes, key: &GroupKey) -> bool {
    changes
        .get(Setting::Adopt)
        .is_some_and(|time| time != 0 && (key.uid != key.founder || time > LONG_ADOPT_MS))
}

/// The fields of `struct service_group_settings`.
pub(crate) type Fields = [u32; 2 + Setting::COUNT];

/// `getsockopt(SO_SERVICE_GROUP_SETTINGS)`.
pub(super) fn get(sock: &Sock) -> Result<Fields, Refusal> {
    let guard = rcu::read_lock();
    let member = sock.ulp_member(&guard).ok_or(Refusal::NotMember)?;
    let mut fields = Fields::default();
    let [size, set, numbers @ ..] = &mut fields;
    *size = settings::LEN as u32;
    *set = settings::SET_ALL;
    for (number, setting) in numbers.iter_mut().zip(Setting::ALL) {
        *number = match setting {
            Setting::Weight => member.weight.load(Relaxed),
            of_group => member.group.setting(of_group),
        };
    }
    Ok(fields)
}

/// `group-set`. `EINVAL` without an id or without anything to change, `EPERM` for a stall time that the
/// sender may not set, `ENOENT` if there is no such group, `EOPNOTSUPP` if it is to adopt, and the kernel
/// has no tracepoints.
pub(crate) fn set_group(request: &Request) -> Result {
    let registry = request.net().registry();
    let id = request.u32(uapi::SERVICE_GROUP_A_GROUP_ID).ok_or(EINVAL)?;
    let changes = Changes::of(|setting| request.optional_u32(setting.group_attribute()?))
        .map_err(Refusal::from)?;
    if changes == Changes::default() {
        return Err(EINVAL);
    }
    if changes.need_privilege() && !request.is_privileged() {
        return Err(EPERM);
    }
    let group = registry.get(id).ok_or(ENOENT)?;
    let means = means_for(&changes)?;
    group.change(&changes, means, request.net());
    Ok(())
}

/// `member-set`. `EINVAL` without a group, cookie or weight, `ENOENT` if there is no such member.
pub(crate) fn set_member(request: &Request) -> Result {
    let registry = request.net().registry();
    let id = request
        .u32(uapi::SERVICE_GROUP_A_MEMBER_GROUP)
        .ok_or(EINVAL)?;
    let cookie = request
        .u64(uapi::SERVICE_GROUP_A_MEMBER_COOKIE)
        .ok_or(EINVAL)?;
    let weight = request
        .u32(uapi::SERVICE_GROUP_A_MEMBER_WEIGHT)
        .ok_or(EINVAL)?;
    let changes = Changes::of(|setting| (setting == Setting::Weight).then_some(weight))
        .map_err(Refusal::from)?;
    let group = registry.get(id).ok_or(ENOENT)?;
    let guard = rcu::read_lock();
    let member = group
        .members
        .iter(&guard)
        .find(|member| member.sock(&guard).identity().cookie == cookie)
        .ok_or(ENOENT)?;
    if let Some(weight) = changes.get(Setting::Weight) {
        member.change(weight, member.sock(&guard));
    }
    Ok(())
}

/// Reads the option's bytes.
pub(super) fn parse(bytes: &[u8]) -> Result<Changes, RequestError> {
    Changes::parse(bytes)
}
