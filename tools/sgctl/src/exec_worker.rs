// SPDX-License-Identifier: GPL-2.0
//! `sgctl exec-worker`: the last step before a worker's program runs.
//!
//! It is already the worker's process, so that it knows the number that
//! LISTEN_PID must have, and its sockets are in place.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{getppid, set_parent_process_death_signal, Pid, Signal};

use crate::cli::ExecWorkerArgs;
use crate::Failure;

/// Becomes the worker; comes back only with a failure.
pub fn run(args: &ExecWorkerArgs) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::new(format!("the worker cannot be tied to sgctl: {error}")))?;
    // The parent may have ended before that.
    let parent = getppid().map(Pid::as_raw_nonzero);
    if parent.and_then(|pid| u32::try_from(pid.get()).ok()) != Some(args.parent) {
        return Err(Failure::new("sgctl has ended; no worker is started"));
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(Failure::new("there is no program to run"));
    };
    let error = Command::new(program)
        .args(arguments)
        .env("LISTEN_FDS", args.sockets.to_string())
        .env("LISTEN_PID", std::process::id().to_string())
        .env("LISTEN_FDNAMES", &args.names)
        .exec();
    Err(Failure::new(format!(
        "{} cannot be run: {error}",
        program.to_string_lossy()
    )))
}
