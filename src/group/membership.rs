// SPDX-License-Identifier: GPL-2.0

//! Forming, joining and leaving a group.
//!
//! Forming is all or nothing. Each [`Candidate`] undoes what was done to its socket when it is
//! dropped, up to the point where nothing can fail any more: [`publish`].

#![forbid(unsafe_code)]

use super::{
    error::Refusal,
    option::check_kind,
    report::{self, Change},
    Common,
    Group,
    Member, //
};
use crate::{
    logic::request::{Address, Request, RequestError},
    sys::{
        listener::Sock,
        netlink::Context,
        netns::Net,
        rcu::RcuBox,
        socket::{caller_is_confined, caller_uid, Before, Socket},
        uapi, //
    },
};
use kernel::{
    prelude::*,
    rbtree::RBTreeNode,
    sync::{rcu, Arc}, //
};

/// A socket of a request on its way into a group.
struct Candidate {
    socket: Socket,
    address: Option<Address>,
    /// What it was before this call bound it.
    bound: Option<Before>,
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(before) = self.bound.take() {
            self.socket.unbind(&before);
        }
    }
}

impl Candidate {
    fn sock(&self) -> &Sock {
        self.socket.sock()
    }

    /// The port that the socket is bound to.
    fn port(&self) -> Option<u16> {
        match self.sock().facts().port {
            0 => None,
            port => Some(port),
        }
    }
}

/// Forms a group of the sockets of the request.
pub(super) fn form(net: Net<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let registry = net.registry();
    let _changes = registry.changes();

    let mut candidates = find(net, request)?;
    let uid = check(net, &candidates, request)?;
    registry.check_limit(uid)?;
    if request.bind {
        bind(&mut candidates, request.port)?;
    }
    let common = in_common(&candidates)?;
    check_devices(&candidates, &common)?;

    let group = Group::new(registry.free_id(), common, registry.into())?;
    let node = RBTreeNode::new(group.id, group.clone(), GFP_KERNEL_ACCOUNT)?;
    group.members.reserve(candidates.len())?;
    let mut members = KVec::with_capacity(candidates.len(), GFP_KERNEL_ACCOUNT)?;
    for candidate in &candidates {
        let member = Member::new(group.clone(), candidate.sock())?;
        members.push(member, GFP_KERNEL_ACCOUNT)?;
    }
    flag(candidates.iter().map(Candidate::sock))?;
    publish(net, &group, node, &mut candidates, members);
    Ok(())
}

/// Looks the sockets up, and checks what each is by itself.
fn find(net: Net<'_>, request: &Request<'_>) -> Result<KVVec<Candidate>, Refusal> {
    let mut candidates = KVVec::with_capacity(request.count(), GFP_KERNEL_ACCOUNT)?;
    for entry in request.entries() {
        let socket = Socket::from_fd(entry.fd)?;
        check_kind(socket.sock())?;
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
    Ok(candidates)
}

fn check_net(net: Net<'_>, sock: &Sock) -> Result<(), Refusal> {
    if sock.net() != net || !net.is_callers() {
        return Err(Refusal::OtherNamespace);
    }
    Ok(())
}

/// Checks what the sockets are to each other and to the request, and tells whose they are.
fn check(net: Net<'_>, candidates: &[Candidate], request: &Request<'_>) -> Result<u32, Refusal> {
    check_distinct(candidates)?;
    let common = in_common(candidates)?;
    for candidate in candidates {
        check_member(net, candidate.sock(), &common)?;
        check_address(candidate)?;
    }
    let port = request.port.unwrap_or(common.port);
    let mut ports = candidates.iter().filter_map(Candidate::port);
    if ports.any(|other| other != port) {
        return Err(Refusal::OtherPort);
    }
    let unbound = candidates
        .iter()
        .any(|candidate| candidate.port().is_none());
    if request.bind && unbound && caller_is_confined() {
        return Err(Refusal::Confined);
    }
    Ok(common.uid)
}

/// What the sockets have in common, the first ones' where they differ.
fn in_common(candidates: &[Candidate]) -> Result<Common, Refusal> {
    let first = candidates.first().ok_or(RequestError::Empty)?.sock();
    let facts = first.facts();
    Ok(Common {
        uid: first.uid(),
        founder: caller_uid(),
        port: candidates.iter().find_map(Candidate::port).unwrap_or(0),
        device: facts.device,
        min_ttl: facts.min_ttl,
    })
}

/// Checks the devices again when the sockets are bound: a link-local address is of a device.
fn check_devices(candidates: &[Candidate], common: &Common) -> Result<(), Refusal> {
    let device = |candidate: &Candidate| candidate.sock().facts().device;
    if candidates
        .iter()
        .any(|candidate| device(candidate) != common.device)
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
fn check_member(net: Net<'_>, sock: &Sock, common: &Common) -> Result<(), Refusal> {
    if sock.uid() != common.uid && !net.caller_is_admin() {
        return Err(Refusal::NotPermitted);
    }
    let locked = sock.lock_soon().ok_or(Refusal::Busy)?;
    locked.check()?;
    let state = locked.state();
    if !state.closed && !state.facts.listening {
        return Err(Refusal::Connected);
    }
    if state.facts.guarded || state.facts.min_ttl != common.min_ttl {
        return Err(Refusal::Guarded);
    }
    if state.facts.device != common.device {
        return Err(Refusal::OtherDevice);
    }
    Ok(())
}

/// Checks that an entry's address is one for its socket, and its own if it is bound.
fn check_address(candidate: &Candidate) -> Result<(), Refusal> {
    let Some(address) = &candidate.address else {
        return Ok(());
    };
    if !candidate.socket.fits(address) {
        return Err(RequestError::BadFamily.into());
    }
    let own = candidate.sock().identity();
    if own.port != 0 && !address.is_stored_as(&own.address) {
        return Err(Refusal::OtherPort);
    }
    Ok(())
}

/// Binds the sockets that are not bound, all to one port: that of the request, or of those that
/// are bound, or else one that the kernel chooses.
fn bind(candidates: &mut [Candidate], port: Option<u16>) -> Result<(), Refusal> {
    let reuseport = !addresses_differ(candidates);
    let bound = candidates.iter().find_map(Candidate::port);
    let mut port = port.or(bound).unwrap_or(0);
    for candidate in candidates {
        if candidate.port().is_some() {
            continue;
        }
        let address = candidate.address.as_ref();
        candidate.bound = Some(candidate.socket.bind(address, port, reuseport)?);
        if port == 0 {
            port = candidate.port().unwrap_or(0);
        }
    }
    Ok(())
}

/// Whether there is one entry only, or each names an address that is no wildcard and no other
/// entry's.
fn addresses_differ(candidates: &[Candidate]) -> bool {
    candidates.len() == 1
        || candidates.iter().enumerate().all(|(index, candidate)| {
            candidate
                .address
                .as_ref()
                .is_some_and(|address| !address.is_wildcard())
                && candidates
                    .iter()
                    .skip(index.saturating_add(1))
                    .all(|other| other.address != candidate.address)
        })
}

/// Flags the sockets. This fails only if somebody has done something to one of them since it was
/// checked; a flag that is left on others then means nothing.
fn flag<'a>(mut sockets: impl Iterator<Item = &'a Sock>) -> Result<(), Refusal> {
    let mut wait = false;
    let result = sockets.try_for_each(|sock| {
        wait |= sock.lock_soon().ok_or(Refusal::Busy)?.flag()?;
        Ok(())
    });
    // Also for those that were flagged when one failed: the next call does not wait for them.
    if wait {
        rcu::synchronize_rcu();
    }
    result
}

/// Makes the candidates members. Nothing fails here: all memory is there, the sockets are held
/// open, and nobody else changes memberships.
fn publish(
    net: Net<'_>,
    group: &Arc<Group>,
    node: RBTreeNode<u32, Arc<Group>>,
    candidates: &mut [Candidate],
    members: KVec<RcuBox<Member>>,
) {
    group.registry.add(node);
    report::group_event(Change::Added, group, net, Context::Process);
    for member in members {
        // The group cannot be closed or full, and as it is new the slots are in order.
        let _ = group.add(member);
    }
    // All are in before one of them redirects: none is dropped for want of those to come.
    for (index, candidate) in candidates.iter_mut().enumerate() {
        candidate.bound = None;
        hook(group, index, candidate.sock());
    }
}

/// Hangs the hook of the member in this slot on its socket, which is flagged.
fn hook(group: &Group, index: usize, sock: &Sock) {
    let locked = sock.lock();
    let guard = rcu::read_lock();
    if let Some(member) = group.members.get(index, &guard) {
        locked.install(&member.hook);
    }
    drop(guard);
    // The lock keeps it a member.
    if let Some(member) = locked.attached_member() {
        report::member_event(Change::Added, group, member, sock, Context::Process);
    }
}

/// Has the socket join the group with this id.
pub(super) fn join(sock: &Sock, id: u32) -> Result<(), Refusal> {
    let net = sock.net();
    check_net(net, sock)?;
    let registry = net.registry();
    let _changes = registry.changes();

    let group = registry.get(id).ok_or(Refusal::NoSuchGroup)?;
    check_member(net, sock, &group.common)?;
    if group.common.founder != caller_uid() && !net.caller_is_admin() {
        return Err(Refusal::NotPermitted);
    }
    let port = sock.facts().port;
    if port != 0 && group.common.port != 0 && port != group.common.port {
        return Err(Refusal::OtherPort);
    }
    if group.members.used() >= uapi::SERVICE_GROUP_MAX_MEMBERS as usize {
        return Err(Refusal::GroupFull);
    }
    group.members.reserve(1)?;
    let member = Member::new(group.clone(), sock)?;
    flag(core::iter::once(sock))?;
    // The group may have ended since it was looked up, with the last of its sockets.
    let index = group.add(member)?;
    hook(&group, index, sock);
    Ok(())
}

/// Takes the socket out of its group.
pub(super) fn leave(sock: &Sock, drain: bool) -> Result<(), Refusal> {
    // Not under the lock for changes: whoever has the socket locked would hold them all up. A
    // member that is attached is taken out as one whose socket ends is.
    let locked = sock.lock();
    let member = locked.attached_member().ok_or(Refusal::NotMember)?;
    let group = member.group.clone();
    if drain {
        super::leave::pass_on(&locked, false);
    }
    // The group has the member until remove().
    locked.detach();
    group.remove(member, sock, Context::Process);
    Ok(())
}
