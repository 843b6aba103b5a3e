// SPDX-License-Identifier: GPL-2.0

//! The MAC addresses of the other nodes, as this machine knows them.
//!
//! A director that gets a packet from the MAC address of a node, and not from a client or a router,
//! got it from another director: one that is about to stop, or thinks the same of this one. Were it
//! to forward such a packet by its own table, the two could send it to and fro for ever.

#![forbid(unsafe_code)]

use super::config::{Config, Way};
use crate::sys::{
    core::clock::{now, NS_OF_MS},
    packet::skb::Packet, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed}, //
};

/// For how many nanoseconds an address is good.
const GOOD: u64 = 100 * NS_OF_MS;

/// What is known of the nodes of a cluster IP.
pub(super) struct Peers {
    /// Of each node its MAC address, or 0.
    macs: KVec<Atomic<u64>>,
    /// One bit for some addresses: most packets have none that is set.
    filter: Atomic<u64>,
    /// When they were looked up.
    since: Atomic<u64>,
}

fn bit(mac: u64) -> u64 {
    1 << ((mac ^ (mac >> 6) ^ (mac >> 12)) & 63)
}

impl Peers {
    pub(super) fn new(config: &Config) -> Result<Self, AllocError> {
        let mut macs = KVec::with_capacity(config.nodes.len(), GFP_KERNEL_ACCOUNT)?;
        for _ in &config.nodes {
            macs.push(Atomic::new(0), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            macs,
            filter: Atomic::new(0),
            since: Atomic::new(0),
        })
    }

    /// Whether another node has directed a packet here. To a machine that is no node none does:
    /// there a node that is a router, too, has sent it.
    pub(super) fn sent(&self, packet: &Packet<'_>, config: &Config) -> bool {
        if config.this.is_none() {
            return false;
        }
        let (then, now) = (self.since.load(Relaxed), now());
        // The one that sets the time looks them up.
        if now.wrapping_sub(then) >= GOOD && self.since.cmpxchg(then, now, Full).is_ok() {
            self.look_up(packet, config);
        }
        let Some(mac) = packet.source_mac() else {
            return false;
        };
        self.filter.load(Relaxed) & bit(mac) != 0
            && self.macs.iter().any(|known| known.load(Relaxed) == mac)
    }

    fn look_up(&self, packet: &Packet<'_>, config: &Config) {
        let mut filter = 0;
        for (known, node) in self.macs.iter().zip(&config.nodes) {
            let is_other = node.way == Way::Neighbour && config.this != Some(node.id);
            let mac = is_other.then(|| packet.neighbour_mac(&node.address));
            let mac = mac.flatten().unwrap_or(0);
            if mac != 0 {
                filter |= bit(mac);
            }
            known.store(mac, Relaxed);
        }
        self.filter.store(filter, Relaxed);
    }
}
