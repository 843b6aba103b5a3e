// SPDX-License-Identifier: GPL-2.0
//! One worker of `run`: its sockets, its process, and when it is started again.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{kill_process_group, test_kill_process_group, Pid, Signal};

use crate::backoff::Backoff;

/// The first descriptor that is handed over.
const LISTEN_FDS_START: i32 = 3;

/// What every worker runs.
#[derive(Debug)]
pub struct Program {
    /// This program, which becomes the worker's.
    pub launcher: PathBuf,
    /// The names of the sockets, with colons between.
    pub names: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// What a worker is doing.
#[derive(Debug)]
enum State {
    /// To be started at this time.
    Due(Instant),
    /// Running since then.
    Running(Child, Instant),
}

/// A worker and the sockets that stay its own.
#[derive(Debug)]
pub struct Worker {
    number: usize,
    sockets: Vec<OwnedFd>,
    state: State,
    backoff: Backoff,
}

impl Worker {
    /// A worker that is to be started at once.
    pub fn new(number: usize, sockets: Vec<OwnedFd>) -> Self {
        Self {
            number,
            sockets,
            state: State::Due(Instant::now()),
            backoff: Backoff::default(),
        }
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        matches!(self.state, State::Running(..))
    }

    /// When it is to be started, if it does not run.
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due(time) => Some(time),
            State::Running(..) => None,
        }
    }

    /// Starts it if its time has come; a failure is told, and tried again.
    pub fn start_if_due(&mut self, program: &Program, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.state = match self.spawn(program) {
                Ok(child) => State::Running(child, now),
                Err(error) => {
                    let wait = self.backoff.after(Duration::ZERO);
                    self.tell(&format!("could not be started ({error})"), wait);
                    State::Due(now + wait)
                }
            };
        }
    }

    /// Notices that its process has ended, and plans its restart.
    pub fn reap(&mut self, now: Instant, stopping: bool) {
        let State::Running(child, since) = &mut self.state else {
            return;
        };
        let status = match child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Some(status),
            Err(_) => None,
        };
        let (pid, since) = (child.id(), *since);
        let wait = self.backoff.after(now.saturating_duration_since(since));
        self.state = State::Due(now + wait);
        // What it has started itself must not go on without it.
        signal_group(pid, Signal::TERM);
        if !stopping {
            self.tell(&format!("(process {pid}) ended ({})", ending(status)), wait);
        }
    }

    /// Sends a signal to its process and to those that it has started.
    pub fn signal(&self, signal: Signal) {
        if let State::Running(child, _) = &self.state {
            signal_group(child.id(), signal);
        }
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        if let State::Running(child, _) = &mut self.state {
            signal_group(child.id(), Signal::KILL);
            // It was our child, so that there is an end to wait for.
            let _ = child.wait();
            self.state = State::Due(Instant::now());
        }
    }

    fn tell(&self, what: &str, wait: Duration) {
        let (number, wait) = (self.number, wait.as_millis());
        eprintln!("sgctl: worker {number} {what}; it is started again in {wait} ms");
    }

    fn spawn(&self, program: &Program) -> io::Result<Child> {
        let mut mappings = Vec::new();
        for (child_fd, socket) in (LISTEN_FDS_START..).zip(&self.sockets) {
            let parent_fd = socket.try_clone()?;
            mappings.push(FdMapping {
                parent_fd,
                child_fd,
            });
        }
        let mut command = Command::new(&program.launcher);
        command
            .arg("exec-worker")
            .arg(format!("--parent={}", std::process::id()))
            .arg(format!("--sockets={}", self.sockets.len()))
            .arg(format!("--names={}", program.names))
            .arg("--")
            .args(&program.command)
            .stdin(Stdio::null())
            .process_group(0);
        command
            .fd_mappings(mappings)
            .map_err(|error| io::Error::other(error.to_string()))?;
        command.spawn()
    }
}

/// Signals a worker's process group, which has the number of its process. That
/// it has ended meanwhile is no failure.
fn signal_group(pid: u32, signal: Signal) {
    let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(group) = group.filter(|&group| test_kill_process_group(group).is_ok()) {
        let _ = kill_process_group(group, signal);
    }
}

fn ending(status: Option<ExitStatus>) -> String {
    status.map_or_else(
        || "how is not known".to_owned(),
        |status| status.to_string(),
    )
}
