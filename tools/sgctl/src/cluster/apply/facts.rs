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

/// What is known of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The cluster IPs that it serves, with their tables.
    pub clusters: Vec<Cluster>,
    /// Its devices.
    pub links: Vec<Link>,
    /// Its addresses.
    pub addresses: Vec<Local>,
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
    pub fn present_role(&self, name: &ClusterName, index: u32) -> Option<ClusterRole> {
        let served = self.cluster(name).map(|cluster| cluster.role);
        let one_of = [ClusterRole::Director, ClusterRole::Standby];
        let active = self
            .has(index, name.address)
            .then_some(ClusterRole::Director);
        served.filter(|role| one_of.contains(role)).or(active)
    }
}
