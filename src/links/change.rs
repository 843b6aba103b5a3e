// SPDX-License-Identifier: GPL-2.0

//! Links are given and taken away.

#![forbid(unsafe_code)]

use super::{
    charge::{Charge, MOST},
    peer::Reason,
    thread::Thread,
    Link,
    State, //
};
use crate::sys::{
    core::{
        clock::now,
        netlink::Request, //
    },
    socket::link::{start, LinkSocket},
    uapi, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};

/// `link-add`. `EINVAL` if something is missing, `ENOENT` if the peer is not expected or the module is
/// being unloaded, `EOPNOTSUPP` if links need TLS and the socket has no kTLS in both directions, `EBUSY` if
/// the socket is a link already, `EUSERS` if the user has too many; and see [`LinkSocket::take`]. On an
/// error nothing has changed.
pub(crate) fn add(request: &Request) -> Result {
    let id = request.u32(uapi::SERVICE_GROUP_A_LINK_PEER).ok_or(EINVAL)?;
    let fd = request.u32(uapi::SERVICE_GROUP_A_LINK_FD).ok_or(EINVAL)?;
    let links = request.net().links();
    let (peer, traffic) = {
        let mut state = links.state.lock();
        let peer = state.expected(id)?;
        (peer.id, peer.traffic.clone())
    };
    let socket = LinkSocket::take(request.net(), fd)?;
    let link = Link {
        socket,
        peer,
        end: Atomic::new(0),
        heard: Atomic::new(now()),
        hurry: Atomic::new(false),
        traffic,
        _charge: Charge::of(request)?,
    };
    let link = Arc::new(link, GFP_KERNEL_ACCOUNT)?;
    let thread = Thread::new(link.clone())?;
    // What is not needed goes without the lock.
    let result = links.state.lock().begin(&link, thread);
    match result {
        Ok(()) => {
            links.net().tick_in(0);
            Ok(())
        }
        Err((error, _unused)) => Err(error),
    }
}

impl State {
    /// Has a link begin in the place of the one to its peer, or give the thread back.
    fn begin(
        &mut self,
        link: &Arc<Link>,
        thread: KBox<Thread>,
    ) -> Result<(), (Error, Option<KBox<Thread>>)> {
        if let Err(error) = self.may_begin(link) {
            return Err((error, Some(thread)));
        }
        // It does nothing before the lock is free.
        start(thread, link.peer.get()).map_err(|(error, thread)| (error, Some(thread)))?;
        // There is room, and the peer is expected.
        drop(self.links.push_within_capacity(link.clone()));
        if let Ok(peer) = self.expected(link.peer.get()) {
            // The peer is not lost: what is believed of it stays until the new link says otherwise.
            peer.detach(Reason::REPLACED);
            peer.link = Some(link.clone());
            peer.is_news = true;
        }
        Ok(())
    }

    /// Also makes room. Whether links need TLS is asked when nobody can say otherwise any more.
    fn may_begin(&mut self, link: &Link) -> Result {
        self.expected(link.peer.get())?;
        let is_insecure = self
            .machine
            .as_ref()
            .is_some_and(|machine| machine.insecure);
        if !is_insecure && !link.socket.is_secure() {
            return Err(EOPNOTSUPP);
        }
        if self
            .links
            .iter()
            .any(|other| other.socket.is_same(&link.socket))
        {
            return Err(EBUSY);
        }
        let most = usize::try_from(MOST).map_err(|_| EUSERS)?;
        if self.links.len() >= most {
            return Err(EUSERS);
        }
        self.links.reserve(1, GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }
}

/// `link-del`. `EINVAL` if the peer is missing, `ENOENT` if it is not expected or has no link.
pub(crate) fn remove(request: &Request) -> Result {
    let id = request.u32(uapi::SERVICE_GROUP_A_LINK_PEER).ok_or(EINVAL)?;
    let links = request.net().links();
    let mut state = links.state.lock();
    let peer = state.expected(id)?;
    if peer.link.is_none() {
        return Err(ENOENT);
    }
    peer.remove_link();
    links.net().tick_in(0);
    Ok(())
}
