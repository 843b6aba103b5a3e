// SPDX-License-Identifier: GPL-2.0
//! Signals as something to wait for beside descriptors.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

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

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::consts::SIGWINCH;
    use signal_hook::low_level::raise;
    use std::io::Write;

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
