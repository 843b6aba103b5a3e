// SPDX-License-Identifier: GPL-2.0

//! How a socket that has begun to listen becomes a member: as one that joins, but that it is armed
//! already, unless it has listened before, and that it is to listen.

#![forbid(unsafe_code)]

use super::{
    error::Refusal,
    membership::{self, arm, check_room, disarm},
    Group,
    Member, //
};
use crate::sys::{
    core::clock::Deadline,
    socket::{
        listener::Sock,
        ulp::UlpContext, //
    },
};
use kernel::sync::{rcu, Arc};

/// Makes the socket, which is open and has begun to listen, a member in another one's place.
/// `Connected` if it does not listen by now.
pub(super) fn enter(group: &Arc<Group>, sock: &Sock, weight: u32) -> Result<(), Refusal> {
    let result = try_enter(group, sock, weight);
    if result.is_err() {
        disarm(group.registry.as_arc_borrow(), core::iter::once(sock));
    }
    result
}

fn try_enter(group: &Arc<Group>, sock: &Sock, weight: u32) -> Result<(), Refusal> {
    check_listening(sock)?;
    check_room(group)?;
    let member = Member::successor(group.clone(), sock, weight)?;
    if sock.check_armed(&rcu::read_lock()).is_err() {
        let mut contexts = [UlpContext::new()?];
        arm(
            core::iter::once(sock),
            &mut contexts,
            &Deadline::lock_timeout(),
        )?;
        // That may have taken a while. One that stops after this is a member that stops.
        check_listening(sock)?;
    }
    membership::enter(group, sock, member)
}

fn check_listening(sock: &Sock) -> Result<(), Refusal> {
    match sock.facts().listening {
        true => Ok(()),
        false => Err(Refusal::Connected),
    }
}
