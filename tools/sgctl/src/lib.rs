// SPDX-License-Identifier: GPL-2.0
//! `sgctl`: shows, makes, changes and follows groups of listening sockets, and sets
//! up cluster IPs.
//!
//! One file or folder a subcommand; the others are what they share. It is a library so
//! that man pages and completions are made from the same definitions. It does
//! not load the kernel module itself: the kernel does, when the netlink family is asked for.

#![forbid(unsafe_code)]

pub mod cli;

mod agent;
mod attach;
mod backoff;
mod cluster;
mod detach;
mod devices;
mod exec_worker;
mod export;
mod failure;
mod listen;
mod listeners;
mod mixing;
mod monitor;
mod output;
mod owners;
mod plan;
mod program;
mod run;
mod set;
mod show;
mod signals;
mod snapshot;
mod top;
mod view;
mod why;
mod worker;

pub use failure::Failure;
pub use output::note;

/// Does what the command line asks for.
///
/// # Errors
///
/// A sentence that says what was wrong and what to do.
pub fn run(cli: cli::Cli) -> Result<(), Failure> {
    match cli.command {
        cli::Command::Show(args) => show::run(&args),
        cli::Command::Agent(args) => agent::run(&args),
        cli::Command::Attach(args) => attach::run(&args),
        cli::Command::Detach(args) => detach::run(&args),
        cli::Command::Set(args) => set::run(&args),
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Why(args) => why::run(&args),
        cli::Command::Cluster(args) => cluster::run(&args),
        cli::Command::Monitor(args) => monitor::run(&args),
        cli::Command::Top(args) => top::run(&args),
        cli::Command::Export(args) => export::run(&args),
        cli::Command::ExecWorker(args) => exec_worker::run(&args),
    }
}
