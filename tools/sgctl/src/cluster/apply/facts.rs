// SPDX-License-Identifier: GPL-2.0
//! How this machine is at present.

use std::net::IpAddr;

use service_group::netlink::{Cluster, ClusterName, ClusterRole};

/// The loopback device, in every network namespace.
pub const LOOPBACK: u32 = 1;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
}

/// An address that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The index of the device.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
}

/// What is known of this machine, and what was done to it in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The cluster IPs that it serves, with their tables.
    pub clusters: Vec<Cluster>,
    /// Its devices.
    pub links: Vec<Link>,
    /// Its addresses.
    pub addresses: Vec<Local>,
    /// Those of them that this program has set.
    pub ours: Vec<Local>,
    /// What the cluster IPs are of, unless the module does not tell it.
    pub generation: Option<u64>,
    /// Those that this run has brought, with the role that it gave them.
    pub brought: Vec<(ClusterName, ClusterRole)>,
    /// Addresses that this run has taken from a device, by its index.
    pub taken: Vec<(u32, IpAddr)>,
}

impl Facts {
    /// The index of a device.
    pub fn index(&self, name: &str) -> Option<u32> {
        let link = self.links.iter().find(|link| link.name == name)?;
        Some(link.index)
    }

    /// The name of a device, or its index.
    ///
    /// A cluster IP whose device is gone has number 0.
    pub fn link_name(&self, index: u32) -> String {
        if index == 0 {
            return "a device that is gone".to_owned();
        }
        let link = self.links.iter().find(|link| link.index == index);
        link.map_or_else(|| format!("device {index}"), |link| link.name.clone())
    }

    /// The cluster IP with this name, as it is served.
    pub fn cluster(&self, name: &ClusterName) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name == *name)
    }

    /// Whether this device has the address.
    pub fn has(&self, index: u32, address: IpAddr) -> bool {
        let mut own = self.addresses.iter();
        own.any(|own| (own.index, own.address) == (index, address))
    }

    /// What one of several directors is: what the kernel says, or else what
    /// keepalived has made it by giving it the address.
    ///
    /// As long as this run does not serve it, keepalived cannot tell the kernel: what the kernel has
    /// from this run counts for nothing.
    pub fn present_role(&self, name: &ClusterName, index: u32) -> Option<ClusterRole> {
        let served = self.cluster(name).map(|cluster| cluster.role);
        let told = |role: &ClusterRole| {
            [ClusterRole::Director, ClusterRole::Standby].contains(role)
                && !self.brought.contains(&(*name, *role))
        };
        let key = (index, name.address);
        let ours = self.ours.iter().any(|own| (own.index, own.address) == key);
        let active = self.has(index, name.address) && !ours;
        let active = active.then_some(ClusterRole::Director);
        served.filter(told).or(active)
    }
}
