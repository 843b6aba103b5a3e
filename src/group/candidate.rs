// SPDX-License-Identifier: GPL-2.0

//! A socket on its way into a group, and binding those that are not bound.
//!
//! Programs bind their sockets themselves. The option does it for administrators, as its binding is
//! asked of no security module.

#![forbid(unsafe_code)]

use super::error::Refusal;
use crate::{
    logic::request::{Address, Request, RequestError},
    sys::{
        core::{
            caller::caller_is_confined,
            clock::Deadline, //
            netns::Net,
        },
        socket::{
            descriptor::{SavedBind, Socket},
            listener::Sock, //
        },
    },
};
use kernel::prelude::*;

/// A socket of a request on its way into a group.
pub(super) struct Candidate {
    pub(super) socket: Socket,
    pub(super) address: Option<Address>,
    /// What it was before this call bound it.
    pub(super) bound: Option<SavedBind>,
}

/// The sockets of a request. What was done to them is undone when this is dropped, but for sockets
/// that stay locked: for all of them together no longer than a call waits.
pub(super) struct Candidates(pub(super) KVVec<Candidate>);

impl Drop for Candidates {
    fn drop(&mut self) {
        let deadline = Deadline::lock_timeout();
        for candidate in &mut self.0 {
            if let Some(before) = candidate.bound.take() {
                candidate.socket.unbind(&before, &deadline);
            }
        }
    }
}

impl Candidate {
    pub(super) fn sock(&self) -> &Sock {
        self.socket.sock()
    }

    /// The port that the socket is bound to.
    pub(super) fn port(&self) -> Option<u16> {
        match self.sock().facts().port {
            0 => None,
            port => Some(port),
        }
    }
}

/// Checks that the caller may have sockets bound by this call: security modules are asked at the
/// system call `bind()`, which this is not, and so know nothing of it.
pub(super) fn check_binding(
    net: Net<'_>,
    candidates: &[Candidate],
    request: &Request<'_>,
) -> Result<(), Refusal> {
    if !request.bind {
        return Ok(());
    }
    if !net.caller_is_admin() {
        return Err(Refusal::NotPermitted);
    }
    let unbound = candidates
        .iter()
        .any(|candidate| candidate.port().is_none());
    if unbound && caller_is_confined() {
        return Err(Refusal::Confined);
    }
    Ok(())
}

/// Checks that an entry's address is one for its socket, and its own if it is bound.
pub(super) fn check_address(candidate: &Candidate) -> Result<(), Refusal> {
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
pub(super) fn bind(
    candidates: &mut [Candidate],
    port: Option<u16>,
    deadline: &Deadline,
) -> Result<(), Refusal> {
    let reuseport = !addresses_differ(candidates);
    let bound = candidates.iter().find_map(Candidate::port);
    let mut port = port.or(bound).unwrap_or(0);
    for candidate in candidates {
        if candidate.port().is_some() {
            continue;
        }
        // It may have been bound when that was checked first, and not be any more.
        if caller_is_confined() {
            return Err(Refusal::Confined);
        }
        let address = candidate.address.as_ref();
        let before = candidate.socket.bind(address, port, reuseport, deadline)?;
        candidate.bound = Some(before);
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
