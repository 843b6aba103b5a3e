// SPDX-License-Identifier: GPL-2.0
//! Checks of the services behind cluster IPs on this machine: when each is due, and what follows.
//!
//! [`probe`] does one, in a thread of its own, and [`verdict`] counts what several say. A service that is
//! not healthy gets no new connections, which the module sees to; it is told each time, so that a module
//! that has begun anew knows as well.

mod probe;
mod verdict;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{access, Access};
use service_group::netlink::ClusterName;

use crate::cluster::file::checks::{Check, Probe};
use crate::cluster::file::Config;
use crate::Failure;
use verdict::Verdict;

/// How much longer than its time a check may take until it is late.
const GRACE: Duration = Duration::from_secs(5);
/// The folder of programs, beside the file.
const FOLDER: &str = "checks";

/// What a check has come to: why it has failed, if it has, as a part of a sentence about the service.
pub type Outcome = Result<(), String>;

/// What is done about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It is checked then.
    Waiting(Instant),
    /// It is being checked, and another time at the latest then.
    Checking { next: Instant, late: Instant },
}

struct Watched {
    check: Check,
    verdict: Verdict,
    doing: Doing,
    /// Tells what belongs to it from what belonged to one of the same name.
    serial: u64,
}

/// A check that is to be done now.
#[derive(Clone, Debug)]
pub struct Job {
    /// Of which cluster IP.
    pub name: ClusterName,
    /// The number that its outcome is told with.
    pub serial: u64,
    probe: Probe,
    timeout: Duration,
    folder: PathBuf,
}

impl Job {
    /// Does it, and returns when it is done, or its time is over and it could be ended.
    pub fn run(&self) -> Outcome {
        probe::run(self)
    }
}

/// What is known of a service after a check.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it is healthy.
    pub healthy: bool,
    /// Whether it was not so before.
    pub is_news: bool,
    /// Why the check has failed, if it has.
    pub why: Option<String>,
}

/// All checks of this machine.
#[derive(Default)]
pub struct Checks {
    folder: PathBuf,
    all: BTreeMap<ClusterName, Watched>,
    serials: u64,
}

impl Checks {
    /// These are the checks from now on, of programs beside this file; what is known by one that has not
    /// changed is kept. `healthy` tells what the service of another one is taken for.
    pub fn set(
        &mut self,
        file: &Path,
        checks: Vec<(ClusterName, Check)>,
        healthy: impl Fn(&ClusterName) -> bool,
        now: Instant,
    ) {
        self.folder = folder(file);
        let mut known = std::mem::take(&mut self.all);
        for (name, check) in checks {
            let same = known.remove(&name).filter(|it| it.check == check);
            let watched = same.unwrap_or_else(|| {
                self.serials += 1;
                Watched {
                    verdict: Verdict::new(healthy(&name)),
                    check,
                    doing: Doing::Waiting(now),
                    serial: self.serials,
                }
            });
            self.all.insert(name, watched);
        }
    }

    /// The checks to do now, which are being done then.
    pub fn due(&mut self, now: Instant) -> Vec<Job> {
        let folder = &self.folder;
        let due = self.all.iter_mut().filter_map(|(name, watched)| {
            let Doing::Waiting(at) = watched.doing else {
                return None;
            };
            let Check {
                probe,
                interval,
                timeout,
                ..
            } = &watched.check;
            (at <= now).then(|| {
                let next = now + *interval;
                let late = now + *timeout + GRACE;
                watched.doing = Doing::Checking { next, late };
                Job {
                    name: *name,
                    serial: watched.serial,
                    probe: probe.clone(),
                    timeout: *timeout,
                    folder: folder.clone(),
                }
            })
        });
        due.collect()
    }

    /// Those whose check has not ended although its time is long over, as nothing can end a program that
    /// waits for a disk: each counts as one that failed, once in its interval.
    pub fn late(&mut self, now: Instant) -> Vec<(ClusterName, u64)> {
        let late = self.all.iter_mut().filter_map(|(name, watched)| {
            let Doing::Checking { late, .. } = &mut watched.doing else {
                return None;
            };
            (*late <= now).then(|| {
                *late = now + watched.check.interval;
                (*name, watched.serial)
            })
        });
        late.collect()
    }

    /// When the next one is due, or late.
    pub fn next(&self) -> Option<Instant> {
        let times = self.all.values().map(|watched| match watched.doing {
            Doing::Waiting(at) => at,
            Doing::Checking { late, .. } => late,
        });
        times.min()
    }

    /// A check has ended. What is known of the service now; nothing if it is not checked any more.
    pub fn done(&mut self, name: &ClusterName, serial: u64, outcome: Outcome) -> Option<Known> {
        let watched = self.all.get_mut(name)?;
        if let (true, Doing::Checking { next, .. }) = (watched.serial == serial, watched.doing) {
            watched.doing = Doing::Waiting(next);
        }
        self.hear(name, serial, outcome)
    }

    /// What a check has said, though it has not ended.
    pub fn hear(&mut self, name: &ClusterName, serial: u64, outcome: Outcome) -> Option<Known> {
        let watched = self.all.get_mut(name)?;
        if watched.serial != serial {
            return None;
        }
        let is_news = watched.verdict.hear(outcome.is_ok(), &watched.check);
        Some(Known {
            healthy: watched.verdict.is_healthy(),
            is_news,
            why: outcome.err(),
        })
    }

    /// Whether there is a check of this one.
    pub fn has(&self, name: &ClusterName) -> bool {
        self.all.contains_key(name)
    }
}

/// The folder of the programs that a file names.
fn folder(file: &Path) -> PathBuf {
    file.with_file_name(FOLDER)
}

/// The checks that the machine with this name does.
pub fn of(config: &Config, own: &str) -> Vec<(ClusterName, Check)> {
    if config.node(own).is_none() {
        return Vec::new();
    }
    let all = config.addresses.iter();
    all.filter_map(|it| Some((it.name, it.check.clone()?)))
        .collect()
}

/// Refuses a file that names programs which this machine does not have.
pub fn check_programs(file: &Path, config: &Config, own: &str) -> Result<(), Failure> {
    for (_, check) in of(config, own) {
        let Probe::Command(name, _) = check.probe else {
            continue;
        };
        let program = folder(file).join(name);
        access(&program, Access::EXEC_OK).map_err(|error| {
            Failure::new(format!(
                "the program {} of a check cannot be run: {}: put it there, or remove the check",
                program.display(),
                std::io::Error::from(error)
            ))
        })?;
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// One that takes two to rise and three to fall.
    pub fn check() -> Check {
        Check {
            probe: Probe::Command("web".to_owned(), Vec::new()),
            interval: Duration::from_millis(1000),
            timeout: Duration::from_millis(400),
            rise: 2,
            fall: 3,
        }
    }

    fn name(port: u16) -> ClusterName {
        ClusterName {
            address: [198, 51, 100, 7].into(),
            protocol: 6,
            port,
        }
    }

    fn checks(ports: &[u16], now: Instant) -> Checks {
        let mut checks = Checks::default();
        set(&mut checks, ports, now);
        checks
    }

    fn set(checks: &mut Checks, ports: &[u16], now: Instant) {
        let all = ports.iter().map(|port| (name(*port), check())).collect();
        checks.set(Path::new("x/cluster.toml"), all, |_| true, now);
    }

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn each_is_done_once_in_its_interval() {
        let now = Instant::now();
        let mut checks = checks(&[80, 81], now);
        let jobs = checks.due(now);
        let ports: Vec<u16> = jobs.iter().map(|job| job.name.port).collect();
        assert_eq!(ports, [80, 81]);
        assert_eq!(jobs[0].folder, Path::new("x/checks"));
        assert!(checks.due(now + ms(5000)).is_empty());
        for job in &jobs {
            let known = checks.done(&job.name, job.serial, Ok(()));
            assert!(known.is_some_and(|known| known.healthy && !known.is_news));
        }
        assert_eq!(checks.next(), Some(now + ms(1000)));
        assert!(checks.due(now + ms(999)).is_empty());
        assert_eq!(checks.due(now + ms(1000)).len(), 2);
    }

    #[test]
    fn one_that_does_not_end_fails_again_and_again() {
        let now = Instant::now();
        let mut checks = checks(&[80], now);
        let [job] = &checks.due(now)[..] else {
            panic!("one is due");
        };
        assert!(checks.late(now + ms(5399)).is_empty());
        assert_eq!(checks.next(), Some(now + ms(5400)));
        assert_eq!(checks.late(now + ms(5400)), [(name(80), job.serial)]);
        assert!(checks.late(now + ms(6399)).is_empty());
        assert_eq!(checks.late(now + ms(6400)).len(), 1);
        assert!(checks.due(now + ms(6400)).is_empty());
        let known = checks.hear(&job.name, job.serial, Err("it hangs".to_owned()));
        assert_eq!(
            known.and_then(|known| known.why).as_deref(),
            Some("it hangs")
        );
        checks.done(&job.name, job.serial, Err("it hangs".to_owned()));
        assert_eq!(checks.due(now + ms(6400)).len(), 1);
    }

    #[test]
    fn what_is_known_is_kept_as_long_as_the_check_is_the_same() {
        let now = Instant::now();
        let mut checks = checks(&[80, 81], now);
        let jobs = checks.due(now);
        let known = checks.done(&name(80), jobs[0].serial, Err("no".to_owned()));
        assert!(known.is_some_and(|known| !known.healthy && known.is_news));
        set(&mut checks, &[80], now);
        assert!(checks.has(&name(80)) && !checks.has(&name(81)));
        assert!(checks.due(now).is_empty());
        // Of one that is gone nothing is heard, and of another one in its place neither.
        assert_eq!(checks.done(&name(81), jobs[1].serial, Ok(())), None);
        set(&mut checks, &[80, 81], now);
        assert_eq!(checks.done(&name(81), jobs[1].serial, Ok(())), None);
        assert_eq!(checks.due(now).len(), 1);
        let known = checks.done(&name(80), jobs[0].serial, Ok(()));
        assert!(known.is_some_and(|known| !known.healthy));
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let web = "check = { command = \"no-such-program\" }";
        let text = crate::cluster::file::samples::node("a", 1, "")
            + "[[address]]\nip = \"198.51.100.7\"\ndevice = \"eth0\"\n"
            + web;
        let config = crate::cluster::file::read(&text).expect("it is right");
        let file = Path::new("/etc/cluster.toml");
        let told = check_programs(file, &config, "a").expect_err("it is not there");
        let told = told.to_string();
        assert!(told.contains("/etc/checks/no-such-program"), "{told}");
        // Who is no node checks nothing.
        assert_eq!(check_programs(file, &config, "lb"), Ok(()));
        assert_eq!(of(&config, "a").len(), 1);
    }
}
