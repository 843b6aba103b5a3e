// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster`: cluster IPs, addresses that several machines serve.
//!
//! One [`file`](mod@file) describes the whole cluster. [`plan`] keeps its tables fit,
//! [`apply`] has this machine do its part, [`change`] edits it, [`check`] tells whether
//! it is right. Which node owns a packet is decided by the same code as in the kernel;
//! [`owner`] explains it, and [`lint`] tries it on traffic; [`absent`] tells who has the slots of nodes that are
//! away. [`init`] makes the key that a machine
//! proves itself with to others, and [`status`] shows what it knows of them; whether they live, the
//! module watches.

pub mod absent;
pub mod apply;
mod change;
mod check;
#[cfg(test)]
mod docs_tests;
pub mod file;
mod init;
mod keepalived;
mod lint;
mod moves;
mod owner;
mod plan;
mod ready;
mod role;
mod show;
mod sources;
pub mod status;
pub mod view;
pub mod whose;

use crate::cli::{ClusterArgs, ClusterCommand};
use crate::Failure;

/// Runs the subcommand.
pub fn run(args: &ClusterArgs) -> Result<(), Failure> {
    match &args.command {
        ClusterCommand::Show(args) => show::run(args),
        ClusterCommand::Status(args) => status::run(args),
        ClusterCommand::Init(args) => init::run(args),
        ClusterCommand::Apply(args) => apply::run(args),
        ClusterCommand::Push(args) => crate::agent::push::run(args),
        ClusterCommand::Leave(args) => apply::leave(args),
        ClusterCommand::Check(args) => check::run(args),
        ClusterCommand::Plan(args) => plan::run(args),
        ClusterCommand::Add(args) => change::add(args),
        ClusterCommand::Set(args) => change::set(args),
        ClusterCommand::Del(args) => change::del(args),
        ClusterCommand::Node(command) => change::node(command),
        ClusterCommand::Drain(args) => change::drain(args),
        ClusterCommand::Owner(args) => owner::run(args),
        ClusterCommand::Lint(args) => lint::run(args),
        ClusterCommand::Keepalived(args) => keepalived::run(args),
        ClusterCommand::Role(args) => role::run(args),
        ClusterCommand::Ready(args) => ready::run(args),
    }
}
