// SPDX-License-Identifier: GPL-2.0

//! How a socket that has begun to listen becomes a member.
//!
//! Unlike one of a request it is held open by nobody, and may be closed meanwhile: so it is locked
//! wherever it has to be there still.

#![forbid(unsafe_code)]

use super::{
    error::Refusal,
    membership::{attach, check_room, disarm},
    Group,
    Member, //
};
use crate::sys::{
    listener::{Hook, Locked, Sock},
    queue::breathe,
    rcu::RcuArc,
    ticker::Deadline, //
};
use kernel::sync::{rcu, Arc};

/// Makes the socket, which has begun to listen, a member in another one's place. No descriptor holds it
/// open: its lock does, at each step. `Connected` if it does not listen by now.
pub(super) fn enter(group: &Arc<Group>, sock: &Sock, weight: u32) -> Result<(), Refusal> {
    let deadline = Deadline::soon();
    let result = arm_listening(sock, &deadline).and_then(|()| {
        check_room(group)?;
        let member = Member::successor(group.clone(), sock, weight)?;
        enter_listening(group, sock, member, &deadline)
    });
    if result.is_err() {
        disarm(group.registry.as_arc_borrow(), core::iter::once(sock));
    }
    result
}

/// Flags and arms it, if that was not done before it began to listen.
fn arm_listening(sock: &Sock, deadline: &Deadline) -> Result<(), Refusal> {
    if sock.check_armed(&rcu::read_lock()).is_ok() {
        return Ok(());
    }
    let mut hook = Hook::new()?;
    let locked = lock_listening(sock, deadline)?;
    let wait = locked.flag(&mut hook)?;
    drop(locked);
    if wait {
        rcu::synchronize_rcu();
    }
    Ok(lock_listening(sock, &Deadline::soon())?.arm()?)
}

fn lock_listening<'a>(sock: &'a Sock, deadline: &Deadline) -> Result<Locked<'a>, Refusal> {
    let locked = sock.lock_until(deadline).ok_or(Refusal::Busy)?;
    check_listening(&locked)?;
    Ok(locked)
}

/// As long as it is locked, one that listens does not end.
fn check_listening(locked: &Locked<'_>) -> Result<(), Refusal> {
    match locked.facts().listening {
        true => Ok(()),
        false => Err(Refusal::Connected),
    }
}

/// Puts it into its group; the socket's lock is tried for only, as others wait for that for
/// changes.
fn enter_listening(
    group: &Group,
    sock: &Sock,
    member: RcuArc<Member>,
    deadline: &Deadline,
) -> Result<(), Refusal> {
    loop {
        let changes = group.registry.changes();
        check_room(group)?;
        group.members.reserve(1)?;
        if let Some(locked) = sock.try_lock() {
            check_listening(&locked)?;
            locked.check_armed(&rcu::read_lock())?;
            group.add(&member)?;
            attach(group, member, sock);
            return Ok(());
        }
        drop(changes);
        if deadline.is_over() {
            return Err(Refusal::Busy);
        }
        breathe();
    }
}
