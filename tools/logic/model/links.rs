// SPDX-License-Identifier: GPL-2.0
//! Machines of a cluster that judge each other by what their links bring, over a network that fails.
//!
//! Judging, deputies and decisions are the module's own functions. What the module does around them is
//! here in other words: links, their threads, the timer, and the work item that makes new tables. Time
//! is one number for all, and a generator with a seed makes everything that happens.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use service_group_logic::logic::cluster::{
    candidates::{remember, Candidates, Shares},
    owner::{Facts, Role},
    slots::{Node, NodeId, Slot, State as NodeState},
};
use service_group_logic::logic::links::{
    assurance::Assurance,
    deputy::{deputies, standing},
    liveness::{Peer, Said, State},
};

use network::{Frame, Link, Message};

#[path = "links_network.rs"]
mod network;

const NS_OF_MS: u64 = 1_000_000;
pub const HEARTBEAT: u64 = 100 * NS_OF_MS;
/// For how long a change is young.
pub const SETTLE: u64 = 5_000 * NS_OF_MS;

/// Numbers that look random (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % end
    }
}

/// What of the design is there; a test takes parts away to see that they are needed.
#[derive(Clone, Copy)]
pub struct Design {
    pub standing: bool,
    pub assurance: bool,
}

/// The table of the cluster IP at one machine.
struct Table {
    effective: Vec<Slot>,
    standing: Vec<Candidates>,
    history: Vec<Candidates>,
    since: Option<u64>,
    /// Whose slots are given to deputies.
    away: BTreeSet<u32>,
}

impl Table {
    fn shares(&self, slot: usize) -> Shares {
        Shares {
            owner: self.effective[slot],
            spill: None,
            standing: self.standing[slot],
        }
    }
}

pub struct Machine {
    pub frozen: bool,
    /// Whether it takes new flows, and whether its tables know that.
    pub ready: bool,
    pub dead: bool,
    /// Which connections it has.
    pub connections: BTreeSet<u64>,
    pub peers: BTreeMap<u32, Peer>,
    links: BTreeMap<u32, Link>,
    table: Table,
    assurance: Assurance,
    next_beat: u64,
}

impl Machine {
    pub fn works(&self) -> bool {
        !self.frozen && !self.dead
    }

    pub fn effective(&self) -> &[Slot] {
        &self.table.effective
    }
}

pub struct Cluster {
    pub now: u64,
    pub random: Random,
    pub design: Design,
    pub nodes: Vec<Node>,
    pub base: Vec<Slot>,
    pub machines: BTreeMap<u32, Machine>,
    /// Directions in which nothing comes through.
    pub cuts: BTreeSet<(u32, u32)>,
    frames: Vec<Frame>,
    links: u64,
    /// How long a packet of a link takes.
    pub max_delay: u64,
}

impl Cluster {
    /// Machines from 1 on, of which the first `nodes` ones are nodes.
    pub fn new(seed: u64, design: Design, nodes: u32, machines: u32, slots: usize) -> Self {
        let mut random = Random(seed);
        let node = |id| Node {
            id: NodeId::new(id).unwrap(),
            weight: NonZeroU16::new(1 + random.below(3) as u16).unwrap(),
            state: NodeState::Up,
        };
        let nodes: Vec<Node> = (1..=nodes).map(node).collect();
        let base: Vec<Slot> = (0..slots)
            .map(|slot| Some(nodes[slot % nodes.len()].id))
            .collect();
        let mut cluster = Self {
            now: 1_000_000 * NS_OF_MS,
            random,
            design,
            nodes,
            base,
            machines: BTreeMap::new(),
            cuts: BTreeSet::new(),
            frames: Vec::new(),
            links: 0,
            max_delay: HEARTBEAT,
        };
        let ids = 1..=machines;
        for id in ids.clone() {
            let machine = cluster.started(id, ids.clone().collect());
            cluster.machines.insert(id, machine);
        }
        cluster
    }

    /// A machine that knows nothing but its configuration.
    fn started(&self, id: u32, ids: Vec<u32>) -> Machine {
        let peers = ids.into_iter().filter(|&peer| peer != id);
        Machine {
            frozen: false,
            ready: true,
            dead: false,
            connections: BTreeSet::new(),
            peers: peers
                .map(|peer| (peer, Peer::expected(self.now, HEARTBEAT)))
                .collect(),
            links: BTreeMap::new(),
            table: Table {
                effective: self.base.clone(),
                standing: self.standing(&self.base),
                history: vec![Candidates::default(); self.base.len()],
                since: None,
                away: BTreeSet::new(),
            },
            assurance: Assurance::default(),
            next_beat: self.now + u64::from(id) * HEARTBEAT / 10,
        }
    }

    /// It loses everything; its peers hear of that if the network lets them.
    pub fn restart(&mut self, id: u32) {
        let ids = self.machines.keys().copied().collect();
        let machine = self.started(id, ids);
        let old = self.machines.insert(id, machine).unwrap();
        for (peer, link) in old.links {
            self.send(id, peer, link.number, Message::End);
        }
    }

    pub fn kill(&mut self, id: u32) {
        self.restart(id);
        self.machines.get_mut(&id).unwrap().dead = true;
    }

    /// It loses its links and what it believes, and keeps its connections and what its tables remember.
    pub fn forget(&mut self, id: u32) {
        let ids = self.machines.keys().copied().collect();
        let fresh = self.started(id, ids);
        let none = vec![Candidates::default(); self.base.len()];
        self.set_table(id, self.base.clone(), none);
        let machine = self.machines.get_mut(&id).unwrap();
        machine.peers = fresh.peers;
        machine.assurance = fresh.assurance;
        machine.table.away.clear();
        for (peer, link) in std::mem::take(&mut machine.links) {
            self.send(id, peer, link.number, Message::End);
        }
        self.set_table(id, self.base.clone(), fresh.table.standing);
    }

    /// Ends a link at one side.
    pub fn close(&mut self, id: u32, peer: u32) {
        let now = self.now;
        let machine = self.machines.get_mut(&id).unwrap();
        let Some(link) = machine.links.remove(&peer) else {
            return;
        };
        machine.peers.get_mut(&peer).unwrap().closed(now);
        self.send(id, peer, link.number, Message::End);
        self.assure(id);
    }

    /// Time passes, and what is due happens.
    pub fn advance(&mut self, most: u64) {
        self.now += self.random.below(most);
        self.deliver();
        let ids: Vec<u32> = self.machines.keys().copied().collect();
        for &id in &ids {
            let machine = &self.machines[&id];
            if machine.works() && machine.next_beat <= self.now {
                self.beat(id);
            }
            // The work item runs a little later.
            if self.machines[&id].works() && self.random.below(2) == 0 {
                self.work(id);
            }
        }
        for &low in &ids {
            for &high in ids.iter().filter(|&&high| high > low) {
                self.connect(low, high);
            }
        }
    }

    /// A machine's timer: it sends heartbeats, and notices who is silent.
    fn beat(&mut self, id: u32) {
        let now = self.now;
        let machine = self.machines.get_mut(&id).unwrap();
        machine.next_beat = now + HEARTBEAT;
        let (mut beats, mut silent) = (Vec::new(), Vec::new());
        for (&number, peer) in &mut machine.peers {
            peer.tick(now);
            let Some(link) = machine.links.get(&number) else {
                continue;
            };
            if now - link.heard > 10 * HEARTBEAT {
                silent.push(number);
            }
            let said = Said {
                hears_us: ((now - link.heard) / NS_OF_MS) as u32,
                ready: !machine.table.away.contains(&id),
                away: machine.table.away.contains(&number),
                echo: link.echo,
            };
            beats.push((number, link.number, Message::Heartbeat { sent: now, said }));
        }
        for (peer, link, message) in beats {
            self.send(id, peer, link, message);
        }
        for peer in silent {
            self.close(id, peer);
        }
        self.assure(id);
    }

    fn assure(&mut self, id: u32) {
        let machine = self.machines.get_mut(&id).unwrap();
        let nodes = self
            .nodes
            .iter()
            .filter_map(|node| machine.peers.get(&node.id.get()));
        machine
            .assurance
            .renew(self.now, nodes.map(Peer::assured_until));
    }

    /// The work item: a machine's table follows what it believes.
    fn work(&mut self, id: u32) {
        let machine = &self.machines[&id];
        let peers = machine.peers.iter().filter(|(_, peer)| peer.is_away());
        let mut away: BTreeSet<u32> = peers.map(|(&peer, _)| peer).collect();
        if !machine.ready {
            away.insert(id);
        }
        if away == machine.table.away {
            return;
        }
        let mut effective = self.base.clone();
        deputies(
            &self.base,
            &self.nodes,
            |node| away.contains(&node.get()),
            &mut effective,
        );
        let standing = self.standing(&effective);
        self.set_table(id, effective, standing);
        self.machines.get_mut(&id).unwrap().table.away = away;
    }

    /// Another table takes the place of a machine's.
    fn set_table(&mut self, id: u32, effective: Vec<Slot>, standing: Vec<Candidates>) {
        let table = &mut self.machines.get_mut(&id).unwrap().table;
        if (&effective, &standing) == (&table.effective, &table.standing) {
            return;
        }
        for (slot, &owner) in effective.iter().enumerate() {
            table.history[slot] = remember(table.history[slot], &table.shares(slot), owner);
        }
        table.effective = effective;
        table.standing = standing;
        table.since = Some(self.now);
    }

    fn standing(&self, effective: &[Slot]) -> Vec<Candidates> {
        let mut all = vec![Candidates::default(); effective.len()];
        if self.design.standing {
            standing(&self.base, effective, &self.nodes, &mut all);
        }
        all
    }

    /// What a machine decides by, for a packet of this slot.
    pub fn facts(&self, id: u32, slot: usize, role: Role) -> Facts {
        let machine = &self.machines[&id];
        let table = &machine.table;
        let owner = table.effective[slot];
        let mut others = Candidates::default();
        let is_other = |node: &NodeId| Some(*node) != owner;
        let is_changed = table.since.is_some_and(|since| self.now - since < SETTLE);
        let is_doubtful = self.design.assurance && machine.assurance.is_young(self.now, SETTLE);
        let young = is_changed || is_doubtful;
        let all = table.shares(slot).with(table.history[slot], young);
        for node in all.filter(is_other) {
            others.add(Some(node));
        }
        Facts {
            role,
            this: NodeId::new(id).filter(|id| self.nodes.iter().any(|node| node.id == *id)),
            owner,
            others,
            spill: None,
            young,
            known: false,
            needs_no_connection: false,
            second_chance: false,
        }
    }

    /// Whether all machines that work believe of each other what is true.
    pub fn agrees(&self) -> bool {
        let works = |id: &u32| self.machines[id].works();
        self.machines
            .values()
            .filter(|machine| machine.works())
            .all(|machine| {
                machine.peers.iter().all(|(peer, view)| {
                    let expected = if works(peer) {
                        State::Up
                    } else {
                        State::Unreachable
                    };
                    (view.state(), view.is_away()) == (expected, !works(peer))
                })
            })
    }
}
