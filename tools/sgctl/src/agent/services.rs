// SPDX-License-Identifier: GPL-2.0
//! What the agent does about the services behind cluster IPs: it has them checked, and tells the module
//! which are healthy.

use std::time::Instant;

use rustix::io::Errno;
use service_group::netlink::{ClusterName, Error};

use super::door::spawn;
use super::health::{self, Known, Outcome};
use super::refusals::refusal;
use super::work::Agent;
use super::News;
use crate::cluster::file::{describe, Config};
use crate::{output, Failure};

/// Of a check that could not be ended either.
const ENDLESS: &str = "the check does not end, and cannot be ended";

impl Agent {
    /// From now on the checks are those of this file. What it has no check of is healthy.
    pub(super) fn plan_checks(&mut self, config: &Config) -> Result<(), Failure> {
        let served = match self.kernel.clusters_in_brief() {
            Err(Error::NotLoaded) => Vec::new(),
            served => served.map_err(refusal)?,
        };
        let bad = served.iter().filter(|it| it.healthy == Some(false));
        let bad: Vec<ClusterName> = bad.map(|it| it.name).collect();
        let checks = health::of(config, &self.me().roster.own.name);
        let is_healthy = |name: &ClusterName| !bad.contains(name);
        self.checks
            .set(&self.file, checks, is_healthy, Instant::now());
        for name in bad.iter().filter(|name| !self.checks.has(name)) {
            self.kernel.set_health(name, true).map_err(refusal)?;
            let text = "taken for healthy, as the file has no check of it";
            self.log.tell("health", &describe(name), text)?;
        }
        Ok(())
    }

    /// Does the checks that are due.
    pub(super) fn check(&mut self, now: Instant) -> Result<(), Failure> {
        for (name, serial) in self.checks.late(now) {
            let known = self.checks.hear(&name, serial, Err(ENDLESS.to_owned()));
            self.tell_health(&name, known, now)?;
        }
        for job in self.checks.due(now) {
            let news = self.news.clone();
            let started = spawn("check", move || {
                let outcome = job.run();
                // The agent may be ending.
                let _ = news.send(News::Checked(job.name, job.serial, outcome));
            });
            // It counts as a check that does not end.
            if let Err(failure) = started {
                output::note(&failure.to_string());
            }
        }
        Ok(())
    }

    /// A check has ended.
    pub(super) fn checked(
        &mut self,
        name: &ClusterName,
        serial: u64,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let known = self.checks.done(name, serial, outcome);
        self.tell_health(name, known, Instant::now())
    }

    /// Tells the module what is known now, and everybody else what is new.
    fn tell_health(
        &mut self,
        name: &ClusterName,
        known: Option<Known>,
        now: Instant,
    ) -> Result<(), Failure> {
        let Some(known) = known else {
            return Ok(());
        };
        let of = describe(name);
        match self.kernel.set_health(name, known.healthy) {
            // This machine does not serve it at the moment.
            Err(Error::NotLoaded) => {}
            Err(Error::Refused(number)) if Errno::from_raw_os_error(number) == Errno::NOENT => {}
            Err(error) => {
                let text = format!("the module was not told how it is: {}", refusal(error));
                self.log.tell_once("failed", &of, &text, now)?;
            }
            Ok(()) => {}
        }
        match (known.is_news, known.why) {
            (true, None) => {
                self.log.forget(&of);
                self.log.tell("health", &of, "healthy")
            }
            (true, Some(why)) => {
                let text = format!("not healthy: {why}");
                self.log.tell("health", &of, &text)
            }
            (false, Some(why)) => self.log.tell_once("check", &of, &why, now),
            (false, None) => Ok(()),
        }
    }
}
