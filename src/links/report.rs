// SPDX-License-Identifier: GPL-2.0

//! What netlink tells of peers and of the links to them.

#![forbid(unsafe_code)]

use super::peer::{ms, Peer};
use crate::{
    logic::{
        facts::Family,
        links::liveness::State, //
    },
    sys::{
        core::{
            clock::now,
            netlink::{notify, Context, Dump, Message, Request},
            netns::Net, //
        },
        socket::{
            flowlog::Flow,
            link::LinkSocket, //
        },
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

const PAD: u32 = uapi::SERVICE_GROUP_A_LINK_PAD;

fn state_number(state: State) -> u32 {
    match state {
        State::None => uapi::service_group_link_state_SERVICE_GROUP_LINK_STATE_NONE,
        State::Up => uapi::service_group_link_state_SERVICE_GROUP_LINK_STATE_UP,
        State::Suspect => uapi::service_group_link_state_SERVICE_GROUP_LINK_STATE_SUSPECT,
        State::Unreachable => uapi::service_group_link_state_SERVICE_GROUP_LINK_STATE_UNREACHABLE,
    }
}

fn put_peer(message: &mut Message, peer: &Peer) -> Result {
    let reason = peer.reason.map_or(0, |reason| reason.number());
    message.put_u32(uapi::SERVICE_GROUP_A_LINK_PEER, peer.id.get())?;
    message.put_u32(
        uapi::SERVICE_GROUP_A_LINK_STATE,
        state_number(peer.live.state()),
    )?;
    message.put_u32(uapi::SERVICE_GROUP_A_LINK_REASON, reason)?;
    message.put_u32(uapi::SERVICE_GROUP_A_LINK_AWAY, peer.live.is_away().into())?;
    message.put_u32(
        uapi::SERVICE_GROUP_A_LINK_READY,
        peer.live.is_ready().into(),
    )?;
    put_times(message, peer)?;
    message.put_u32(uapi::SERVICE_GROUP_A_LINK_EPOCH, peer.epoch)?;
    if let Some((version, boot)) = &peer.hello {
        message.put_bytes(uapi::SERVICE_GROUP_A_LINK_BOOT_ID, boot)?;
        message.put_u32(uapi::SERVICE_GROUP_A_LINK_VERSION, (*version).into())?;
    }
    if let Some(link) = &peer.link {
        put_socket(message, &link.socket)?;
    }
    put_traffic(message, peer)?;
    for (reason, times) in peer.ended() {
        message.put_nest(uapi::SERVICE_GROUP_A_LINK_ENDED, |nest| {
            nest.put_u32(uapi::SERVICE_GROUP_A_LINK_END_REASON, reason)?;
            nest.put_u32(uapi::SERVICE_GROUP_A_LINK_END_TIMES, times)
        })?;
    }
    Ok(())
}

fn put_times(message: &mut Message, peer: &Peer) -> Result {
    let now = now();
    let ago = |then: u64| ms(now.saturating_sub(then));
    if let Some(heard) = peer.live.last_heard() {
        message.put_u64(uapi::SERVICE_GROUP_A_LINK_HEARD, ago(heard), PAD)?;
    }
    message.put_u64(
        uapi::SERVICE_GROUP_A_LINK_SINCE,
        ago(peer.live.since()),
        PAD,
    )?;
    if let Some(until) = peer.live.held_until() {
        let left = ms(until.saturating_sub(now));
        message.put_u64(uapi::SERVICE_GROUP_A_LINK_HELD, left, PAD)?;
    }
    Ok(())
}

fn put_socket(message: &mut Message, socket: &LinkSocket) -> Result {
    let flow = socket.flow();
    message.put_u32(uapi::SERVICE_GROUP_A_LINK_SECURE, socket.is_secure().into())?;
    message.put_u16(uapi::SERVICE_GROUP_A_LINK_FAMILY, flow.family)?;
    put_address(
        message,
        uapi::SERVICE_GROUP_A_LINK_LOCAL_ADDRESS,
        &flow,
        &flow.local,
    )?;
    message.put_be16(uapi::SERVICE_GROUP_A_LINK_LOCAL_PORT, flow.local_port)?;
    put_address(
        message,
        uapi::SERVICE_GROUP_A_LINK_PEER_ADDRESS,
        &flow,
        &flow.peer,
    )?;
    message.put_be16(uapi::SERVICE_GROUP_A_LINK_PEER_PORT, flow.peer_port)
}

fn put_address(message: &mut Message, attribute: u32, flow: &Flow, bytes: &[u8; 16]) -> Result {
    let len = match flow.family() {
        Family::Ipv4 => 4,
        Family::Ipv6 => 16,
    };
    message.put_bytes(attribute, bytes.get(..len).unwrap_or(&[]))
}

fn put_traffic(message: &mut Message, peer: &Peer) -> Result {
    let traffic = &peer.traffic;
    for (attribute, value) in [
        (uapi::SERVICE_GROUP_A_LINK_FRAMES_IN, &traffic.frames_in),
        (uapi::SERVICE_GROUP_A_LINK_FRAMES_OUT, &traffic.frames_out),
        (uapi::SERVICE_GROUP_A_LINK_BYTES_IN, &traffic.bytes_in),
        (uapi::SERVICE_GROUP_A_LINK_BYTES_OUT, &traffic.bytes_out),
    ] {
        message.put_u64(attribute, value.load(Relaxed), PAD)?;
    }
    Ok(())
}

/// `link-get` of one. `EINVAL` if the peer is missing, `ENOENT` if it is not expected.
pub(crate) fn one(request: &Request) -> Result {
    let id = request.u32(uapi::SERVICE_GROUP_A_LINK_PEER).ok_or(EINVAL)?;
    let mut state = request.net().links().state.lock();
    let peer = state.expected(id)?;
    request.reply(uapi::SERVICE_GROUP_CMD_LINK_GET, |message| {
        put_peer(message, peer)
    })
}

/// `link-get` of all, by their ids.
pub(crate) fn all(dump: &mut Dump) -> Result {
    // Behind the last one it goes on.
    loop {
        let [last, _] = *dump.position();
        let Some(id) = next(dump.net(), last) else {
            return Ok(());
        };
        let added = dump.add_of(uapi::SERVICE_GROUP_CMD_LINK_GET, |message, net| {
            put_peer(message, net.links().state.lock().expected(id)?)
        });
        match added {
            // It has gone since.
            Err(ENOENT) => (),
            added => added?,
        }
        *dump.position() = [usize::try_from(id).unwrap_or(usize::MAX), 0];
    }
}

/// The peer with the next id behind this one.
fn next(net: Net<'_>, last: usize) -> Option<u32> {
    let state = net.links().state.lock();
    let mut ids = state
        .machine
        .as_ref()?
        .peers
        .iter()
        .map(|peer| peer.id.get());
    ids.find(|&id| usize::try_from(id).is_ok_and(|id| id > last))
}

/// Tells what has become of a peer. Process context.
pub(super) fn event(peer: &Peer, net: Net<'_>) {
    let cmd = uapi::SERVICE_GROUP_CMD_LINK_CHANGE_NTF;
    notify(net, cmd, Context::Process, |message| {
        put_peer(message, peer)
    });
}
