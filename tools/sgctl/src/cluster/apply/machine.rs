// SPDX-License-Identifier: GPL-2.0
//! This machine: the module and rtnetlink.

use std::net::IpAddr;

use rustix::io::Errno;
use service_group::netlink::{Cluster, ClusterName, ClusterRole, Connection, Error};

use super::facts::Facts;
use super::passes::{Refusal, System};
use super::route::Route;
use crate::cluster::file::describe;
use crate::signals::Deferred;
use crate::Failure;

/// This machine, as its network namespace shows it.
pub struct Machine {
    kernel: Connection,
    route: Route,
    /// From when changes begin.
    signals: Option<Deferred>,
}

impl Machine {
    /// Finds the module.
    pub fn open() -> Result<Self, Failure> {
        Ok(Self {
            kernel: Connection::open()?,
            route: Route::open()?,
            signals: None,
        })
    }

    /// From now on signals that are to end the program wait for a moment between two steps.
    pub fn defer_signals(&mut self) -> Result<(), Failure> {
        self.signals = Some(Deferred::begin()?);
        Ok(())
    }

    fn generation(&mut self) -> Result<Option<u64>, Failure> {
        let stats = self.kernel.stats().map_err(refusal)?;
        Ok(stats.cluster_generation)
    }
}

/// Every cluster IP that is served here, with its table.
pub fn clusters(kernel: &mut Connection) -> Result<Vec<Cluster>, Failure> {
    let mut found = Vec::new();
    for cluster in kernel.clusters().map_err(refusal)? {
        // One that is gone meanwhile is passed over.
        found.extend(kernel.cluster(&cluster.name).map_err(refusal)?);
    }
    found.sort_by_key(|cluster: &Cluster| cluster.name);
    Ok(found.into_iter().map(in_order).collect())
}

/// The same with its nodes in the order of their ids.
fn in_order(mut cluster: Cluster) -> Cluster {
    cluster.nodes.sort_by_key(|node| node.id);
    cluster
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
        Errno::NODEV => Failure::new(
            "its device is no Ethernet device, or was removed meanwhile: give an Ethernet device, \
             or make that one anew, and apply the file again",
        ),
        _ => error.into(),
    }
}

/// The same, with what was to be done.
fn told(what: &str, error: Error) -> Failure {
    Failure::new(format!("{what}: {}", refusal(error)))
}

/// The same of a change that is made for a generation.
fn refused(what: &str, cluster: &Cluster, error: Error) -> Refusal {
    match error {
        Error::Refused(number) if Errno::from_raw_os_error(number) == Errno::AGAIN => {
            Refusal::Changed
        }
        error => told(
            &format!("{} was not {what}", describe(&cluster.name)),
            error,
        )
        .into(),
    }
}

impl System for Machine {
    fn goes_on(&mut self) -> Result<(), Failure> {
        self.signals.as_ref().map_or(Ok(()), Deferred::check)
    }

    fn facts(&mut self) -> Result<Facts, Failure> {
        // First, so that what changes meanwhile is seen when it is to be changed.
        let generation = self.generation()?;
        let clusters = clusters(&mut self.kernel)?;
        let links = self.route.links()?;
        let all = self.route.all()?;
        let ours = all.iter().filter(|(_, is_ours)| *is_ours);
        Ok(Facts {
            clusters,
            links,
            ours: ours.map(|(local, _)| *local).collect(),
            addresses: all.iter().map(|(local, _)| *local).collect(),
            generation,
            ..Facts::default()
        })
    }

    fn cluster(&mut self, name: &ClusterName) -> Result<(Option<u64>, Option<Cluster>), Failure> {
        let generation = self.generation()?;
        let cluster = self.kernel.cluster(name).map_err(refusal)?;
        Ok((generation, cluster.map(in_order)))
    }

    fn stands_by(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        let all = self.kernel.clusters_in_brief().map_err(refusal)?;
        let mut there = all
            .iter()
            .filter(|it| (it.device, it.name.address) == (index, address));
        Ok(there.any(|it| it.role == ClusterRole::Standby))
    }

    fn add_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        let added = self.route.add(index, address);
        added.map_err(|error| told(&format!("{address} was not added"), error))
    }

    fn remove_address(&mut self, index: u32, address: IpAddr) -> Result<bool, Failure> {
        let removed = self.route.remove(index, address);
        removed.map_err(|error| told(&format!("{address} was not removed"), error))
    }

    fn serve(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal> {
        self.kernel
            .set_cluster(cluster, generation)
            .map_err(|error| refused("set up", cluster, error))
    }

    fn forget(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Refusal> {
        self.kernel
            .delete_cluster(&cluster.name, generation)
            .map_err(|error| refused("removed", cluster, error))
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
            (Errno::NODEV, "make that one anew"),
        ] {
            let text = refusal(Error::Refused(errno.raw_os_error())).to_string();
            assert!(text.contains(told), "{text}");
        }
    }
}
