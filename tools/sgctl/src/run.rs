// SPDX-License-Identifier: GPL-2.0
//! `sgctl run`: starts workers, each with its own listening sockets, grouped.
//!
//! It keeps every socket, so that connections wait, or go to siblings, while a
//! worker is started again. It does not read what workers write.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{access, Access};
use rustix::process::Signal;
use service_group::{configure, form, Entry, Error, Options, Settings};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::cli::RunArgs;
use crate::listen::{make, Listeners};
use crate::signals::Signals;
use crate::view::words;
use crate::worker::{Program, Worker};
use crate::{output, Failure};

const SIGNALS: [i32; 6] = [SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2];

/// Runs the subcommand.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    check_program(args.command.first(), &search)?;
    let launcher = std::env::current_exe()
        .map_err(|error| Failure::new(format!("sgctl cannot find itself: {error}")))?;
    let signals = Signals::catch(&SIGNALS)?;
    let listeners = make(&args.listen, args.workers.into(), args.backlog)?;
    group(&listeners, &args.settings.0)?;
    let names: Vec<String> = listeners.iter().map(name).collect();
    let program = Program {
        launcher,
        names: names.join(":"),
        command: args.command.clone(),
    };
    let supervisor = Supervisor {
        program,
        workers: share(listeners, args.workers.into()),
        grace: Duration::from_secs(args.grace.into()),
        end: None,
    };
    supervisor.run(signals)
}

/// Forms a group of the sockets of each port, which does what is wanted, and
/// tells of it.
fn group(listeners: &[Listeners], settings: &Settings) -> Result<(), Failure> {
    let mut ports: BTreeMap<u16, Vec<&OwnedFd>> = BTreeMap::new();
    for listener in listeners {
        let port = listener.address.port();
        ports.entry(port).or_default().extend(&listener.sockets);
    }
    for (port, sockets) in ports {
        let entries: Vec<Entry> = sockets.iter().map(|fd| Entry::new(*fd)).collect();
        let group = form(&entries, Options::default())
            .map_err(|error| Failure::new(format!("port {port} was not grouped: {error}")))?;
        let does = set_up(&sockets, settings)
            .map_err(|error| Failure::new(format!("group {group} was not set up: {error}")))?;
        let sockets = output::count(sockets.len(), "socket");
        output::text(&format!("group {group}: {sockets} on port {port}{does}\n"))?;
    }
    Ok(())
}

/// Makes the group of these sockets do what is wanted; tells that in words.
fn set_up(sockets: &[&OwnedFd], settings: &Settings) -> Result<String, Error> {
    match sockets.first() {
        Some(socket) if !settings.is_empty() => {
            configure(socket, settings).map(|()| format!(", {}", words(settings)))
        }
        _ => Ok(String::new()),
    }
}

/// A socket's name in LISTEN_FDNAMES, which has no place for colons.
fn name(listener: &Listeners) -> String {
    format!("port{}", listener.address.port())
}

/// Gives each worker one socket of each address.
fn share(listeners: Vec<Listeners>, workers: usize) -> Vec<Worker> {
    let mut shares: Vec<Vec<OwnedFd>> = (0..workers).map(|_| Vec::new()).collect();
    for listener in listeners {
        for (share, socket) in shares.iter_mut().zip(listener.sockets) {
            share.push(socket);
        }
    }
    let numbered = (1..).zip(shares);
    numbered
        .map(|(number, sockets)| Worker::new(number, sockets))
        .collect()
}

/// Refuses a program that is not there before anything is done.
fn check_program(program: Option<&OsString>, search: &OsStr) -> Result<(), Failure> {
    let program = program.map_or(OsStr::new(""), OsString::as_os_str);
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let found = if program.as_encoded_bytes().contains(&b'/') {
        runs(Path::new(program))
    } else {
        std::env::split_paths(search).any(|folder| runs(&folder.join(program)))
    };
    if found {
        return Ok(());
    }
    Err(Failure::new(format!(
        "there is no program {} to run: give its path, or install it",
        program.to_string_lossy()
    )))
}

/// The workers, until they are told to end.
struct Supervisor {
    program: Program,
    workers: Vec<Worker>,
    grace: Duration,
    /// When what still runs is killed, once the end has begun.
    end: Option<Instant>,
}

impl Supervisor {
    fn run(mut self, mut signals: Signals) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            for worker in &mut self.workers {
                worker.reap(now, self.end.is_some());
            }
            match self.end {
                None => {
                    for worker in &mut self.workers {
                        worker.start_if_due(&self.program, now);
                    }
                }
                Some(_) if !self.workers.iter().any(Worker::runs) => return Ok(()),
                Some(end) if end <= now => self.kill(),
                Some(_) => {}
            }
            let limit = self.next().map(|time| time.saturating_duration_since(now));
            for signal in signals.wait(None, limit)?.signals {
                self.handle(signal);
            }
        }
    }

    /// When there is something to do next, if nothing happens before.
    fn next(&self) -> Option<Instant> {
        let due = self.workers.iter().filter_map(Worker::due).min();
        self.end.or(due)
    }

    fn handle(&mut self, signal: i32) {
        let passed_on = match signal {
            SIGTERM => Signal::TERM,
            SIGINT => Signal::INT,
            SIGHUP => Signal::HUP,
            SIGUSR1 => Signal::USR1,
            SIGUSR2 => Signal::USR2,
            _ => return,
        };
        for worker in &self.workers {
            worker.signal(passed_on);
        }
        if matches!(signal, SIGTERM | SIGINT) && self.end.is_none() {
            self.end = Some(Instant::now() + self.grace);
        }
    }

    fn kill(&mut self) {
        let left = self.workers.iter().filter(|worker| worker.runs()).count();
        let left = output::count(left, "worker");
        eprintln!("sgctl: {left} did not end in time and had to be killed");
        for worker in &mut self.workers {
            worker.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_the_shell_does() {
        let search = OsStr::new("/nonexistent:/usr/bin:/bin");
        for good in ["sh", "/bin/sh"] {
            assert_eq!(check_program(Some(&good.into()), search), Ok(()), "{good}");
        }
        for bad in ["", "no-such-program", "/bin/no-such", "/etc/passwd", "/tmp"] {
            assert!(check_program(Some(&bad.into()), search).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_have_no_colon() {
        let listener = Listeners {
            address: "[::1]:80".parse().expect("it is one"),
            sockets: Vec::new(),
        };
        assert_eq!(name(&listener), "port80");
    }
}
