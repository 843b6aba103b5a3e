// SPDX-License-Identifier: GPL-2.0

//! Who this machine is, and which others it is to have links with.

#![forbid(unsafe_code)]

use super::{
    peer::Peer,
    report,
    Link,
    Links,
    State, //
};
use crate::{
    cluster::liveness,
    logic::cluster::slots::NodeId,
    sys::{
        core::{
            netlink::{Message, Request},
            netns::Net, //
        },
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

const MAX_PEERS: usize = uapi::SERVICE_GROUP_MAX_PEERS as usize;

/// This machine among those of its cluster.
pub(super) struct Machine {
    pub(super) id: NodeId,
    pub(super) cluster: [u8; 16],
    /// In milliseconds.
    pub(super) heartbeat: u32,
    /// Whether links need no TLS.
    pub(super) insecure: bool,
    /// By their ids.
    pub(super) peers: KVec<Peer>,
}

impl Machine {
    /// What the request says. `EINVAL` if something is missing, or a peer is named twice or is this
    /// machine; `E2BIG` if there are too many.
    fn of(request: &Request) -> Result<Self> {
        let id = request.u32(uapi::SERVICE_GROUP_A_MACHINE_ID);
        let cluster = request.data(uapi::SERVICE_GROUP_A_MACHINE_CLUSTER_ID);
        let cluster = cluster.and_then(|bytes| bytes.first_chunk());
        let heartbeat = request.optional_u32(uapi::SERVICE_GROUP_A_MACHINE_HEARTBEAT);
        let insecure = request.optional_u32(uapi::SERVICE_GROUP_A_MACHINE_INSECURE);
        let mut machine = Self {
            id: id.and_then(NodeId::new).ok_or(EINVAL)?,
            cluster: *cluster.ok_or(EINVAL)?,
            heartbeat: heartbeat.unwrap_or(uapi::SERVICE_GROUP_DEFAULT_HEARTBEAT),
            insecure: insecure == Some(1),
            peers: KVec::new(),
        };
        let mut position = 0;
        while let Some(id) = request.next_u32(uapi::SERVICE_GROUP_A_MACHINE_PEERS, &mut position) {
            machine.expect(NodeId::new(id).ok_or(EINVAL)?)?;
        }
        Ok(machine)
    }

    /// One peer more.
    fn expect(&mut self, id: NodeId) -> Result {
        if self.peers.len() == MAX_PEERS {
            return Err(E2BIG);
        }
        let place = match self.find(id) {
            Err(place) if id != self.id => place,
            _ => return Err(EINVAL),
        };
        self.peers.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let peer = Peer::new(id, self.heartbeat)?;
        let inserted = self.peers.insert_within_capacity(place, peer);
        inserted.map_err(|_| ENOMEM)
    }

    fn find(&self, id: NodeId) -> Result<usize, usize> {
        self.peers.binary_search_by_key(&id, |peer| peer.id)
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Peer> {
        self.peers.get(self.find(id).ok()?)
    }

    pub(super) fn peer(&mut self, id: NodeId) -> Option<&mut Peer> {
        let place = self.find(id).ok()?;
        self.peers.get_mut(place)
    }

    /// Goes on with what is known of peers that stay, and ends the links to the others.
    fn replaces(&mut self, old: &mut Self) {
        let is_same = self.id == old.id && self.cluster == old.cluster;
        let (heartbeat, insecure) = (self.heartbeat, self.insecure);
        for peer in &mut old.peers {
            let stays = self.find(peer.id).ok().filter(|_| is_same);
            let Some(new) = stays.and_then(|place| self.peers.get_mut(place)) else {
                peer.remove_link();
                continue;
            };
            core::mem::swap(new, peer);
            new.set_heartbeat(heartbeat);
            let is_insecure = |link: &Arc<Link>| !link.socket.is_secure();
            if !insecure && new.link.as_ref().is_some_and(is_insecure) {
                new.remove_link();
            }
        }
    }

    /// Tells of peers what was not told yet.
    pub(super) fn tell(&mut self, net: Net<'_>) {
        for peer in &mut self.peers {
            if core::mem::take(&mut peer.is_news) {
                report::event(peer, net);
            }
        }
    }
}

/// `machine-set`: see [`Machine::of`] for the errors. On an error nothing has changed.
pub(crate) fn set(request: &Request) -> Result {
    let mut machine = Machine::of(request)?;
    let links = request.net().links();
    let mut state = links.state.lock();
    let mut old = state.machine.take();
    if let Some(old) = &mut old {
        if machine.heartbeat != old.heartbeat {
            // Peers must not wait for heartbeats that do not come so often any more.
            state.links.iter().for_each(|link| link.hurry());
        }
        machine.replaces(old);
        old.tell(links.net());
    }
    liveness::expect_links(links.net().clusters(), !machine.peers.is_empty());
    state.machine = Some(machine);
    links.net().tick_in(0);
    drop(state);
    drop(old);
    Ok(())
}

/// `machine-del`. `ENOENT` if nobody has said who this machine is.
pub(crate) fn remove(request: &Request) -> Result {
    let links = request.net().links();
    let mut state = links.state.lock();
    let mut old = state.machine.take().ok_or(ENOENT)?;
    for peer in &mut old.peers {
        peer.remove_link();
    }
    old.tell(links.net());
    liveness::expect_links(links.net().clusters(), false);
    links.net().tick_in(0);
    drop(state);
    drop(old);
    Ok(())
}

/// `machine-get`. `ENOENT` if nobody has said who this machine is.
pub(crate) fn get(request: &Request) -> Result {
    let links = request.net().links();
    let state = links.state.lock();
    let machine = state.machine.as_ref().ok_or(ENOENT)?;
    // A peer has 8 bytes.
    let size = machine.peers.len().saturating_mul(8).saturating_add(512);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    request.reply_long(uapi::SERVICE_GROUP_CMD_MACHINE_GET, size, |message| {
        put_machine(message, machine, links)
    })
}

fn put_machine(message: &mut Message, machine: &Machine, links: &Links) -> Result {
    message.put_u32(uapi::SERVICE_GROUP_A_MACHINE_ID, machine.id.get())?;
    message.put_bytes(uapi::SERVICE_GROUP_A_MACHINE_CLUSTER_ID, &machine.cluster)?;
    message.put_bytes(uapi::SERVICE_GROUP_A_MACHINE_BOOT_ID, &links.boot)?;
    message.put_u32(uapi::SERVICE_GROUP_A_MACHINE_HEARTBEAT, machine.heartbeat)?;
    message.put_u32(
        uapi::SERVICE_GROUP_A_MACHINE_INSECURE,
        machine.insecure.into(),
    )?;
    for peer in &machine.peers {
        message.put_u32(uapi::SERVICE_GROUP_A_MACHINE_PEERS, peer.id.get())?;
    }
    Ok(())
}

impl State {
    /// The peer with this id, if it is expected, and the machine's number.
    pub(super) fn expected(&mut self, id: u32) -> Result<&mut Peer> {
        let machine = self.machine.as_mut().ok_or(ENOENT)?;
        machine.peer(NodeId::new(id).ok_or(EINVAL)?).ok_or(ENOENT)
    }
}
