// SPDX-License-Identifier: GPL-2.0

//! Forming, joining and leaving a group.
//!
//! Forming is all or nothing. [`Candidates`] undo what was done to their sockets when they are
//! dropped, up to the point where nothing can fail any more: [`publish`].
//!
//! A program may have its socket locked for as long as it likes. So all that needs a socket's lock is
//! done before, with nothing held that others wait for, and until a deadline: the socket is checked,
//! given the ULP and armed. Making it a member needs no lock of the socket, and is all that is done
//! under the lock for changes.

#![forbid(unsafe_code)]

use super::{
    candidate::{bind, check_address, check_binding, Candidate, Candidates},
    error::{refuse_kind, Refusal},
    registry::{Entry, Registry},
    report::{self, Change},
    stall,
    Group,
    GroupKey,
    Member, //
};
use crate::{
    logic::{
        facts::{Difference, Facts},
        request::{Request, RequestError}, //
    },
    sys::{
        core::{
            caller::{caller_account, caller_uid},
            clock::Deadline,
            netlink::Context,
            netns::Net,
            rcu::RcuArc,
            work::synchronize_rcu, //
        },
        socket::{
            descriptor::Descriptor,
            listener::Sock,
            ulp::UlpContext, //
        },
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::{rcu, Arc, ArcBorrow}, //
};

/// Forms a group of the sockets of the request.
pub(super) fn form(net: Net<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let registry = net.registry();
    let deadline = Deadline::lock_timeout();

    let mut found = find(net, request)?;
    let candidates = &mut found.0;
    let uid = check(net, candidates, request, &deadline)?;
    registry.check_limit(uid)?;
    if request.bind {
        bind(candidates, request.port, &deadline)?;
    }
    let key = key_of(candidates)?;
    check_devices(candidates, &key)?;

    let stall_timer = registry.stall_timers().of(caller_account(net))?;
    let group = Group::new(registry.free_id(), key, registry.into(), stall_timer)?;
    let entry = Entry::new(&group)?;
    group.members.reserve(candidates.len())?;
    let mut members = KVec::with_capacity(candidates.len(), GFP_KERNEL_ACCOUNT)?;
    for candidate in candidates.iter() {
        let member = Member::new(group.clone(), candidate.sock())?;
        members.push(member, GFP_KERNEL_ACCOUNT)?;
    }
    let mut contexts = KVec::with_capacity(candidates.len(), GFP_KERNEL_ACCOUNT)?;
    for _ in candidates.iter() {
        contexts.push(UlpContext::new()?, GFP_KERNEL_ACCOUNT)?;
    }
    let result = arm(
        candidates.iter().map(Candidate::sock),
        &mut contexts,
        &deadline,
    )
    .and_then(|()| publish(net, &group, entry, candidates, members));
    if result.is_err() {
        disarm(registry, candidates.iter().map(Candidate::sock));
    }
    result
}

/// Looks the sockets up, and checks what each is by itself.
fn find(net: Net<'_>, request: &Request<'_>) -> Result<Candidates, Refusal> {
    let mut candidates = KVVec::with_capacity(request.count(), GFP_KERNEL_ACCOUNT)?;
    for entry in request.entries() {
        let socket = Descriptor::from_fd(entry.fd)?.tcp().map_err(refuse_kind)?;
        check_net(net, socket.sock())?;
        candidates.push(
            Candidate {
                socket,
                address: entry.address,
                bound: None,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
    }
    Ok(Candidates(candidates))
}

fn check_net(net: Net<'_>, sock: &Sock) -> Result<(), Refusal> {
    if sock.net() != net || !net.is_callers() {
        return Err(Refusal::OtherNamespace);
    }
    Ok(())
}

/// Checks what the sockets are to each other and to the request, and tells whose they are.
fn check(
    net: Net<'_>,
    candidates: &[Candidate],
    request: &Request<'_>,
    deadline: &Deadline,
) -> Result<u32, Refusal> {
    check_binding(net, candidates, request)?;
    check_distinct(candidates)?;
    let key = key_of(candidates)?;
    for candidate in candidates {
        check_member(net, candidate.sock(), &key, deadline)?;
        check_address(candidate)?;
    }
    let port = request.port.unwrap_or(key.port);
    let mut ports = candidates.iter().filter_map(Candidate::port);
    if ports.any(|other| other != port) {
        return Err(Refusal::OtherPort);
    }
    Ok(key.uid)
}

/// What the sockets have in common, the first ones' where they differ.
fn key_of(candidates: &[Candidate]) -> Result<GroupKey, Refusal> {
    let first = candidates.first().ok_or(RequestError::Empty)?.sock();
    let facts = first.facts();
    Ok(GroupKey {
        uid: first.uid(),
        founder: caller_uid(),
        port: candidates.iter().find_map(Candidate::port).unwrap_or(0),
        facts,
    })
}

/// Checks the devices again when the sockets are bound: a link-local address is of a device.
fn check_devices(candidates: &[Candidate], key: &GroupKey) -> Result<(), Refusal> {
    let device = |candidate: &Candidate| candidate.sock().facts().device;
    if candidates
        .iter()
        .any(|candidate| device(candidate) != key.facts.device)
    {
        return Err(Refusal::OtherDevice);
    }
    Ok(())
}

fn check_distinct(candidates: &[Candidate]) -> Result<(), Refusal> {
    let twice = candidates.iter().enumerate().any(|(index, candidate)| {
        candidates
            .iter()
            .take(index)
            .any(|other| core::ptr::eq(other.sock(), candidate.sock()))
    });
    if twice {
        return Err(Refusal::Duplicate);
    }
    Ok(())
}

/// Checks a socket against what the members have in common, but for the port.
fn check_member(
    net: Net<'_>,
    sock: &Sock,
    key: &GroupKey,
    deadline: &Deadline,
) -> Result<(), Refusal> {
    if sock.uid() != key.uid && !net.caller_is_admin() {
        return Err(Refusal::NotPermitted);
    }
    let locked = sock.lock_until(deadline).ok_or(Refusal::Busy)?;
    locked.check()?;
    let state = locked.state();
    if !state.closed && !state.facts.listening {
        return Err(Refusal::Connected);
    }
    check_facts(&state.facts, key)
}

/// Checks what a redirected connection would pass by.
pub(super) fn check_facts(facts: &Facts, key: &GroupKey) -> Result<(), Refusal> {
    match facts.difference(&key.facts) {
        None => Ok(()),
        Some(Difference::Device) => Err(Refusal::OtherDevice),
        Some(_) => Err(Refusal::Guarded),
    }
}

/// Gives the sockets the ULP, and has them ready to be members. This fails only if somebody has
/// done something to one of them since it was checked, or has it locked; what was done to others
/// then means nothing.
pub(super) fn arm<'a>(
    sockets: impl Iterator<Item = &'a Sock> + Clone,
    contexts: &mut [UlpContext],
    deadline: &Deadline,
) -> Result<(), Refusal> {
    let mut wait = false;
    let mut pairs = sockets.clone().zip(contexts);
    let attached: Result<(), Refusal> = pairs.try_for_each(|(sock, context)| {
        let locked = sock.lock_until(deadline).ok_or(Refusal::Busy)?;
        wait |= locked.attach_ulp(context)?;
        Ok(())
    });
    // Also for those that were given the ULP when one failed: the next call does not wait for them.
    if wait {
        rcu::synchronize_rcu();
    }
    attached?;
    // What the grace period took does not count.
    let deadline = Deadline::lock_timeout();
    for sock in sockets {
        sock.lock_until(&deadline).ok_or(Refusal::Busy)?.arm()?;
    }
    Ok(())
}

/// Undoes that as far as nobody has the sockets locked. Where somebody has, one behaves as if it were
/// undone, and costs its program a little more.
pub(super) fn disarm<'a>(
    registry: ArcBorrow<'_, Registry>,
    sockets: impl Iterator<Item = &'a Sock>,
) {
    // Another call may be about to make them members.
    let _changes = registry.changes();
    for sock in sockets {
        if let Some(mut locked) = sock.try_lock() {
            if locked.attached_member().is_none() {
                locked.detach();
            }
        }
    }
}

/// Makes the candidates members. If they are all armed nothing fails any more: all memory is there,
/// the sockets are held open, and nobody else changes memberships.
fn publish(
    net: Net<'_>,
    group: &Arc<Group>,
    entry: Entry,
    candidates: &mut [Candidate],
    members: KVec<RcuArc<Member>>,
) -> Result<(), Refusal> {
    let registry = &group.registry;
    let _changes = registry.changes();
    registry.check_limit(group.key.uid)?;
    let guard = rcu::read_lock();
    for candidate in candidates.iter() {
        candidate.sock().check_armed(&guard)?;
    }
    drop(guard);

    // Before the stall timer can find the group: one without members is one whose members have
    // gone.
    for member in &members {
        // The group cannot be closed or full.
        let _ = group.add(member);
    }
    registry.add(entry);
    report::group_event(Change::Added, group, net, Context::Process);
    // All are in before one of them redirects: none is dropped for want of those to come.
    for (candidate, member) in candidates.iter_mut().zip(members) {
        candidate.bound = None;
        attach(group, member, candidate.sock());
    }
    Ok(())
}

/// Makes the socket, which is armed, the member, which is in its group.
fn attach(group: &Group, member: RcuArc<Member>, sock: &Sock) {
    let guard = rcu::read_lock();
    // Before it can leave, so that what is told comes in order.
    report::member_event(Change::Added, group, &member, sock, Context::Atomic);
    sock.attach(member.clone(), &guard);
    stall::joins(&member);
}

/// Has the socket join the group with this id.
pub(super) fn join(sock: &Sock, id: u32) -> Result<(), Refusal> {
    let net = sock.net();
    check_net(net, sock)?;
    let registry = net.registry();
    let deadline = Deadline::lock_timeout();

    let group = registry.get(id).ok_or(Refusal::NoSuchGroup)?;
    check_member(net, sock, &group.key, &deadline)?;
    if group.key.founder != caller_uid() && !net.caller_is_admin() {
        return Err(Refusal::NotPermitted);
    }
    let port = sock.facts().port;
    if port != 0 && group.key.port != 0 && port != group.key.port {
        return Err(Refusal::OtherPort);
    }
    check_room(&group)?;
    let member = Member::new(group.clone(), sock)?;
    // The ULP stays, so all memory is taken before; another join may take this, and is rare.
    let mut contexts = [UlpContext::new()?];
    group.members.reserve(1)?;
    let result = arm(core::iter::once(sock), &mut contexts, &deadline)
        .and_then(|()| enter(&group, sock, member));
    if result.is_err() {
        disarm(registry, core::iter::once(sock));
    }
    result
}

pub(super) fn check_room(group: &Group) -> Result<(), Refusal> {
    if group.members.used() >= uapi::SERVICE_GROUP_MAX_MEMBERS as usize {
        return Err(Refusal::GroupFull);
    }
    Ok(())
}

/// Puts the member, whose socket this is, into its group.
pub(super) fn enter(group: &Group, sock: &Sock, member: RcuArc<Member>) -> Result<(), Refusal> {
    let _changes = group.registry.changes();
    check_room(group)?;
    group.members.reserve(1)?;
    sock.check_armed(&rcu::read_lock())?;
    // The group may have ended since it was looked up, with the last of its sockets.
    group.add(&member)?;
    attach(group, member, sock);
    Ok(())
}

/// Takes the socket out of its group. When this returns nothing of the group's comes to it any more.
pub(super) fn leave(sock: &Sock, drain: bool) -> Result<(), Refusal> {
    let mut locked = sock
        .lock_until(&Deadline::lock_timeout())
        .ok_or(Refusal::Busy)?;
    if locked.attached_member().is_none() {
        return Err(Refusal::NotMember);
    }
    if drain {
        super::leave::pass_on(&locked, false);
    }
    let member = locked.detach().ok_or(Refusal::NotMember)?;
    let group = member.group.clone();
    group.remove(&member, sock, false, Context::Process);
    drop(locked);
    // A sibling's connection may be on its way here.
    synchronize_rcu(false);
    Ok(())
}
