// SPDX-License-Identifier: GPL-2.0
//! Reading and setting cluster IPs.

use super::numbers::{cluster, command};
use super::{
    attributes, cluster_wire, wire, Cluster, ClusterName, ClusterRole, Connection, Error, VERSION,
};

impl Connection {
    /// Every cluster IP, without its table.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EOPNOTSUPP` when the module knows none, and any
    /// other [`Error`].
    pub fn clusters(&mut self) -> Result<Vec<Cluster>, Error> {
        let request = wire::request(command::CLUSTER_GET, VERSION, &[]);
        let messages = self.dump(&request)?;
        attributes(&messages).map(cluster_wire::read).collect()
    }

    /// Every cluster IP, without table, nodes and counters: each message is short, whatever memory
    /// there is.
    ///
    /// # Errors
    ///
    /// As [`Connection::clusters`].
    pub fn clusters_in_brief(&mut self) -> Result<Vec<Cluster>, Error> {
        let brief = wire::attribute(cluster::BRIEF, &1u32.to_ne_bytes());
        let request = wire::request(command::CLUSTER_GET, VERSION, &brief);
        let messages = self.dump(&request)?;
        attributes(&messages).map(cluster_wire::read).collect()
    }

    /// The cluster IP with this name, if there is one, with its table.
    ///
    /// # Errors
    ///
    /// As [`Connection::clusters`].
    pub fn cluster(&mut self, name: &ClusterName) -> Result<Option<Cluster>, Error> {
        let name = cluster_wire::name(name);
        let request = wire::request(command::CLUSTER_GET, VERSION, &name);
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Ok(None),
            answer => attributes(&answer?)
                .map(cluster_wire::read)
                .next()
                .transpose(),
        }
    }

    /// Has this machine serve a cluster IP, or changes how it does; all at once, and only if no cluster
    /// IP has changed since the generation, if one is given (see [`Stats`](super::Stats)).
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `EAGAIN` for another generation, and
    /// any other [`Error`]; [`Error::NotLoaded`] also when the module is being unloaded.
    pub fn set_cluster(&mut self, cluster: &Cluster, generation: Option<u64>) -> Result<(), Error> {
        let mut all = cluster_wire::all(cluster);
        all.extend(cluster_wire::generation(generation));
        let request = wire::request(command::CLUSTER_SET, VERSION, &all);
        match self.ask(&request) {
            Err(Error::Refused(libc::ENOENT)) => Err(Error::NotLoaded),
            answer => answer.map(|_| ()),
        }
    }

    /// Makes the director of a cluster IP its standby, or the standby the director.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when there is no such cluster
    /// IP or this machine is neither, `EOPNOTSUPP` when the module cannot, and any other [`Error`].
    pub fn set_cluster_role(&mut self, name: &ClusterName, role: ClusterRole) -> Result<(), Error> {
        let both = cluster_wire::name_and_role(name, role);
        let request = wire::request(command::CLUSTER_ROLE_SET, VERSION, &both);
        self.ask(&request).map(|_| ())
    }

    /// Says whether a check of the service behind a cluster IP succeeds on this machine. If it does not, the
    /// machines that this one has links to, and this one, give its new flows to others.
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when there is no such cluster
    /// IP, `EOPNOTSUPP` when the module cannot, and any other [`Error`].
    pub fn set_health(&mut self, name: &ClusterName, healthy: bool) -> Result<(), Error> {
        let both = cluster_wire::name_and_health(name, healthy);
        let request = wire::request(command::HEALTH_SET, VERSION, &both);
        self.ask(&request).map(|_| ())
    }

    /// Serves a cluster IP no more; with a generation, as [`Connection::set_cluster`].
    ///
    /// The caller needs `CAP_NET_ADMIN` in the network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `EPERM` without that capability, `ENOENT` when
    /// there is no such cluster IP, `EAGAIN` for another generation, and any other [`Error`].
    pub fn delete_cluster(
        &mut self,
        name: &ClusterName,
        generation: Option<u64>,
    ) -> Result<(), Error> {
        let mut name = cluster_wire::name(name);
        name.extend(cluster_wire::generation(generation));
        let request = wire::request(command::CLUSTER_DEL, VERSION, &name);
        self.ask(&request).map(|_| ())
    }
}
