// SPDX-License-Identifier: GPL-2.0
//! A whole cluster, as its documentation has it: which node counts a packet as what, on all of its
//! machines, when it has come to one of them.
//!
//! It makes its decisions with the functions that the module makes them with, and has in its own
//! words what the module does around them (`src/cluster/packet.rs` and `tunnel.rs`): so the two can
//! be compared, packet by packet. It is a model of machines that all have the same table, that know
//! each other's MAC addresses, and whose packets fit everywhere.

mod headers;
mod outer;

use std::collections::BTreeMap;

use service_group_logic::logic::cluster::{
    candidates::{remember, Candidates, Shares},
    flow::{Address, Flow},
    hash::{Hash, SlotCount},
    owner::{decide, Decision, DropReason, Facts, Role as Received},
    packet::{find, Found, Kind, Packet},
    slots::{spill, NodeId, Slot},
    tunnel::{may_bring, Encapsulation, Mode},
};

use headers::{
    a_hop_later, destination, destination_of, ends_in_tcp_header, gre_header, has_hop_by_hop,
    hops_left, is_ipv6, seen_by_kernel, source,
};

const TCP: u8 = 6;
pub const IPIP: u8 = 4;
pub const IPV6: u8 = 41;
pub const GRE: u8 = 47;

/// What a machine counts, by the name that it has in netlink.
pub type Count = (u32, &'static str);

/// What a machine is for the cluster IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Shared,
    Directed,
    Director,
    Standby,
}

/// How the owner of a slot gets its packets from a director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Neighbour,
    Tunnel,
}

/// How long ago the table changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is the first one.
    First,
    Young,
    Settled,
}

/// A machine, which has a number.
#[derive(Clone, Debug)]
pub struct Machine {
    pub role: Role,
    /// Whether it is a node; its id is its number then.
    pub is_node: bool,
    /// Connections that it has.
    pub known: Vec<Flow>,
}

/// A cluster IP, and the machines that serve it.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub address: Address,
    /// 0 for any, as the next one.
    pub protocol: u8,
    pub port: u16,
    pub is_shared: bool,
    pub spill: bool,
    pub way: Way,
    pub age: Age,
    pub table: Vec<Slot>,
    /// The table before, if there was another one; it has as many slots.
    pub former: Vec<Slot>,
    pub machines: BTreeMap<u32, Machine>,
}

/// How a packet came to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// From a machine that is no node, in a frame for this machine or for all of them.
    Alone,
    /// The same from the MAC address of a node.
    Directed,
    /// In a packet from a node.
    Wrapped(Encapsulation),
}

impl Came {
    fn is_wrapped(self) -> bool {
        matches!(self, Self::Wrapped(_))
    }
}

/// Everything that is counted for one packet.
struct Run<'a> {
    cluster: &'a Cluster,
    counts: Vec<Count>,
}

impl Cluster {
    /// What machines count for a packet that comes to one of them. `gathered` tells that it comes in
    /// fragments: this is what they make.
    pub fn packet(&self, at: u32, bytes: &[u8], gathered: bool) -> Vec<Count> {
        let mut run = self.run();
        if let Some(bytes) = seen_by_kernel(bytes) {
            run.arrive(at, Came::Alone, bytes, gathered);
        }
        run.counts
    }

    /// What they count for a packet that comes to one of them by another device than the cluster
    /// IP's: that one serves it like any packet of its own, unless it only directs.
    pub fn beside(&self, at: u32) -> Vec<Count> {
        let directs = [Role::Director, Role::Standby].contains(&self.machines[&at].role);
        assert!(!directs, "what directors do then is not modelled");
        Vec::new()
    }

    /// What they count for frames that come to one of them from a node's address, and make a packet
    /// with another one in it. `beside` tells that they come by a device that does not lead there.
    pub fn tunnel(&self, at: u32, beside: bool, frames: &[Vec<u8>]) -> Vec<Count> {
        let mut run = self.run();
        if let Some((protocol, bytes)) = outer::received(frames) {
            run.open(at, beside, protocol, &bytes);
        }
        run.counts
    }

    fn run(&self) -> Run<'_> {
        let counts = Vec::new();
        let cluster = self;
        Run { cluster, counts }
    }

    fn mode(&self) -> Mode {
        match self.is_shared {
            true => Mode::Shared { spill: self.spill },
            false => Mode::Directed,
        }
    }

    fn spills(&self, table: &[Slot]) -> Vec<Slot> {
        let mut spills = vec![None; table.len()];
        if self.spill {
            spill(table, |_| true, &mut spills);
        }
        spills
    }

    fn has_candidates(&self) -> bool {
        self.spill || self.age != Age::First
    }

    /// Whether packets of this flow are for the cluster IP.
    fn serves(&self, flow: &Flow) -> bool {
        (self.protocol == 0 || self.protocol == flow.protocol)
            && (self.port == 0 || self.port == flow.destination_port)
    }

    fn facts(&self, machine: u32, came: Came, packet: &Packet) -> Facts {
        let count = SlotCount::new(self.table.len()).expect("a table that has slots");
        let slot = Hash::Sum5.slot(&packet.flow, count);
        let (owner, spilled) = (self.table[slot], self.spills(&self.table)[slot]);
        let mut others = Candidates::default();
        if self.has_candidates() {
            let mut history = Candidates::default();
            if self.age != Age::First {
                let before = Shares {
                    owner: self.former[slot],
                    spill: self.spills(&self.former)[slot],
                    ..Shares::default()
                };
                history = remember(history, &before, owner);
            }
            let all = [owner, spilled].into_iter().flatten().chain(history.iter());
            for node in all.filter(|&node| Some(node) != owner) {
                others.add(Some(node));
            }
        }
        let me = &self.machines[&machine];
        let role = match (me.role, came) {
            (Role::Shared, _) => Received::Shared,
            // What the model is shown comes to a machine's own address.
            (Role::Director | Role::Standby, Came::Alone | Came::Directed) => Received::Director,
            _ => Received::Directed,
        };
        Facts {
            role,
            this: NodeId::new(machine).filter(|_| me.is_node),
            owner,
            others,
            spill: spilled.filter(|_| packet.flow.protocol == TCP),
            young: self.age == Age::Young,
            known: false,
            needs_no_connection: packet.needs_no_connection(),
            second_chance: came == Came::Wrapped(Encapsulation::Gre),
        }
    }

    fn decide(&self, machine: u32, came: Came, packet: &Packet) -> Decision {
        let mut facts = self.facts(machine, came, packet);
        let is_forwarded = matches!(decide(&facts), Decision::Forward(_));
        if is_forwarded && came == Came::Directed && facts.this.is_some() {
            facts.role = Received::Directed;
        }
        let is_tcp = packet.flow.protocol == TCP;
        facts.known =
            self.has_candidates() && is_tcp && self.machines[&machine].known.contains(&packet.flow);
        decide(&facts)
    }
}

impl Run<'_> {
    fn count(&mut self, at: u32, name: &'static str) {
        self.counts.push((at, name));
    }

    /// A packet that the kernel shows at this machine.
    fn arrive(&mut self, at: u32, came: Came, bytes: &[u8], gathered: bool) {
        // Whatever machines there are, two are given it on the way at most, and copies of it.
        assert!(self.counts.len() < 32, "the packet goes in circles");
        if destination(bytes) != Some(self.cluster.address) {
            return;
        }
        match find(bytes, bytes.len()) {
            Ok(Found::Whole(packet)) => self.serve(at, came, bytes, &packet, gathered),
            Ok(Found::Fragment) if came.is_wrapped() => self.count(at, "dropped-tunnel"),
            // The kernel does not keep it.
            Ok(Found::Fragment) if ends_in_tcp_header(bytes) => self.count(at, "dropped-malformed"),
            Ok(Found::Fragment) => (),
            Err(_) => self.count(at, "dropped-malformed"),
        }
    }

    fn serve(&mut self, at: u32, came: Came, bytes: &[u8], packet: &Packet, gathered: bool) {
        let serves = self.cluster.serves(&packet.flow);
        if let Came::Wrapped(encapsulation) = came {
            let source = source(bytes).expect("an IP header");
            if !serves || !may_bring(self.cluster.mode(), encapsulation, &source, packet) {
                return self.count(at, "dropped-tunnel");
            }
            if encapsulation == Encapsulation::Gre {
                self.count(at, "second-chance-in");
            }
        } else if packet.kind == Kind::Discovery {
            return;
        } else if !serves {
            if self.cluster.is_shared {
                self.count(at, "ignored");
            }
            return;
        } else if gathered {
            self.count(at, "reassembled");
        }
        let is_for_machine = matches!(packet.kind, Kind::Redirect | Kind::Other);
        if !is_for_machine || self.cluster.is_shared {
            let decision = self.cluster.decide(at, came, packet);
            self.carry_out(at, bytes, decision);
        }
    }

    fn carry_out(&mut self, at: u32, bytes: &[u8], decision: Decision) {
        match decision {
            Decision::Take => self.count(at, "owned"),
            Decision::TakeKnown => self.count(at, "known"),
            Decision::TakeSpilled => self.count(at, "spilled-in"),
            Decision::Ignore => self.count(at, "ignored"),
            Decision::Silent => self.count(at, "silent"),
            Decision::LetReset | Decision::Drop(DropReason::SecondChanceSpent) => {
                self.count(at, "dropped-spent");
            }
            Decision::Drop(DropReason::NoOwner) => self.count(at, "dropped-no-owner"),
            Decision::Forward(node) => self.forward(at, node, bytes),
            // To be given to another node is a hop.
            Decision::SecondChance(_) if hops_left(bytes) <= 1 => {
                self.count(at, "dropped-hop-limit");
            }
            Decision::SecondChance(others) => {
                for node in others.iter() {
                    self.count(at, "second-chance");
                    self.open(node.get(), false, GRE, &[gre_header(bytes), bytes].concat());
                }
            }
        }
    }

    fn forward(&mut self, at: u32, node: NodeId, bytes: &[u8]) {
        if hops_left(bytes) <= 1 {
            return self.count(at, "dropped-hop-limit");
        }
        self.count(at, "forwarded");
        let bytes = &a_hop_later(bytes);
        match (self.cluster.way, is_ipv6(bytes)) {
            (Way::Neighbour, _) => self.arrive(node.get(), Came::Directed, bytes, false),
            (Way::Tunnel, true) => self.open(node.get(), false, IPV6, bytes),
            (Way::Tunnel, false) => self.open(node.get(), false, IPIP, bytes),
        }
    }

    /// What is in a packet from one node to another one.
    fn open(&mut self, at: u32, beside: bool, protocol: u8, bytes: &[u8]) {
        let has_tunnels = !self.cluster.is_shared || self.cluster.spill;
        if !has_tunnels || !self.cluster.machines[&at].is_node {
            return;
        }
        let (encapsulation, ipv6, inner) = match (protocol, bytes) {
            (IPIP, inner) => (Encapsulation::Ip, false, inner),
            (IPV6, inner) => (Encapsulation::Ip, true, inner),
            (GRE, [0, 0, 0x08, 0x00, inner @ ..]) => (Encapsulation::Gre, false, inner),
            (GRE, [0, 0, 0x86, 0xdd, inner @ ..]) => (Encapsulation::Gre, true, inner),
            _ => return,
        };
        // For somebody else's tunnel, perhaps.
        if destination_of(inner, ipv6) != Some(self.cluster.address) {
            return;
        }
        if beside {
            return self.count(at, "dropped-tunnel");
        }
        // What is in it the kernel has not seen to.
        match seen_by_kernel(inner).filter(|seen| is_ipv6(seen) == ipv6 && !has_hop_by_hop(seen)) {
            Some(seen) => self.arrive(at, Came::Wrapped(encapsulation), seen, false),
            None => self.count(at, "dropped-malformed"),
        }
    }
}
