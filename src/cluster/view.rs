// SPDX-License-Identifier: GPL-2.0

//! All cluster IPs of a namespace, as a packet finds them.

#![forbid(unsafe_code)]

use super::Cluster;
use crate::{
    logic::cluster::flow::{Address, Flow},
    sys::rcu::DropsAnywhere, //
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::Arc, //
};

/// Which addresses there may be: one bit for many. Most packets get no further.
#[derive(Default)]
struct Filter([u64; 4]);

impl Filter {
    /// The word and the bit for an address, of which `tail` is the last word. Of an IPv6 address
    /// and of its solicited-node group the last 24 bits are the same.
    fn place(tail: u32) -> (usize, u64) {
        let [_, a, b, c] = tail.to_be_bytes();
        let byte = a ^ b ^ c;
        (usize::from(byte >> 6), 1 << (byte & 63))
    }

    fn add(&mut self, address: &Address) {
        let tail = address.words().last().copied().unwrap_or(0);
        let (word, bit) = Self::place(tail);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, tail: u32) -> bool {
        let (word, bit) = Self::place(tail);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The cluster IPs of a namespace at one moment.
pub(super) struct View {
    filter: Filter,
    /// By their names: those of one address stand together, the most specific one last.
    clusters: KVec<Arc<Cluster>>,
    /// This node's and another node's address, of those with a tunnel between them.
    tunnels: RBTree<(Address, Address), ()>,
}

impl DropsAnywhere for View {}

impl View {
    /// They are given by their names.
    pub(super) fn new(clusters: KVec<Arc<Cluster>>) -> Result<Self> {
        let mut filter = Filter::default();
        for cluster in &clusters {
            filter.add(&cluster.config.name.address);
        }
        let tunnels = tunnels(&clusters)?;
        for (own, _) in tunnels.keys() {
            filter.add(own);
        }
        Ok(Self {
            filter,
            clusters,
            tunnels,
        })
    }

    /// Whether there may be something for an address, of which this is the last word.
    pub(super) fn may_have(&self, tail: u32) -> bool {
        self.filter.has(tail)
    }

    /// The cluster IPs with this address, the most specific one last.
    pub(super) fn at(&self, address: &Address) -> &[Arc<Cluster>] {
        let begin = self
            .clusters
            .partition_point(|cluster| cluster.config.name.address < *address);
        let rest = self.clusters.get(begin..).unwrap_or(&[]);
        let len = rest.partition_point(|cluster| cluster.config.name.address == *address);
        rest.get(..len).unwrap_or(&[])
    }

    /// Whether there may be a tunnel from another node's address to this one's.
    pub(super) fn joins(&self, from: &Address, to: &Address) -> bool {
        self.tunnels.get(&(*to, *from)).is_some()
    }

    /// The first cluster IP with this address whose packets come by this device.
    pub(super) fn on_device(&self, address: &Address, device: u32) -> Option<&Cluster> {
        self.at(address)
            .iter()
            .find(|cluster| cluster.device() == device)
            .map(|cluster| &**cluster)
    }
}

/// All pairs of this node's and another node's address.
fn tunnels(clusters: &[Arc<Cluster>]) -> Result<RBTree<(Address, Address), ()>> {
    let mut tunnels = RBTree::new();
    for config in clusters.iter().map(|cluster| &cluster.config) {
        let Some(own) = config.own_address().filter(|_| config.is_tunnelled()) else {
            continue;
        };
        for node in config.nodes.iter().filter(|node| node.address != own) {
            tunnels.try_create_and_insert((own, node.address), (), GFP_KERNEL_ACCOUNT)?;
        }
    }
    Ok(tunnels)
}

/// The most specific of the cluster IPs of one address that the flow is for.
pub(super) fn most_specific<'a>(clusters: &'a [Arc<Cluster>], flow: &Flow) -> Option<&'a Cluster> {
    clusters
        .iter()
        .rev()
        .find(|cluster| {
            let name = &cluster.config.name;
            (name.protocol == 0 || name.protocol == flow.protocol)
                && (name.port == 0 || name.port == flow.destination_port)
        })
        .map(|cluster| &**cluster)
}
