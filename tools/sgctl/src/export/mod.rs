// SPDX-License-Identifier: GPL-2.0
//! `sgctl export`: answers Prometheus with queues, states and counters.
//!
//! [`metrics`] makes a page of what the kernel tells, [`http`] hands it out.
//! Nothing is kept between two requests.

mod clusters;
#[cfg(test)]
mod dashboard;
mod http;
mod links;
mod metrics;
mod settings;

use std::net::TcpListener;

use rustix::io::Errno;
use service_group::netlink::Connection;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::ExportArgs;
use crate::listen::refusal;
use crate::signals::Signals;
use crate::snapshot::{unless_unknown, Snapshot};
use crate::Failure;
use metrics::Figures;

/// Runs the subcommand.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let mut signals = Signals::catch(&[SIGINT, SIGTERM])?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Failure::new(refusal(args.listen, errno))
    })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    http::serve(listener, move || page(limit))?;
    eprintln!("sgctl: answering on http://{address}/metrics");
    while signals.wait(None, None)?.signals.is_empty() {}
    Ok(())
}

/// What the kernel tells at this moment.
fn page(limit: usize) -> Result<String, Failure> {
    let mut kernel = Connection::open()?;
    let figures = Figures {
        stats: kernel.stats()?,
        snapshot: Snapshot::read(&mut kernel, None)?,
        clusters: unless_unknown(kernel.clusters())?,
        machine: unless_unknown(kernel.machine())?,
        links: unless_unknown(kernel.links())?,
        limit,
    };
    metrics::page(figures)
}
