// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster apply`: has this machine do what the file says, all or nothing.
//!
//! [`target`] says what that is, [`facts`] how the machine is, [`steps`] how it gets
//! there and back; [`machine`] does it, with [`route`], and [`report`] tells it.

pub mod facts;
pub mod machine;
mod report;
pub mod route;
mod steps;
pub mod target;

use std::path::Path;
use std::time::SystemTime;

use super::file::{store, Config};
use super::plan::fitting;
use crate::cli::ClusterApplyArgs;
use crate::{output, Failure};
use machine::Machine;

pub use report::Report;
use steps::Step;

pub use target::{device, own_name, whole};

/// How a file is applied.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// The name of this machine in the file, if not its host name.
    pub node: Option<&'a str>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

/// Runs the subcommand.
pub fn run(args: &ClusterApplyArgs) -> Result<(), Failure> {
    let text = store::text(&args.file)?;
    let config = store::config(&args.file, &text)?;
    let how = How {
        node: args.node.as_deref(),
        dry_run: args.dry_run,
    };
    let prepared = prepare(&args.file, &config, how)?;
    if args.json {
        return output::json(&prepared.carry_out(|| Ok(()))?);
    }
    output::text(&prepared.report.sentences())?;
    prepared.carry_out(|| Ok(())).map(|_| ())
}

/// What is to be done on this machine, and not done yet.
pub struct Prepared {
    machine: Machine,
    steps: Vec<Step>,
    dry_run: bool,
    /// What it changes.
    pub report: Report,
}

/// Checks everything, and prepares what a file describes.
pub fn prepare(path: &Path, config: &Config, how: How<'_>) -> Result<Prepared, Failure> {
    for address in &config.addresses {
        fitting(path, config, address)?;
    }
    store::warn_if_open(path, config);
    let own = own_name(config, how.node)?;
    let mut machine = Machine::open().map_err(|failure| match how.dry_run {
        true => Failure::new(format!(
            "{failure}; or check the file alone with \"sgctl cluster check\""
        )),
        false => failure,
    })?;
    let facts = machine.facts()?;
    let targets = target::targets(config, &own, &facts, SystemTime::now())?;
    let steps = steps::steps(&targets, &facts)?;
    Ok(Prepared {
        machine,
        dry_run: how.dry_run,
        report: Report::new(&own, config, &facts, &steps, how.dry_run),
        steps,
    })
}

impl Prepared {
    /// Does it, and what is to follow; or neither. In a dry run that is nothing.
    pub fn carry_out(
        mut self,
        then: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Report, Failure> {
        if !self.dry_run {
            steps::carry_out(&self.steps, &mut self.machine, then)?;
        }
        Ok(self.report)
    }
}
