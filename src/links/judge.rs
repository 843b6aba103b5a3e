// SPDX-License-Identifier: GPL-2.0

//! Who is there, looked at once in half a heartbeat, and told to those who listen and to cluster IPs.

#![forbid(unsafe_code)]

use super::{
    machine::Machine,
    peer::{ns, Reason},
    Links,
    State, //
};
use crate::{
    cluster::liveness::{self, Beliefs, Report},
    logic::{
        cluster::slots::NodeId,
        links::{heartbeat::Load, liveness::UNREACHABLE_AFTER}, //
    },
    sys::core::clock::now,
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// Who is believed to be away.
#[derive(Default)]
struct View {
    /// From all cluster IPs; by their ids.
    away: KVec<NodeId>,
    /// From these.
    unready: KVec<(NodeId, Load)>,
    /// Of all peers, by their ids, until when they and this machine hold each other to be there.
    assured: KVec<(NodeId, u64)>,
}

impl View {
    fn of(machine: &Machine, own: &[Load]) -> Result<Self> {
        let mut view = Self::default();
        for peer in machine.peers.iter().filter(|peer| peer.live.is_away()) {
            view.away.push(peer.id, GFP_KERNEL_ACCOUNT)?;
        }
        for load in own.iter().filter(|load| !load.ready) {
            view.unready.push((machine.id, *load), GFP_KERNEL_ACCOUNT)?;
        }
        for peer in &machine.peers {
            let until = peer.live.assured_until();
            view.assured.push((peer.id, until), GFP_KERNEL_ACCOUNT)?;
            for load in peer.unready() {
                view.unready.push((peer.id, *load), GFP_KERNEL_ACCOUNT)?;
            }
        }
        Ok(view)
    }
}

impl Beliefs for View {
    fn is_away(&self, node: NodeId, of: &Load) -> bool {
        let is_of = |load: &Load| {
            (load.address, load.protocol, load.port) == (of.address, of.protocol, of.port)
        };
        let is_here = |(id, load): &(NodeId, Load)| *id == node && is_of(load);
        self.away.binary_search(&node).is_ok() || self.unready.iter().any(is_here)
    }

    fn assured_until(&self, node: NodeId) -> Option<u64> {
        let place = self.assured.binary_search_by_key(&node, |&(id, _)| id);
        Some(self.assured.get(place.ok()?)?.1)
    }
}

/// Judges peers. Returns after how many nanoseconds that is to be done again, if it is. Process context.
pub(crate) fn tick(links: &Links) -> Option<u64> {
    // Without memory it is done the next time.
    let report = liveness::report(links.net().clusters()).ok();
    let (view, again) = {
        let mut state = links.state.lock();
        if let Some(report) = report {
            state.tell_peers(report);
        }
        let State { machine, loads, .. } = &mut *state;
        match machine {
            Some(machine) => {
                look(machine);
                machine.tell(links.net());
                (View::of(machine, loads), Some(ns(machine.heartbeat) / 2))
            }
            None => (Ok(View::default()), None),
        }
    };
    if let Ok(view) = &view {
        let mut place = 0;
        while liveness::judge(links.net().clusters(), place, view) {
            place = place.saturating_add(1);
        }
        links.state.lock().judged(view);
    }
    match (view, again) {
        // What is to be forgotten was not.
        (Err(_), None) => Some(ns(1)),
        (_, again) => again,
    }
}

/// What time alone changes.
fn look(machine: &mut Machine) {
    let now = now();
    let own = machine.heartbeat;
    for peer in &mut machine.peers {
        let longest = peer.set_heartbeat(own).saturating_mul(UNREACHABLE_AFTER);
        let heard = peer.link.as_ref().map(|link| link.heard.load(Relaxed));
        if heard.is_some_and(|heard| now.saturating_sub(heard) > longest) {
            peer.lose(Reason::SILENT);
        }
        peer.is_news |= peer.live.tick(now);
    }
}

impl State {
    /// This is how the machine serves its cluster IPs now: peers are told at once what has no time.
    fn tell_peers(&mut self, report: Report) {
        let ready = |load: &Load| (load.address, load.protocol, load.port, load.ready);
        let is_same = Iterator::eq(self.loads.iter().map(ready), report.loads.iter().map(ready));
        self.loads = report.loads;
        self.epoch = report.epoch;
        if !is_same {
            self.links.iter().for_each(|link| link.hurry());
        }
    }

    /// Cluster IPs have been told.
    fn judged(&mut self, view: &View) {
        for peer in self
            .machine
            .iter_mut()
            .flat_map(|machine| &mut machine.peers)
        {
            peer.was_away = view.away.binary_search(&peer.id).is_ok();
        }
    }
}
