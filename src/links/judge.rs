// SPDX-License-Identifier: GPL-2.0

//! Who is there: looked at twice a heartbeat, and when a director says something new; told to those who
//! listen, and to cluster IPs.

#![forbid(unsafe_code)]

use super::{
    machine::Machine,
    peer::{insert, ns, Directing, Peer, Reason, Unready},
    Links,
    State, //
};
use crate::{
    cluster::liveness::{self, Beliefs, Report},
    logic::{
        cluster::slots::NodeId,
        links::{
            director::{Claim, Seen},
            heartbeat::{Load, Service},
            liveness::{self as live, UNREACHABLE_AFTER}, //
        },
    },
    sys::core::clock::now,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};

/// What is believed of a machine.
struct Belief {
    id: NodeId,
    /// Whether it gets no new flows of any cluster IP.
    away: bool,
    /// Of these it gets none either.
    unready: Arc<Unready>,
    /// Until when it and this machine hold each other to be there; none of this machine itself.
    assured: Option<u64>,
    /// None of this machine itself.
    linked: Option<Linked>,
}

/// How another machine is, as it matters for who directs.
struct Linked {
    state: live::State,
    /// Whether the one of both holds the other one back.
    held: bool,
    directing: Arc<Directing>,
}

/// What is believed of this machine and its peers, by their ids.
#[derive(Default)]
struct View {
    /// This machine, if somebody has said which one it is.
    this: Option<NodeId>,
    all: KVec<Belief>,
}

impl View {
    fn of(machine: &Machine, own: &[Load]) -> Result<Self> {
        let own = Belief {
            id: machine.id,
            away: false,
            unready: Arc::new(Unready::of(own.iter().copied())?, GFP_KERNEL_ACCOUNT)?,
            assured: None,
            linked: None,
        };
        let count = machine.peers.len().saturating_add(1);
        let mut beliefs = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        let peers = machine.peers.iter().map(Belief::of);
        for belief in Iterator::chain(core::iter::once(own), peers) {
            insert(&mut beliefs, belief, |belief| belief.id)?;
        }
        Ok(Self {
            this: Some(machine.id),
            all: beliefs,
        })
    }

    fn get(&self, id: NodeId) -> Option<&Belief> {
        let place = self.all.binary_search_by_key(&id, |belief| belief.id);
        self.all.get(place.ok()?)
    }
}

impl Belief {
    fn of(peer: &Peer) -> Self {
        Self {
            id: peer.id,
            away: peer.live.is_away(),
            unready: peer.unready.clone(),
            assured: Some(peer.live.assured_until()),
            linked: Some(Linked {
                state: peer.live.state(),
                held: peer.is_held(),
                directing: peer.directing.clone(),
            }),
        }
    }
}

impl Beliefs for View {
    fn is_away(&self, node: NodeId, of: &Service) -> bool {
        self.get(node)
            .is_some_and(|belief| belief.away || belief.unready.has(of))
    }

    fn assured_until(&self, node: NodeId) -> Option<u64> {
        self.get(node)?.assured
    }

    fn this(&self) -> Option<NodeId> {
        self.this
    }

    fn director(&self, id: NodeId, of: &Service) -> Seen {
        let linked = self.get(id).and_then(|belief| belief.linked.as_ref());
        // One that no link is expected to was never met.
        linked.map_or(Seen::Absent, |linked| linked.director(of))
    }
}

impl Linked {
    fn director(&self, of: &Service) -> Seen {
        match (self.state, self.directing.get(of)) {
            (live::State::None, _) => Seen::Unknown,
            (live::State::Up, Some((active, epoch))) => Seen::There(Claim {
                active,
                held: self.held,
                epoch,
            }),
            _ => Seen::Absent,
        }
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
    let told = view.and_then(|view| {
        let told = liveness::judge(links.net().clusters(), &view);
        links.state.lock().judged(&view, told.is_ok());
        told
    });
    match (told, again) {
        // What is to be forgotten was not.
        (Err(_), None) => Some(ns(1)),
        (Ok(Some(due)), Some(again)) => Some(again.min(due)),
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
        let urgent = |load: &Load| (load.service(), load.ready, load.directs, load.active);
        let is_same = Iterator::eq(
            self.loads.iter().map(urgent),
            report.loads.iter().map(urgent),
        );
        self.loads = report.loads;
        self.epoch = report.epoch;
        if !is_same {
            self.links.iter().for_each(|link| link.hurry());
        }
    }

    /// Cluster IPs have been told, or some of them.
    fn judged(&mut self, view: &View, all: bool) {
        for peer in self
            .machine
            .iter_mut()
            .flat_map(|machine| &mut machine.peers)
        {
            let is_away = view.get(peer.id).is_some_and(|belief| belief.away);
            // Of one that goes by what was before, its slots may still have deputies.
            peer.was_away = is_away || peer.was_away && !all;
        }
    }
}
