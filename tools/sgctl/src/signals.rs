// SPDX-License-Identifier: GPL-2.0
//! Signals as something to wait for beside descriptors, or as something that waits.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register_conditional_default, register_usize};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::signal_name;

use crate::Failure;

/// The signals that were asked for, from when it was made.
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

/// What a wait ended with.
#[derive(Debug, PartialEq, Eq)]
pub struct Woken {
    /// The signals that came.
    pub signals: Vec<i32>,
    /// Whether the other descriptor can be read.
    pub readable: bool,
}

impl Signals {
    /// Catches these signals.
    pub fn catch(signals: &[i32]) -> Result<Self, Failure> {
        let delivery = UnixStream::pair()
            .and_then(|(read, write)| SignalDelivery::with_pipe(read, write, SignalOnly, signals));
        let delivery = delivery
            .map_err(|error| Failure::new(format!("signals could not be caught: {error}")))?;
        Ok(Self(delivery))
    }

    /// Waits for a signal, for the descriptor, or for the time to pass.
    pub fn wait(
        &mut self,
        other: Option<BorrowedFd<'_>>,
        limit: Option<Duration>,
    ) -> Result<Woken, Failure> {
        // A time too long for the struct is for ever.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let pipe = self.0.get_read().as_fd();
        let mut fds = vec![PollFd::new(&pipe, PollFlags::IN)];
        if let Some(other) = &other {
            fds.push(PollFd::new(other, PollFlags::IN));
        }
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::new(format!("waiting failed: {error}"))),
        }
        let readable = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        let signals = self.0.pending().collect();
        Ok(Woken { signals, readable })
    }
}

/// What ends a program that does not say otherwise.
const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Signals that are to end the program wait, until they are asked for. When this is gone they end
/// it again, but for those that came before.
#[derive(Debug)]
pub struct Deferred {
    came: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Deferred {
    /// Has those wait that are not ignored anyhow, as below `nohup`.
    pub fn begin() -> Result<Self, Failure> {
        let deferred = Self {
            came: Arc::default(),
            is_over: Arc::default(),
        };
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        for signal in ENDING {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            deferred.register(signal).map_err(|error| {
                Failure::new(format!("signals could not be held back: {error}"))
            })?;
        }
        Ok(deferred)
    }

    fn register(&self, signal: i32) -> std::io::Result<()> {
        register_conditional_default(signal, self.is_over.clone())?;
        let number = usize::try_from(signal).unwrap_or_default();
        register_usize(signal, self.came.clone(), number).map(|_| ())
    }

    /// Fails if one has come; the program is to end with this then.
    pub fn check(&self) -> Result<(), Failure> {
        let came = i32::try_from(self.came.load(Ordering::SeqCst)).unwrap_or_default();
        match came {
            0 => Ok(()),
            signal => {
                let name = signal_name(signal).unwrap_or("a signal");
                let sentence = format!("{name} came before all was done");
                Err(Failure::interrupted(signal, sentence))
            }
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

/// The signals that a process ignores, a bit for each, from what /proc tells of it.
fn ignored(status: &str) -> u64 {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::consts::SIGWINCH;
    use signal_hook::low_level::raise;
    use std::io::Write;

    #[test]
    fn what_is_ignored_is_known() {
        let status = "Name:\tsgctl\nSigBlk:\t00ff\nSigIgn:\t0000000000001003\nSigCgt:\t01\n";
        assert_eq!(ignored(status), 0x1003);
        assert_eq!(ignored("Name:\tsgctl\n"), 0);
    }

    #[test]
    fn a_signal_waits_until_it_is_asked_for() {
        let deferred = Deferred::begin().expect("they can be held back");
        assert_eq!(deferred.check(), Ok(()));
        raise(SIGHUP).expect("it can be raised");
        // Unless whoever runs the tests ignores it.
        let status = fs::read_to_string("/proc/self/status").expect("it is there");
        let failure = match ignored(&status) & 1 {
            0 => deferred.check().expect_err("it came"),
            _ => return,
        };
        assert_eq!(failure.to_string(), "SIGHUP came before all was done");
        assert_eq!(failure.status(), 129);
        let failure = failure.and("nothing has changed");
        assert!(failure.to_string().ends_with("done; nothing has changed"));
        assert_eq!(failure.status(), 129);
    }

    #[test]
    fn signals_descriptors_and_time_end_a_wait() {
        let mut signals = Signals::catch(&[SIGWINCH]).expect("it can be caught");
        let (mut near, far) = UnixStream::pair().expect("a pair");
        let nothing = Woken {
            signals: Vec::new(),
            readable: false,
        };
        let soon = Some(Duration::from_millis(1));
        assert_eq!(signals.wait(Some(far.as_fd()), soon), Ok(nothing));
        near.write_all(b"x").expect("it is open");
        let woken = signals.wait(Some(far.as_fd()), None).expect("it works");
        assert!(woken.readable && woken.signals.is_empty());
        raise(SIGWINCH).expect("it can be raised");
        let woken = signals.wait(None, None).expect("it works");
        assert_eq!(woken.signals, [SIGWINCH]);
    }
}
