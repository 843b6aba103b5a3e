// SPDX-License-Identifier: GPL-2.0
//! A socket with a time by which all has to be done, however slowly the other side sends.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// For how long, and for how many reads of 4 KiB, the other side may go on after the last word.
const LINGER: Duration = Duration::from_secs(1);
const LINGERED: usize = 16;

/// A connected socket.
#[derive(Debug)]
pub struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    /// One that may take until then.
    pub fn new(socket: TcpStream, until: Instant) -> Self {
        Self { socket, until }
    }

    /// From now on it may take until then.
    pub fn extend(&mut self, until: Instant) {
        self.until = until;
    }

    /// Says nothing more, and lets the other side hear what was said last: if it were closed with
    /// something unread, the other side would be told of a reset in place of that.
    pub fn finish(&mut self) {
        self.until = self.until.min(Instant::now() + LINGER);
        let mut unread = [0; 4096];
        if self.socket.shutdown(Shutdown::Write).is_ok() {
            let mut reads = (0..LINGERED).map(|_| self.read(&mut unread));
            while matches!(reads.next(), Some(Ok(1..))) {}
        }
    }

    /// The time that is left; never nothing, as that would be for ever.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left.max(Duration::from_millis(1))),
        }
    }
}

/// Of a socket that has a time limit this is what its end is told as.
fn in_time<T>(outcome: io::Result<T>) -> io::Result<T> {
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        in_time(self.socket.read(into))
    }
}

impl Write for Timed {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        in_time(self.socket.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Timed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket, without a time limit: the kernel waits as it likes.
impl TryFrom<Timed> for TcpStream {
    type Error = io::Error;

    fn try_from(timed: Timed) -> io::Result<Self> {
        timed.socket.set_read_timeout(None)?;
        timed.socket.set_write_timeout(None)?;
        Ok(timed.socket)
    }
}
