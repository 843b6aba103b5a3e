// SPDX-License-Identifier: GPL-2.0

//! Whether this machine can serve a cluster IP: something listens, and no check says otherwise.
//!
//! Whether something listens is known of TCP, if the cluster IP has a port.

#![forbid(unsafe_code)]

use super::{
    config::Name,
    report::{self, Change},
    Cluster, //
};
use crate::{
    logic::{
        cluster::packet::TCP,
        links::heartbeat::Load,
        room, //
    },
    sys::{
        core::{
            netlink::Request,
            netns::Net, //
        },
        socket::{
            flowlog::Flow,
            lookup::listener, //
        },
        uapi, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed}, //
};

/// What a check of the service has said, from one table to the next.
pub(super) struct Health(Atomic<bool>);

impl Health {
    pub(super) fn new() -> Self {
        Self(Atomic::new(true))
    }

    pub(super) fn is_good(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// `health-set`. `EINVAL` if something is missing, `ENOENT` if there is no such cluster IP.
pub(crate) fn set(request: &Request) -> Result {
    let name = Name::of(request)?;
    let healthy = request
        .u32(uapi::SERVICE_GROUP_A_CLUSTER_HEALTHY)
        .ok_or(EINVAL)?;
    let net = request.net();
    let cluster = net.clusters().get(&name).ok_or(ENOENT)?;
    let is_good = healthy == 1;
    if cluster.health.0.xchg(is_good, Full) != is_good {
        report::event(Change::Changed, &cluster, net);
        // Peers hear of it at once.
        net.tick_in(0);
    }
    Ok(())
}

impl Name {
    /// A report of nothing.
    pub(super) fn load(&self) -> Load {
        Load {
            address: self.address,
            protocol: self.protocol,
            port: self.port,
            ready: true,
            listening: false,
            full: false,
            queued: 0,
            room: 0,
            directs: false,
            active: false,
            epoch: 0,
        }
    }
}

impl Cluster {
    /// How this machine serves it at this moment.
    pub(super) fn load(&self, net: Net<'_>) -> Load {
        let name = &self.config.name;
        let own = self.own(net);
        let load = Load {
            ready: self.health.is_good(),
            directs: self.config.follows_links() && own.able && self.acting.is_among(),
            active: own.active,
            epoch: own.epoch,
            ..name.load()
        };
        // Nothing listens on one that only directs.
        if name.protocol != TCP || name.port == 0 || self.config.this.is_none() {
            return load;
        }
        match listener(net, &self.connection(), self.device()) {
            Some(found) => told(load, found),
            None => Load {
                ready: false,
                ..load
            },
        }
    }

    /// Whether it can; who is no node need not.
    pub(super) fn is_ready(&self, net: Net<'_>) -> bool {
        self.config.this.is_none() || self.load(net).ready
    }

    /// One that a client may make.
    fn connection(&self) -> Flow {
        let name = &self.config.name;
        Flow {
            family: name.family(),
            local_port: name.port,
            local: name.address.to_bytes(),
            ..Flow::default()
        }
    }
}

/// With how full the listener is, which is one of several if these share the port.
fn told(load: Load, found: room::Load) -> Load {
    let room = found.queue_room();
    Load {
        listening: true,
        full: room == 0,
        queued: found.queued,
        room,
        ..load
    }
}
