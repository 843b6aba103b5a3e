// SPDX-License-Identifier: GPL-2.0

//! All cluster IPs of a namespace, as a packet finds them.

#![forbid(unsafe_code)]

use super::Cluster;
use crate::{
    logic::cluster::{
        flow::{Address, Flow},
        places::Places, //
    },
    sys::{
        core::rcu::DropsAnywhere,
        uapi, //
    },
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::Arc, //
};

const _: () = assert!(Places::MOST == uapi::SERVICE_GROUP_MAX_CLUSTERS as usize);

/// This node's and another node's addresses that there may be tunnels between: for which of the
/// cluster IPs, by their places.
type Tunnels = RBTree<(Address, Address), Places>;

/// Which addresses there may be: one bit for many. Most packets get no further.
#[derive(Default)]
struct Filter([u64; 4]);

impl Filter {
    /// The word and the bit for an address, of which `daddr_low32` is the last word. Of an IPv6
    /// address and of its solicited-node group the last 24 bits are the same.
    fn place(daddr_low32: u32) -> (usize, u64) {
        let [_, a, b, c] = daddr_low32.to_be_bytes();
        let byte = a ^ b ^ c;
        (usize::from(byte >> 6), 1 << (byte & 63))
    }

    fn add(&mut self, address: &Address) {
        let daddr_low32 = address.words().last().copied().unwrap_or(0);
        let (word, bit) = Self::place(daddr_low32);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, daddr_low32: u32) -> bool {
        let (word, bit) = Self::place(daddr_low32);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The cluster IPs of a namespace at one moment.
pub(super) struct Snapshot {
    filter: Filter,
    /// By their names: those of one address stand together, the most specific one last.
    clusters: KVec<Arc<Cluster>>,
    tunnels: Tunnels,
}

// With the last one for a cluster IP go the ways to its nodes, each with memory of each processor.
impl DropsAnywhere for Snapshot {
    const TAKES_LONG: bool = true;
}

impl Snapshot {
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
    pub(super) fn may_have(&self, daddr_low32: u32) -> bool {
        self.filter.has(daddr_low32)
    }

    /// The cluster IPs with this address, the most specific one last.
    pub(super) fn at(&self, address: &Address) -> &[Arc<Cluster>] {
        self.find(address).1
    }

    /// The place of the first one with this address, and all of these.
    fn find(&self, address: &Address) -> (usize, &[Arc<Cluster>]) {
        let begin = self
            .clusters
            .partition_point(|cluster| cluster.config.name.address < *address);
        let rest = self.clusters.get(begin..).unwrap_or(&[]);
        let len = rest.partition_point(|cluster| cluster.config.name.address == *address);
        (begin, rest.get(..len).unwrap_or(&[]))
    }

    /// The cluster IPs with this address, if one of them may have a tunnel from another node's
    /// address to this one's. Nobody has looked yet at who sent it: it takes no longer for more nodes
    /// or cluster IPs, or hardly.
    pub(super) fn tunnelled(
        &self,
        address: &Address,
        from: &Address,
        to: &Address,
    ) -> Option<&[Arc<Cluster>]> {
        let places = self.tunnels.get(&(*to, *from))?;
        let (begin, clusters) = self.find(address);
        places.has_any(begin, clusters.len()).then_some(clusters)
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

/// All tunnels that there may be.
fn tunnels(clusters: &[Arc<Cluster>]) -> Result<Tunnels> {
    let mut tunnels = Tunnels::new();
    for (place, cluster) in clusters.iter().enumerate() {
        let config = &cluster.config;
        let Some(own) = config.own_address().filter(|_| config.is_tunnelled()) else {
            continue;
        };
        for node in config.nodes.iter().filter(|node| node.address != own) {
            let ends = (own, node.address);
            if let Some(places) = tunnels.get_mut(&ends) {
                places.add(place);
                continue;
            }
            let mut places = Places::default();
            places.add(place);
            tunnels.try_create_and_insert(ends, places, GFP_KERNEL_ACCOUNT)?;
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
