// SPDX-License-Identifier: GPL-2.0
//! `sgctl cluster apply`: has this machine do what the file says, all or nothing; and
//! `sgctl cluster leave`, which is the same with a file that has nothing.
//!
//! [`target`] says what that is, [`facts`] how the machine is, [`steps`] how it gets
//! there, with [`addresses`]; [`passes`] goes there and back, whatever others change
//! meanwhile; [`machine`] does it, with [`route`], and [`report`] tells it.

mod addresses;
pub mod facts;
pub mod machine;
mod passes;
mod report;
pub mod route;
mod steps;
pub mod target;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::io::Errno;
use rustix::system::uname;
use service_group::netlink::{Connection, Error};

use super::file::{lock::Lock, store, Config};
use super::plan::fitting;
use crate::cli::{ClusterApplyArgs, ClusterLeaveArgs};
use crate::{output, Failure};
use facts::{Facts, Local};
use machine::Machine;
use passes::{Plan, System as _};

pub use report::Report;
use steps::Step;

pub use target::{device, own_name, whole};

/// The folder of the locks of network namespaces.
const LOCKS: &str = "/run/sgctl";

/// How a file is applied.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// The name of this machine in the file, if not its host name.
    pub node: Option<&'a str>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    /// Whether the program goes on afterwards, and sees to signals itself.
    pub goes_on: bool,
}

/// Runs the subcommand.
pub fn run(args: &ClusterApplyArgs) -> Result<(), Failure> {
    // Before the file is read: who changes it replaces it only after the new one was applied.
    let alone = alone(args.dry_run);
    let text = store::text(&args.file)?;
    let config = store::config(&args.file, &text)?;
    let how = How {
        node: args.node.as_deref(),
        dry_run: args.dry_run,
        goes_on: false,
    };
    let prepared = prepare(&args.file, &config, how, alone)?;
    let said = prepared.report.sentences();
    finish(prepared, args.json, &said)
}

/// Runs `cluster leave`: no cluster IP is served any more, and no link is expected, whatever the file
/// says.
pub fn leave(args: &ClusterLeaveArgs) -> Result<(), Failure> {
    let nothing = Config::default();
    let own = uname().nodename().to_string_lossy().into_owned();
    let prepared = prepare_as(
        own,
        &nothing,
        (alone(args.dry_run), Machine::open()?),
        args.dry_run,
    )?;
    let said = prepared.report.sentences_or("serves no cluster IP already");
    finish(prepared, args.json, &said)?;
    // Afterwards, so that others hear of this machine until it serves nothing.
    match args.dry_run || !forget_links()? || args.json {
        true => Ok(()),
        false => output::text("it has no links any more, until its agent is started again\n"),
    }
}

/// No link to this machine is expected here any more. Whether there were any.
fn forget_links() -> Result<bool, Failure> {
    match Connection::open()?.delete_machine() {
        // The module knows none.
        Err(Error::Refused(number)) if Errno::from_raw_os_error(number) == Errno::OPNOTSUPP => {
            Ok(false)
        }
        outcome => outcome.map_err(machine::refusal),
    }
}

/// Does what is prepared, and tells it.
fn finish(prepared: Prepared<'_>, json: bool, said: &str) -> Result<(), Failure> {
    if json {
        return output::json(&prepared.carry_out(|| Ok(()))?);
    }
    output::text(said)?;
    prepared.carry_out(|| Ok(())).map(|_| ())
}

/// A file, as one machine has it.
struct Planner<'a> {
    own: String,
    config: &'a Config,
    dry_run: bool,
}

impl Planner<'_> {
    fn planned(&self, facts: &Facts) -> Result<(Vec<Step>, Report), Failure> {
        let targets = target::targets(self.config, &self.own, facts, SystemTime::now())?;
        let steps = steps::steps(&targets, facts)?;
        let strangers = addresses::strangers(&targets, facts);
        addresses::check_kept(&targets, facts, &strangers)?;
        let report = self.report(&steps, &strangers, facts);
        Ok((steps, report))
    }

    fn report(&self, steps: &[Step], strangers: &[Local], facts: &Facts) -> Report {
        let both = (steps, strangers);
        Report::new(&self.own, self.config, facts, both, self.dry_run)
    }
}

impl Plan for Planner<'_> {
    fn steps(&self, facts: &Facts) -> Result<Vec<Step>, Failure> {
        self.planned(facts).map(|(steps, _)| steps)
    }

    fn anew(&self, steps: &[Step], facts: &Facts) {
        let told = self.report(steps, &[], facts).sentences();
        let told = told.trim_end();
        output::note(&format!(
            "others have changed this machine meanwhile; so:\n{told}"
        ));
    }

    fn unchecked(&self, why: &Failure) {
        output::note(&format!(
            "all was done, but whether others have changed it since is not known: {why}"
        ));
    }
}

/// What is to be done on this machine, and not done yet.
pub struct Prepared<'a> {
    /// Another one would take what this does for what somebody else has done, and undo it.
    _alone: Option<Lock>,
    machine: Machine,
    planner: Planner<'a>,
    facts: Facts,
    steps: Vec<Step>,
    goes_on: bool,
    /// What it changes.
    pub report: Report,
}

/// Checks everything, and prepares what a file describes.
pub fn prepare<'a>(
    path: &Path,
    config: &'a Config,
    how: How<'_>,
    alone: Option<Lock>,
) -> Result<Prepared<'a>, Failure> {
    for address in &config.addresses {
        fitting(path, config, address)?;
    }
    store::warn_if_open(path, config);
    store::warn_if_ahead(path, config, SystemTime::now());
    let own = own_name(config, how.node)?;
    let machine = Machine::open().map_err(|failure| match how.dry_run {
        true => Failure::new(format!(
            "{failure}; or check the file alone with \"sgctl cluster check\""
        )),
        false => failure,
    })?;
    let prepared = prepare_as(own, config, (alone, machine), how.dry_run)?;
    Ok(Prepared {
        goes_on: how.goes_on,
        ..prepared
    })
}

/// The same on the machine with this name, of what is right.
fn prepare_as(
    own: String,
    config: &Config,
    (alone, mut machine): (Option<Lock>, Machine),
    dry_run: bool,
) -> Result<Prepared<'_>, Failure> {
    let planner = Planner {
        own,
        config,
        dry_run,
    };
    let facts = machine.facts()?;
    let (steps, report) = planner.planned(&facts)?;
    Ok(Prepared {
        _alone: alone,
        machine,
        planner,
        facts,
        steps,
        goes_on: false,
        report,
    })
}

/// Waits until nobody else changes the cluster IPs of this network namespace. Without a folder for
/// that it goes on: others are noticed then, too, but not always.
pub fn alone(dry_run: bool) -> Option<Lock> {
    let net = fs::metadata("/proc/self/ns/net")
        .ok()
        .filter(|_| !dry_run)?;
    fs::create_dir_all(LOCKS).ok()?;
    let name = format!("{LOCKS}/network-namespace-{}", net.ino());
    Lock::wait(Path::new(&name)).ok()
}

impl Prepared<'_> {
    /// Does it, and what is to follow; or neither. In a dry run that is nothing.
    pub fn carry_out(
        mut self,
        then: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Report, Failure> {
        if !self.planner.dry_run {
            if !self.goes_on {
                self.machine.defer_signals()?;
            }
            let first = (self.facts, self.steps);
            passes::carry_out(&self.planner, first, &mut self.machine, then)?;
        }
        Ok(self.report)
    }
}
