// SPDX-License-Identifier: GPL-2.0
//! This machine: the module and rtnetlink.

use std::net::IpAddr;

use rustix::io::Errno;
use service_group::netlink::{Cluster, Connection, Error};

use super::facts::Facts;
use super::route::Route;
use super::steps::System;
use crate::cluster::file::describe;
use crate::Failure;

/// This machine, as its network namespace shows it.
pub struct Machine {
    kernel: Connection,
    route: Route,
}

impl Machine {
    /// Finds the module.
    pub fn open() -> Result<Self, Failure> {
        Ok(Self {
            kernel: Connection::open()?,
            route: Route::open()?,
        })
    }

    /// How it is.
    pub fn facts(&mut self) -> Result<Facts, Failure> {
        Ok(Facts {
            clusters: clusters(&mut self.kernel)?,
            links: self.route.links()?,
            addresses: self.route.addresses()?,
        })
    }
}

/// Every cluster IP that is served here, with its table.
pub fn clusters(kernel: &mut Connection) -> Result<Vec<Cluster>, Failure> {
    let mut found = Vec::new();
    for cluster in kernel.clusters().map_err(refusal)? {
        // One that is gone meanwhile is passed over.
        found.extend(kernel.cluster(&cluster.name).map_err(refusal)?);
    }
    found.sort_by_key(|cluster| cluster.name);
    for cluster in &mut found {
        cluster.nodes.sort_by_key(|node| node.id);
    }
    Ok(found)
}

/// Why the kernel did not do it.
pub fn refusal(error: Error) -> Failure {
    let Error::Refused(number) = error else {
        return error.into();
    };
    match Errno::from_raw_os_error(number) {
        Errno::PERM | Errno::ACCESS => Failure::new(
            "changing a cluster needs CAP_NET_ADMIN in the network namespace: run sgctl as root",
        ),
        Errno::OPNOTSUPP => Failure::new(
            "the module knows no cluster IPs: load the module that belongs to this program",
        ),
        Errno::MEDIUMTYPE => {
            Failure::new("its device is a VRF: give the device of the VRF that its packets come by")
        }
        _ => error.into(),
    }
}

/// The same, with what was to be done.
fn told(what: &str, error: Error) -> Failure {
    Failure::new(format!("{what}: {}", refusal(error)))
}

impl System for Machine {
    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        let added = self.route.add(index, address);
        added.map_err(|error| told(&format!("{address} was not added"), error))
    }

    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<(), Failure> {
        let removed = self.route.remove(index, address);
        removed.map_err(|error| told(&format!("{address} was not removed"), error))
    }

    fn serve(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let what = format!("{} was not set up", describe(&cluster.name));
        self.kernel
            .set_cluster(cluster)
            .map_err(|error| told(&what, error))
    }

    fn forget(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let what = format!("{} was not removed", describe(&cluster.name));
        self.kernel
            .delete_cluster(&cluster.name)
            .map_err(|error| told(&what, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        for (errno, told) in [
            (Errno::PERM, "as root"),
            (Errno::OPNOTSUPP, "load the module"),
            (Errno::MEDIUMTYPE, "the device of the VRF"),
        ] {
            let text = refusal(Error::Refused(errno.raw_os_error())).to_string();
            assert!(text.contains(told), "{text}");
        }
    }
}
